//! `likeness models`.

mod pull;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use likeness::check;
use likeness::packs::{MAX_FILE_BYTES, Manifest, PackStatus};
use likeness::runtime::Runtime;
use likeness_onnx::inspect::{Assumptions, inspect_with};
use likeness_packs::archive::export;

use super::{EngineArguments, Failure, StoreArguments, exit, read_limited, say};

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Fetch and verify a pack's files, and import its models into the model store
    Pull(pull::PullArguments),
    /// Write a pack into one archive for `likeness models pull --from`
    Export(ExportArguments),
    /// Check, run and time every model of a pack. Exit code: 0 all usable, 1 not usable, 2 usage error
    Check(CheckArguments),
    /// Inspect an ONNX file: operators, parameters, FLOPs, optimization passes
    Inspect(InspectArguments),
    /// List the built-in and installed packs and their missing models
    List(StoreArguments),
}

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

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// Pack: a built-in or installed one by its name, another by the path of its pack.toml or folder [default: that of
    /// --pack].
    #[arg(value_name = "PACK")]
    name: Option<String>,
    #[command(flatten)]
    engine: EngineArguments,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArguments {
    /// ONNX file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Size to assume for a free first dimension, the batch.
    #[arg(long, value_name = "N", default_value_t = Assumptions::default().batch, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch: u32,
    /// Size to assume for every other free dimension, such as height and width in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = Assumptions::default().side, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    side: u32,
}

impl ModelsCommand {
    pub(crate) fn run(&self) -> Result<u8, Failure> {
        match self {
            Self::Pull(arguments) => arguments.run()?,
            Self::Export(arguments) => export_pack(arguments)?,
            Self::Check(arguments) => return check_pack(arguments),
            Self::Inspect(arguments) => inspect(arguments)?,
            Self::List(store) => list(store)?,
        }
        Ok(exit::PASS)
    }
}

fn export_pack(arguments: &ExportArguments) -> Result<(), Failure> {
    let engine = arguments.store.load_for_engine()?.engine;
    let store = engine.store().find()?;
    let name = arguments.name.as_deref().unwrap_or(engine.pack_name());
    let exported = export(&store, name, &arguments.out)?;
    let manifest = &exported.manifest;
    say(format_args!(
        "model pack {} {}: {} and {} in {}, {} bytes",
        manifest.name,
        manifest.version,
        count(manifest.models.len(), "model"),
        count(exported.sources, "other file"),
        arguments.out.display(),
        exported.bytes,
    ))
}

fn check_pack(arguments: &CheckArguments) -> Result<u8, Failure> {
    let engine = arguments.engine.load_for_engine()?.engine;
    let name = arguments.name.as_deref().unwrap_or(engine.pack_name());
    let runtime = Runtime::load(&engine.library(), engine.execution())?;
    // A pack given by its path needs no model store.
    let pack = engine.store().place().load(name)?;
    let report = check(&runtime, &pack.optimized(&engine.passes(runtime.provider())));
    say(&report)?;
    Ok(if report.is_well() { exit::PASS } else { exit::ERROR })
}

fn inspect(arguments: &InspectArguments) -> Result<(), Failure> {
    let place = arguments.file.display();
    let onnx = read_limited(&arguments.file, MAX_FILE_BYTES)?;
    if onnx.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("{place} has more than {MAX_FILE_BYTES} bytes").into());
    }
    let mut assumptions = Assumptions::default();
    (assumptions.batch, assumptions.side) = (arguments.batch, arguments.side);
    let inspection = inspect_with(&onnx, assumptions).map_err(|error| format!("{place}: {error}"))?;
    say(inspection.to_string().trim_end())
}

fn list(arguments: &StoreArguments) -> Result<(), Failure> {
    let store = arguments.load_for_engine()?.engine.store().place();
    say(format_args!("model store: {}", store.folder().display()))?;
    store.packs().iter().try_for_each(|pack| say(line(pack)))
}

fn line(pack: &PackStatus) -> String {
    let place = if pack.is_builtin { "built in" } else { "installed" };
    let name = &pack.name;
    match &pack.manifest {
        Err(error) => format!("{name}: {place}, UNUSABLE: {error}"),
        Ok(manifest) => {
            let (licenses, state) = (licenses(manifest), state(pack, manifest));
            format!("{name} {}: {place}, {licenses}; {state}", manifest.version)
        }
    }
}

fn licenses(manifest: &Manifest) -> String {
    let sources = manifest.sources.values();
    let mut names: Vec<&str> = sources.map(|source| source.license.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let allowed = if manifest.commercial_use {
        "commercial use allowed"
    } else {
        "NO commercial use"
    };
    format!("{} ({allowed})", names.join(", "))
}

fn state(pack: &PackStatus, manifest: &Manifest) -> String {
    if pack.is_complete() {
        return format!("complete, {}", count(manifest.models.len(), "model"));
    }
    let parts = [("missing", &pack.missing), ("wrong", &pack.wrong)];
    let parts = parts.iter().filter(|(_, models)| !models.is_empty());
    let parts: Vec<_> = parts
        .map(|(what, models)| format!("{what}: {}", models.join(", ")))
        .collect();
    format!("{}: run `likeness models pull {}`", parts.join("; "), pack.name)
}

/// Returns a count with its noun: `1 model`, `2 models`.
fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
