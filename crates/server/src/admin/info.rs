//! `GET /info` on the admin listener: the build, the models and the configuration.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};

use super::Admin;
use crate::config::Config;
use crate::http;

/// The build of this program.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Build {
    pub(crate) version: &'static str,
    /// `LIKENESS_GIT_COMMIT` of the build's environment.
    pub(crate) commit: Option<&'static str>,
    pub(crate) rustc: &'static str,
    pub(crate) target: &'static str,
}

impl Build {
    /// The build script sets the last two.
    pub(crate) const CURRENT: Self = Self {
        version: env!("CARGO_PKG_VERSION"),
        commit: option_env!("LIKENESS_GIT_COMMIT"),
        rustc: env!("LIKENESS_BUILD_RUSTC"),
        target: env!("LIKENESS_BUILD_TARGET"),
    };
}

pub(super) async fn info(State(admin): State<Arc<Admin>>) -> Response {
    let service = &admin.service;
    let engine = service.engine.load_full();
    let workers = engine.workers();
    let pack = engine.info().pack.clone();
    let engine = engine.labels();
    let mut configuration = admin.configuration.clone();
    // A reload may have changed these.
    configuration["request_limits"] = serde_json::to_value(&**service.limits.load()).unwrap_or_default();
    let info = json!({
        "name": "likeness",
        "build": Build::CURRENT,
        "uptime_seconds": service.metrics().uptime().as_secs(),
        "workers": workers,
        "admitted_requests_max": service.admission.max(),
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
            "licenses": pack.as_ref().map(|pack| pack.licenses.as_slice()).unwrap_or_default(),
            "license_notes": pack.as_ref().map(|pack| pack.license_notes.as_slice()).unwrap_or_default(),
            "match_calibration": engine.match_calibration,
            "liveness_calibration": engine.liveness_calibration,
            "cohort": engine.cohort,
        },
        "configuration": configuration,
    });
    http::json(StatusCode::OK, &info)
}

/// Returns the settings as `likeness config show` prints them, secrets redacted, without the apps, which have a command of
/// their own.
pub(crate) fn summary(config: &Config) -> Value {
    let mut settings =
        serde_json::to_value(toml::Table::try_from(config).unwrap_or_default()).unwrap_or_default();
    if let Some(settings) = settings.as_object_mut() {
        settings.remove("apps");
    }
    settings
}
