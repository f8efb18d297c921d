//! `likeness models export`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use likeness_packs::archive::export;

use super::count;
use crate::cli::{Failure, StoreArguments, exit, say};

#[derive(Debug, Args)]
#[command(
    after_long_help = "The archive is a plain tar with the pack's manifest, its models, and those of its published files \
that are in the model store. The same pack gives the same bytes."
)]
pub(crate) struct ExportArguments {
    /// Pack: a built-in or installed one by its name, another by the path of its pack.toml or folder [default: that of
    /// --pack].
    #[arg(value_name = "PACK")]
    name: Option<String>,
    /// File to write; replaces an existing one.
    #[arg(long, value_name = "FILE.tar")]
    out: PathBuf,
    #[command(flatten)]
    store: StoreArguments,
}

impl ExportArguments {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        let engine = self.store.load_for_engine()?.engine;
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
