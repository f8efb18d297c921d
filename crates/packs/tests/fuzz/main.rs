//! Manifests, mutated as the fuzz tests of `likeness-onnx` mutate model files: none may make the reader panic or take more
//! memory than its bound, and one that is accepted must be usable.

#![allow(clippy::print_stdout)]

#[path = "../../../onnx/tests/fuzz/harness.rs"]
mod harness;
#[path = "../../../onnx/tests/fuzz/judgement.rs"]
#[allow(dead_code, reason = "its own tests run beside the targets of model files")]
mod judgement;
#[path = "../../../onnx/tests/fuzz/mutate.rs"]
mod mutate;
#[path = "../../../onnx/tests/fuzz/target.rs"]
mod target;

use std::process::ExitCode;

use likeness_packs::{MAX_FILE_BYTES, Manifest};
use likeness_testing::Suite;
use likeness_testing::allocation::Counting;

use target::{Check, Input, Target};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MANIFEST: Target = Target {
    name: "manifest",
    read: parse_manifest,
    // Each value of a list is an event and a span of the TOML parser's. The store reads a megabyte at most.
    bound: |bytes| (64 << 10) + 128 * bytes,
    small: builtin,
    real: None,
    floods,
};

fn main() -> ExitCode {
    judgement::keep_panics_quiet();
    let mut suite = Suite::new();
    harness::add(&mut suite, &MANIFEST);
    suite.run()
}

fn parse_manifest(input: &[Vec<u8>]) -> Option<Check> {
    let [bytes] = input else { return None };
    let manifest = Manifest::parse(std::str::from_utf8(bytes).ok()?).ok()?;
    Some(Box::new(move || is_usable(&manifest)))
}

const OPEN_1: &str = include_str!("../../../../models/open-1/pack.toml");

/// The manifests that are part of the crate.
fn builtin() -> Vec<Input> {
    vec![vec![OPEN_1.as_bytes().to_vec()]]
}

/// TOML that is nested, or has many keys.
fn floods() -> Vec<Input> {
    let keys: String = (0..50_000).map(|number| format!("a{number}=1\n")).collect();
    let tables: String = (0..50_000).map(|number| format!("[a{number}]\n")).collect();
    let sources: String = (0..5_000)
        .map(|number| format!("[sources.a{number}]\nurls=[]\nsha256=\"\"\nlicense=\"\"\nattribution=\"\"\n"))
        .collect();
    [
        format!("a={}", "[".repeat(500_000)),
        format!("a={}", "{a=".repeat(200_000)),
        format!("{}a=1", "a.".repeat(200_000)),
        format!("[{}a]", "a.".repeat(200_000)),
        format!("a=[{}]", "1,".repeat(200_000)),
        format!("a=[{}]", "{},".repeat(200_000)),
        "[[detector]]\n".repeat(50_000),
        "\n".repeat(1 << 20),
        format!("a=\"{}\"", "\\n".repeat(400_000)),
        format!("a=\"\"\"{}", "\"".repeat(400_000)),
        keys,
        tables,
        format!("{OPEN_1}\n{sources}"),
    ]
    .map(|text| vec![text.into_bytes()])
    .into()
}

/// Whether the store may work with it: no name leads out of a folder, and each model can be made of sources that are
/// there.
fn is_usable(manifest: &Manifest) -> Result<(), String> {
    let plain =
        |name: &String| !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
    let named = [&manifest.name].into_iter();
    let mut names = named.chain(manifest.sources.keys()).chain(manifest.models.keys());
    if let Some(name) = names.find(|name| !plain(name)) {
        return Err(format!("{name:?} is accepted as a name"));
    }
    let is_digest = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    for (name, model) in &manifest.models {
        if !manifest.model_sha256(name).is_some_and(is_digest) {
            return Err(format!("the model {name:?} has no checksum"));
        }
        let sources = model.import.sources();
        if sources
            .iter()
            .any(|source| !manifest.sources.contains_key(*source))
        {
            return Err(format!("the model {name:?} is made of what is not there"));
        }
        if manifest.blob(name).1 > MAX_FILE_BYTES {
            return Err(format!("the model {name:?} may be larger than any"));
        }
    }
    let sources = manifest.sources.values();
    if sources
        .clone()
        .any(|source| source.max_bytes() > MAX_FILE_BYTES || !is_digest(&source.sha256))
    {
        return Err("a source is larger than any, or has no checksum".to_owned());
    }
    let detectors = manifest.detectors.iter().map(|entry| &entry.model);
    let embedders = manifest.embedders.iter().map(|entry| &entry.model);
    let liveness = manifest.liveness.iter().map(|entry| &entry.model);
    match detectors
        .chain(embedders)
        .chain(liveness)
        .find(|model| !manifest.models.contains_key(*model))
    {
        Some(model) => Err(format!("{model:?} has a role and is no model")),
        None => Ok(()),
    }
}
