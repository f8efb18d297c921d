//! `POST /admin/reload`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use likeness_engine::EngineLabels;
use serde_json::{Value, json};

use super::Admin;
use crate::http;
use crate::reload::{ReloadError, SettingsReload};

/// Reloads the settings and then the models, and responds when both have ended. It continues if its client does not wait.
pub(super) async fn reload(State(admin): State<Arc<Admin>>) -> Response {
    let (status, body) = run_reload(&admin).await;
    http::json(status, &body)
}

/// Reloads the settings and then the models; returns the status and body of the response.
pub(crate) async fn run_reload(admin: &Admin) -> (StatusCode, Value) {
    let Some(reloader) = &admin.reloader else {
        let error = "the engine of this service is embedded by its program and cannot be reloaded";
        return (StatusCode::NOT_IMPLEMENTED, json!({ "error": error }));
    };
    let settings = match reload_settings(admin).await {
        Ok(settings) => settings,
        Err((status, error)) => return failed(admin, status, &error, &SettingsReload::default()),
    };
    match reloader.reload().await {
        Ok(reload) => {
            let mut body = models(&reload.serving);
            // `false` if the files had not changed.
            body["reloaded"] = reload.previous.is_some().into();
            if let Some(previous) = &reload.previous {
                body["previous"] = models(previous);
            }
            body["took_ms"] = u64::try_from(reload.took.as_millis()).unwrap_or(u64::MAX).into();
            add_settings(&mut body, &settings);
            (StatusCode::OK, body)
        }
        Err(error) => failed(admin, status(&error), &error.to_string(), &settings),
    }
}

async fn reload_settings(admin: &Admin) -> Result<SettingsReload, (StatusCode, String)> {
    let settings = Arc::clone(&admin.settings);
    tokio::task::spawn_blocking(move || settings.reload())
        .await
        .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?
        .map_err(|error| (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))
}

/// Returns the response of an error, with the models that stay.
fn failed(admin: &Admin, status: StatusCode, error: &str, settings: &SettingsReload) -> (StatusCode, Value) {
    let mut body = json!({ "error": error, "serving": models(admin.service.engine.load().labels()) });
    add_settings(&mut body, settings);
    (status, body)
}

fn models(info: &EngineLabels) -> Value {
    json!({
        "pack": info.pack,
        "version": info.pack_version,
        "digest": info.pack_digest,
        "match_calibration": info.match_calibration,
        "liveness_calibration": info.liveness_calibration,
        "cohort": info.cohort,
    })
}

/// Adds the keys whose new values are in force, and those that need a restart.
fn add_settings(body: &mut Value, settings: &SettingsReload) {
    for (name, keys) in [
        ("settings_changed", &settings.changed),
        ("settings_need_restart", &settings.needs_restart),
    ] {
        if !keys.is_empty() {
            body[name] = json!(keys);
        }
    }
}

fn status(error: &ReloadError) -> StatusCode {
    match error {
        ReloadError::UnderWay => StatusCode::CONFLICT,
        ReloadError::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        ReloadError::Source(_) | ReloadError::WarmUp(_) | ReloadError::Workers { .. } => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        ReloadError::Panicked(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
