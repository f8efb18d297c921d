//! Which path leads where, and what is done around every request.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Router};
use likeness_api::{ApiError, ErrorCode};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tracing::Instrument;

use crate::REQUEST_ID;
use crate::access::apps::{ID_HEADERS, KEY_HEADERS};
use crate::config::{CorsConfig, DocsConfig};
use crate::endpoint::{ApiVersion, Endpoint};
use crate::http::client_address::Peer;
use crate::http::openapi;
use crate::http::response;
use crate::http::service::Service;
use crate::http::verify;
use crate::telemetry::record::{Observed, Observers};
use crate::telemetry::request_log::RequestLog;
use crate::work::pool::describe_panic;

/// How long a browser goes by an answer to its question.
const PREFLIGHT_HOLDS: Duration = Duration::from_secs(3_600);

pub(crate) fn router(service: Arc<Service>, cors: &CorsConfig, docs: DocsConfig) -> Router {
    let mut router = Router::new();
    for version in ApiVersion::ALL {
        for endpoint in [Endpoint::Biometric, Endpoint::Liveness] {
            let path = format!("{}/{}", version.path(), endpoint.as_str());
            router = router
                .route(&format!("{path}/"), verification(&service, version, endpoint))
                .route(&path, verification(&service, version, endpoint));
        }
    }
    if docs.enabled {
        router = router.merge(openapi::routes());
    }
    let router = router
        .merge(probes())
        .route("/info", get(verify::info))
        .method_not_allowed_fallback(verify::method_not_allowed)
        .fallback(verify::not_found);
    let observers = service.observers.clone();
    let mut router = router.with_state(service);
    if !cors.origins.is_empty() {
        router = router.layer(cross_origin(cors));
    }
    observed(router, observers)
}

/// What says how the service is, on every port.
pub(crate) fn probes() -> Router<Arc<Service>> {
    Router::new()
        .route("/healthz", get(verify::healthz))
        .route("/readyz", get(verify::readyz))
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
        verify::verification(Arc::clone(&service), version, endpoint, log, request)
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
    if let Some(Peer(peer)) = request.extensions().get() {
        log.client(observed.client(*peer, request.headers()));
    }
    request.extensions_mut().insert(log.clone());
    // At the level that no filter leaves out: it is not a line, but what all lines of the request say.
    let span = tracing::error_span!(target: "likeness::request", "request", request_id = %log.meta.id);
    let mut response = next.run(request).instrument(span).await;
    if let Some(Panicked(error)) = response.extensions().get() {
        response = response::failure(&log, error);
    }
    response::add_headers(response.headers_mut(), &log);
    if !observed.finish(response.status()).await {
        response = response::failure(&log, &ApiError::from(ErrorCode::NotReady));
        response::add_headers(response.headers_mut(), &log);
    }
    response
}

/// For pages of these origins; browsers ask before they send headers such as `app_id`.
fn cross_origin(config: &CorsConfig) -> CorsLayer {
    let origins = config
        .origins
        .iter()
        .filter_map(|origin| HeaderValue::from_str(origin).ok());
    let credentials = ID_HEADERS
        .into_iter()
        .chain(KEY_HEADERS)
        .map(HeaderName::from_static);
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(
            credentials
                .chain([header::CONTENT_TYPE, REQUEST_ID])
                .collect::<Vec<_>>(),
        )
        .expose_headers([REQUEST_ID, header::RETRY_AFTER])
        .max_age(PREFLIGHT_HOLDS)
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
