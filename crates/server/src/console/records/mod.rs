//! Verifications and What if: the audit log as pages.

mod charts;
mod distributions;
mod export;
mod query;
mod record;
mod table;
mod what_if;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use likeness_storage::StorageError;
use maud::{Markup, html};

use super::layout::grouped;
use super::sessions::Session;
use super::texts::records as texts;
use super::{Console, Page, VERIFICATIONS, WHAT_IF, layout};

/// Most records that distributions and recounts read.
const MAX_SAMPLE: usize = 25_000;
/// How long sampling may take.
const SAMPLING: Duration = Duration::from_secs(2);

pub(super) fn routes() -> Router<Arc<Console>> {
    Router::new()
        .route(VERIFICATIONS.path, get(table::show))
        .route(export::PATH, get(export::export))
        .route(distributions::PATH, get(distributions::show))
        .route(record::PATH, get(record::show))
        .route(WHAT_IF.path, get(what_if::show))
        .route(what_if::COUNTS_PATH, get(what_if::counts))
        .layer(what_if::samples())
}

/// Returns the page about an error of the database.
fn failed(session: &Session, page: Page, error: &StorageError) -> Response {
    tracing::warn!(%error, page = page.path, "cannot read audit records for the console");
    let content = html! {
        p class="notice bad" role="alert" {
            @if matches!(error, StorageError::TimedOut { .. }) {
                (texts::NO_RESPONSE)
            } @else {
                (texts::FAILED) " " (error)
            }
        }
        p { a href=(page.path) { (texts::CLEAR_FILTER) } }
    };
    let page = layout::page(session, page, page.name, content);
    (StatusCode::SERVICE_UNAVAILABLE, page).into_response()
}

/// Returns what a reader must know about which records are shown: whether the audit is on, and which are not searchable yet.
async fn state(console: &Console) -> Result<Markup, StorageError> {
    let service = &console.admin.service;
    let progress = service.database.search_progress().await?;
    let is_on = service.observers.audit.is_some();
    Ok(html! {
        @if !is_on { p class="notice warn" { (texts::AUDIT_OFF) } }
        @if progress.remaining > 0 {
            p class="notice" id="backfill" {
                @if is_on { (texts::BACKFILL) } @else { (texts::BACKFILL_OFF) }
                " " (grouped(progress.remaining)) " / " (grouped(progress.records)) " " (texts::BACKFILL_LEFT) "."
            }
        }
    })
}

/// Returns a time for `console.js` to show in the reader's zone; without it in UTC.
fn time(microseconds: i64) -> Markup {
    let time = jiff::Timestamp::from_microsecond(microseconds).unwrap_or_default();
    let exact = time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
    html! { time datetime=(exact) { (time.strftime("%Y-%m-%d %H:%M:%S UTC")) } }
}

/// Returns an outcome in words, with its colour.
fn outcome(name: &str) -> Markup {
    let class = match name {
        "live" => "pass",
        "not live" | "error" => "reject",
        name => name,
    };
    html! { span class={ "tag " (class) } { (name) } }
}
