//! How scores and outcomes are distributed.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use likeness_engine::decision::Profile;
use likeness_storage::StorageError;
use maud::{Markup, html};

use super::query::RecordsQuery;
use super::{MAX_SAMPLE, SAMPLING, charts, failed, grouped, state, texts};
use crate::audit::Statistics;
use crate::console::sessions::Session;
use crate::console::{Console, VERIFICATIONS, layout};

pub(super) const PATH: &str = "/console/verifications/distributions";
/// Days that have room in the chart.
const DAYS: usize = 92;

pub(super) async fn show(
    State(console): State<Arc<Console>>,
    Extension(session): Extension<Session>,
    Query(query): Query<RecordsQuery>,
) -> Response {
    match content(&console, &query).await {
        Ok(content) => layout::page(&session, VERIFICATIONS, texts::DISTRIBUTIONS, content).into_response(),
        Err(error) => failed(&session, VERIFICATIONS, &error),
    }
}

async fn content(console: &Console, query: &RecordsQuery) -> Result<Markup, StorageError> {
    let database = &console.admin.service.database;
    let state = state(console).await?;
    let (mut statistics, mut invalid) = (Statistics::default(), None);
    match query.filter(database).await? {
        Ok(filter) => {
            statistics = Statistics::of(&database.sample_records(&filter, MAX_SAMPLE, SAMPLING).await?);
        }
        Err(found) => invalid = Some(found),
    }
    let form = query.form(PATH, database, invalid).await?;
    let default = Profile::default();
    let name = if query.profile.is_empty() {
        default.name()
    } else {
        &query.profile
    };
    let profile = console.admin.settings.with_current(|config| config.profile(name));
    Ok(html! {
        p { a href=(query.link(VERIFICATIONS.path, &[])) { (VERIFICATIONS.name) } }
        p class="lead" { (texts::DISTRIBUTIONS_LEAD) }
        (state)
        (form)
        @if statistics.sampled == 0 {
            div class="panel" { div class="empty" { p { (texts::NONE_FOUND) } } }
        } @else {
            p id="sample" { (of(statistics.sampled, statistics.one_in)) }
            p class="help" {
                @if profile.is_some() { (texts::THRESHOLDS_OF) " " (name) } @else { (texts::NO_PROFILE) }
            }
            div class="columns" {
                (distribution("match-title", texts::FACE_MATCH, &statistics.face_match, profile.as_ref().map(Profile::face_match)))
                (distribution("liveness-title", texts::LIVENESS, &statistics.liveness, profile.as_ref().map(Profile::liveness)))
            }
            (by_day(&statistics))
        }
    })
}

/// Returns which records are counted.
pub(super) fn of(sampled: u64, one_in: u64) -> Markup {
    html! {
        @if one_in <= 1 {
            (texts::ALL_RECORDS) " " (grouped(sampled))
        } @else {
            (texts::SAMPLE) " " (grouped(sampled)) " " (texts::ONE_IN) " " (grouped(one_in))
        }
    }
}

fn distribution(
    id: &str,
    name: &str,
    bins: &[u64],
    thresholds: Option<&likeness_engine::decision::Thresholds>,
) -> Markup {
    html! {
        section class="panel" {
            h2 { (name) }
            (charts::histogram(id, name, bins, thresholds))
            (charts::histogram_table(bins))
        }
    }
}

fn by_day(statistics: &Statistics) -> Markup {
    let all: Vec<_> = statistics
        .days
        .iter()
        .map(|(day, counts)| (*day, *counts))
        .collect();
    let shown = all.get(all.len().saturating_sub(DAYS)..).unwrap_or_default();
    html! {
        @if !shown.is_empty() {
            section class="panel" {
                h2 { (texts::BY_DAY) }
                @if shown.len() < all.len() { p class="help" { (texts::DAYS_SHOWN) " " (shown.len()) } }
                (charts::days("days-title", shown))
            }
        }
    }
}
