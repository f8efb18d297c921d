//! `likeness models check`.

use std::process::ExitCode;

use clap::Args;
use likeness::check;
use likeness::runtime::Runtime;

use crate::cli::{EngineArguments, Failure, exit, say};

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// A built-in or installed pack by its name, or another by the path of its pack.toml or of the folder that holds it
    /// [default: that of --pack].
    #[arg(value_name = "PACK")]
    name: Option<String>,
}

impl CheckArguments {
    pub(crate) fn run(&self, engine: &EngineArguments) -> Result<ExitCode, Failure> {
        let name = self.name.as_deref().unwrap_or(engine.pack_name());
        let runtime = Runtime::load(&engine.library(), engine.execution()?)?;
        // A folder of one's own needs no store.
        let pack = engine
            .store()
            .place()
            .load(name)?
            .optimized(&engine.passes(runtime.provider()));
        let report = check(&runtime, &pack);
        say(&report)?;
        Ok(if report.is_well() { exit::PASS } else { exit::ERROR }.into())
    }
}
