//! `likeness config`.

use clap::{Args, Subcommand};
use likeness::packs::CalibrationFile;
use likeness::server::{Config, REFERENCE};

use super::settings::{ConfigArguments, warn_of_old_names};
use super::{Failure, say, warn};

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check the settings as `likeness serve` would, and the files that they name
    Check(ConfigArguments),
    /// Print the settings that hold, each with what set it; secrets are redacted
    Show(ShowArguments),
    /// Print the commented reference file, with every setting at its default
    Reference,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Print only settings that are not at their default, as `key = value  # what set it`
    #[arg(long)]
    changed: bool,
}

impl ConfigCommand {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Check(arguments) => check(arguments),
            Self::Show(arguments) => show(arguments),
            Self::Reference => say(REFERENCE.trim_end()),
        }
    }
}

fn check(arguments: &ConfigArguments) -> Result<(), Failure> {
    let explained = arguments.explained()?;
    check_files(&explained.config)?;
    warn_of_old_names(&explained);
    explained.exposed_files.iter().for_each(warn);
    let weak = explained.config.apps_with_weak_keys();
    if !weak.is_empty() {
        let weak = weak.join(", ");
        warn(format_args!("allow_weak_keys admits weak keys of apps: {weak}"));
    }
    let settings = &explained.settings;
    let changed = settings.iter().filter(|setting| !setting.is_default).count();
    say(format_args!(
        "The settings of {} are valid: {changed} are not at their default.",
        arguments.sources()
    ))
}

/// Checks the files that the settings name, as far as that needs nothing else.
fn check_files(config: &Config) -> Result<(), Failure> {
    for path in &config.calibration_files {
        CalibrationFile::read(path).map_err(|error| format!("configuration: calibration_files: {error}"))?;
    }
    let tls = config.tls.check_files();
    tls.map_err(|error| format!("configuration: tls: {error}").into())
}

fn show(arguments: &ShowArguments) -> Result<(), Failure> {
    let explained = arguments.config.explained()?;
    if !arguments.changed {
        return say(explained.to_string().trim_end());
    }
    for setting in explained.settings.iter().filter(|setting| !setting.is_default) {
        let origin = setting.origin.as_deref().unwrap_or("?");
        say(format_args!("{} = {}  # {origin}", setting.key, setting.value))?;
    }
    Ok(())
}
