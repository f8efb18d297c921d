//! Apps and usage: what `likeness apps` does, with the same functions and the same checks.

mod change;
mod fields;
mod one;
mod usage;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use likeness_storage::StorageError;
use likeness_storage::apps::{AppLimits, AppSettings, StoredApp};
use likeness_storage::now;
use maud::{Markup, html};

use super::layout::grouped;
use super::sessions::Session;
use super::{APPS, Console, layout, texts};
use fields::Fields;
use usage::Usage;

pub(super) fn routes() -> Router<Arc<Console>> {
    Router::new()
        .route(APPS.path, get(list))
        .route(CREATE, post(change::create))
        .route(one::PATH, get(one::show))
        .route(SETTINGS, post(change::settings))
        .route(ROTATE, post(change::rotate))
        .route(STATE, post(change::state))
}

const CREATE: &str = "/console/apps/create";
const SETTINGS: &str = "/console/apps/settings";
const ROTATE: &str = "/console/apps/rotate";
const STATE: &str = "/console/apps/state";

/// An error of the database, as a page.
struct Unavailable(StorageError);

impl From<StorageError> for Unavailable {
    fn from(error: StorageError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        tracing::error!(error = %self.0, "console cannot use the database");
        let content = html! {
            p class="notice bad" { (self.0) }
            p { a href=(APPS.path) { (texts::TRY_AGAIN) } }
        };
        let page = layout::bare(texts::DATABASE_FAILED, content);
        (StatusCode::SERVICE_UNAVAILABLE, page).into_response()
    }
}

async fn list(
    State(console): State<Arc<Console>>,
    Extension(session): Extension<Session>,
) -> Result<Markup, Unavailable> {
    list_page(&console, &session, &Fields::default()).await
}

/// Returns the list with the form for a new app, as it was filled in.
async fn list_page(console: &Console, session: &Session, form: &Fields) -> Result<Markup, Unavailable> {
    let database = &console.admin.service.database;
    let (_, stored) = database.apps().await?;
    let usage = Usage::read(database, None).await?;
    let configured: Vec<(String, AppSettings)> = console.admin.settings.with_current(|config| {
        let apps = config.apps.iter();
        apps.map(|app| (app.id.clone(), app.settings())).collect()
    });
    let profiles = profile_names(console);
    let has_demo = console.admin.service.apps.current().has_demo;
    let demo = has_demo.then(|| (crate::DEMO_APP.to_owned(), AppSettings::default()));
    let is_configured = |id: &str| configured.iter().any(|(found, _)| found == id);
    let is_empty = stored.is_empty() && configured.is_empty() && !has_demo;
    let is_open = !form.faults.is_empty() || is_empty;
    let content = html! {
        p class="lead" { (texts::APPS_LEAD) }
        section class="panel" {
            @if is_empty {
                div class="empty" { p { (texts::NO_APPS) } p { (texts::NO_APPS_HELP) } }
            } @else {
                (layout::scroll(texts::APPS, &html! {
                    table {
                        thead { tr {
                            th scope="col" { (texts::APP) }
                            th scope="col" { (texts::STATE) }
                            th scope="col" class="number" { (texts::TODAY) }
                            th scope="col" class="number" { (texts::THIS_MONTH) }
                            th scope="col" class="number" { (texts::LAST_30_DAYS) }
                            th scope="col" class="number" { (texts::LIVE_KEYS) }
                            th scope="col" { (texts::NOTE) }
                        } }
                        tbody {
                            @for app in stored.iter().filter(|app| !is_configured(&app.id)) { (stored_row(app, &profiles, &usage)) }
                            @for (id, settings) in configured.iter().chain(&demo) {
                                (row(&html! { (id) }, id, (settings, &profiles), "1", texts::FROM_CONFIGURATION, &usage))
                            }
                        }
                    }
                }))
            }
        }
        details class="panel" open[is_open] {
            summary { (texts::NEW_APP) }
            form class="stack" method="post" action=(CREATE) novalidate {
                (layout::csrf(session))
                (fields::id_field(form))
                (fields::setting_fields(form, &profiles))
                div class="row" { button type="submit" class="primary" { (texts::CREATE_APP) } }
            }
        }
    };
    Ok(layout::page(session, APPS, APPS.name, content))
}

fn stored_row(app: &StoredApp, profiles: &[String], usage: &Usage) -> Markup {
    let live = app
        .keys
        .iter()
        .filter(|key| key.is_live(now()))
        .count()
        .to_string();
    let name = html! { a href=(one::path(&app.id)) { (app.id) } };
    row(
        &name,
        &app.id,
        (&app.settings, profiles),
        &live,
        &app.settings.note,
        usage,
    )
}

fn row(
    name: &Markup,
    id: &str,
    (settings, profiles): (&AppSettings, &[String]),
    live: &str,
    note: &str,
    usage: &Usage,
) -> Markup {
    let used = usage.used(id);
    let AppLimits {
        daily_quota,
        monthly_quota,
        ..
    } = settings.limits;
    let of = |used: u64, quota: Option<u64>| {
        html! {
            (grouped(used)) @if let Some(quota) = quota { span class="help" { (texts::of(&grouped(quota))) } }
        }
    };
    html! {
        tr {
            th scope="row" { (name) }
            td { (state_tag(settings, profiles)) }
            td class="number" { (of(used.day, daily_quota)) }
            td class="number" { (of(used.month, monthly_quota)) }
            td class="number" { (grouped(usage.accepted(id))) }
            td class="number" { (live) }
            td { (note) }
        }
    }
}

/// `profiles` are those that are configured; an app with another one is treated as disabled.
fn state_tag(settings: &AppSettings, profiles: &[String]) -> Markup {
    let mut own = settings
        .default_profile
        .iter()
        .chain(settings.profiles.iter().flatten());
    if own.any(|name| !profiles.contains(name)) {
        html! { span class="tag bad" { (texts::PROFILE_MISSING) } }
    } else if settings.disabled {
        html! { span class="tag bad" { (texts::DISABLED) } }
    } else {
        html! { span class="tag good" { (texts::ENABLED) } }
    }
}

fn profile_names(console: &Console) -> Vec<String> {
    let settings = &console.admin.settings;
    settings.with_current(|config| config.profile_names().map(ToOwned::to_owned).collect())
}
