//! HTTP: listeners, connections, TLS, routes and handlers.

mod addresses;
mod base_path;
pub(crate) mod client_address;
mod connection;
mod draining;
pub(crate) mod form;
mod listener;
pub(crate) mod multipart;
mod observe;
pub mod openapi;
mod probes;
mod response;
mod routes;
mod service;
mod tls;
pub(crate) mod trial;
mod verify;

pub(crate) use addresses::Addresses;
pub(crate) use draining::Draining;
pub(crate) use listener::{Listener, ListenerSettings};
pub(crate) use observe::observed;
pub(crate) use probes::routes as probes;
pub(crate) use response::json;
pub(crate) use routes::router;
pub(crate) use service::Service;
pub(crate) use tls::Tls;
pub use tls::TlsError;
