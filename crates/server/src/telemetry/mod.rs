//! The context of a request, and what is made of it: log lines, metrics and traces.

mod context;
mod log;
pub(crate) mod metrics;
mod refusal_lines;
#[cfg(feature = "otel")]
mod traces;

#[cfg(feature = "fuzzing")]
pub(crate) use context::correlation_id;
pub(crate) use context::{CORRELATION_ID, REQUEST_ID, RequestContext, SharedContext, millis};
pub(crate) use log::write_request;
pub use log::{Logs, LogsError};
pub(crate) use refusal_lines::RefusalLines;
#[cfg(feature = "otel")]
pub use traces::{Traces, TracesError};
