//! What if: recorded verifications under other thresholds.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use likeness_engine::decision::{Profile, Thresholds};
use likeness_storage::records::RecordsFilter;
use likeness_storage::{Database, StorageError};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::charts::percent;
use super::query::{InvalidTime, RecordsQuery, choice, time_field};
use super::{MAX_SAMPLE, SAMPLING, distributions, failed, grouped, state, texts};
use crate::audit::{OutcomeCounts, RecordedDecisions};
use crate::console::sessions::Session;
use crate::console::{Console, WHAT_IF, layout};
use crate::endpoint::Endpoint;

pub(super) const COUNTS_PATH: &str = "/console/what-if/counts";
/// How long the recorded decisions of one selection are kept, so that moving a slider does not read them anew.
const KEPT: Duration = Duration::from_secs(60);
/// Apps to choose from, at most.
const CHOICES: i64 = 1_000;

/// The last selection. Requests wait for each other, so that the database is asked once.
type Samples = Arc<Mutex<Option<(RecordsFilter, Instant, Arc<RecordedDecisions>)>>>;

pub(super) fn samples() -> Extension<Samples> {
    Extension(Samples::default())
}

/// The fields of the page. Empty thresholds are those of the profile.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Fields {
    since: String,
    until: String,
    app: String,
    profile: String,
    face_match_reject: String,
    face_match_review: String,
    liveness_reject: String,
    liveness_review: String,
}

/// A field with what is wrong about it.
type Invalid = (&'static str, String);

impl Fields {
    /// Returns the profile with these thresholds.
    fn profile(&self, profile: &Profile) -> Result<Profile, Invalid> {
        let face_match = thresholds(
            ["face_match_reject", "face_match_review"],
            [&self.face_match_reject, &self.face_match_review],
            profile.face_match(),
        )?;
        let liveness = thresholds(
            ["liveness_reject", "liveness_review"],
            [&self.liveness_reject, &self.liveness_review],
            profile.liveness(),
        )?;
        // Configuration cannot change a built-in profile.
        let name = match Profile::builtin(profile.name()) {
            Some(_) => format!("{}-adjusted", profile.name()),
            None => profile.name().to_owned(),
        };
        let chosen =
            Profile::new(name, face_match, liveness).map_err(|error| ("profile", error.to_string()))?;
        let chosen = chosen.with_quality(*profile.quality());
        chosen.map_err(|error| ("profile", error.to_string()))
    }

    fn query(&self) -> RecordsQuery {
        RecordsQuery {
            since: self.since.clone(),
            until: self.until.clone(),
            app: self.app.clone(),
            ..RecordsQuery::default()
        }
    }
}

fn thresholds(
    names: [&'static str; 2],
    texts: [&str; 2],
    default: &Thresholds,
) -> Result<Thresholds, Invalid> {
    let number = |name, text: &str, default| match text.trim() {
        "" => Ok(default),
        text => text
            .parse::<f64>()
            .map_err(|_| (name, format!("{text:?} {}", texts::NOT_A_NUMBER))),
    };
    let [reject, review] = names;
    let reject_below = number(reject, texts[0], default.reject_below())?;
    let review_below = number(review, texts[1], default.review_below())?;
    Thresholds::new(reject_below, review_below).map_err(|error| (reject, error.to_string()))
}

/// The recount of a selection.
struct Recount {
    profile: Profile,
    chosen: Profile,
    decisions: Arc<RecordedDecisions>,
}

impl Recount {
    /// Returns the counts: as recorded, under the profile as it is, and under the chosen thresholds.
    fn counts(&self) -> [OutcomeCounts; 3] {
        [
            self.decisions.recorded,
            self.decisions.outcomes(&self.profile),
            self.decisions.outcomes(&self.chosen),
        ]
    }

    fn toml(&self) -> String {
        #[derive(Serialize)]
        struct Settings<'a> {
            profiles: [&'a Profile; 1],
        }
        let profiles = [&self.chosen];
        toml::to_string(&Settings { profiles }).unwrap_or_default()
    }
}

/// Returns the profile of the fields, by default the default one.
fn profile(console: &Console, fields: &Fields) -> Option<Profile> {
    if fields.profile.is_empty() {
        return Some(Profile::default());
    }
    console
        .admin
        .settings
        .with_current(|config| config.profile(&fields.profile))
}

/// Returns the recorded decisions of a selection, from the last time if that was the same.
async fn decisions(
    samples: &Samples,
    database: &Database,
    filter: RecordsFilter,
) -> Result<Arc<RecordedDecisions>, StorageError> {
    let mut last = samples.lock().await;
    if let Some((known, read, decisions)) = &*last
        && *known == filter
        && read.elapsed() < KEPT
    {
        return Ok(Arc::clone(decisions));
    }
    let decisions = Arc::new(RecordedDecisions::of(
        &database.sample_records(&filter, MAX_SAMPLE, SAMPLING).await?,
    ));
    *last = Some((filter, Instant::now(), Arc::clone(&decisions)));
    Ok(decisions)
}

async fn recount(
    console: &Console,
    samples: &Samples,
    fields: &Fields,
    profile: Profile,
) -> Result<Result<Recount, Invalid>, StorageError> {
    let chosen = match fields.profile(&profile) {
        Ok(chosen) => chosen,
        Err(invalid) => return Ok(Err(invalid)),
    };
    let filter = match fields.query().without_id() {
        Ok(filter) => filter,
        Err(InvalidTime(name)) => return Ok(Err((name, texts::NO_TIME.to_owned()))),
    };
    let filter = RecordsFilter {
        profile: Some(profile.name().to_owned()),
        endpoint: Some(Endpoint::Biometric.as_str().to_owned()),
        ..filter
    };
    let decisions = decisions(samples, &console.admin.service.database, filter).await?;
    Ok(Ok(Recount {
        profile,
        chosen,
        decisions,
    }))
}

/// Returns the counts as JSON, for the sliders.
pub(super) async fn counts(
    State(console): State<Arc<Console>>,
    Extension(samples): Extension<Samples>,
    Query(fields): Query<Fields>,
) -> Response {
    let Some(profile) = profile(&console, &fields) else {
        let error = json!({ "field": "profile", "error": texts::NO_PROFILE });
        return (StatusCode::BAD_REQUEST, Json(error)).into_response();
    };
    match recount(&console, &samples, &fields, profile).await {
        Ok(Ok(recount)) => {
            let [recorded, now, chosen] = recount.counts();
            let decisions = &recount.decisions;
            Json(json!({
                "one_in": decisions.one_in,
                "recorded": recorded,
                "now": now,
                "chosen": chosen,
                "unknown": decisions.unknown,
                "toml": recount.toml(),
            }))
            .into_response()
        }
        Ok(Err((field, error))) => {
            let error = json!({ "field": field, "error": error });
            (StatusCode::BAD_REQUEST, Json(error)).into_response()
        }
        Err(error) => {
            tracing::warn!(%error, "cannot recount audit records for the console");
            let error = json!({ "error": texts::NO_RESPONSE });
            (StatusCode::SERVICE_UNAVAILABLE, Json(error)).into_response()
        }
    }
}

pub(super) async fn show(
    State(console): State<Arc<Console>>,
    Extension(session): Extension<Session>,
    Extension(samples): Extension<Samples>,
    Query(fields): Query<Fields>,
) -> Response {
    match content(&console, &samples, &fields).await {
        Ok(content) => layout::page(&session, WHAT_IF, WHAT_IF.name, content).into_response(),
        Err(error) => failed(&session, WHAT_IF, &error),
    }
}

async fn content(console: &Console, samples: &Samples, fields: &Fields) -> Result<Markup, StorageError> {
    let state = state(console).await?;
    let found = profile(console, fields);
    let is_known = found.is_some();
    let profile = found.unwrap_or_default();
    let (recounted, invalid) = match recount(console, samples, fields, profile.clone()).await? {
        Ok(recount) => (Some(recount), None),
        Err(invalid) => (None, Some(invalid)),
    };
    let form = form(console, fields, &profile, invalid.as_ref()).await?;
    Ok(html! {
        p class="lead" { (texts::WHAT_IF_LEAD) }
        (state)
        @if !is_known { p class="notice warn" { (texts::NO_PROFILE) } }
        (form)
        @if let Some(recount) = recounted { (result(&recount)) }
        (layout::script("what-if.js"))
    })
}

async fn form(
    console: &Console,
    fields: &Fields,
    profile: &Profile,
    invalid: Option<&Invalid>,
) -> Result<Markup, StorageError> {
    let apps = console.admin.service.database.recorded_apps(CHOICES).await?;
    let profiles: Vec<String> = console
        .admin
        .settings
        .with_current(|config| config.profile_names().map(ToOwned::to_owned).collect());
    let invalid_time = fields.query().without_id().err();
    let (face_match, liveness) = (profile.face_match(), profile.liveness());
    let sliders = [
        (
            "face_match_reject",
            texts::FACE_MATCH_REJECT,
            &fields.face_match_reject,
            face_match.reject_below(),
        ),
        (
            "face_match_review",
            texts::FACE_MATCH_REVIEW,
            &fields.face_match_review,
            face_match.review_below(),
        ),
        (
            "liveness_reject",
            texts::LIVENESS_REJECT,
            &fields.liveness_reject,
            liveness.reject_below(),
        ),
        (
            "liveness_review",
            texts::LIVENESS_REVIEW,
            &fields.liveness_review,
            liveness.review_below(),
        ),
    ];
    Ok(html! {
        form #what-if class="panel" method="get" action=(WHAT_IF.path) data-counts=(COUNTS_PATH) {
            div class="fields" {
                div class="field" {
                    label for="profile" { (texts::PROFILE) }
                    select #profile name="profile" {
                        @for name in &profiles { option value=(name) selected[name == profile.name()] { (name) } }
                    }
                }
                (time_field("since", texts::SINCE, &fields.since, invalid_time))
                (time_field("until", texts::UNTIL, &fields.until, invalid_time))
                (choice("app", texts::APP, &fields.app, &apps))
            }
            div class="fields" {
                @for (name, label, value, default) in sliders {
                    (slider(name, label, value, default, invalid.filter(|(field, _)| *field == name)))
                }
            }
            div class="row" {
                button type="submit" class="primary" { (texts::RECOUNT) }
                span id="status" class="help" role="status" {}
            }
        }
    })
}

/// Returns a field for a threshold. The script adds a slider to it.
fn slider(name: &str, label: &str, value: &str, default: f64, invalid: Option<&Invalid>) -> Markup {
    let shown = if value.is_empty() {
        default.to_string()
    } else {
        value.to_owned()
    };
    html! {
        div class="field threshold" {
            label for=(name) { (label) }
            input id=(name) name=(name) type="number" min="0" max="1" step="any" required value=(shown)
                aria-invalid=[invalid.map(|_| "true")] aria-describedby={ (name) "-error" };
            p class="error" id={ (name) "-error" } role="alert" { @if let Some((_, error)) = invalid { (error) } }
        }
    }
}

fn result(recount: &Recount) -> Markup {
    let counts = recount.counts();
    let decisions = &recount.decisions;
    let total = decisions.recorded.total();
    // A sample stands for so many times its records.
    let estimate = |count: u64| grouped(count * decisions.one_in.max(1));
    type Part = fn(&OutcomeCounts) -> u64;
    let rows: [(&str, &str, Part); 5] = [
        ("pass", texts::PASS, |counts| counts.pass),
        ("warning", texts::WARNING, |counts| counts.warning),
        ("review", texts::REVIEW, |counts| counts.review),
        ("reject", texts::REJECT, |counts| counts.reject),
        ("total", texts::TOTAL, OutcomeCounts::total),
    ];
    let columns = [
        ("recorded", texts::RECORDED),
        ("now", texts::AS_NOW),
        ("chosen", texts::AS_CHOSEN),
    ];
    html! {
        section class="panel" {
            @if total == 0 {
                div class="empty" { p { (texts::NOTHING_TO_COUNT) } }
            } @else {
                p id="sample" { (distributions::of(total, decisions.one_in)) }
                @if decisions.unknown > 0 { p class="help" { (texts::NOT_COUNTED) " " (grouped(decisions.unknown)) } }
                (layout::scroll(WHAT_IF.name, &html! {
                    table {
                        thead {
                            tr {
                                th scope="col" { (texts::OUTCOME) }
                                @for (_, name) in columns { th scope="col" class="number" { (name) } }
                            }
                        }
                        tbody {
                            @for (row, name, part) in rows {
                                tr {
                                    th scope="row" { (name) }
                                    @for ((column, _), counts) in columns.iter().zip(&counts) {
                                        td class="number" {
                                            span id={ (column) "-" (row) } { (estimate(part(counts))) }
                                            " "
                                            span class="help" id={ (column) "-" (row) "-share" } { (percent(part(counts), total)) }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }))
            }
        }
        section class="panel" {
            h2 { (texts::TOML) }
            div class="with-copy" {
                pre #profile-toml tabindex="0" { (recount.toml()) }
                button type="button" data-copy="profile-toml" { (texts::COPY) }
            }
        }
    }
}
