//! Apps as text and JSON, with the public part of their keys.

use jiff::Timestamp;
use likeness::server::storage::apps::{AppEndpoint, StoredApp, StoredKey};
use likeness::server::storage::now;
use serde_json::{Value, json};

use super::{Failure, say};
use crate::cli::{or, say_table};

pub(super) fn as_json(app: &StoredApp) -> Value {
    json!({
        "id": app.id,
        "settings": app.settings,
        "created": time(app.created),
        "changed": time(app.changed),
        "keys": app.keys.iter().map(key_as_json).collect::<Vec<_>>(),
    })
}

pub(super) fn key_as_json(key: &StoredKey) -> Value {
    json!({
        "label": key.label,
        "live": key.is_live(now()),
        "created": time(key.created),
        "expires": key.expires.map(time),
        "revoked": key.revoked.map(time),
    })
}

/// Prints a line for each app.
pub(super) fn table(apps: &[StoredApp]) -> Result<(), Failure> {
    let row = |app: &StoredApp| {
        let live = app.keys.iter().filter(|key| key.is_live(now())).count();
        let (state, note) = (enabled(app).to_owned(), app.settings.note.clone());
        [app.id.clone(), state, live.to_string(), note]
    };
    let rows: Vec<_> = apps.iter().map(row).collect();
    say_table(["id", "state", ">live keys", "note"], &rows)
}

fn enabled(app: &StoredApp) -> &'static str {
    if app.settings.disabled {
        "disabled"
    } else {
        "enabled"
    }
}

/// Prints all of an app.
pub(super) fn whole(app: &StoredApp) -> Result<(), Failure> {
    let settings = &app.settings;
    let limits = &settings.limits;
    let names = |names: &Vec<AppEndpoint>| names.iter().map(AppEndpoint::to_string).collect::<Vec<_>>();
    let endpoints = settings.endpoints.as_ref().map(|list| names(list).join(", "));
    let default_profile = settings.default_profile.as_ref();
    let profiles = settings.profiles.as_ref().map(|names| names.join(", "));
    let floor = settings.liveness_threshold_floor.to_string();
    let mut lines = vec![
        ("app", app.id.clone()),
        ("state", enabled(app).to_owned()),
        ("note", settings.note.clone()),
        ("created", time(app.created)),
        ("changed", time(app.changed)),
        ("default profile", or(default_profile, "the service's")),
        ("profiles", or(profiles, "all")),
        ("endpoints", or(endpoints, "all")),
        ("liveness threshold floor", floor),
        ("requests per second", or(limits.requests_per_second, "unlimited")),
        ("burst", or(limits.burst, "as many as in a second")),
        ("concurrent requests", or(limits.concurrent_requests, "unlimited")),
        ("daily quota", or(limits.daily_quota, "unlimited")),
        ("monthly quota", or(limits.monthly_quota, "unlimited")),
    ];
    lines.extend(app.keys.iter().map(|key| {
        let (created, state) = (time(key.created), state(key));
        ("key", format!("{}, created {created}, {state}", key.label))
    }));
    for (name, value) in lines {
        say(format!("{name:24}  {value}").trim_end())?;
    }
    Ok(())
}

/// Returns whether a key is accepted, and how long.
pub(super) fn state(key: &StoredKey) -> String {
    match (key.revoked, key.expires) {
        (Some(revoked), _) => format!("revoked {}", time(revoked)),
        (None, Some(expires)) if !key.is_live(now()) => format!("expired {}", time(expires)),
        (None, Some(expires)) => format!("accepted until {}", time(expires)),
        (None, None) => "accepted".to_owned(),
    }
}

/// Formats a time in UTC, to the second.
fn time(microseconds: i64) -> String {
    Timestamp::from_microsecond(microseconds).map_or_else(
        |_| "never".to_owned(),
        |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}
