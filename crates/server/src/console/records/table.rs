//! The table of verifications.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use likeness_storage::StorageError;
use likeness_storage::records::{FoundRecord, PageStart};
use maud::{Markup, html};
use serde::Deserialize;

use super::query::RecordsQuery;
use super::{distributions, export, failed, outcome, record, state, texts, time};
use crate::console::sessions::Session;
use crate::console::{Console, TRY, VERIFICATIONS, layout};

/// Records on a page.
const PAGE: i64 = 50;

/// Where the page begins: the text of a key.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Position {
    older_than: String,
    newer_than: String,
}

impl Position {
    /// A key that cannot be read begins at the latest record.
    fn start(&self) -> PageStart {
        if let Ok(key) = self.older_than.parse() {
            PageStart::OlderThan(key)
        } else if let Ok(key) = self.newer_than.parse() {
            PageStart::NewerThan(key)
        } else {
            PageStart::Latest
        }
    }
}

pub(super) async fn show(
    State(console): State<Arc<Console>>,
    Extension(session): Extension<Session>,
    Query(query): Query<RecordsQuery>,
    Query(position): Query<Position>,
) -> Response {
    match content(&console, &query, position.start()).await {
        Ok(content) => layout::page(&session, VERIFICATIONS, VERIFICATIONS.name, content).into_response(),
        Err(error) => failed(&session, VERIFICATIONS, &error),
    }
}

async fn content(console: &Console, query: &RecordsQuery, start: PageStart) -> Result<Markup, StorageError> {
    let database = &console.admin.service.database;
    let state = state(console).await?;
    let (mut records, mut has_older, mut has_newer, mut invalid) = (Vec::new(), false, false, None);
    match query.filter(database).await? {
        Ok(filter) => {
            // One more than are shown, to know whether there is another page.
            records = database.find_records(&filter, start, PAGE + 1).await?;
            let is_more = records.len() as i64 > PAGE;
            if let PageStart::NewerThan(_) = start {
                if is_more {
                    records.remove(0);
                }
                (has_older, has_newer) = (true, is_more);
            } else {
                records.truncate(PAGE as usize);
                (has_older, has_newer) = (is_more, start != PageStart::Latest);
            }
        }
        Err(found) => invalid = Some(found),
    }
    let form = query.form(VERIFICATIONS.path, database, invalid).await?;
    let is_start = query.is_empty() && start == PageStart::Latest;
    Ok(html! {
        p class="lead" { (texts::LEAD) }
        (state)
        (form)
        @if records.is_empty() {
            (empty(is_start))
        } @else {
            section class="panel" {
                div class="row apart" {
                    a href=(query.link(distributions::PATH, &[])) { (texts::DISTRIBUTIONS) }
                    span class="row" {
                        span class="help" { (texts::EXPORT) }
                        a href=(query.link(export::PATH, &[("format", "csv")])) download { (texts::CSV) }
                        a href=(query.link(export::PATH, &[("format", "jsonl")])) download { (texts::JSON_LINES) }
                    }
                }
                (table(&records))
                (pages(query, &records, has_newer, has_older))
            }
        }
    })
}

fn empty(is_start: bool) -> Markup {
    html! {
        div class="panel" {
            div class="empty" {
                @if is_start {
                    p { (texts::NO_RECORDS) }
                    p { (texts::NO_RECORDS_HELP) }
                    a class="button primary" href=(TRY.path) { (TRY.name) }
                } @else {
                    p { (texts::NONE_FOUND) }
                    a class="button" href=(VERIFICATIONS.path) { (texts::CLEAR_FILTER) }
                }
            }
        }
    }
}

fn pages(query: &RecordsQuery, records: &[FoundRecord], has_newer: bool, has_older: bool) -> Markup {
    let link = |name, record: Option<&FoundRecord>| {
        let key = record.map(|record| record.key.to_string()).unwrap_or_default();
        query.link(VERIFICATIONS.path, &[(name, &key)])
    };
    html! {
        nav class="row" aria-label=(texts::PAGES) {
            @if has_newer {
                a class="button" href=(query.link(VERIFICATIONS.path, &[])) { (texts::LATEST) }
                a class="button" rel="prev" href=(link("newer_than", records.first())) { (texts::NEWER) }
            }
            @if has_older { a class="button" rel="next" href=(link("older_than", records.last())) { (texts::OLDER) } }
        }
    }
}

/// Returns a score as responses have it.
fn score(score: Option<f64>) -> String {
    score.map(|score| format!("{score:?}")).unwrap_or_default()
}

/// Returns the beginning of an id, by which people tell it from others; all of it is in the tooltip and on the record's page.
fn short(id: &str) -> Markup {
    /// The first group of a UUID.
    const LENGTH: usize = 8;
    html! {
        @match id.char_indices().nth(LENGTH + 1) {
            None => code { (id) },
            Some(_) => code title=(id) { (id.chars().take(LENGTH).collect::<String>()) "…" },
        }
    }
}

fn table(records: &[FoundRecord]) -> Markup {
    let table = html! {
        table class="records" {
            thead {
                tr {
                    th scope="col" { (texts::TIME) }
                    th scope="col" { (texts::OUTCOME) }
                    th scope="col" { (texts::APP) }
                    th scope="col" { (texts::ENDPOINT) }
                    th scope="col" { (texts::PROFILE) }
                    th scope="col" { (texts::CODES) }
                    th scope="col" class="number" { (texts::FACE_MATCH) }
                    th scope="col" class="number" { (texts::LIVENESS) }
                    th scope="col" class="number" { (texts::DURATION) }
                    th scope="col" { (texts::REQUEST) }
                }
            }
            tbody {
                @for FoundRecord { instance, entry, .. } in records {
                    tr {
                        td { a href=(record::path(instance, entry.seq)) { (time(entry.time)) } }
                        td { (outcome(&entry.outcome)) }
                        td { (entry.app.as_deref().unwrap_or_default()) }
                        td { (entry.endpoint.as_deref().unwrap_or_default().trim_end_matches("-verification")) }
                        td { (entry.profile.as_deref().unwrap_or_default()) }
                        td class="wraps" {
                            @for code in &entry.codes { code { (code) } " " }
                            @if let Some(error) = &entry.error {
                                @if let Some(status) = entry.status { (status) " " }
                                code { (error) }
                            }
                        }
                        td class="number" { (score(entry.face_match)) }
                        td class="number" { (score(entry.liveness)) }
                        td class="number" { @if let Some(ms) = entry.duration { (format!("{ms:.1}")) } }
                        td { (short(entry.request_id.as_deref().unwrap_or_default())) }
                    }
                }
            }
        }
    };
    layout::scroll(VERIFICATIONS.name, &table)
}
