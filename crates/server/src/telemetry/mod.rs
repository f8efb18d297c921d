//! What is known of requests and of the service: the log, metrics and traces.

mod audit_event;
pub(crate) mod build;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod record;
pub(crate) mod refusal_lines;
pub(crate) mod request_line;
pub(crate) mod request_log;
#[cfg(feature = "otel")]
pub(crate) mod traces;
