//! The Kairos-compatible HTTP service of Likeness.
//!
//! ```no_run
//! # async fn serve(engine: likeness_engine::Engine) -> Result<(), likeness_server::ServeError> {
//! use likeness_server::{Config, Overrides, Server, shutdown_signal};
//!
//! let config = Config::load(None, &Overrides::default())?;
//! let apps = config.apps()?;
//! let server = Server::bind(config, apps, engine).await?;
//! server.run(shutdown_signal()).await;
//! # Ok(())
//! # }
//! ```
//!
//! The way of a request: [`Server`] accepts a bounded number of connections; `routes` gives each request its id, its
//! headers and its line in the log; `handlers` checks, in the order of the HTTP contract, the credentials (`apps`: those of
//! the configuration, and those of the storage, which are looked at again every second),
//! whether there is room (`admission`), and the body as it arrives (`multipart`, `fields`); then the engine works on a
//! thread of its own (`work`). Which engine that is, `engine_slot` says when the work begins: `reload` replaces it by
//! another one while requests are under way, when files change or an operator asks on a port apart (`admin`). When a
//! request has ended, observers hear of it (`record`): the log, and what is counted (`metrics`). Every queue is bounded and
//! every wait has a deadline.

mod addresses;
mod admin;
mod admission;
mod apps;
pub mod audit;
mod build;
mod client_address;
pub mod config;
mod connection;
mod engine_slot;
mod fields;
mod floods;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod handlers;
mod hex;
mod limits;
mod locked;
mod logs;
mod looks;
mod metrics;
mod multipart;
mod open_storage;
pub mod openapi;
#[cfg(test)]
mod plain;
mod port;
mod private;
mod proxy_hint;
mod record;
mod refusal_lines;
mod reload;
mod request_line;
mod request_log;
mod response;
mod routes;
mod serve;
mod service;
mod signals;
mod throttle;
mod tls;
#[cfg(feature = "otel")]
mod traces;
mod work;

pub use apps::{Apps, DEMO_APP, FIRST_APP};
pub use config::{
    AdminConfig, AppConfig, AuditConfig, AuditMode, ClientCertificates, Config, ConfigError, DatabaseConfig,
    EngineConfig, Explained, ExposedFile, LogConfig, LogFormat, Overrides, QuotasConfig, REFERENCE,
    ReloadConfig, TlsConfig, WhenUnavailable,
};
pub use logs::{Logs, LogsError};
pub use reload::{EngineSource, Hangups, Reload, ReloadError, Reloader, SettingsReload, SourceError};
pub use serve::{ServeError, Server};
pub use signals::{second_shutdown_signal, shutdown_signal};
pub use tls::TlsError;
#[cfg(feature = "otel")]
pub use traces::{Traces, TracesError};

/// What the service keeps in a database: apps and their keys, among other things.
pub use likeness_storage as storage;

/// The header that carries `api_req_uid` in answers and, in requests, an id of the client's.
const REQUEST_ID: axum::http::HeaderName = axum::http::HeaderName::from_static("x-request-id");
