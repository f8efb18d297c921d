//! `likeness models`.

mod check;
mod export;
mod inspect;
mod list;
mod pull;
mod show;

use std::process::ExitCode;

use clap::Subcommand;

use super::{Failure, StoreArguments};

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Bring a pack's files into the store, check them, and make the models of them. Costs nothing where all is there.
    Pull(pull::PullArguments),
    /// Write a pack into one file that `likeness models pull --from` installs where no network is.
    Export(export::ExportArguments),
    /// Open every model of a pack, compare it with what its adapter needs, run it, and measure how fast it is. Exit code: 0
    /// all can be used, 1 not, 2 usage.
    Check(check::CheckArguments),
    /// What an ONNX file is made of: operators, parameters, FLOPs, and what rewriting it would do.
    Inspect(inspect::InspectArguments),
    /// The packs that can be named, and what is missing of them.
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

/// A number of things: `1 model`, `2 models`.
fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
