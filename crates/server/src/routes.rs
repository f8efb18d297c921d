//! Which path leads where, and what is done around every request.

use std::any::Any;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Router};
use likeness_api::ApiError;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;

use crate::handlers::{self, ApiVersion, Endpoint};
use crate::record::{Observed, Observers};
use crate::request_log::RequestLog;
use crate::response;
use crate::service::Service;
use crate::work::describe_panic;

pub(crate) fn router(service: Arc<Service>) -> Router {
    let mut router = Router::new();
    for version in ApiVersion::ALL {
        for endpoint in [Endpoint::Biometric, Endpoint::Liveness] {
            let path = format!("{}/{}", version.path(), endpoint.as_str());
            router = router
                .route(&format!("{path}/"), verification(&service, version, endpoint))
                .route(&path, verification(&service, version, endpoint));
        }
    }
    let router = router
        .merge(probes())
        .route("/info", get(handlers::info))
        .method_not_allowed_fallback(handlers::method_not_allowed)
        .fallback(handlers::not_found);
    let observers = service.observers.clone();
    observed(router.with_state(service), observers)
}

/// What says how the service is, on every port.
pub(crate) fn probes() -> Router<Arc<Service>> {
    Router::new()
        .route("/healthz", get(handlers::healthz))
        .route("/readyz", get(handlers::readyz))
}

/// With what is done around every request, on every port.
pub(crate) fn observed(router: Router, observers: Observers) -> Router {
    router
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(observers, observe))
}

fn verification(
    service: &Arc<Service>,
    version: ApiVersion,
    endpoint: Endpoint,
) -> MethodRouter<Arc<Service>> {
    let service = Arc::clone(service);
    post(move |Extension(log): Extension<RequestLog>, request: Request| {
        handlers::verification(Arc::clone(&service), version, endpoint, log, request)
    })
}

/// Outermost: gives the request its id, the answer its headers, and the observers what became of it.
async fn observe(State(observers): State<Observers>, mut request: Request, next: Next) -> Response {
    let log = RequestLog::begin();
    let observed = Observed::new(
        observers,
        log.clone(),
        request.method(),
        request.uri().path(),
        request.version(),
        request.headers(),
    );
    request.extensions_mut().insert(log.clone());
    // At the level that no filter leaves out: it is not a line, but what all lines of the request say.
    let span = tracing::error_span!(target: "likeness::request", "request", request_id = %log.meta.id);
    let mut response = next.run(request).instrument(span).await;
    if let Some(Panicked(error)) = response.extensions().get() {
        response = response::failure(&log, error);
    }
    response::add_headers(response.headers_mut(), &log);
    observed.finish(response.status());
    response
}

/// Marks the answer of a handler that panicked; the envelope needs the request's id, which is not at hand there.
#[derive(Clone)]
struct Panicked(ApiError);

#[expect(clippy::needless_pass_by_value, reason = "the layer wants it so")]
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
        .extensions_mut()
        .insert(Panicked(ApiError::internal(describe_panic(&*panic))));
    response
}
