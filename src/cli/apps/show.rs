//! Apps as text and as JSON, with the public parts of their keys.

use jiff::Timestamp;
use likeness::server::storage::apps::{StoredApp, StoredKey};
use likeness::server::storage::now;
use serde_json::{Value, json};

use super::{Failure, say};

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

/// Lists apps, one a line.
pub(super) fn table(apps: &[StoredApp]) -> Result<(), Failure> {
    let now = now();
    let widest = apps.iter().map(|app| app.id.len()).max().unwrap_or(0).max(2);
    say(format_args!(
        "{:widest$}  {:8}  {:>9}  note",
        "id", "state", "live keys"
    ))?;
    for app in apps {
        let state = state_of(app);
        let live = app.keys.iter().filter(|key| key.is_live(now)).count();
        let line = format!("{:widest$}  {state:8}  {live:>9}  {}", app.id, app.settings.note);
        say(line.trim_end())?;
    }
    Ok(())
}

/// Shows all settings of an app, and its keys.
pub(super) fn app(app: &StoredApp, json: bool) -> Result<(), Failure> {
    if json {
        return say(as_json(app));
    }
    let settings = &app.settings;
    let limits = &settings.limits;
    fn or<T: ToString>(value: Option<T>, absent: &str) -> String {
        value.map_or_else(|| absent.to_owned(), |value| value.to_string())
    }
    let endpoints = settings.endpoints.as_ref().map(|endpoints| {
        let names: Vec<&str> = endpoints.iter().map(|endpoint| endpoint.as_str()).collect();
        names.join(", ")
    });
    let profiles = settings.profiles.as_ref().map(|names| names.join(", "));
    let default_profile = settings.default_profile.as_ref();
    let floor = settings.liveness_threshold_floor.to_string();
    let mut lines = vec![
        ("app", app.id.clone()),
        ("state", state_of(app).to_owned()),
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
    for key in &app.keys {
        let key = format!("{}, created {}, {}", key.label, time(key.created), state(key));
        lines.push(("key", key));
    }
    for (name, value) in lines {
        say(format!("{name:24}  {value}").trim_end())?;
    }
    Ok(())
}

fn state_of(app: &StoredApp) -> &'static str {
    if app.settings.disabled {
        "disabled"
    } else {
        "enabled"
    }
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
