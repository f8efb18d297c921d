//! System: what runs, and whether it is well.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use maud::{Markup, html};
use serde_json::Value;

use super::sessions::Session;
use super::{Console, Done, SYSTEM, layout, texts};
use crate::admin::{self, Build};
use crate::checks::{Check, CheckState};
use crate::telemetry::SharedContext;

const RELOAD: &str = "/console/system/reload";
const CHECKS: &str = "/console/system/checks";
const MIB: f64 = 1024.0 * 1024.0;

pub(super) fn routes() -> Router<Arc<Console>> {
    Router::new()
        .route(SYSTEM.path, get(show))
        .route(RELOAD, post(reload))
        .route(CHECKS, post(checks))
}

async fn show(State(console): State<Arc<Console>>, Extension(session): Extension<Session>) -> Markup {
    page(&console, &session, None, None)
}

/// Reloads settings and models, and shows the outcome.
async fn reload(
    State(console): State<Arc<Console>>,
    Extension(context): Extension<SharedContext>,
    Extension(session): Extension<Session>,
) -> Response {
    let (status, body) = admin::run_reload(&console.admin).await;
    let is_done = status.is_success();
    let done = Done {
        action: "reload",
        outcome: if is_done { "done" } else { "failed" },
        detail: body["error"].as_str(),
        ..Done::default()
    };
    console.record(&context, Some(&session), done);
    let notice = html! {
        div class={ "notice " (if is_done { "good" } else { "bad" }) } role=(if is_done { "status" } else { "alert" }) {
            p { (reload_text(is_done, &body)) }
            @for (key, text) in [("settings_changed", texts::SETTINGS_CHANGED), ("settings_need_restart", texts::SETTINGS_NEED_RESTART)] {
                @if let Some(keys) = body[key].as_array() {
                    p { (text) " " (keys.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")) }
                }
            }
        }
    };
    (status_of(is_done), page(&console, &session, Some(notice), None)).into_response()
}

fn reload_text(is_done: bool, body: &Value) -> String {
    match (is_done, body["error"].as_str()) {
        (_, Some(error)) => format!("{} {error}", texts::RELOAD_FAILED),
        (true, None) if body["reloaded"] == true => texts::RELOADED.to_owned(),
        (true, None) => texts::NOT_RELOADED.to_owned(),
        (false, None) => texts::RELOAD_FAILED.to_owned(),
    }
}

fn status_of(is_done: bool) -> StatusCode {
    if is_done {
        StatusCode::OK
    } else {
        StatusCode::CONFLICT
    }
}

/// Runs the checks of `likeness doctor`, and shows their results.
async fn checks(
    State(console): State<Arc<Console>>,
    Extension(context): Extension<SharedContext>,
    Extension(session): Extension<Session>,
) -> Response {
    let admin = Arc::clone(&console.admin);
    let found = tokio::task::spawn_blocking(move || admin.checks.run())
        .await
        .ok()
        .flatten();
    let is_done = found.is_some();
    let done = Done {
        action: "checks",
        outcome: if is_done { "done" } else { "failed" },
        ..Done::default()
    };
    console.record(&context, Some(&session), done);
    let notice = (!is_done).then(|| html! { p class="notice warn" role="alert" { (texts::CHECKS_RUNNING) } });
    (
        status_of(is_done),
        page(&console, &session, notice, found.as_deref()),
    )
        .into_response()
}

fn page(console: &Console, session: &Session, notice: Option<Markup>, found: Option<&[Check]>) -> Markup {
    let content = html! {
        @if let Some(notice) = notice { (notice) }
        div class="columns" {
            section class="panel" { (service(console)) }
            div class="stack" {
                section class="panel" { h2 { (texts::DATABASE_AND_AUDIT) } (database(console)) }
                section class="panel" { h2 { (texts::RUNTIME) } (runtime(console)) }
            }
        }
        section class="panel" {
            div class="row apart" {
                h2 { (texts::MODELS) }
                @if console.admin.reloader.is_some() {
                    form method="post" action=(RELOAD) {
                        (layout::csrf(session))
                        button type="submit" { (texts::RELOAD) }
                    }
                }
            }
            p class="help" { (texts::RELOAD_HELP) }
            (models(console))
        }
        @if console.admin.checks.exist() {
            section class="panel" {
                div class="row apart" {
                    h2 { (texts::CHECKS) }
                    form method="post" action=(CHECKS) {
                        (layout::csrf(session))
                        button type="submit" { (texts::RUN_CHECKS) }
                    }
                }
                p class="help" { (texts::CHECKS_HELP) }
                @if let Some(found) = found { (check_table(found)) }
            }
        }
    };
    layout::page(session, SYSTEM, SYSTEM.name, content)
}

fn check_table(found: &[Check]) -> Markup {
    let tag = |state| match state {
        CheckState::Good => ("good", texts::CHECK_GOOD),
        CheckState::Note => ("warn", texts::CHECK_NOTE),
        CheckState::Bad => ("bad", texts::CHECK_BAD),
    };
    html! {
        table id="checks" { tbody {
            @for check in found {
                @let (class, name) = tag(check.state);
                tr {
                    td { span class={ "tag " (class) } { (name) } }
                    th scope="row" { (check.name) }
                    td { (check.text) }
                }
            }
        } }
    }
}

/// Returns a list of names and values.
fn facts(rows: &[(&str, Markup)]) -> Markup {
    html! { dl class="facts" { @for (name, value) in rows { dt { (name) } dd { (value) } } } }
}

fn service(console: &Console) -> Markup {
    let service = &console.admin.service;
    let build = Build::CURRENT;
    let work = service.work.usage();
    let readiness = service.readiness();
    let of = |count: usize, most: usize| html! { (count) " " (texts::of(&most.to_string())) };
    html! {
        div class="row apart" {
            h2 { (texts::SERVICE) }
            @match &readiness {
                Ok(()) => { span class="tag good" { (texts::READY) } }
                Err(error) => { span class="tag bad" { (texts::NOT_READY) ": " (error.cause().unwrap_or_else(|| error.message())) } }
            }
        }
        (facts(&[
            (texts::VERSION, html! { (build.version) @if let Some(commit) = build.commit { " " code { (commit) } } }),
            (texts::ADDRESS, html! { code { (console.public_url) } }),
            (texts::UPTIME, html! { (duration(service.metrics().uptime().as_secs())) }),
            (texts::WORKERS_BUSY, of(work.busy, work.threads)),
            (texts::QUEUED, html! { (work.queued) }),
            (texts::ADMITTED, of(service.admission.taken(), service.admission.max())),
            (texts::CONNECTIONS, html! {
                @for (listener, connections) in &console.admin.connections {
                    div { (texts::listener(listener)) " " (of(connections.taken(), connections.max())) }
                }
            }),
            (texts::APPS, html! { (service.apps.current().len()) }),
            (texts::MEMORY, memory(console)),
        ]))
    }
}

fn memory(console: &Console) -> Markup {
    let workers = console.admin.service.work.usage().threads;
    let most = console
        .admin
        .settings
        .with_current(|config| config.memory_bytes(workers));
    html! {
        @if let Some((now, peak)) = resident_bytes() {
            (mib(now)) ", " (texts::PEAK) " " (mib(peak)) ", "
        }
        (texts::AT_MOST) " " (mib(most))
    }
}

fn mib(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / MIB)
}

/// Returns the memory of this process now and at most so far, in bytes, as Linux reports it.
fn resident_bytes() -> Option<(u64, u64)> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    };
    Some((kib("VmRSS:")? * 1024, kib("VmHWM:")? * 1024))
}

fn models(console: &Console) -> Markup {
    let engine = console.admin.service.engine.load_full();
    let labels = engine.labels();
    let pack = engine.info().pack.as_ref();
    let commercial = pack.map(|pack| pack.commercial_use);
    html! {
        (facts(&[
            (texts::PACK, html! { (labels.pack) " " (labels.pack_version) }),
            (texts::DIGEST, html! { code { (pack.map_or(labels.pack_digest.as_str(), |pack| pack.digest.as_str())) } }),
            (texts::MATCH_CALIBRATION, html! { (labels.match_calibration) }),
            (texts::LIVENESS_CALIBRATION, html! { (labels.liveness_calibration) }),
            (texts::COHORT, html! { (labels.cohort) }),
            (texts::LICENCES, html! {
                @if let Some(pack) = pack { (pack.licenses.join(", ")) }
                @match commercial {
                    Some(true) => { " " span class="tag good" { (texts::COMMERCIAL) } }
                    Some(false) => { " " span class="tag warn" { (texts::NOT_COMMERCIAL) } }
                    None => {}
                }
                @for note in pack.iter().flat_map(|pack| &pack.license_notes) { p class="help" { (note) } }
            }),
        ]))
    }
}

fn runtime(console: &Console) -> Markup {
    let engine = console.admin.service.engine.load_full();
    let labels = engine.labels();
    facts(&[
        (
            texts::PROVIDER,
            html! { (labels.provider) " on " (labels.device) ", " (labels.precision) },
        ),
        (texts::ONNX_RUNTIME, html! { (labels.runtime_version) }),
        (
            texts::LIBRARY,
            html! {
                @if let Some(library) = &labels.runtime_library { code { (library.display()) } }
            },
        ),
        (texts::WORKERS, html! { (engine.workers()) }),
    ])
}

fn database(console: &Console) -> Markup {
    let service = &console.admin.service;
    let health = service.database.health();
    let failed: u64 = health.errors.iter().map(|(_, count)| count).sum();
    let mut rows = vec![
        (
            texts::DATABASE,
            html! {
                code { (service.database.name()) } " "
                @if health.is_up { span class="tag good" { (texts::DATABASE_UP) } }
                @else { span class="tag bad" { (texts::DATABASE_DOWN) } }
            },
        ),
        (texts::FAILED_CALLS, html! { (failed) }),
    ];
    match &service.observers.audit {
        None => rows.push((
            texts::AUDIT,
            html! { span class="tag warn" { (texts::AUDIT_OFF) } },
        )),
        Some(audit) => rows.extend([
            (
                texts::AUDIT,
                html! {
                    @if audit.refuses() { span class="tag bad" { (texts::AUDIT_REFUSES) } }
                    @else { span class="tag good" { (texts::AUDIT_ON) } }
                },
            ),
            (
                texts::AUDIT_LAG,
                html! { (format!("{:.1} s", audit.lag().as_secs_f64())) },
            ),
            (texts::AUDIT_PENDING, html! { (audit.pending()) }),
            (texts::AUDIT_LOST, html! { (audit.lost()) }),
        ]),
    }
    facts(&rows)
}

/// Formats seconds as days, hours and minutes.
fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours) {
        (0, 0) if minutes == 0 => format!("{seconds} s"),
        (0, 0) => format!("{minutes} min"),
        (0, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        for (seconds, text) in [
            (5, "5 s"),
            (60, "1 min"),
            (3_700, "1 h 1 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_memory_of_this_process_is_known() {
        let (now, peak) = resident_bytes().unwrap();
        assert!(now > 0 && peak >= now);
    }
}
