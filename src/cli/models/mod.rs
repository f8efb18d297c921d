//! `likeness models`.

mod check;
mod export;
mod inspect;
mod list;
mod progress;
mod pull;

use std::process::ExitCode;

use clap::Subcommand;

use super::{Failure, StoreArguments};

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Fetch and verify a pack's files, and import its models into the model store
    Pull(pull::PullArguments),
    /// Write a pack into one archive for `likeness models pull --from`
    Export(export::ExportArguments),
    /// Check, run and time every model of a pack. Exit code: 0 all usable, 1 not usable, 2 usage error
    Check(check::CheckArguments),
    /// Inspect an ONNX file: operators, parameters, FLOPs, optimization passes
    Inspect(inspect::InspectArguments),
    /// List the built-in and installed packs and their missing models
    List(StoreArguments),
}

impl ModelsCommand {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        match self {
            Self::Pull(arguments) => arguments.run(),
            Self::Export(arguments) => arguments.run(),
            Self::Check(arguments) => arguments.run(),
            Self::Inspect(arguments) => arguments.run(),
            Self::List(store) => list::run(store),
        }
    }
}

/// Returns a count with its noun: `1 model`, `2 models`.
fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
