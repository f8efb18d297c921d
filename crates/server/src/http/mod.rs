//! HTTP: listeners, connections, TLS, routes and handlers.

mod addresses;
mod client_address;
mod connection;
mod form;
mod listener;
mod multipart;
mod observe;
pub mod openapi;
mod probes;
mod response;
mod routes;
mod service;
mod tls;
mod verify;

pub(crate) use addresses::Addresses;
pub(crate) use listener::{Listener, ListenerSettings};
pub(crate) use observe::observed;
pub(crate) use probes::routes as probes;
pub(crate) use response::json;
pub(crate) use routes::router;
pub(crate) use service::Service;
pub(crate) use tls::Tls;
pub use tls::TlsError;

/// The readers of requests, for the fuzz targets.
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzed {
    pub(crate) use super::client_address::Proxies;
    pub(crate) use super::form::{BodyLimits, Field, FormReader};
    pub(crate) use super::multipart::{Event, MAX_HEAD_BYTES, MAX_PARTS, Malformed, Parser};
}
