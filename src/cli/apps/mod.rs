//! `likeness apps`.

mod change;
mod show;

use clap::{Args, Subcommand};
use likeness::server::Config;
use likeness::server::storage::apps::StoredApp;
use likeness::server::storage::{Database, Place, StorageError};
use serde_json::json;

use super::settings::ConfigArguments;
use super::{Failure, block_on, say};

use change::{ChangeArguments, CreateArguments, RotateArguments, SetArguments};

#[derive(Debug, Subcommand)]
pub(crate) enum AppsCommand {
    /// Create an app and print its key, once
    Create(CreateArguments),
    /// List the apps in the database
    List(CommonArguments),
    /// Show the settings of an app, and its keys by their labels
    Show(AppArguments),
    /// Give an app a new key and print it, once; the previous key expires after a grace period
    Rotate(RotateArguments),
    /// Reject all requests of an app with 403 APP_DISABLED
    Disable(ChangeArguments),
    /// Accept requests of a disabled app again
    Enable(ChangeArguments),
    /// Change the settings of an app
    Set(SetArguments),
    /// Delete an app and its keys; its audit records stay
    Delete(ChangeArguments),
}

/// The database, and how the outcome is printed.
#[derive(Debug, Args)]
pub(crate) struct CommonArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One app.
#[derive(Debug, Args)]
pub(crate) struct AppArguments {
    /// Id of the app, which its requests bring as `app_id`
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    common: CommonArguments,
}

impl AppsCommand {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        block_on(async {
            match self {
                Self::Create(create) => create.run().await,
                Self::List(common) => list(common).await,
                Self::Show(app) => Access::open(&app.common, true).await?.show(&app.id).await,
                Self::Rotate(rotate) => rotate.run().await,
                Self::Disable(change) => change.set_disabled(true).await,
                Self::Enable(change) => change.set_disabled(false).await,
                Self::Set(set) => set.run().await,
                Self::Delete(change) => change.delete().await,
            }
        })
    }
}

async fn list(common: &CommonArguments) -> Result<(), Failure> {
    let access = Access::open(common, true).await?;
    let (_, apps) = access.database.apps().await?;
    if common.json {
        let apps: Vec<_> = apps.iter().map(show::as_json).collect();
        return say(json!(apps));
    }
    if apps.is_empty() {
        return say(format_args!("No apps in {}.", access.database.name()));
    }
    show::table(&apps)
}

/// The settings, and the database that they name.
struct Access {
    config: Config,
    database: Database,
    json: bool,
}

impl Access {
    /// Opens the database. Where it does not exist, that is an error or it is created.
    async fn open(common: &CommonArguments, must_exist: bool) -> Result<Self, Failure> {
        let config = common.config.load()?;
        match config.database.settings(&config.data_folder)?.place {
            Place::Memory => {
                let problem = "the database is in the memory of each process: no other process sees its apps";
                return Err(problem.into());
            }
            Place::File(path) if must_exist && !path.exists() => {
                return Err(format!(
                    "no database at {}: name the service's configuration with --config, or run this where the service runs",
                    path.display()
                )
                .into());
            }
            _ => {}
        }
        let database = config.open_database().await?;
        Ok(Self {
            config,
            database,
            json: common.json,
        })
    }

    async fn app(&self, id: &str) -> Result<StoredApp, Failure> {
        let app = self.database.app(id).await?;
        Ok(app.ok_or_else(|| StorageError::UnknownApp(id.to_owned()))?)
    }

    async fn show(&self, id: &str) -> Result<(), Failure> {
        let app = self.app(id).await?;
        if self.json {
            say(show::as_json(&app))
        } else {
            show::whole(&app)
        }
    }
}
