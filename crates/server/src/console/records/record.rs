//! The page of one record: everything recorded, and its place in the hash chain.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use likeness_storage::StorageError;
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{failed, outcome, texts, time};
use crate::audit::{ChainKey, Link, RecordInChain, RecordsError, record_in_chain};
use crate::console::sessions::Session;
use crate::console::{Console, VERIFICATIONS, layout};

pub(super) const PATH: &str = "/console/verifications/{instance}/{seq}";

/// Returns the path of a record.
pub(super) fn path(instance: &str, seq: i64) -> String {
    let instance = utf8_percent_encode(instance, NON_ALPHANUMERIC);
    format!("{}/{instance}/{seq}", VERIFICATIONS.path)
}

pub(super) async fn show(
    State(console): State<Arc<Console>>,
    Extension(session): Extension<Session>,
    Path((instance, seq)): Path<(String, String)>,
) -> Response {
    let database = &console.admin.service.database;
    let key = console
        .admin
        .settings
        .with_current(|config| ChainKey::new(config.audit.chain_key.clone()));
    let found = match seq.parse() {
        Ok(seq) if !instance.contains('\0') => record_in_chain(database, &key, &instance, seq).await,
        _ => Ok(None),
    };
    let found = match found {
        Ok(Some(found)) => content(&console, &key, &found).await.map(Some),
        Ok(None) => Ok(None),
        Err(RecordsError::Database(error)) => Err(error),
        // No file is read for it.
        Err(RecordsError::Files(_)) => Ok(None),
    };
    match found {
        Ok(Some(content)) => layout::page(&session, VERIFICATIONS, texts::RECORD, content).into_response(),
        Ok(None) => {
            let content = html! {
                p class="notice" { (texts::NO_RECORD) }
                p { a href=(VERIFICATIONS.path) { (VERIFICATIONS.name) } }
            };
            let page = layout::page(&session, VERIFICATIONS, texts::RECORD, content);
            (StatusCode::NOT_FOUND, page).into_response()
        }
        Err(error) => failed(&session, VERIFICATIONS, &error),
    }
}

async fn content(console: &Console, key: &ChainKey, record: &RecordInChain) -> Result<Markup, StorageError> {
    let event: Value = serde_json::from_str(&record.row.line).unwrap_or_default();
    let event = &event["event"];
    let withheld = match (record.row.kind.as_str(), &record.row.request_id) {
        ("verification", Some(id)) => console.admin.service.database.withheld(id).await?,
        _ => None,
    };
    let row = &record.row;
    Ok(html! {
        p { a href=(VERIFICATIONS.path) { (VERIFICATIONS.name) } }
        @if let Some((status, seq)) = withheld {
            p class="notice warn" {
                (texts::WITHHELD) " " a href=(path(&row.instance, seq)) { (status) }
            }
        }
        section class="panel" {
            dl class="facts" {
                dt { (texts::TIME) } dd { (time(row.time)) }
                @if row.kind == "verification" {
                    dt { (texts::OUTCOME) } dd { (outcome(row.outcome.as_deref().unwrap_or("error"))) }
                } @else {
                    dt { (texts::KIND) } dd { (row.kind) }
                }
                @for (name, pointer) in [
                    (texts::APP, "/app"),
                    (texts::ENDPOINT, "/endpoint"),
                    (texts::PROFILE, "/profile"),
                    (texts::CODES, "/codes"),
                    (texts::ERROR, "/error"),
                    (texts::STATUS, "/status"),
                    (texts::FACE_MATCH, "/face_match"),
                    (texts::LIVENESS, "/liveness"),
                    (texts::DURATION, "/ms/total"),
                    (texts::REQUEST, "/request_id"),
                    (texts::CORRELATION, "/correlation_id"),
                ] {
                    @if let Some(shown) = event.pointer(pointer).and_then(shown) {
                        dt { (name) } dd { (shown) }
                    }
                }
            }
        }
        section class="panel" {
            h2 { (texts::CHAIN) }
            dl class="facts" {
                dt { (texts::INSTANCE) } dd { code { (row.instance) } }
                dt { (texts::NUMBER) } dd { (row.seq) }
                dt { (texts::HASH) } dd { code { (record.hash) } }
                dt { (texts::CONTENT) }
                dd {
                    @if record.is_unchanged { (good(texts::UNCHANGED)) } @else { (bad(texts::CHANGED)) }
                    @if !record.has_own_columns { " " (bad(texts::COLUMNS_DIFFER)) }
                }
                dt { (texts::PREVIOUS) }
                dd {
                    (link(record.to_previous, key))
                    @if matches!(record.to_previous, Link::Intact | Link::Broken) && row.seq > 1 {
                        " " a href=(path(&row.instance, row.seq - 1)) { (row.seq - 1) }
                    }
                    " " code { (record.previous_hash) }
                }
                dt { (texts::NEXT) }
                dd {
                    (link(record.to_next, key))
                    @if let Some(hash) = &record.next_hash {
                        " " a href=(path(&row.instance, row.seq.saturating_add(1))) { (row.seq.saturating_add(1)) }
                        " " code { (hash) }
                    }
                }
            }
            p class="help" { (texts::VERIFY_ALL) }
        }
        section class="panel" {
            h2 { (texts::EVERYTHING) }
            div class="with-copy" {
                pre #recorded tabindex="0" { (serde_json::to_string_pretty(event).unwrap_or_default()) }
                button type="button" data-copy="recorded" { (texts::COPY) }
            }
        }
    })
}

/// Returns a value in a line; `None` for nothing.
fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(list) if list.is_empty() => None,
        Value::Array(list) => Some(list.iter().filter_map(shown).collect::<Vec<_>>().join(", ")),
        other => Some(other.to_string()),
    }
}

fn good(text: &str) -> Markup {
    html! { span class="tag good" { "✓" } " " (text) }
}

fn bad(text: &str) -> Markup {
    html! { span class="tag bad" { "✗" } " " (text) }
}

fn link(link: Link, key: &ChainKey) -> Markup {
    match link {
        Link::Intact => good(texts::INTACT),
        Link::First => good(texts::FIRST),
        Link::Checkpoint if key.is_keyed() => good(texts::CHECKPOINT),
        Link::Checkpoint => good(texts::CHECKPOINT_PLAIN),
        Link::Last => html! { (texts::LAST) },
        Link::Broken => bad(texts::BROKEN),
        Link::Unsealed => bad(texts::UNSEALED),
        Link::Missing => bad(texts::MISSING),
    }
}
