//! The admin listener: health, metrics and reload for operators, on an address of its own that a firewall can block, and with
//! a token of its own.

mod info;
mod metrics;
mod operator;
mod reload;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::json;

use crate::checks::Checks;
use crate::http::{self, Service, Tls, observed, probes};
use crate::permits::Permits;
use crate::reload::{Reloader, SettingsReloader};
pub(crate) use info::{Build, summary};
pub(crate) use operator::Operator;
pub(crate) use reload::run_reload;

/// The state that the handlers share.
pub(crate) struct Admin {
    pub(crate) service: Arc<Service>,
    pub(crate) operator: Operator,
    pub(crate) reloader: Option<Arc<Reloader>>,
    pub(crate) settings: Arc<SettingsReloader>,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) checks: Arc<Checks>,
    /// By listener.
    pub(crate) connections: Vec<(&'static str, Permits)>,
    /// The configuration at the start, without secrets.
    pub(crate) configuration: serde_json::Value,
}

/// The probes are open, as on the public listener, and the console, if there is one, has a login of its own; all other paths
/// need authorization, even unknown ones.
pub(crate) fn router(admin: Arc<Admin>, console: Option<Router>) -> Router {
    let observers = admin.service.observers.clone();
    let probes = probes()
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(Arc::clone(&admin.service));
    let guarded = Router::new()
        .route("/admin/reload", post(reload::reload))
        .route("/info", get(info::info))
        .route("/metrics", get(metrics::metrics))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(from_fn_with_state(Arc::clone(&admin), operator::admit))
        .with_state(admin);
    observed(
        guarded.merge(probes).merge(console.unwrap_or_default()),
        observers,
    )
}

async fn not_found() -> Response {
    failure(StatusCode::NOT_FOUND, "the admin listener has no such path")
}

async fn method_not_allowed() -> Response {
    failure(
        StatusCode::METHOD_NOT_ALLOWED,
        "method not allowed, see the Allow header",
    )
}

/// Returns an error for operators, from whom nothing is kept.
fn failure(status: StatusCode, error: &str) -> Response {
    http::json(status, &json!({ "error": error }))
}
