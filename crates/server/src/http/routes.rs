//! The routes of the public listener.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::routing::{get, post};
use likeness_api::{ApiError, ErrorCode};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::observe::observed;
use super::service::Service;
use super::{openapi, probes, verify};
use crate::access::apps::{ID_HEADERS, KEY_HEADERS};
use crate::config::{CorsConfig, DocsConfig};
use crate::endpoint::{ApiVersion, Endpoint};
use crate::telemetry::{REQUEST_ID, SharedContext};

/// How long a browser caches the response to a preflight request.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(3_600);

pub(crate) fn router(service: Arc<Service>, cors: &CorsConfig, docs: DocsConfig) -> Router {
    let mut router = Router::new();
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
            router = router
                .route(&format!("{path}/"), handler.clone())
                .route(&path, handler);
        }
    }
    if docs.enabled {
        router = router.merge(openapi::routes());
    }
    let refuse = |code| {
        async move |State(service): State<Arc<Service>>,
                    Extension(context): Extension<SharedContext>,
                    request: Request| {
            let (parts, body) = request.into_parts();
            service
                .linger
                .failure(&context, &ApiError::from(code), &parts, body)
        }
    };
    let router = router
        .merge(probes::routes())
        .route("/info", get(probes::info))
        .method_not_allowed_fallback(refuse(ErrorCode::MethodNotAllowed))
        .fallback(refuse(ErrorCode::NotFound));
    let observers = service.observers.clone();
    let mut router = router.with_state(service);
    if !cors.origins.is_empty() {
        router = router.layer(cross_origin(cors));
    }
    observed(router, observers)
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
        .expose_headers([REQUEST_ID, header::RETRY_AFTER])
        .max_age(PREFLIGHT_MAX_AGE)
}
