//! Sockets, and how the service stops.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Config;
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
    /// many as there may be. Absent: see [`Config::max_per_address`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_address: Option<usize>,
}

impl Config {
    /// How many connections one address may have open; 0: as many as there may be.
    ///
    /// Where `connections.max_per_address` is absent that is half of `connections.max`, so that no address locks all others
    /// out. There is no such bound on a loopback address, nor behind trusted proxies, whose connections are those of
    /// many clients.
    #[must_use]
    pub fn max_per_address(&self) -> usize {
        match self.connections.max_per_address {
            Some(max) => max,
            None if self.is_reached_directly() => (self.connections.max / 2).max(1),
            None => 0,
        }
    }

    /// Why [`max_per_address`](Self::max_per_address) is what it is where nothing sets it.
    pub(super) fn why_max_per_address(&self) -> &'static str {
        if self.is_reached_directly() {
            "half of connections.max, as listen is not a loopback address and proxies.trusted is empty"
        } else if self.listen.ip().is_loopback() {
            "no such bound, as listen is a loopback address"
        } else {
            "no such bound, as proxies are trusted"
        }
    }

    /// Whether clients connect from other machines, by no proxy that is known.
    fn is_reached_directly(&self) -> bool {
        !self.listen.ip().is_loopback() && self.proxies.trusted.is_empty()
    }
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
