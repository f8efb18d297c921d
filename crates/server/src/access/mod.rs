//! Access: apps, their credentials, limits and quotas, and the admission of requests.

mod admission;
pub(crate) mod apps;
pub(crate) mod limits;
pub(crate) mod proxy_hint;

pub(crate) use admission::Admission;
