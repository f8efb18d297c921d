//! Access: apps, their credentials, limits and quotas.

pub(crate) mod apps;
pub(crate) mod console_token;
pub(crate) mod limits;
pub(crate) mod proxy_hint;
