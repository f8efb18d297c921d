//! `likeness apps`.

mod change;
mod settings;
mod show;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use likeness::server::Config;
use likeness::server::storage::apps::StoredApp;
use likeness::server::storage::{Database, Place, StorageError};
use serde_json::json;

use super::config::ConfigArguments;
use super::{Failure, block_on, exit, say};

use change::{ChangeArguments, CreateArguments, RotateArguments, SetArguments};

/// How long a service may take to read the apps once it has noticed a change.
const MARGIN: Duration = Duration::from_millis(500);

#[derive(Debug, Subcommand)]
pub(crate) enum AppsCommand {
    /// Create an app and show its key, once.
    Create(CreateArguments),
    /// List the apps in the database.
    List(CommonArguments),
    /// Show the settings of an app, and its keys by their labels.
    Show(AppArguments),
    /// Give an app a new key and show it, once; the previous key stays valid for a while.
    Rotate(RotateArguments),
    /// Refuse all requests of an app, with 403 APP_DISABLED.
    Disable(ChangeArguments),
    /// Enable a disabled app.
    Enable(ChangeArguments),
    /// Change the settings of an app.
    Set(SetArguments),
    /// Delete an app and its keys; its audit records and usage stay.
    Delete(ChangeArguments),
}

#[derive(Debug, Args)]
pub(crate) struct CommonArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Write JSON.
    #[arg(long)]
    json: bool,
}

/// One app.
#[derive(Debug, Args)]
pub(crate) struct AppArguments {
    /// The `app_id` of the app's requests.
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    common: CommonArguments,
}

impl AppsCommand {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        block_on(async {
            match self {
                Self::Create(create) => create.run().await,
                Self::List(common) => list(common).await,
                Self::Show(app) => {
                    let found = Access::open(&app.common).await?.app(&app.id).await?;
                    show::app(&found, app.common.json)
                }
                Self::Rotate(rotate) => rotate.run().await,
                Self::Disable(change) => change.set_disabled(true).await,
                Self::Enable(change) => change.set_disabled(false).await,
                Self::Set(set) => set.run().await,
                Self::Delete(change) => change.delete().await,
            }
        })?;
        Ok(exit::PASS.into())
    }
}

async fn list(common: &CommonArguments) -> Result<(), Failure> {
    let access = Access::open(common).await?;
    let (_, apps) = access.database.apps().await?;
    if common.json {
        return say(json!(apps.iter().map(show::as_json).collect::<Vec<_>>()));
    }
    if apps.is_empty() {
        return say(format_args!("There is no app in {}.", access.database.name()));
    }
    show::table(&apps)
}

/// The configuration of a service, and its database.
struct Access {
    config: Config,
    database: Database,
}

impl Access {
    /// Opens the database, which must exist.
    async fn open(common: &CommonArguments) -> Result<Self, Failure> {
        let config = common.config.load()?;
        if let Place::File(path) = config.storage.settings()?.place
            && !path.exists()
        {
            return Err(format!(
                "there is no database {}; name the service's configuration with --config, or run this where the service runs",
                path.display()
            )
            .into());
        }
        Self::with(config).await
    }

    /// Opens the database, and creates it if it does not exist.
    async fn open_or_create(common: &CommonArguments) -> Result<Self, Failure> {
        Self::with(common.config.load()?).await
    }

    async fn with(config: Config) -> Result<Self, Failure> {
        if matches!(config.storage.settings()?.place, Place::Memory) {
            return Err(
                "the database is in the memory of each process: no other process sees its apps".into(),
            );
        }
        let database = config.storage.open().await?;
        Ok(Self { config, database })
    }

    async fn app(&self, id: &str) -> Result<StoredApp, Failure> {
        let app = self.database.app(id).await?;
        Ok(app.ok_or_else(|| StorageError::UnknownApp(id.to_owned()))?)
    }

    /// Waits until every service with this database has noticed a change.
    async fn wait_for_services(&self) {
        tokio::time::sleep(self.config.storage.refresh + MARGIN).await;
    }
}
