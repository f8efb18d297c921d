//! The commands that change apps.

use std::time::Duration;

use clap::{Args, ValueEnum};
use likeness::server::storage::apps::{AppEndpoint, AppSettings, Rotation};
use serde_json::json;

use super::key::{KeyArguments, parse_time};
use super::{Access, AppArguments, Failure, say, show};

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
    #[arg(long, value_name = "NAMES", value_enum, value_delimiter = ',')]
    unset: Vec<Unset>,
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

/// A setting that can be unset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Unset {
    DefaultProfile,
    Profiles,
    Endpoints,
    LivenessThresholdFloor,
    RequestsPerSecond,
    Burst,
    ConcurrentRequests,
    DailyQuota,
    MonthlyQuota,
    Note,
}

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

impl Unset {
    fn apply(self, settings: &mut AppSettings) {
        let limits = &mut settings.limits;
        match self {
            Self::DefaultProfile => settings.default_profile = None,
            Self::Profiles => settings.profiles = None,
            Self::Endpoints => settings.endpoints = None,
            Self::LivenessThresholdFloor => settings.liveness_threshold_floor = 0.0,
            Self::RequestsPerSecond => limits.requests_per_second = None,
            Self::Burst => limits.burst = None,
            Self::ConcurrentRequests => limits.concurrent_requests = None,
            Self::DailyQuota => limits.daily_quota = None,
            Self::MonthlyQuota => limits.monthly_quota = None,
            Self::Note => settings.note.clear(),
        }
    }
}

impl ChangeArguments {
    fn id(&self) -> &str {
        &self.app.id
    }

    async fn wait(&self, access: &Access) {
        if !self.no_wait {
            access.wait_for_services().await;
        }
    }

    pub(super) async fn set_disabled(&self, disabled: bool) -> Result<(), Failure> {
        self.change(move |settings| settings.disabled = disabled).await
    }

    pub(super) async fn delete(&self) -> Result<(), Failure> {
        let access = Access::open(&self.app.common).await?;
        access.database.delete_app(self.id()).await?;
        self.wait(&access).await;
        if access.json {
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
        access.show(self.id()).await
    }
}

impl CreateArguments {
    pub(super) async fn run(&self) -> Result<(), Failure> {
        let id = self.change.id();
        let access = Access::open_or_create(&self.change.app.common).await?;
        if access.config.apps.iter().any(|app| app.id == id) {
            return Err(
                format!("the configuration has an app `{id}`, which overrides the database's").into(),
            );
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
        let access = Access::open(&self.change.app.common).await?;
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
        let change = move |settings: &mut AppSettings| {
            unset.iter().for_each(|setting| setting.apply(settings));
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
