//! The log: where its lines go, and one line for each request.

use std::fmt;
use std::io::{self, IsTerminal};

use likeness_api::ApiError;
use tracing_subscriber::EnvFilter;

use super::context::{RequestContext, millis};
use crate::config::{ConfigError, LogConfig, LogFormat};

/// The log of this process.
pub struct Logs {
    set: Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>,
}

/// An error from starting the log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the messages explain them")]
pub enum LogsError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot install the log: {0}")]
    Taken(Box<dyn std::error::Error + Send + Sync>),
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logs").finish_non_exhaustive()
    }
}

impl Logs {
    /// Writes log events to standard error from now on.
    pub fn start(config: &LogConfig) -> Result<Self, LogsError> {
        let logs = tracing_subscriber::fmt()
            .with_env_filter(config.env_filter()?)
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal());
        // The two formats have handles of different types.
        macro_rules! install {
            ($logs:expr) => {{
                let logs = $logs.with_filter_reloading();
                let handle = logs.reload_handle();
                logs.try_init().map_err(LogsError::Taken)?;
                Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string()))
            }};
        }
        Ok(Self {
            set: match config.format {
                LogFormat::Text => install!(logs),
                // The span of a request is the only one around a line.
                LogFormat::Json => install!(logs.json().flatten_event(true).with_span_list(false)),
            },
        })
    }

    pub(crate) fn set_filter(&self, config: &LogConfig) -> Result<(), ConfigError> {
        (self.set)(config.env_filter()?).map_err(|error| ConfigError::invalid("log.filter", error))
    }
}

pub(crate) fn write_request(request: &RequestContext) {
    let timings = request.timings;
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                target: "likeness::request",
                request_id = %request.meta.id,
                correlation_id = request.correlation_id.as_deref(),
                client = request.client.map(tracing::field::display),
                app = request.app.as_deref(),
                method = request.method.as_str(),
                endpoint = request.path.as_str(),
                status = request.status,
                error = request.error.as_ref().map(|error| error.code().as_str()),
                message = request.error.as_ref().map(ApiError::message),
                cause = request.error.as_ref().and_then(ApiError::cause),
                profile = request.profile.as_deref(),
                outcome = request.outcome,
                selfie_faces = request.selfie.faces,
                photo_faces = request.photo.faces,
                face_match = request.face_match,
                liveness = request.liveness,
                total_ms = millis(request.total),
                body_ms = request.body_read.map(millis),
                queue_ms = request.queued().map(millis),
                decode_ms = timings.map(|timings| millis(timings.decode)),
                detect_ms = timings.map(|timings| millis(timings.detect)),
                embed_ms = timings.map(|timings| millis(timings.embed)),
                liveness_ms = timings.map(|timings| millis(timings.liveness)),
                quality_ms = timings.map(|timings| millis(timings.quality)),
            )
        };
    }
    match request.status {
        500 => line!(error),
        501.. => line!(warn),
        // Probes come every few seconds.
        _ if matches!(request.path.as_str(), "/healthz" | "/readyz") => line!(debug),
        // So does what collects metrics, where it is let in.
        200 if request.path == "/metrics" => line!(debug),
        _ => line!(info),
    }
}
