//! `likeness models list`.

use std::process::ExitCode;

use likeness::packs::{Manifest, PackPlace, PackStatus};

use super::count;
use crate::cli::{EngineArguments, Failure, exit, say};

pub(crate) fn run(engine: &EngineArguments) -> Result<ExitCode, Failure> {
    let store = engine.store().place();
    say(format_args!("store: {}", store.folder().display()))?;
    for pack in store.packs() {
        say(line(&pack))?;
    }
    Ok(exit::PASS.into())
}

fn line(pack: &PackStatus) -> String {
    let place = match pack.place {
        PackPlace::BuiltIn => "built in",
        _ => "installed",
    };
    let name = &pack.name;
    match &pack.manifest {
        Err(error) => format!("{name}: {place}, UNUSABLE: {error}"),
        Ok(manifest) => format!(
            "{name} {}: {place}, {}; {}",
            manifest.version,
            licenses(manifest),
            state(pack, manifest)
        ),
    }
}

fn licenses(manifest: &Manifest) -> String {
    let mut names: Vec<&str> = manifest
        .sources
        .values()
        .map(|source| source.license.as_str())
        .collect();
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
    let list = |what: &str, models: &[String]| {
        (!models.is_empty()).then(|| format!("{what}: {}", models.join(", ")))
    };
    let parts = [list("missing", &pack.missing), list("wrong", &pack.wrong)];
    format!(
        "{}: run `likeness models pull {}`",
        parts.into_iter().flatten().collect::<Vec<_>>().join("; "),
        pack.name
    )
}
