//! The changes of apps.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use likeness_storage::StorageError;
use likeness_storage::apps::{AppKey, AppSettings, Rotation};
use maud::{Markup, html};

use super::fields::{Fields, differences};
use super::{APPS, Console, Session, Unavailable, layout, list_page, one, texts};
use crate::console::Done;
use crate::telemetry::SharedContext;

type Sent = Form<Vec<(String, String)>>;

/// Longest time that a previous key is still accepted.
const MAX_GRACE_HOURS: u64 = 3_660 * 24;

/// Creates an app and shows its key, once.
pub(super) async fn create(
    State(console): State<Arc<Console>>,
    Extension(context): Extension<SharedContext>,
    Extension(session): Extension<Session>,
    Form(sent): Sent,
) -> Result<Response, Unavailable> {
    let mut form = Fields::new(sent);
    let id = form.text("id").to_owned();
    let Some(settings) = checked(&console, &mut form, &id, &AppSettings::default()) else {
        return rejected_list(&console, &session, &form).await;
    };
    if console
        .admin
        .settings
        .with_current(|config| config.apps.iter().any(|app| app.id == id))
    {
        form.fault("id", texts::ID_IN_CONFIGURATION);
        return rejected_list(&console, &session, &form).await;
    }
    let database = &console.admin.service.database;
    let new = match database.create_app(&id, &settings, AppKey::generate()?).await {
        Ok(new) => new,
        Err(StorageError::AppExists(_)) => {
            form.fault("id", texts::ID_EXISTS);
            return rejected_list(&console, &session, &form).await;
        }
        Err(error) => return Err(error.into()),
    };
    let detail = differences(&AppSettings::default(), &settings);
    changed(&console, &context, &session, "app.create", &id, &detail).await;
    Ok(key_page(&session, texts::CREATED_APP, &id, &new.key).into_response())
}

async fn rejected_list(console: &Console, session: &Session, form: &Fields) -> Result<Response, Unavailable> {
    let page = list_page(console, session, form).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}

/// Changes the settings of an app.
pub(super) async fn settings(
    State(console): State<Arc<Console>>,
    Extension(context): Extension<SharedContext>,
    Extension(session): Extension<Session>,
    Form(sent): Sent,
) -> Result<Response, Unavailable> {
    let mut form = Fields::new(sent);
    let id = form.text("id").to_owned();
    let database = &console.admin.service.database;
    let Some(app) = database.app(&id).await? else {
        return one::page(&console, &session, &id, None, None).await;
    };
    let Some(new) = checked(&console, &mut form, &id, &app.settings) else {
        return one::page(&console, &session, &id, Some(&form), None).await;
    };
    let detail = differences(&app.settings, &new);
    if !detail.is_empty() {
        // Disabling has a form of its own: what it did in the meantime stays.
        let change = move |settings: &mut AppSettings| {
            let disabled = settings.disabled;
            *settings = new;
            settings.disabled = disabled;
        };
        database.change_app(&id, change).await?;
        changed(&console, &context, &session, "app.set", &id, &detail).await;
    }
    Ok(back(&id, "saved"))
}

/// Disables or enables an app.
pub(super) async fn state(
    State(console): State<Arc<Console>>,
    Extension(context): Extension<SharedContext>,
    Extension(session): Extension<Session>,
    Form(sent): Sent,
) -> Result<Response, Unavailable> {
    let form = Fields::new(sent);
    let id = form.text("id").to_owned();
    let disabled = form.text("disabled") == "true";
    let database = &console.admin.service.database;
    match database
        .change_app(&id, move |settings| settings.disabled = disabled)
        .await
    {
        Ok(_) => {}
        Err(StorageError::UnknownApp(_)) => return one::page(&console, &session, &id, None, None).await,
        Err(error) => return Err(error.into()),
    }
    let (action, done) = if disabled {
        ("app.disable", "disabled")
    } else {
        ("app.enable", "enabled")
    };
    changed(&console, &context, &session, action, &id, "").await;
    Ok(back(&id, done))
}

/// Gives an app a new key and shows it, once.
pub(super) async fn rotate(
    State(console): State<Arc<Console>>,
    Extension(context): Extension<SharedContext>,
    Extension(session): Extension<Session>,
    Form(sent): Sent,
) -> Result<Response, Unavailable> {
    let mut form = Fields::new(sent);
    let id = form.text("id").to_owned();
    let hours = form
        .text("grace")
        .parse()
        .ok()
        .filter(|hours: &u64| *hours <= MAX_GRACE_HOURS);
    let Some(hours) = hours else {
        form.fault("grace", texts::NOT_A_NUMBER);
        return one::page(&console, &session, &id, Some(&form), None).await;
    };
    let rotation = Rotation {
        grace: Duration::from_secs(hours * 3_600),
        force: form.text("force") == "true",
    };
    let key = AppKey::generate()?;
    match console
        .admin
        .service
        .database
        .rotate_key(&id, &key, rotation)
        .await
    {
        Ok(_) => {}
        Err(StorageError::UnknownApp(_)) => return one::page(&console, &session, &id, None, None).await,
        Err(StorageError::TooManyKeys { .. }) => {
            let notice = html! { p class="notice bad" role="alert" { (texts::TOO_MANY_KEYS) } };
            return one::page(&console, &session, &id, None, Some(notice)).await;
        }
        Err(error) => return Err(error.into()),
    }
    let detail = format!(
        "grace of {hours} h{}",
        if rotation.force { ", forced" } else { "" }
    );
    changed(&console, &context, &session, "app.rotate", &id, &detail).await;
    Ok(key_page(&session, texts::ROTATED_APP, &id, &key).into_response())
}

/// Returns the settings of the form if they are valid; notes what is wrong otherwise.
fn checked(console: &Console, form: &mut Fields, id: &str, before: &AppSettings) -> Option<AppSettings> {
    let settings = form.settings(before)?;
    let is_valid = console
        .admin
        .settings
        .with_current(|config| form.check(config, id, &settings));
    is_valid.then_some(settings)
}

/// Records a change, and has this service notice it at once. Others notice it as after `likeness apps`.
async fn changed(
    console: &Console,
    context: &SharedContext,
    session: &Session,
    action: &'static str,
    app: &str,
    detail: &str,
) {
    let done = Done {
        action,
        outcome: "done",
        app: Some(app),
        detail: Some(detail).filter(|detail| !detail.is_empty()),
    };
    console.record(context, Some(session), done);
    if let Err(error) = console.admin.service.apps.refresh().await {
        tracing::warn!(%error, app, "cannot read an app that the console has changed");
    }
}

fn back(id: &str, done: &str) -> Response {
    Redirect::to(&format!("{}&done={done}", one::path(id))).into_response()
}

/// Returns the page with a new key.
fn key_page(session: &Session, title: &str, id: &str, key: &AppKey) -> Markup {
    let content = html! {
        section class="panel" {
            p class="notice warn" role="status" { (texts::KEY_ONCE) }
            dl class="facts" {
                dt { "app_id" } dd { div class="key" { code #app-id { (id) } button type="button" data-copy="app-id" { (texts::COPY) } } }
                dt { "app_key" } dd { div class="key" { code #app-key { (key.expose()) } button type="button" data-copy="app-key" { (texts::COPY) } } }
            }
            p class="help" { (texts::KEY_HELP) }
            p class="row" { a class="button" href=(one::path(id)) { (texts::TO_APP) } a href=(APPS.path) { (texts::ALL_APPS) } }
        }
    };
    layout::page(session, APPS, title, content)
}
