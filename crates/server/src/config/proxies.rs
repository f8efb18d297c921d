//! Which proxies are believed.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The proxies before the service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ProxiesConfig {
    /// Networks whose `X-Forwarded-For` and `Forwarded` are believed, such as `10.0.0.0/8`. Default: none.
    #[serde(default)]
    pub trusted: Vec<IpNet>,
}
