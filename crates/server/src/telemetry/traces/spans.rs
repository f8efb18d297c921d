//! Spans of requests.

use std::borrow::Cow;
use std::time::SystemTime;

use axum::http::Method;
use opentelemetry::trace::{Span, SpanBuilder, SpanKind, Status, TraceContextExt};
use opentelemetry::{Context, KeyValue};

use super::Traces;
use crate::telemetry::RequestContext;

impl Traces {
    /// Exports the span of this request, and those of its stages one after the other: only their durations are known.
    pub(crate) fn add(&self, request: &RequestContext) {
        let Some(name) = name(request) else {
            return;
        };
        let end = SystemTime::now();
        let start = end.checked_sub(request.total).unwrap_or(end);
        let mut span = SpanBuilder::from_name(name)
            .with_kind(SpanKind::Server)
            .with_start_time(start)
            .with_attributes(attributes(request))
            .start_with_context(&self.tracer, &request.parent);
        if request.status >= 500 {
            let code = request.error.as_ref().map_or("", |error| error.code().as_str());
            span.set_status(Status::error(code));
        }
        let context = Context::new().with_remote_span_context(span.span_context().clone());
        let mut begin = start;
        for (stage, took) in request.stages().filter(|(_, took)| !took.is_zero()) {
            let stop = begin.checked_add(took).unwrap_or(begin);
            let mut stage = SpanBuilder::from_name(stage)
                .with_kind(SpanKind::Internal)
                .with_start_time(begin)
                .start_with_context(&self.tracer, &context);
            stage.end_with_timestamp(stop);
            begin = stop;
        }
        span.end_with_timestamp(end);
    }
}

/// Returns the name of the span; `None` for probes, which come every few seconds.
fn name(request: &RequestContext) -> Option<Cow<'static, str>> {
    if let Some(endpoint) = request.endpoint {
        return Some(endpoint.as_str().into());
    }
    match request.path.as_str() {
        "/healthz" | "/readyz" | "/metrics" => None,
        _ => Some(format!("{} other", method(&request.method)).into()),
    }
}

/// Returns the method; `_OTHER` for one that HTTP does not define, as the semantic conventions prescribe.
fn method(method: &Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "POST" | "PUT" | "DELETE" | "HEAD" | "OPTIONS" | "PATCH") => known,
        _ => "_OTHER",
    }
}

/// Ids and what was decided. Scores are for the audit requests: traces may go to others.
fn attributes(request: &RequestContext) -> Vec<KeyValue> {
    let error = request.error.as_ref().map(|error| error.code().as_str());
    let engine = request.engine.as_ref();
    let pack = engine.map(|engine| engine.labels().pack.as_str());
    let texts = [
        ("http.request.method", Some(method(&request.method))),
        ("url.path", Some(&*request.path)),
        ("likeness.request_id", Some(&*request.meta.id.to_string())),
        ("likeness.app", request.app.as_deref()),
        ("likeness.profile", request.profile.as_deref()),
        ("likeness.correlation_id", request.correlation_id.as_deref()),
        ("likeness.outcome", request.outcome),
        ("error.type", error),
        ("likeness.pack", pack),
    ];
    let value = |(key, text): (_, Option<&str>)| Some(KeyValue::new(key, text?.to_owned()));
    let texts = texts.into_iter().filter_map(value);
    let status = KeyValue::new("http.response.status_code", i64::from(request.status));
    texts.chain([status]).collect()
}
