//! The probes of supervisors, and `/info`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use serde_json::json;

use super::response;
use super::service::Service;
use crate::telemetry::SharedContext;

/// Returns the probes, which every listener has.
pub(crate) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
}

async fn healthz() -> Response {
    response::json(StatusCode::OK, &json!({ "status": "ok" }))
}

async fn readyz(
    State(service): State<Arc<Service>>,
    Extension(context): Extension<SharedContext>,
) -> Response {
    match service.readiness() {
        Ok(()) => response::json(StatusCode::OK, &json!({ "status": "ready" })),
        Err(error) => response::failure(&context, &error),
    }
}

/// Describes the service to clients that keep it beside a result. Versions of libraries and the capacity are for operators
/// only, on the admin listener.
pub(super) async fn info(State(service): State<Arc<Service>>) -> Response {
    let engine = service.engine.load_full();
    let engine = engine.labels();
    let info = json!({
        "name": "likeness",
        "version": env!("CARGO_PKG_VERSION"),
        "provider": engine.provider,
        "pack": engine.pack,
        "pack_version": engine.pack_version,
        "match_calibration": engine.match_calibration,
        "liveness_calibration": engine.liveness_calibration,
    });
    response::json(StatusCode::OK, &info)
}
