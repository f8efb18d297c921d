//! The commands that change apps.

use std::time::Duration;

use clap::Args;
use likeness::server::storage::apps::{AppKey, AppSettings, Rotation};
use serde_json::json;

use super::key::{KeyArguments, parse_time};
use super::storage::Access;
use super::wanted::{Unset, Wanted};
use super::{AppArguments, Failure, say, show};

/// A change of one app.
#[derive(Debug, Args)]
pub(crate) struct ChangeArguments {
    #[command(flatten)]
    app: AppArguments,
    #[command(flatten)]
    wait: WaitArguments,
}

#[derive(Debug, Args)]
struct WaitArguments {
    /// Do not wait until the services that run have noticed the change (`storage.refresh_seconds` and half a second).
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
    wanted: Wanted,
}

#[derive(Debug, Args)]
pub(crate) struct RotateArguments {
    #[command(flatten)]
    change: ChangeArguments,
    #[command(flatten)]
    key: KeyArguments,
    /// How long the key before is still accepted: 7d, 12h, 30m, 90s; 0: not at all.
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = parse_time)]
    grace: Duration,
    /// Where the last rotation is not over, end the older key now. Otherwise that is an error.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SetArguments {
    #[command(flatten)]
    change: ChangeArguments,
    #[command(flatten)]
    wanted: Wanted,
    /// Settings to take away, by their names, separated by commas.
    #[arg(long, value_name = "NAMES", value_enum, value_delimiter = ',')]
    unset: Vec<Unset>,
}

impl WaitArguments {
    async fn wait(&self, access: &Access) {
        if !self.no_wait {
            access.wait_for_services().await;
        }
    }
}

impl ChangeArguments {
    fn id(&self) -> &str {
        &self.app.id
    }

    fn json(&self) -> bool {
        self.app.common.json
    }

    pub(super) async fn set_disabled(&self, disabled: bool) -> Result<(), Failure> {
        self.change(move |settings| settings.disabled = disabled).await
    }

    pub(super) async fn delete(&self) -> Result<(), Failure> {
        let access = Access::open(&self.app.common).await?;
        access.database.delete_app(self.id()).await?;
        self.wait.wait(&access).await;
        if self.json() {
            return say(json!({ "id": self.id(), "deleted": true }));
        }
        say(format_args!("App `{}` is removed.", self.id()))
    }

    /// Changes the settings to others that can be used.
    async fn change(&self, change: impl Fn(&mut AppSettings) + Send + 'static) -> Result<(), Failure> {
        let access = Access::open(&self.app.common).await?;
        let mut settings = access.app(self.id()).await?.settings;
        change(&mut settings);
        access.config.check_app(self.id(), &settings)?;
        access.database.change_app(self.id(), change).await?;
        self.wait.wait(&access).await;
        let app = access.app(self.id()).await?;
        if self.json() {
            return say(show::as_json(&app));
        }
        show::whole(&app)
    }
}

impl CreateArguments {
    pub(super) async fn run(&self) -> Result<(), Failure> {
        let id = self.change.id();
        let access = Access::open_or_make(&self.change.app.common).await?;
        if access.config.apps.iter().any(|app| app.id == id) {
            return Err(
                format!("the configuration has an app `{id}`, which would win over the storage's").into(),
            );
        }
        let mut settings = AppSettings::default();
        self.wanted.apply(&mut settings);
        access.config.check_app(id, &settings)?;
        let key = self.key.key(access.config.key_rule())?;
        let new = access.database.create_app(id, &settings, key).await?;
        self.change.wait.wait(&access).await;
        if self.change.json() {
            let key = self.shown(&new.key);
            return say(json!({ "id": id, "label": new.label, "key": key }));
        }
        say(format_args!("App `{id}` is made in {}.", access.database.name()))?;
        show_key(id, self.shown(&new.key))
    }

    fn shown<'a>(&self, key: &'a AppKey) -> Option<&'a str> {
        (!self.key.is_given()).then(|| key.expose())
    }
}

impl RotateArguments {
    pub(super) async fn run(&self) -> Result<(), Failure> {
        let id = self.change.id();
        let access = Access::open(&self.change.app.common).await?;
        let key = self.key.key(access.config.key_rule())?;
        let rotation = Rotation::new(self.grace).with_force(self.force);
        let rotated = access.database.rotate_key(id, &key, rotation).await?;
        self.change.wait.wait(&access).await;
        let shown = (!self.key.is_given()).then(|| key.expose());
        if self.change.json() {
            let before: Vec<_> = rotated.before.iter().map(show::key_as_json).collect();
            return say(json!({ "id": id, "label": rotated.label, "key": shown, "before": before }));
        }
        say(format_args!("App `{id}` has another key, {}.", rotated.label))?;
        show_key(id, shown)?;
        for key in &rotated.before {
            say(format_args!("The key {} is {}.", key.label, show::state(key)))?;
        }
        Ok(())
    }
}

impl SetArguments {
    pub(super) async fn run(&self) -> Result<(), Failure> {
        let (wanted, unset) = (self.wanted.clone(), self.unset.clone());
        let change = move |settings: &mut AppSettings| {
            for setting in &unset {
                setting.apply(settings);
            }
            wanted.apply(settings);
        };
        self.change.change(change).await
    }
}

/// Shows a key, but for one that was given: whoever gave it knows it.
fn show_key(id: &str, key: Option<&str>) -> Result<(), Failure> {
    match key {
        Some(key) => say(format_args!(
            "The key is shown this once:\n\n  app_id:  {id}\n  app_key: {key}\n"
        )),
        None => say("Its key is the one that was given."),
    }
}
