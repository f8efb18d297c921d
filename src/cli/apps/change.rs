//! The commands that change apps.

use std::io::Read;
use std::time::Duration;

use clap::Args;
use clap::builder::PossibleValuesParser;
use likeness::server::storage::apps::{AppEndpoint, AppKey, AppSettings, KeyRule, Rotation};
use serde_json::json;

use super::{Access, AppArguments, Failure, say, show};

/// What a service may take to read the apps, once it has noticed that they have changed.
const MARGIN: Duration = Duration::from_millis(500);

/// More than the longest key and a line's end.
const MAX_INPUT: u64 = 1_024;

const DAY: u64 = 86_400;

/// A change of one app.
#[derive(Debug, Args)]
pub(crate) struct ChangeArguments {
    #[command(flatten)]
    app: AppArguments,
    /// Do not wait until running services have noticed the change (`database.refresh_seconds` and half a second)
    #[arg(long)]
    no_wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CreateArguments {
    #[command(flatten)]
    change: ChangeArguments,
    #[command(flatten)]
    key: KeyArguments,
    #[command(flatten)]
    settings: SettingArguments,
}

/// The source of a new key.
#[derive(Debug, Args)]
struct KeyArguments {
    /// Read the key from standard input, at least 16 random characters [default: generate one]
    #[arg(long)]
    key_stdin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RotateArguments {
    #[command(flatten)]
    change: ChangeArguments,
    #[command(flatten)]
    key: KeyArguments,
    /// Time until the previous key expires: 7d, 12h, 30m, 90s, or 0
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = parse_time)]
    grace: Duration,
    /// Expire the older key now if the last rotation has not ended; without this that is an error
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SetArguments {
    #[command(flatten)]
    change: ChangeArguments,
    #[command(flatten)]
    settings: SettingArguments,
    /// Settings to unset, comma-separated
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = PossibleValuesParser::new(UNSET.map(|(name, _)| name)))]
    unset: Vec<String>,
}

/// Settings of an app. What is not named stays as it is.
#[derive(Debug, Clone, Args)]
struct SettingArguments {
    /// Decision profile of requests that name none
    #[arg(long, value_name = "NAME")]
    default_profile: Option<String>,
    /// Decision profiles that requests may name besides, comma-separated [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    profiles: Option<Vec<String>>,
    /// Endpoints of its requests, comma-separated: biometric, liveness [default: both]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    endpoints: Option<Vec<AppEndpoint>>,
    /// Lowest `threshold` of liveness verifications, 0 to 1 [default: 0]
    #[arg(long, value_name = "NUMBER")]
    liveness_threshold_floor: Option<f64>,
    /// Rate limit: requests per second [default: none]
    #[arg(long, value_name = "NUMBER")]
    requests_per_second: Option<f64>,
    /// Requests that may come at once after a pause [default: as many as in a second]
    #[arg(long, value_name = "N")]
    burst: Option<u32>,
    /// Concurrency limit: requests at the same time [default: none]
    #[arg(long, value_name = "N")]
    concurrent_requests: Option<u32>,
    /// Quota of requests per day, UTC [default: none]
    #[arg(long, value_name = "N")]
    daily_quota: Option<u64>,
    /// Quota of requests per calendar month, UTC [default: none]
    #[arg(long, value_name = "N")]
    monthly_quota: Option<u64>,
    /// Note for operators, such as the owner of the app
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// The settings that can be unset, by their names.
const UNSET: [(&str, Reset); 10] = [
    ("default-profile", |s| s.default_profile = None),
    ("profiles", |s| s.profiles = None),
    ("endpoints", |s| s.endpoints = None),
    ("liveness-threshold-floor", |s| s.liveness_threshold_floor = 0.0),
    ("requests-per-second", |s| s.limits.requests_per_second = None),
    ("burst", |s| s.limits.burst = None),
    ("concurrent-requests", |s| s.limits.concurrent_requests = None),
    ("daily-quota", |s| s.limits.daily_quota = None),
    ("monthly-quota", |s| s.limits.monthly_quota = None),
    ("note", |s| s.note.clear()),
];

type Reset = fn(&mut AppSettings);

impl SettingArguments {
    fn apply(&self, settings: &mut AppSettings) {
        fn set<T: Clone>(setting: &mut Option<T>, wanted: &Option<T>) {
            if wanted.is_some() {
                setting.clone_from(wanted);
            }
        }
        let limits = &mut settings.limits;
        set(&mut settings.default_profile, &self.default_profile);
        set(&mut settings.profiles, &self.profiles);
        set(&mut settings.endpoints, &self.endpoints);
        set(&mut limits.requests_per_second, &self.requests_per_second);
        set(&mut limits.burst, &self.burst);
        set(&mut limits.concurrent_requests, &self.concurrent_requests);
        set(&mut limits.daily_quota, &self.daily_quota);
        set(&mut limits.monthly_quota, &self.monthly_quota);
        if let Some(floor) = self.liveness_threshold_floor {
            settings.liveness_threshold_floor = floor;
        }
        if let Some(note) = &self.note {
            settings.note.clone_from(note);
        }
    }
}

impl KeyArguments {
    /// Returns what is printed of a new key: one that was given is known already.
    fn shown<'a>(&self, key: &'a AppKey) -> Option<&'a str> {
        (!self.key_stdin).then(|| key.expose())
    }

    /// Returns the key, which must keep to this rule where it is given.
    fn key(&self, rule: KeyRule) -> Result<AppKey, Failure> {
        if !self.key_stdin {
            return Ok(AppKey::generate()?);
        }
        let mut text = String::new();
        std::io::stdin()
            .take(MAX_INPUT)
            .read_to_string(&mut text)
            .map_err(|_| "standard input is not UTF-8")?;
        Ok(AppKey::import(text.trim_end_matches(['\r', '\n']), rule)?)
    }
}

/// Parses a time such as `7d`, `12h`, `30m`, `90s` or `0`.
fn parse_time(text: &str) -> Result<Duration, String> {
    let wrong = || "must be a number with `d`, `h`, `m` or `s`, such as 7d or 12h, or 0".to_owned();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let unit = match &text[digits.len()..] {
        "d" => DAY,
        "h" => 3_600,
        "m" => 60,
        "s" => 1,
        "" if number == 0 => 1,
        _ => return Err(wrong()),
    };
    match number.checked_mul(unit) {
        Some(seconds) if seconds <= 3_660 * DAY => Ok(Duration::from_secs(seconds)),
        _ => Err("must be at most 3660d".to_owned()),
    }
}

impl ChangeArguments {
    fn id(&self) -> &str {
        &self.app.id
    }

    /// Waits until every service on this database has noticed a change.
    async fn wait(&self, access: &Access) {
        if !self.no_wait {
            tokio::time::sleep(access.config.database.refresh + MARGIN).await;
        }
    }

    pub(super) async fn set_disabled(&self, disabled: bool) -> Result<(), Failure> {
        self.change(move |settings| settings.disabled = disabled).await
    }

    pub(super) async fn delete(&self) -> Result<(), Failure> {
        let access = Access::open(&self.app.common, true).await?;
        access.database.delete_app(self.id()).await?;
        self.wait(&access).await;
        if access.json {
            return say(json!({ "id": self.id(), "deleted": true }));
        }
        say(format_args!("Deleted app `{}`.", self.id()))
    }

    /// Changes the settings, if the new ones are valid.
    async fn change(&self, change: impl Fn(&mut AppSettings) + Send) -> Result<(), Failure> {
        let access = Access::open(&self.app.common, true).await?;
        let mut settings = access.app(self.id()).await?.settings;
        change(&mut settings);
        access.config.check_app(self.id(), &settings)?;
        access.database.change_app(self.id(), change).await?;
        self.wait(&access).await;
        access.show(self.id()).await
    }
}

impl CreateArguments {
    pub(super) async fn run(&self) -> Result<(), Failure> {
        let id = self.change.id();
        let access = Access::open(&self.change.app.common, false).await?;
        if access.config.apps.iter().any(|app| app.id == id) {
            let reason = format!("the configuration has an app `{id}`, which overrides the database's");
            return Err(reason.into());
        }
        let mut settings = AppSettings::default();
        self.settings.apply(&mut settings);
        access.config.check_app(id, &settings)?;
        let key = self.key.key(access.config.key_rule())?;
        let new = access.database.create_app(id, &settings, key).await?;
        self.change.wait(&access).await;
        let key = self.key.shown(&new.key);
        if access.json {
            return say(json!({ "id": id, "label": new.label, "key": key }));
        }
        say(format_args!("Created app `{id}` in {}.", access.database.name()))?;
        show_key(id, key)
    }
}

impl RotateArguments {
    pub(super) async fn run(&self) -> Result<(), Failure> {
        let id = self.change.id();
        let access = Access::open(&self.change.app.common, true).await?;
        let key = self.key.key(access.config.key_rule())?;
        let rotation = Rotation {
            grace: self.grace,
            force: self.force,
        };
        let rotated = access.database.rotate_key(id, &key, rotation).await?;
        self.change.wait(&access).await;
        let shown = self.key.shown(&key);
        if access.json {
            let before: Vec<_> = rotated.before.iter().map(show::key_as_json).collect();
            return say(json!({ "id": id, "label": rotated.label, "key": shown, "before": before }));
        }
        say(format_args!("App `{id}` has a new key, {}.", rotated.label))?;
        show_key(id, shown)?;
        for key in &rotated.before {
            say(format_args!("Key {} is {}.", key.label, show::state(key)))?;
        }
        Ok(())
    }
}

impl SetArguments {
    pub(super) async fn run(&self) -> Result<(), Failure> {
        let (wanted, unset) = (self.settings.clone(), self.unset.clone());
        let is_unset = move |name: &str| unset.iter().any(|unset| unset == name);
        let change = move |settings: &mut AppSettings| {
            let resets = UNSET.iter().filter(|(name, _)| is_unset(name));
            resets.for_each(|(_, reset)| reset(settings));
            wanted.apply(settings);
        };
        self.change.change(change).await
    }
}

/// Prints a key, but for one that was given.
fn show_key(id: &str, key: Option<&str>) -> Result<(), Failure> {
    match key {
        Some(key) => say(format_args!(
            "The key is shown only once:\n\n  app_id:  {id}\n  app_key: {key}\n"
        )),
        None => say("Its key is the one from standard input."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        for (text, seconds) in [
            ("7d", 604_800),
            ("12h", 43_200),
            ("30m", 1_800),
            ("90s", 90),
            ("0", 0),
            ("0d", 0),
        ] {
            assert_eq!(parse_time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "7",
            "d",
            "-1d",
            "1.5h",
            "7 d",
            "7w",
            "1d2h",
            "99999999999999999999d",
            "213503982334602d",
            "3661d",
        ] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }
}
