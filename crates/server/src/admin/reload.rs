//! `POST /admin/reload`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use likeness_engine::EngineLabels;
use serde::Serialize;

use super::{Admin, failure};
use crate::reload::{Reload, ReloadError};
use crate::response;

/// What an engine judges by.
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
    /// `false`: what is on disk is what answers already.
    reloaded: bool,
    #[serde(flatten)]
    serving: Models<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<Models<'a>>,
    took_ms: u64,
    #[serde(flatten)]
    settings: Settings,
}

/// What came of reading the settings again, where they can be.
#[derive(Debug, Default, Serialize)]
struct Settings {
    /// Keys whose new values hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    settings_changed: Vec<String>,
    /// Keys whose new values hold after a restart.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    settings_need_restart: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Failed<'a> {
    error: String,
    /// What goes on answering.
    serving: Models<'a>,
    #[serde(flatten)]
    settings: Settings,
}

impl<'a> Models<'a> {
    fn of(info: &'a EngineLabels) -> Self {
        Self {
            pack: &info.pack,
            version: &info.pack_version,
            digest: &info.pack_digest,
            match_calibration: &info.match_calibration,
            liveness_calibration: &info.liveness_calibration,
        }
    }
}

/// Has the settings and then the models read again, and answers when the new ones hold or cannot. It goes on where its
/// client does not wait.
pub(super) async fn reload(State(admin): State<Arc<Admin>>) -> Response {
    let Some(reloader) = &admin.reloader else {
        return failure(
            StatusCode::NOT_IMPLEMENTED,
            "this service was given its engine by the program that it is part of, and has no source of others",
        );
    };
    let engine = admin.service.engine.current();
    let failed = |status, error: String, settings| {
        let answer = Failed {
            error,
            serving: Models::of(engine.labels()),
            settings,
        };
        response::json(status, &answer)
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
    let answer = Done {
        reloaded: reload.previous.is_some(),
        serving: Models::of(&reload.serving),
        previous: reload.previous.as_ref().map(Models::of),
        took_ms: u64::try_from(reload.took.as_millis()).unwrap_or(u64::MAX),
        settings,
    };
    response::json(StatusCode::OK, &answer)
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
