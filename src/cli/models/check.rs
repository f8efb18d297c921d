//! `likeness models check`.

use std::process::ExitCode;

use clap::Args;
use likeness::check;
use likeness::runtime::Runtime;

use crate::cli::{EngineArguments, Failure, exit, say};

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// Pack: a built-in or installed one by its name, another by the path of its pack.toml or folder [default: that of
    /// --pack].
    #[arg(value_name = "PACK")]
    name: Option<String>,
    #[command(flatten)]
    engine: EngineArguments,
}

impl CheckArguments {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        let engine = self.engine.load_for_engine()?.engine;
        let name = self.name.as_deref().unwrap_or(engine.pack_name());
        let runtime = Runtime::load(&engine.library(), engine.execution())?;
        // A pack given by its path needs no model store.
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
