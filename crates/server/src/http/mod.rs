//! HTTP: listening sockets, connections, TLS, routes and handlers.

pub(crate) mod addresses;
pub(crate) mod client_address;
pub(crate) mod connection;
pub(crate) mod form;
pub(crate) mod listener;
pub(crate) mod multipart;
pub mod openapi;
pub(crate) mod response;
pub(crate) mod routes;
pub(crate) mod service;
pub(crate) mod tls;
pub(crate) mod verify;
