//! Where the lines of the log go.

use std::fmt;
use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::config::{ConfigError, LogConfig, LogFormat};

/// The log of this process. There is one.
pub struct Logs {
    set: Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogsError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Another part of the program has begun a log of its own.
    #[error("the log could not be begun: {0}")]
    Taken(Box<dyn std::error::Error + Send + Sync>),
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logs").finish_non_exhaustive()
    }
}

impl Logs {
    /// Writes what the program says to standard error from now on. With [`Server::with_logs`](crate::Server::with_logs)
    /// the filter follows the configuration.
    ///
    /// # Errors
    /// [`LogsError`].
    pub fn start(config: &LogConfig) -> Result<Self, LogsError> {
        let logs = tracing_subscriber::fmt()
            .with_env_filter(config.env_filter()?)
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal());
        match config.format {
            LogFormat::Text => {
                let logs = logs.with_filter_reloading();
                let handle = logs.reload_handle();
                logs.try_init().map_err(LogsError::Taken)?;
                Ok(Self {
                    set: Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string())),
                })
            }
            LogFormat::Json => {
                // The span of a request is the only one around a line.
                let logs = logs
                    .json()
                    .flatten_event(true)
                    .with_span_list(false)
                    .with_filter_reloading();
                let handle = logs.reload_handle();
                logs.try_init().map_err(LogsError::Taken)?;
                Ok(Self {
                    set: Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string())),
                })
            }
        }
    }

    /// Writes the lines that this filter lets through from now on.
    pub(crate) fn set_filter(&self, config: &LogConfig) -> Result<(), ConfigError> {
        (self.set)(config.env_filter()?).map_err(|error| ConfigError::invalid("log.filter", error))
    }
}
