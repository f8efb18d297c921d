//! `GET /metrics`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;

use super::Admin;
use crate::telemetry::metrics::CONTENT_TYPE;

/// All numbers of the service, for Prometheus.
pub(super) async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    let text = admin.service.metrics.render(&admin.service);
    let mut response = Response::new(Body::from(text));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    response
}
