//! `GET /info` on the operator's port: all that an auditor or a supporter asks first.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::Admin;
use crate::build::Build;
use crate::config::Config;
use crate::response;

/// What runs here, of what it was built, and how it is set up.
pub(super) async fn info(State(admin): State<Arc<Admin>>) -> Response {
    let service = &admin.service;
    let engine = service.engine.current();
    let workers = engine.workers();
    let pack = engine.info().pack.clone();
    let engine = engine.labels();
    let mut configuration = admin.configuration.clone();
    // These may have been changed since.
    configuration["limits"] = serde_json::to_value(&*service.limits()).unwrap_or_default();
    let info = json!({
        "name": "likeness",
        "build": Build::CURRENT,
        "uptime_seconds": service.metrics.uptime().as_secs(),
        "workers": workers,
        "admitted_requests_max": service.admission.size(),
        "apps": service.apps.current().len(),
        "runtime": {
            "name": "onnxruntime",
            "version": engine.runtime_version,
            "library": engine.runtime_library,
            "provider": engine.provider,
            "device": engine.device,
            "precision": engine.precision,
        },
        "models": {
            "pack": engine.pack,
            "version": engine.pack_version,
            "digest": engine.pack_digest,
            "commercial_use": pack.as_ref().map(|pack| pack.commercial_use),
            "licenses": pack.map(|pack| pack.licenses).unwrap_or_default(),
            "match_calibration": engine.match_calibration,
            "liveness_calibration": engine.liveness_calibration,
        },
        "configuration": configuration,
    });
    response::json(StatusCode::OK, &info)
}

/// The settings as they are written by `likeness config show`, secrets redacted. The apps have a command of their own.
pub(super) fn summary(config: &Config) -> Value {
    let mut settings = serde_json::to_value(config).unwrap_or_default();
    if let Some(settings) = settings.as_object_mut() {
        settings.remove("apps");
    }
    settings
}
