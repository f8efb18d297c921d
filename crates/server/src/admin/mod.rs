//! The operator's port: what is no business of the callers. It is apart from theirs, so that a firewall can tell the two
//! from each other, and asks for a token of its own.

mod info;
mod metrics;
mod operator;
mod reload;

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::json;

use crate::config::Config;
use crate::http::response;
use crate::http::routes::{observed, probes};
use crate::http::service::Service;
use crate::reload::{Reloader, SettingsReloader};
use operator::Operator;

/// What the handlers of this port share.
#[derive(Debug)]
pub(crate) struct Admin {
    service: Arc<Service>,
    operator: Operator,
    reloader: Option<Reloader>,
    settings: Arc<OnceLock<SettingsReloader>>,
    /// What was configured, without secrets.
    configuration: serde_json::Value,
}

impl Admin {
    pub(crate) fn new(
        config: &Config,
        service: Arc<Service>,
        reloader: Option<Reloader>,
        settings: Arc<OnceLock<SettingsReloader>>,
    ) -> Self {
        Self {
            service,
            operator: Operator::new(&config.admin),
            reloader,
            settings,
            configuration: info::summary(config),
        }
    }
}

/// The probes are open here as they are on the callers' port; all else, also a path that is none, is for the operator.
pub(crate) fn router(admin: Admin) -> Router {
    let observers = admin.service.observers.clone();
    let admin = Arc::new(admin);
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
    observed(guarded.merge(probes), observers)
}

/// Whether the headers authorise requests that change something.
#[cfg(feature = "fuzzing")]
pub(crate) fn operator_admits(config: &crate::config::AdminConfig, headers: &axum::http::HeaderMap) -> bool {
    Operator::new(config).check(headers, false).is_ok()
}

async fn not_found() -> Response {
    failure(
        StatusCode::NOT_FOUND,
        "there is no such path on the operator's port",
    )
}

async fn method_not_allowed() -> Response {
    failure(
        StatusCode::METHOD_NOT_ALLOWED,
        "the path takes another method, see the header Allow",
    )
}

/// Errors of this port are for people: they say what happened, and nothing is kept from an operator.
fn failure(status: StatusCode, error: &str) -> Response {
    response::json(status, &json!({ "error": error }))
}
