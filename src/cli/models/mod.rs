//! `likeness models`.

mod check;
mod export;
mod inspect;
mod list;
mod progress;
mod pull;

use std::process::ExitCode;

use clap::Subcommand;

use super::{EngineArguments, Failure};

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Fetch a pack's files into the model store, verify them and import the models. Does nothing if the pack is complete
    Pull(pull::PullArguments),
    /// Write a pack into one archive, which `likeness models pull --from` installs in a closed network
    Export(export::ExportArguments),
    /// Open and run every model of a pack, compare it with its adapter and time it. Exit code: 0 all usable, 1 not, 2 usage
    Check(check::CheckArguments),
    /// Inspect an ONNX file: operators, parameters, FLOPs, applicable optimization passes
    Inspect(inspect::InspectArguments),
    /// List the built-in and installed packs and their missing models
    List,
}

impl ModelsCommand {
    pub(crate) fn run(&self, engine: &EngineArguments) -> Result<ExitCode, Failure> {
        match self {
            Self::Pull(arguments) => arguments.run(engine),
            Self::Export(arguments) => arguments.run(engine),
            Self::Check(arguments) => arguments.run(engine),
            Self::Inspect(arguments) => arguments.run(),
            Self::List => list::run(engine),
        }
    }
}

/// Returns a count with its noun: `1 model`, `2 models`.
fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
