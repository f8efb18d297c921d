//! `likeness config`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use likeness::packs::CalibrationFile;
use likeness::server::{Config, Explained, Overrides, REFERENCE};

use super::{Failure, exit, say};

/// Where the settings of the service are.
#[derive(Debug, Args)]
pub(crate) struct ConfigArguments {
    /// Configuration file (TOML) [default: none].
    #[arg(long, value_name = "FILE", env = "LIKENESS_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
}

impl ConfigArguments {
    /// The file, where one is named.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.config.as_deref().filter(|path| !path.as_os_str().is_empty())
    }

    /// The settings, as the service would have them without flags of its own.
    pub(crate) fn load(&self) -> Result<Config, Failure> {
        Ok(Config::load(self.file(), &Overrides::default())?)
    }

    fn explained(&self) -> Result<Explained, Failure> {
        Ok(Explained::load(
            self.file(),
            std::env::vars_os(),
            &Overrides::default(),
        )?)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check the file and the environment as `likeness serve` would, and the files that they name.
    Check(ConfigArguments),
    /// Write the settings that hold, each with what set it where something did. Secrets are not shown.
    Show(ShowArguments),
    /// Write the commented reference file, with every setting at its default.
    Reference,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Only what is not the default, as `key = value  # what set it`.
    #[arg(long)]
    changed: bool,
}

impl ConfigCommand {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        match self {
            Self::Check(arguments) => check(arguments),
            Self::Show(arguments) => show(arguments),
            Self::Reference => {
                say(REFERENCE.trim_end())?;
                Ok(exit::PASS.into())
            }
        }
    }
}

fn check(arguments: &ConfigArguments) -> Result<ExitCode, Failure> {
    let explained = arguments.explained()?;
    let config = &explained.config;
    check_files(config)?;
    for file in explained.exposed_files() {
        warn(file);
    }
    let weak = config.apps_with_weak_keys();
    if !weak.is_empty() {
        warn(format_args!(
            "allow_weak_keys lets these apps have keys that are easy to guess: {}",
            weak.join(", ")
        ));
    }
    let changed = explained
        .settings()
        .iter()
        .filter(|setting| !setting.is_default)
        .count();
    let from = arguments.file().map_or_else(
        || "the environment".to_owned(),
        |file| format!("{} and the environment", file.display()),
    );
    say(format_args!(
        "The settings of {from} can be used: {changed} are not at their default."
    ))?;
    Ok(exit::PASS.into())
}

/// Says on standard error what does not keep the settings from being used.
fn warn(warning: impl std::fmt::Display) {
    // Nothing is left to do where even standard error is closed.
    let _ = writeln!(std::io::stderr(), "likeness: warning: {warning}");
}

/// The files that the settings name, as far as they can be checked without what they belong to.
fn check_files(config: &Config) -> Result<(), Failure> {
    for path in &config.calibration_files {
        CalibrationFile::read(path).map_err(|error| format!("configuration: calibration_files: {error}"))?;
    }
    config
        .tls
        .check_files()
        .map_err(|error| format!("configuration: tls: {error}").into())
}

fn show(arguments: &ShowArguments) -> Result<ExitCode, Failure> {
    let explained = arguments.config.explained()?;
    if !arguments.changed {
        say(explained.to_string().trim_end())?;
        return Ok(exit::PASS.into());
    }
    for setting in explained.settings().iter().filter(|setting| !setting.is_default) {
        let origin = setting.origin.as_deref().unwrap_or("?");
        say(format_args!("{} = {}  # {origin}", setting.key, setting.value))?;
    }
    Ok(exit::PASS.into())
}
