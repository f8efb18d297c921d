//! The probes of supervisors, `/info`, and the errors of unknown paths and methods.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use likeness_api::{ApiError, ErrorCode};
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
    let Err(cause) = service.readiness() else {
        return response::json(StatusCode::OK, &json!({ "status": "ready" }));
    };
    let error = ApiError::from(ErrorCode::NotReady);
    let error = match cause {
        Some(cause) => error.with_cause(cause),
        None => error,
    };
    response::failure(&context, &error)
}

/// Describes the service to clients that keep it beside a result. Versions of libraries and the capacity are for operators
/// only, on the admin listener.
pub(super) async fn info(State(service): State<Arc<Service>>) -> Response {
    let engine = service.engine.load_full();
    let engine = engine.info();
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

pub(super) async fn not_found(
    state: State<Arc<Service>>,
    context: Extension<SharedContext>,
    request: Request,
) -> Response {
    refuse(&state, &context, ErrorCode::NotFound, request)
}

pub(super) async fn method_not_allowed(
    state: State<Arc<Service>>,
    context: Extension<SharedContext>,
    request: Request,
) -> Response {
    refuse(&state, &context, ErrorCode::MethodNotAllowed, request)
}

fn refuse(service: &Service, context: &SharedContext, code: ErrorCode, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    service
        .linger
        .failure(context, &ApiError::from(code), &parts, body)
}
