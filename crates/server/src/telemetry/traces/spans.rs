//! Spans of requests.

use std::borrow::Cow;
use std::time::SystemTime;

use axum::http::Method;
use opentelemetry::trace::{Span, SpanBuilder, SpanKind, Status, TraceContextExt};
use opentelemetry::{Context, KeyValue};

use super::Traces;
use crate::telemetry::RequestContext;

impl Traces {
    /// Exports the span of this request and those of its stages. Only the durations of stages are known, each summed over
    /// both images; the spans are laid one after the other.
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
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "_OTHER",
    }
}

/// Ids and what was decided. Scores are for the audit requests: traces may go to others.
fn attributes(request: &RequestContext) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("http.request.method", method(&request.method)),
        KeyValue::new("http.response.status_code", i64::from(request.status)),
        KeyValue::new("url.path", request.path.clone()),
        KeyValue::new("likeness.request_id", request.meta.id.to_string()),
    ];
    let texts = [
        ("likeness.app", request.app.clone()),
        ("likeness.profile", request.profile.clone()),
        ("likeness.correlation_id", request.correlation_id.clone()),
        ("likeness.outcome", request.outcome.map(ToOwned::to_owned)),
        (
            "error.type",
            request
                .error
                .as_ref()
                .map(|error| error.code().as_str().to_owned()),
        ),
        (
            "likeness.pack",
            request.engine.as_ref().map(|engine| engine.labels().pack.clone()),
        ),
    ];
    attributes.extend(
        texts
            .into_iter()
            .filter_map(|(key, text)| Some(KeyValue::new(key, text?))),
    );
    attributes
}
