//! The page of one app of the database.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use likeness_storage::apps::{StoredApp, StoredKey};
use likeness_storage::now;
use maud::{Markup, html};
use serde::Deserialize;

use super::fields::{self, Fields};
use super::usage::Usage;
use super::{
    APPS, Console, ROTATE, SETTINGS, STATE, Session, Unavailable, grouped, layout, profile_names, state_tag,
    texts,
};

pub(super) const PATH: &str = "/console/apps/app";

/// The query of the page.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    id: String,
    /// What was done just before.
    done: Option<String>,
}

/// Returns the path of the page of an app.
pub(super) fn path(id: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("id", id)
        .finish();
    format!("{PATH}?{query}")
}

pub(super) async fn show(
    State(console): State<Arc<Console>>,
    Extension(session): Extension<Session>,
    Query(asked): Query<Asked>,
) -> Result<Response, Unavailable> {
    let notice = asked.done.as_deref().and_then(texts::done);
    let notice = notice.map(|text| html! { p class="notice good" role="status" { (text) } });
    page(&console, &session, &asked.id, None, notice).await
}

/// Returns the page, with the form as it was filled in if that was rejected, below a notice.
pub(super) async fn page(
    console: &Console,
    session: &Session,
    id: &str,
    rejected: Option<&Fields>,
    notice: Option<Markup>,
) -> Result<Response, Unavailable> {
    let database = &console.admin.service.database;
    let Some(app) = database.app(id).await? else {
        let content = html! { p { (texts::NO_SUCH_APP) } p { a href=(APPS.path) { (texts::APPS) } } };
        let page = layout::page(session, APPS, texts::NOT_FOUND, content);
        return Ok((StatusCode::NOT_FOUND, page).into_response());
    };
    let usage = Usage::read(database, Some(id)).await?;
    let stored = Fields::of(&app.settings);
    let form = rejected.unwrap_or(&stored);
    let content = html! {
        p { a href=(APPS.path) { "← " (texts::ALL_APPS) } }
        @if let Some(notice) = notice { (notice) }
        section class="panel" {
            div class="row apart" {
                div class="row" { (state_tag(&app.settings, &profile_names(console))) span class="help" { (texts::CHANGED) " " (time(app.changed)) } }
                (state_form(session, &app))
            }
            (quotas(&app, &usage))
        }
        section class="panel" { h2 { (texts::USAGE_BY_DAY) } (usage.chart()) }
        section class="panel" { h2 { (texts::KEYS) } (keys(&app)) (rotate_form(session, &app, form)) }
        section class="panel" {
            h2 { (texts::SETTINGS) }
            form class="stack" method="post" action=(SETTINGS) novalidate {
                (layout::csrf(session))
                input type="hidden" name="id" value=(app.id);
                (fields::setting_fields(form, &profile_names(console)))
                div class="row" { button type="submit" class="primary" { (texts::SAVE) } }
            }
        }
    };
    let status = if rejected.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    Ok((status, layout::page(session, APPS, &app.id, content)).into_response())
}

/// Returns the button that disables or enables an app.
fn state_form(session: &Session, app: &StoredApp) -> Markup {
    let (label, value) = if app.settings.disabled {
        (texts::ENABLE, "false")
    } else {
        (texts::DISABLE, "true")
    };
    html! {
        form method="post" action=(STATE) data-confirm=[(!app.settings.disabled).then_some(texts::CONFIRM_DISABLE)] {
            (layout::csrf(session))
            input type="hidden" name="id" value=(app.id);
            input type="hidden" name="disabled" value=(value);
            button type="submit" class=[(!app.settings.disabled).then_some("danger")] { (label) }
        }
    }
}

fn quotas(app: &StoredApp, usage: &Usage) -> Markup {
    let used = usage.used(&app.id);
    let limits = &app.settings.limits;
    let rows = [
        (texts::TODAY, used.day, limits.daily_quota),
        (texts::THIS_MONTH, used.month, limits.monthly_quota),
    ];
    html! {
        dl class="facts" {
            @for (name, used, quota) in rows {
                dt { (name) }
                dd {
                    @match quota {
                        Some(quota) => {
                            (grouped(used)) " " (texts::of(&grouped(quota)))
                            progress class="meter" max=(quota) value=(used.min(quota)) aria-label=(name) {}
                        }
                        None => { (grouped(used)) " " span class="help" { (texts::NO_QUOTA) } }
                    }
                }
            }
        }
    }
}

fn keys(app: &StoredApp) -> Markup {
    html! {
        (layout::scroll(texts::KEYS, &html! {
            table {
                thead { tr {
                    th scope="col" { (texts::LABEL) }
                    th scope="col" { (texts::STATE) }
                    th scope="col" { (texts::CREATED) }
                } }
                tbody { @for key in &app.keys { tr {
                    th scope="row" { code { (key.label) } }
                    td { (key_state(key)) }
                    td { (time(key.created)) }
                } } }
            }
        }))
    }
}

pub(super) fn key_state(key: &StoredKey) -> Markup {
    let is_live = key.is_live(now());
    html! {
        @match (key.revoked, key.expires) {
            (Some(revoked), _) => { span class="tag" { (texts::REVOKED) } " " (time(revoked)) }
            (None, Some(expires)) if is_live => { span class="tag warn" { (texts::ACCEPTED_UNTIL) } " " (time(expires)) }
            (None, Some(expires)) => { span class="tag" { (texts::EXPIRED) } " " (time(expires)) }
            (None, None) => { span class="tag good" { (texts::ACCEPTED_KEY) } }
        }
    }
}

fn rotate_form(session: &Session, app: &StoredApp, form: &Fields) -> Markup {
    let is_rotating = app.keys.iter().filter(|key| key.is_live(now())).count() > 1;
    html! {
        form class="stack" method="post" action=(ROTATE) {
            (layout::csrf(session))
            input type="hidden" name="id" value=(app.id);
            div class="fields" {
                div class="field" {
                    label for="grace" { (texts::GRACE) }
                    select #grace name="grace" aria-describedby="grace-help" {
                        @for (hours, name) in texts::GRACES { option value=(hours) { (name) } }
                    }
                    p class="help" id="grace-help" { (texts::GRACE_HELP) }
                    (fields::error(form, "grace"))
                }
                @if is_rotating {
                    div class="field" {
                        span class="label" { (texts::TWO_KEYS) }
                        label class="check" { input type="checkbox" name="force" value="true"; (texts::FORCE) }
                        (fields::error(form, "force"))
                    }
                }
            }
            div class="row" { button type="submit" { (texts::ROTATE) } }
        }
    }
}

/// Returns a time that scripts show in the reader's zone.
pub(super) fn time(microseconds: i64) -> Markup {
    let Ok(time) = Timestamp::from_microsecond(microseconds) else {
        return html! { "—" };
    };
    let text = time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    html! { time datetime=(text) { (text) } }
}
