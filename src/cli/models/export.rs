//! `likeness models export`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use likeness_packs::archive::export;

use super::count;
use crate::cli::{EngineArguments, Failure, exit, say};

/// The archive is a plain tar with the pack's manifest, its models, and those of its files as published that the store
/// still has. The same pack gives the same bytes.
#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// A built-in or installed pack by its name, or another by the path of its pack.toml or of the folder that holds it
    /// [default: that of --pack].
    #[arg(value_name = "PACK")]
    name: Option<String>,
    /// The file to write; one that is there is replaced.
    #[arg(long, value_name = "FILE.tar")]
    out: PathBuf,
}

impl ExportArguments {
    pub(crate) fn run(&self, engine: &EngineArguments) -> Result<ExitCode, Failure> {
        let store = engine.store().find()?;
        let name = self.name.as_deref().unwrap_or(engine.pack_name());
        let exported = export(&store, name, &self.out)?;
        say(format_args!(
            "model pack {} {}: {} and {} in {}, {} bytes",
            exported.pack,
            exported.version,
            count(exported.models, "model"),
            count(exported.sources, "other file"),
            self.out.display(),
            exported.bytes,
        ))?;
        Ok(exit::PASS.into())
    }
}
