//! `POST /admin/reload`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use likeness_engine::EngineInfo;
use serde::Serialize;

use super::{Admin, failure};
use crate::http;
use crate::reload::{Reload, ReloadError};

/// The models of an engine.
#[derive(Debug, Serialize)]
struct Models<'a> {
    pack: &'a str,
    version: &'a str,
    digest: &'a str,
    match_calibration: &'a str,
    liveness_calibration: &'a str,
}

#[derive(Debug, Serialize)]
struct Done<'a> {
    /// `false` if the files had not changed.
    reloaded: bool,
    #[serde(flatten)]
    serving: Models<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<Models<'a>>,
    took_ms: u64,
    #[serde(flatten)]
    settings: Settings,
}

/// The outcome of the reload of the settings, if they can be reloaded.
#[derive(Debug, Default, Serialize)]
struct Settings {
    /// Keys whose new values are in force.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    settings_changed: Vec<String>,
    /// Keys whose new values need a restart.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    settings_need_restart: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Failed<'a> {
    error: String,
    /// The models that stay.
    serving: Models<'a>,
    #[serde(flatten)]
    settings: Settings,
}

impl<'a> Models<'a> {
    fn of(info: &'a EngineInfo) -> Self {
        Self {
            pack: &info.pack,
            version: &info.pack_version,
            digest: &info.pack_digest,
            match_calibration: &info.match_calibration,
            liveness_calibration: &info.liveness_calibration,
        }
    }
}

/// Reloads the settings and then the models, and responds when both have ended. It continues if its client does not wait.
pub(super) async fn reload(State(admin): State<Arc<Admin>>) -> Response {
    let Some(reloader) = &admin.reloader else {
        return failure(
            StatusCode::NOT_IMPLEMENTED,
            "the engine of this service is embedded by its program and cannot be reloaded",
        );
    };
    let engine = admin.service.engine.load_full();
    let failed = |status, error: String, settings| {
        let body = Failed {
            error,
            serving: Models::of(engine.info()),
            settings,
        };
        http::json(status, &body)
    };
    let settings = match reload_settings(&admin).await {
        Ok(settings) => settings,
        Err((status, error)) => return failed(status, error, Settings::default()),
    };
    match reloader.reload().await {
        Ok(reload) => done(&reload, settings),
        Err(error) => failed(status(&error), error.to_string(), settings),
    }
}

async fn reload_settings(admin: &Admin) -> Result<Settings, (StatusCode, String)> {
    let Some(reloader) = admin.settings.get().cloned() else {
        return Ok(Settings::default());
    };
    let reload = tokio::task::spawn_blocking(move || reloader.reload())
        .await
        .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?
        .map_err(|error| (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))?;
    Ok(Settings {
        settings_changed: reload.changed,
        settings_need_restart: reload.needs_restart,
    })
}

fn done(reload: &Reload, settings: Settings) -> Response {
    let body = Done {
        reloaded: reload.previous.is_some(),
        serving: Models::of(&reload.serving),
        previous: reload.previous.as_ref().map(Models::of),
        took_ms: u64::try_from(reload.took.as_millis()).unwrap_or(u64::MAX),
        settings,
    };
    http::json(StatusCode::OK, &body)
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
