//! What can be wrong with a pack or its files.

use std::path::PathBuf;

/// How to get the files of a pack, said wherever they are missing.
const HINT: &str = "run `likeness models pull` (with --mirror or LIKENESS_MODEL_MIRROR from a folder or server of \
                    yours, with --from out of an archive of `likeness models export`), or name a store that has them \
                    with --models DIR or LIKENESS_MODELS=DIR";

/// Everything that this crate fails with; all of it is for whoever installed or configured the process.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// There is no folder with models.
    #[error(
        "no model store found; looked for:\n{}\n{HINT}",
        .looked_for.iter().map(|place| format!("  - {place}")).collect::<Vec<_>>().join("\n")
    )]
    NoStore {
        /// Every place that was tried.
        looked_for: Vec<String>,
    },
    /// Neither built in nor in the store.
    #[error("unknown model pack '{name}': it is not built in ({builtin}), and there is no {}", manifest.display())]
    UnknownPack {
        /// What was asked for.
        name: String,
        /// The packs that are built in.
        builtin: String,
        /// Where its manifest would be.
        manifest: PathBuf,
    },
    /// A manifest says something that it may not.
    #[error("model pack '{pack}': {reason}")]
    Manifest {
        /// The pack, or where the manifest came from.
        pack: String,
        /// What is wrong, with the key.
        reason: String,
    },
    /// A calibration says something that it may not, or belongs to another pack.
    #[error("calibration {place}: {reason}")]
    Calibration {
        /// The file.
        place: String,
        /// What is wrong, with the key.
        reason: String,
    },
    /// A model of the pack is not in the store.
    #[error("model pack '{pack}': model '{file}' is missing (there is no {}); {HINT}", path.display())]
    MissingFile {
        /// The pack.
        pack: String,
        /// The model.
        file: String,
        /// The file.
        path: PathBuf,
    },
    /// A file of the pack is there but is not the one that the manifest names.
    #[error(
        "model pack '{pack}': {} is not the file of this pack: expected SHA-256 {expected}, found {found}; delete it \
         and {HINT}", path.display()
    )]
    WrongFile {
        /// The pack.
        pack: String,
        /// The file.
        path: PathBuf,
        /// The checksum in the manifest, in hexadecimal.
        expected: String,
        /// The checksum of the file, in hexadecimal, or what is wrong with its size.
        found: String,
    },
    /// A file is there and cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}
