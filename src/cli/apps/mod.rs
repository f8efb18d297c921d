//! `likeness apps`.

mod change;
mod key;
mod show;
mod storage;
mod wanted;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::config::ConfigArguments;
use super::{Failure, block_on, exit, say};

use change::{ChangeArguments, CreateArguments, RotateArguments, SetArguments};
use storage::Access;

#[derive(Debug, Subcommand)]
pub(crate) enum AppsCommand {
    /// Make an app and show its key, once.
    Create(CreateArguments),
    /// List the apps of the storage.
    List(CommonArguments),
    /// Show what an app may do, and its keys by their labels.
    Show(AppArguments),
    /// Give an app another key and show it, once. The key before is accepted for a while yet.
    Rotate(RotateArguments),
    /// Refuse an app, whatever it asks for, with 403 APP_DISABLED.
    Disable(ChangeArguments),
    /// Let a disabled app call again.
    Enable(ChangeArguments),
    /// Change what an app may do.
    Set(SetArguments),
    /// Remove an app and its keys. What was recorded of it stays.
    Delete(ChangeArguments),
}

/// Where the apps are, and how the outcome is written.
#[derive(Debug, Args)]
pub(crate) struct CommonArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Write JSON, for scripts.
    #[arg(long)]
    json: bool,
}

/// One app.
#[derive(Debug, Args)]
pub(crate) struct AppArguments {
    /// What the app's callers send as `app_id`.
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
                Self::Show(app) => show_one(app).await,
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
        let apps: Vec<_> = apps.iter().map(show::as_json).collect();
        return say(json!(apps));
    }
    if apps.is_empty() {
        return say(format_args!("There is no app in {}.", access.database.name()));
    }
    show::table(&apps)
}

async fn show_one(arguments: &AppArguments) -> Result<(), Failure> {
    let access = Access::open(&arguments.common).await?;
    let app = access.app(&arguments.id).await?;
    if arguments.common.json {
        return say(show::as_json(&app));
    }
    show::whole(&app)
}
