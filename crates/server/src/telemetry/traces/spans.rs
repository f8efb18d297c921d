//! The spans of a request that has ended.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use axum::http::{HeaderMap, Method};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Span, SpanBuilder, SpanKind, Status, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;

use super::Traces;
use crate::telemetry::record::Record;

/// The caller's span, as the headers `traceparent` and `tracestate` name it (W3C Trace Context).
#[derive(Debug, Clone)]
pub(crate) struct Parent(Context);

impl Parent {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self(TraceContextPropagator::new().extract_with_context(&Context::new(), &HeaderExtractor(headers)))
    }
}

impl Traces {
    /// Hands over the span of this request and those of its stages. Of the stages the durations are known, and that each is
    /// the sum of what was done for both pictures; they are laid one after the other.
    pub(crate) fn add(&self, record: &Record) {
        let Some(name) = name(record) else {
            return;
        };
        let end = SystemTime::now();
        let start = end.checked_sub(record.total).unwrap_or(end);
        let mut span = SpanBuilder::from_name(name)
            .with_kind(SpanKind::Server)
            .with_start_time(start)
            .with_attributes(attributes(record))
            .start_with_context(&self.tracer, &record.parent.0);
        if record.status >= 500 {
            let code = record
                .facts
                .error
                .as_ref()
                .map_or("", |error| error.code().as_str());
            span.set_status(Status::error(code));
        }
        let context = Context::new().with_remote_span_context(span.span_context().clone());
        let mut begin = start;
        for (stage, took) in stages(record) {
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

/// `None` for what comes every few seconds and says nothing.
fn name(record: &Record) -> Option<Cow<'static, str>> {
    if let Some(endpoint) = record.facts.endpoint {
        return Some(endpoint.as_str().into());
    }
    match record.path.as_str() {
        "/healthz" | "/readyz" | "/metrics" => None,
        _ => Some(format!("{} other", method(&record.method)).into()),
    }
}

/// What is not in HTTP's own list is `_OTHER`, as the conventions have it.
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

/// Ids and what was decided. Scores are for the audit records: traces may go to others.
fn attributes(record: &Record) -> Vec<KeyValue> {
    let facts = &record.facts;
    let mut attributes = vec![
        KeyValue::new("http.request.method", method(&record.method)),
        KeyValue::new("http.response.status_code", i64::from(record.status)),
        KeyValue::new("url.path", record.path.clone()),
        KeyValue::new("likeness.request_id", record.meta.id.to_string()),
    ];
    let texts = [
        ("likeness.app", facts.app.clone()),
        ("likeness.profile", facts.profile.clone()),
        ("likeness.correlation_id", record.correlation_id.clone()),
        ("likeness.outcome", facts.outcome.map(ToOwned::to_owned)),
        (
            "error.type",
            facts.error.as_ref().map(|error| error.code().as_str().to_owned()),
        ),
        (
            "likeness.pack",
            facts.models.as_ref().map(|models| models.pack.clone()),
        ),
    ];
    attributes.extend(
        texts
            .into_iter()
            .filter_map(|(key, text)| Some(KeyValue::new(key, text?))),
    );
    attributes
}

fn stages(record: &Record) -> impl Iterator<Item = (&'static str, Duration)> {
    let facts = &record.facts;
    let timings = facts.timings;
    [
        ("body", facts.body_read),
        ("queue", facts.queued()),
        ("decode", timings.map(|timings| timings.decode)),
        ("detect", timings.map(|timings| timings.detect)),
        ("embed", timings.map(|timings| timings.embed)),
        ("liveness", timings.map(|timings| timings.liveness)),
        ("quality", timings.map(|timings| timings.quality)),
        ("decide", timings.map(|timings| timings.decide)),
    ]
    .into_iter()
    .filter_map(|(stage, took)| Some((stage, took.filter(|took| !took.is_zero())?)))
}
