//! The settings of the service on the command line: `--config`, `--set`, and a flag for each setting that has one.

use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};
use likeness::EngineBuilder;
use likeness::server::config::{Flag, Kind, NAMED, Named, Scope, Value};
use likeness::server::{Config, ConfigError, Explained, Overrides};

use super::{Failure, warn_renamed};

/// The flags of a scope. They are global: groups of commands hand them on.
#[derive(Debug, Clone)]
pub(crate) struct Settings<const SCOPE: usize> {
    file: Option<PathBuf>,
    overrides: Overrides,
}

/// For commands that open neither models nor an engine.
pub(crate) type ConfigArguments = Settings<{ Scope::Any as usize }>;
/// For commands that work on the model store.
pub(crate) type StoreArguments = Settings<{ Scope::Store as usize }>;
/// For commands that open an engine.
pub(crate) type EngineArguments = Settings<{ Scope::Engine as usize }>;
/// For `likeness serve`.
pub(crate) type ServiceArguments = Settings<{ Scope::Serve as usize }>;

impl<const SCOPE: usize> Settings<SCOPE> {
    fn flags() -> impl Iterator<Item = (&'static Named, Flag)> {
        let flags = NAMED.iter().filter_map(|named| Some((named, named.flag?)));
        flags.filter(|(_, flag)| flag.scope as usize <= SCOPE)
    }

    fn file(&self) -> Option<&Path> {
        self.file.as_deref().filter(|path| !path.as_os_str().is_empty())
    }

    /// What the settings come from, for messages.
    pub(crate) fn sources(&self) -> String {
        match self.file() {
            Some(file) => format!("{} and the environment", file.display()),
            None => "the environment".to_owned(),
        }
    }

    /// Returns the settings with what set each, checked as a whole.
    pub(crate) fn explained(&self) -> Result<Explained, ConfigError> {
        Explained::load(
            self.file(),
            std::env::vars_os(),
            &self.overrides,
            Config::validate,
        )
    }

    /// Returns the settings, checked as a whole.
    pub(crate) fn load(&self) -> Result<Config, Failure> {
        let explained = self.explained()?;
        warn_of_old_names(&explained);
        Ok(explained.config)
    }

    /// Returns the settings, checked as far as an engine or the model store needs them.
    pub(crate) fn load_for_engine(&self) -> Result<Config, Failure> {
        let explained = Explained::load(
            self.file(),
            std::env::vars_os(),
            &self.overrides,
            Config::validate_engine,
        )?;
        warn_of_old_names(&explained);
        Ok(explained.config)
    }
}

impl EngineArguments {
    /// Returns a builder of the engine that the service would use.
    pub(crate) fn builder(&self) -> Result<EngineBuilder, Failure> {
        Ok(self.load_for_engine()?.engine_builder())
    }

    /// Returns a builder of an engine with raw scores, without the calibrations of the settings.
    pub(crate) fn raw_builder(&self) -> Result<EngineBuilder, Failure> {
        let mut config = self.load_for_engine()?;
        config.calibration_files.clear();
        Ok(config.engine_builder().raw_scores(true))
    }

    /// Returns the first flag that sets one, other than `--config`, which an environment variable may stand for.
    pub(crate) fn first_flag(&self) -> Option<&str> {
        self.overrides.flags().next()
    }

    /// Whether `--calibration` is given.
    pub(crate) fn has_calibration(&self) -> bool {
        self.overrides.sets("calibration_files")
    }
}

/// Warns of old names on standard error.
pub(crate) fn warn_of_old_names(explained: &Explained) {
    for renamed in &explained.renamed {
        warn_renamed(&renamed.old, &renamed.new, Some(&renamed.origin));
    }
}

fn argument(named: &Named, flag: Flag) -> Arg {
    let mut help = flag.help.to_owned();
    let has_default = !matches!(flag.kind, Kind::Switch | Kind::List(_));
    if let Some(default) = named.default().filter(|_| has_default) {
        help += &format!(" [default: {default}]");
    }
    if let Some(variable) = named.variable {
        help += &format!(" [env: {variable}]");
    }
    let arg = Arg::new(flag.name).long(flag.name).help(help);
    match flag.kind {
        Kind::Text(name) => arg.value_name(name),
        Kind::List(name) => arg.value_name(name).action(ArgAction::Append),
        Kind::Number => arg.value_name("N").value_parser(value_parser!(i64)),
        Kind::Switch => arg.action(ArgAction::SetTrue),
    }
}

impl<const SCOPE: usize> Args for Settings<SCOPE> {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .env("LIKENESS_CONFIG")
            .hide_env_values(true)
            .value_parser(value_parser!(PathBuf))
            .help("Configuration file (TOML) [default: none]");
        let set = Arg::new("set")
            .long("set")
            .value_name("KEY=VALUE")
            .action(ArgAction::Append)
            .help("Setting to override, such as engine.device_id=1 (see `likeness config reference`)");
        let flags = Self::flags().map(|(named, flag)| {
            // The commands on the model store take the pack as an argument.
            argument(named, flag).hide(SCOPE == Scope::Store as usize && flag.name == "pack")
        });
        let arguments = std::iter::once(config).chain(flags).chain([set]);
        command.args(arguments.map(|argument| argument.global(true).help_heading("Settings")))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<const SCOPE: usize> FromArgMatches for Settings<SCOPE> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let wrong = |error: ConfigError| clap::Error::raw(ErrorKind::ValueValidation, format!("{error}\n"));
        let mut overrides = Overrides::default();
        for (named, flag) in Self::flags() {
            if matches.value_source(flag.name) != Some(ValueSource::CommandLine) {
                continue;
            }
            let texts = || matches.get_many::<String>(flag.name).unwrap_or_default().cloned();
            let number = || matches.get_one::<i64>(flag.name).copied();
            let value: Value = match flag.kind {
                Kind::Text(_) => texts().next().unwrap_or_default().into(),
                Kind::List(_) => texts().collect::<Vec<_>>().into(),
                Kind::Number => number().unwrap_or_default().into(),
                Kind::Switch => true.into(),
            };
            overrides = overrides.with(&format!("--{}", flag.name), named.key, value);
        }
        for text in matches.get_many::<String>("set").unwrap_or_default() {
            overrides = overrides.with_assignment("--set", text).map_err(wrong)?;
        }
        overrides.check().map_err(wrong)?;
        Ok(Self {
            file: matches.get_one::<PathBuf>("config").cloned(),
            overrides,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
