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
//! The way of a request: [`Server`] accepts a bounded number of connections; `http` gives each request its id, its headers and its line in the log, and checks, in the order of the HTTP contract, the
//! credentials (`access`: the apps of the configuration, and those of the storage, which are looked at again every second),
//! whether there is room, and the body as it arrives; then the engine works on a thread of its own (`work`). Which engine
//! that is, a slot says when the work begins: `reload` replaces it by another one while requests are under way, when files
//! change or an operator asks on a port apart (`admin`). When a request has ended, observers hear of it (`telemetry`): the
//! log, and what is counted. Every queue is bounded and every wait has a deadline.

mod access;
mod admin;
pub mod audit;
pub mod config;
mod endpoint;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod hex;
mod http;
mod locked;
mod looks;
mod open_storage;
#[cfg(test)]
mod plain;
mod reload;
mod sampling;
mod seconds;
mod serve;
mod signals;
mod telemetry;
mod work;

pub use access::apps::{Apps, DEMO_APP, FIRST_APP};
pub use config::{
    AdminConfig, AppConfig, AuditConfig, AuditMode, ClientCertificates, Config, ConfigError, EngineConfig,
    Explained, ExposedFile, LogConfig, LogFormat, Overrides, QuotasConfig, REFERENCE, ReloadConfig,
    StorageConfig, TlsConfig, WhenUnavailable,
};
pub use http::openapi;
pub use http::tls::TlsError;
pub use reload::{EngineSource, Hangups, Reload, ReloadError, Reloader, SettingsReload, SourceError};
pub use serve::{ServeError, Server};
pub use signals::{second_shutdown_signal, shutdown_signal};
pub use telemetry::logs::{Logs, LogsError};
#[cfg(feature = "otel")]
pub use telemetry::traces::{Traces, TracesError};

/// What the service keeps in a database: apps and their keys, among other things.
pub use likeness_storage as storage;

/// The header that carries `api_req_uid` in answers and, in requests, an id of the client's.
const REQUEST_ID: axum::http::HeaderName = axum::http::HeaderName::from_static("x-request-id");
