//! Sockets, and how the service stops.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::seconds;

/// Sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ConnectionsConfig {
    /// Open connections; those beyond wait in the listening queue. Default: 1,024.
    pub max: usize,
    /// How long a client may take for the headers of a request; also how long a connection may stay idle. Default:
    /// 75 s, which is longer than proxies keep idle connections (nginx: 60 s).
    #[serde(rename = "header_read_seconds", with = "seconds")]
    pub header_read: Duration,
    /// How long the rest of a refused upload is read and thrown away, so that the client sees the answer rather than
    /// a reset. Default: 5 s.
    #[serde(rename = "linger_seconds", with = "seconds")]
    pub linger: Duration,
    /// How long a client may send nothing of a body. Default: 5 s; `limits.deadline_seconds` bounds the whole.
    #[serde(rename = "body_idle_seconds", with = "seconds")]
    pub body_idle: Duration,
    /// Open connections of one address; those beyond are closed at once. Those of trusted proxies are not counted. 0: as
    /// many as there may be. Default: 0, since a proxy that is not known as one would be cut off.
    pub max_per_address: usize,
}

/// How the service stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ShutdownConfig {
    /// Between `/readyz` turning 503 and the port closing, for load balancers to take notice. Default: 0.
    #[serde(rename = "delay_seconds", with = "seconds")]
    pub delay: Duration,
    /// How long, beyond the deadline of a request, to wait for what is under way. Default: 5 s.
    #[serde(rename = "grace_seconds", with = "seconds")]
    pub grace: Duration,
}
