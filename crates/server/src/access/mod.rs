//! Who may ask for how much: apps, their credentials and limits, and the bound of the whole service.

pub(crate) mod admission;
pub(crate) mod apps;
pub(crate) mod limits;
pub(crate) mod proxy_hint;
