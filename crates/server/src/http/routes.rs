//! The routes of the public listener.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::response::Response;
use axum::routing::{get, post};
use likeness_api::{ApiError, ErrorCode};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::observe::observed;
use super::response::FINDINGS;
use super::service::Service;
use super::{base_path, openapi, probes, verify};
use crate::access::apps::{ID_HEADERS, KEY_HEADERS};
use crate::config::{Config, CorsConfig};
use crate::endpoint::{ApiVersion, Endpoint};
use crate::telemetry::{CORRELATION_ID, REQUEST_ID, SharedContext};

/// How long a browser caches the response to a preflight request.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(3_600);

/// Endpoints of the Kairos IDV API that this service does not have.
const NOT_OFFERED: [&str; 2] = ["full-id-verification", "document-verification"];

/// Returns the router of the public listener: all below the base path, and the probes without it too.
pub(crate) fn router(service: &Arc<Service>, config: &Config) -> Router {
    let mut below = Router::new()
        .merge(probes::routes())
        .route("/info", get(probes::info));
    for version in ApiVersion::ALL {
        for endpoint in Endpoint::ALL {
            let path = format!("{}/{}", version.path(), endpoint.as_str());
            let handler = post(
                move |State(service): State<Arc<Service>>,
                      Extension(context): Extension<SharedContext>,
                      request| async move {
                    verify::verification(&service, version, endpoint, &context, request).await
                },
            );
            below = below
                .route(&format!("{path}/"), handler.clone())
                .route(&path, handler);
        }
    }
    if config.docs.enabled {
        below = below.merge(openapi::routes(&config.base_path));
    }
    let complete = |router: Router<Arc<Service>>, base_path: Option<Arc<str>>| {
        let not_found = move |State(service): State<Arc<Service>>,
                              Extension(context): Extension<SharedContext>,
                              request: Request| async move {
            let error = not_found(request.uri().path(), base_path.as_deref());
            refuse(&service, &context, request, &error)
        };
        let router = router
            .method_not_allowed_fallback(method_not_allowed)
            .fallback(not_found);
        let mut router = router.with_state(Arc::clone(service));
        if !config.cors.origins.is_empty() {
            router = router.layer(cross_origin(&config.cors));
        }
        observed(router, service.observers.clone())
    };
    let outside = complete(probes::routes(), Some(config.base_path.as_str().into()));
    base_path::mount(&config.base_path, complete(below, None), outside)
}

async fn method_not_allowed(
    State(service): State<Arc<Service>>,
    Extension(context): Extension<SharedContext>,
    request: Request,
) -> Response {
    refuse(&service, &context, request, &ErrorCode::MethodNotAllowed.into())
}

fn refuse(service: &Service, context: &SharedContext, request: Request, error: &ApiError) -> Response {
    let (parts, body) = request.into_parts();
    service.linger.failure(context, error, &parts, body)
}

/// Returns the error of an unknown path; `base_path` is what the path should have begun with.
fn not_found(path: &str, base_path: Option<&str>) -> ApiError {
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let message = if NOT_OFFERED.contains(&name) {
        let [biometric, liveness] = Endpoint::ALL.map(Endpoint::as_str);
        format!("This service does not offer {name}: it has {biometric} and {liveness}.")
    } else if let Some(base_path) = base_path {
        format!("There is nothing at this path: the API is below {base_path}.")
    } else {
        return ErrorCode::NotFound.into();
    };
    ApiError::new(ErrorCode::NotFound, message)
}

/// Allows pages of these origins; browsers ask before they send headers such as `app_id`.
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
        .expose_headers([REQUEST_ID, CORRELATION_ID, FINDINGS, header::RETRY_AFTER])
        .max_age(PREFLIGHT_MAX_AGE)
}
