//! The commands that change apps.

use std::io::Read;
use std::time::Duration;

use clap::Args;
use likeness::server::storage::apps::{AppKey, AppSettings, KeyRule, Rotation};
use serde_json::json;

use super::settings::{Changes, Setting};
use super::{Access, AppArguments, Failure, say, show};

/// More than the longest key and a line's end.
const MAX_INPUT: u64 = 1_024;

const DAY: u64 = 86_400;

/// A change of one app.
#[derive(Debug, Args)]
pub(crate) struct ChangeArguments {
    #[command(flatten)]
    app: AppArguments,
    /// Do not wait until running services have noticed the change (`storage.refresh_seconds` and half a second).
    #[arg(long)]
    no_wait: bool,
}

/// The source of a new key.
#[derive(Debug, Args)]
struct KeyArguments {
    /// Read the key from standard input instead of generating one; at least 16 random characters unless `allow_weak_keys`
    /// is set.
    #[arg(long)]
    key_stdin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CreateArguments {
    #[command(flatten)]
    change: ChangeArguments,
    #[command(flatten)]
    key: KeyArguments,
    #[command(flatten)]
    changes: Changes,
}

#[derive(Debug, Args)]
pub(crate) struct RotateArguments {
    #[command(flatten)]
    change: ChangeArguments,
    #[command(flatten)]
    key: KeyArguments,
    /// How long the previous key stays valid: 7d, 12h, 30m, 90s; 0: not at all.
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = parse_time)]
    grace: Duration,
    /// Revoke the older key if the last rotation is not over; otherwise that is an error.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SetArguments {
    #[command(flatten)]
    change: ChangeArguments,
    #[command(flatten)]
    changes: Changes,
    /// Settings to remove, comma-separated.
    #[arg(long, value_name = "NAMES", value_enum, value_delimiter = ',')]
    unset: Vec<Setting>,
}

impl KeyArguments {
    /// Returns the key. One that is read must keep to this rule.
    fn key(&self, rule: KeyRule) -> Result<AppKey, Failure> {
        if !self.key_stdin {
            return Ok(AppKey::generate()?);
        }
        let mut text = String::new();
        std::io::stdin()
            .take(MAX_INPUT)
            .read_to_string(&mut text)
            .map_err(|_| "standard input is not text")?;
        Ok(AppKey::import(text.trim_end_matches(['\r', '\n']), rule)?)
    }

    /// Returns the key to show: only a generated one.
    fn shown<'a>(&self, key: &'a AppKey) -> Option<&'a str> {
        (!self.key_stdin).then(|| key.expose())
    }
}

impl ChangeArguments {
    fn id(&self) -> &str {
        &self.app.id
    }

    fn json(&self) -> bool {
        self.app.common.json
    }

    async fn wait(&self, access: &Access) {
        if !self.no_wait {
            access.wait_for_services().await;
        }
    }

    pub(super) async fn set_disabled(&self, disabled: bool) -> Result<(), Failure> {
        self.change(|settings| settings.disabled = disabled).await
    }

    pub(super) async fn delete(&self) -> Result<(), Failure> {
        let access = Access::open(&self.app.common).await?;
        access.database.delete_app(self.id()).await?;
        self.wait(&access).await;
        if self.json() {
            return say(json!({ "id": self.id(), "deleted": true }));
        }
        say(format_args!("Deleted app `{}`.", self.id()))
    }

    /// Changes the settings, if the new ones are valid.
    async fn change(&self, change: impl Fn(&mut AppSettings) + Send) -> Result<(), Failure> {
        let access = Access::open(&self.app.common).await?;
        let mut settings = access.app(self.id()).await?.settings;
        change(&mut settings);
        access.config.check_app(self.id(), &settings)?;
        access.database.change_app(self.id(), change).await?;
        self.wait(&access).await;
        show::app(&access.app(self.id()).await?, self.json())
    }
}

impl CreateArguments {
    pub(super) async fn run(&self) -> Result<(), Failure> {
        let id = self.change.id();
        let access = Access::open_or_create(&self.change.app.common).await?;
        if access.config.apps.iter().any(|app| app.id == id) {
            return Err(format!(
                "the configuration already has an app `{id}`, which wins over one in the database"
            )
            .into());
        }
        let mut settings = AppSettings::default();
        self.changes.apply(&mut settings);
        access.config.check_app(id, &settings)?;
        let key = self.key.key(access.config.key_rule())?;
        let new = access.database.create_app(id, &settings, key).await?;
        self.change.wait(&access).await;
        let key = self.key.shown(&new.key);
        if self.change.json() {
            return say(json!({ "id": id, "label": new.label, "key": key }));
        }
        say(format_args!("Created app `{id}` in {}.", access.database.name()))?;
        show_key(id, key)
    }
}

impl RotateArguments {
    pub(super) async fn run(&self) -> Result<(), Failure> {
        let id = self.change.id();
        let access = Access::open(&self.change.app.common).await?;
        let key = self.key.key(access.config.key_rule())?;
        let rotation = Rotation::new(self.grace).with_force(self.force);
        let rotated = access.database.rotate_key(id, &key, rotation).await?;
        self.change.wait(&access).await;
        let shown = self.key.shown(&key);
        if self.change.json() {
            let before: Vec<_> = rotated.before.iter().map(show::key_as_json).collect();
            return say(json!({ "id": id, "label": rotated.label, "key": shown, "before": before }));
        }
        say(format_args!("App `{id}` has the new key {}.", rotated.label))?;
        show_key(id, shown)?;
        for key in &rotated.before {
            say(format_args!("Key {} is {}.", key.label, show::state(key)))?;
        }
        Ok(())
    }
}

impl SetArguments {
    pub(super) async fn run(&self) -> Result<(), Failure> {
        let change = |settings: &mut AppSettings| {
            for setting in &self.unset {
                setting.remove(settings);
            }
            self.changes.apply(settings);
        };
        self.change.change(change).await
    }
}

/// Shows a generated key.
fn show_key(id: &str, key: Option<&str>) -> Result<(), Failure> {
    match key {
        Some(key) => say(format_args!(
            "The key is shown this once:\n\n  app_id:  {id}\n  app_key: {key}\n"
        )),
        None => say("Its key is the given one."),
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
    let seconds = number.checked_mul(unit).filter(|&seconds| seconds <= 3_660 * DAY);
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| "must be at most 3660d".to_owned())
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
