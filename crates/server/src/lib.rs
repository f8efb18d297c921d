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
//! Each folder imports only those below it, from `serve`, `console`, `admin`, `reload`, `http`, `work` and `telemetry` down to `audit`,
//! `access` and `config`; docs/architecture.md says what each is for.
//!
//! A request waits in one queue, first come first served, and only after it was admitted. Every queue is bounded and every
//! wait has a deadline.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod access;
mod admin;
pub mod audit;
mod checks;
pub mod config;
mod console;
mod endpoint;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod periodic;
mod permits;
mod reload;
mod sampling;
mod serve;
mod signals;
mod telemetry;
mod work;

pub use access::apps::{Apps, DEMO_APP, FIRST_APP};
pub use checks::{Check, CheckState};
pub use config::{
    AdminConfig, AppConfig, AuditConfig, AuditMode, ClientCertificates, Config, ConfigError, ConsoleConfig,
    DatabaseConfig, EngineConfig, Explained, ExposedFile, LogConfig, LogFormat, Overrides, QuotasConfig,
    REFERENCE, ReloadConfig, TlsConfig, WhenUnavailable,
};
pub use http::TlsError;
pub use http::openapi;
pub use reload::{EngineSource, SourceError};
pub use serve::{ServeError, Server};
pub use signals::{Hangups, second_shutdown_signal, shutdown_signal};
pub use telemetry::{Logs, LogsError};
#[cfg(feature = "otel")]
pub use telemetry::{Traces, TracesError};

/// The database of the service.
pub use likeness_storage as storage;
