//! The store: files by the SHA-256 of their bytes, and the manifests of packs that are not built in.
//!
//! ```text
//! <store>/blobs/sha256/<64 digits>     files whose bytes have this SHA-256: sources and the ONNX made of them
//! <store>/packs/<name>/pack.toml       manifests of installed packs
//! <store>/partial/<64 digits>          what has arrived of a file that is still being fetched
//! <store>/lock                         held by the process that writes to the store
//! ```

#[cfg(feature = "fetch")]
mod files;
#[cfg(feature = "fetch")]
mod lock;
mod packs;
mod search;
#[cfg(feature = "fetch")]
mod write;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use likeness_onnx::optimize::{self, Passes};
use sha2::{Digest, Sha256};

#[cfg(feature = "fetch")]
pub(crate) use files::write_whole;
#[cfg(feature = "fetch")]
pub(crate) use lock::Lock;
pub use packs::{PackPlace, PackStatus};
pub use search::{ENV_STORE, StoreSearch};
#[cfg(feature = "fetch")]
pub(crate) use write::Partial;
#[cfg(feature = "fetch")]
pub use write::StoreError;

use crate::manifest::{is_plain_name, is_sha256};
use crate::{Manifest, PackError};

/// A manifest is text that a person writes.
pub(crate) const MANIFEST_LIMIT: u64 = 1 << 20;

/// Name of a manifest's file.
pub(crate) const MANIFEST_FILE: &str = "pack.toml";

/// A folder with the files of packs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    folder: PathBuf,
}

/// A pack whose models were all found and checked.
#[derive(Debug, Clone)]
pub struct Pack {
    manifest: Manifest,
    models: BTreeMap<String, Arc<Vec<u8>>>,
}

/// A manifest and the folder that it lies in; files beside it belong to it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Located {
    pub(crate) manifest: Manifest,
    /// The manifest as it was written.
    #[cfg_attr(not(feature = "fetch"), allow(dead_code))]
    pub(crate) text: String,
    pub(crate) folder: Option<PathBuf>,
}

impl Store {
    /// The store in this folder, whether or not it exists.
    #[must_use]
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the file with this SHA-256 is, or would be. What is no SHA-256 leads to no file.
    #[must_use]
    pub fn blob(&self, sha256: &str) -> PathBuf {
        let name = if is_sha256(sha256) { sha256 } else { "none" };
        self.blobs().join(name)
    }

    fn blobs(&self) -> PathBuf {
        self.folder.join("blobs").join("sha256")
    }

    /// Where the manifest of an installed pack is, or would be.
    pub(crate) fn manifest_path(&self, pack: &str) -> PathBuf {
        self.folder.join("packs").join(pack).join(MANIFEST_FILE)
    }

    /// The manifest of a pack: one that is part of this crate, by its name; one that is installed in the store, by its
    /// name; or the one in a file, by a path with a separator in it, to the file or to its folder.
    ///
    /// A pack that is built in is always the one that is built in: what is in the store cannot replace it.
    ///
    /// # Errors
    /// [`PackError::UnknownPack`], or what is wrong with the manifest.
    pub fn manifest(&self, pack: &str) -> Result<Manifest, PackError> {
        self.locate(pack).map(|located| located.manifest)
    }

    pub(crate) fn locate(&self, pack: &str) -> Result<Located, PackError> {
        if let Some(builtin) = Manifest::builtin(pack) {
            return Ok(Located {
                manifest: builtin?,
                text: Manifest::builtin_text(pack).unwrap_or_default().to_owned(),
                folder: None,
            });
        }
        let is_path = pack.contains(['/', '\\']);
        let path = if is_path {
            let path = PathBuf::from(pack);
            if path.is_dir() {
                path.join(MANIFEST_FILE)
            } else {
                path
            }
        } else {
            self.manifest_path(pack)
        };
        if !(is_path || is_plain_name(pack)) || !is_there(&path)? {
            let builtin = Manifest::builtin_names().collect::<Vec<_>>().join(", ");
            return Err(PackError::UnknownPack {
                name: pack.to_owned(),
                builtin,
                manifest: path,
            });
        }
        let wrong = |reason: String| PackError::Manifest {
            pack: path.display().to_string(),
            reason,
        };
        // One byte more than it may have, so that a longer file is not taken for its beginning.
        let text = read(&path, MANIFEST_LIMIT + 1)?;
        if text.len() as u64 > MANIFEST_LIMIT {
            return Err(wrong(format!(
                "more than {MANIFEST_LIMIT} bytes are too many for a manifest"
            )));
        }
        let text = String::from_utf8(text).map_err(|error| wrong(error.to_string()))?;
        let manifest = Manifest::parse(&text).map_err(|error| match error {
            PackError::Manifest { reason, .. } => wrong(reason),
            other => other,
        })?;
        if !is_path && manifest.name != pack {
            let reason = format!("{} calls itself '{}'", path.display(), manifest.name);
            return Err(PackError::Manifest {
                pack: pack.to_owned(),
                reason,
            });
        }
        if is_path && Manifest::builtin(&manifest.name).is_some() {
            let reason = format!(
                "{} bears the name of a built-in pack: give it another",
                path.display()
            );
            return Err(PackError::Manifest {
                pack: manifest.name,
                reason,
            });
        }
        Ok(Located {
            manifest,
            text,
            folder: path.parent().map(Path::to_owned),
        })
    }

    /// Reads and checks every model of a pack, from the store or from beside its manifest. What is returned are the bytes
    /// that were checked, so a file that is changed afterwards changes nothing.
    ///
    /// # Errors
    /// The first model that is missing, unreadable or not the one that the manifest names.
    pub fn load(&self, pack: &str) -> Result<Pack, PackError> {
        let located = self.locate(pack)?;
        let mut models = BTreeMap::new();
        for name in located.manifest.models.keys() {
            let path = self.model_path(&located, name);
            if !is_there(&path)? {
                return Err(PackError::MissingFile {
                    pack: located.manifest.name.clone(),
                    file: name.clone(),
                    path,
                });
            }
            models.insert(name.clone(), Arc::new(self.check_model(&located, name, &path)?));
        }
        let manifest = located.manifest;
        Ok(Pack { manifest, models })
    }
}

impl Pack {
    /// What the pack is made of.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The pack with its models optimized for ONNX Runtime, see [`likeness_onnx::optimize`]. What they compute
    /// is the same but for rounding. Models that were optimized before in this process are not optimized again.
    #[must_use]
    pub fn optimized(mut self, passes: &Passes) -> Self {
        for (name, onnx) in &mut self.models {
            let sha256 = self.manifest.model_sha256(name).unwrap_or_default();
            *onnx = optimize::cached(sha256, onnx, passes);
        }
        self
    }

    /// The bytes of one of its ONNX models.
    ///
    /// # Errors
    /// [`PackError::Manifest`] where the pack has no such model.
    pub fn model(&self, name: &str) -> Result<&[u8], PackError> {
        self.models
            .get(name)
            .map(|onnx| onnx.as_slice())
            .ok_or_else(|| PackError::Manifest {
                pack: self.manifest.name.clone(),
                reason: format!("{name:?} is not among the models"),
            })
    }
}

/// Why a file is not the one that was expected.
pub(crate) enum FileFault {
    Unreadable(PackError),
    Wrong {
        path: PathBuf,
        expected: String,
        found: String,
    },
}

impl FileFault {
    pub(crate) fn of_pack(self, pack: &str) -> PackError {
        match self {
            Self::Unreadable(error) => error,
            Self::Wrong {
                path,
                expected,
                found,
            } => PackError::WrongFile {
                pack: pack.to_owned(),
                path,
                expected,
                found,
            },
        }
    }
}

/// The bytes of a file, where they are those that were expected.
pub(crate) fn read_checked(path: &Path, sha256: &str, limit: u64) -> Result<Vec<u8>, FileFault> {
    // One byte more than it may have, so that a longer file is not taken for its beginning.
    let bytes = read(path, limit.saturating_add(1)).map_err(FileFault::Unreadable)?;
    let found = hex(&Sha256::digest(&bytes));
    if found == sha256 {
        return Ok(bytes);
    }
    let found = if bytes.len() as u64 > limit {
        format!("a file of more than its {limit} bytes")
    } else {
        found
    };
    Err(FileFault::Wrong {
        path: path.to_owned(),
        expected: sha256.to_owned(),
        found,
    })
}

/// Whether there is a file. One that cannot be looked at, as in a folder that this user may not enter, is an error: it is
/// not had by fetching it again.
fn is_there(path: &Path) -> Result<bool, PackError> {
    use std::io::ErrorKind as Kind;
    match std::fs::metadata(path) {
        Ok(found) => Ok(found.is_file()),
        Err(error) if matches!(error.kind(), Kind::NotFound | Kind::NotADirectory) => Ok(false),
        Err(source) => Err(PackError::Unreadable {
            path: path.to_owned(),
            source,
        }),
    }
}

pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, PackError> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|source| PackError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
    Ok(bytes)
}

/// The first 8 hexadecimal digits of a text's SHA-256: enough to tell versions apart by accident, not by malice.
pub(crate) fn short_digest(text: &str) -> String {
    let mut digest = hex(&Sha256::digest(text.as_bytes()));
    digest.truncate(8);
    digest
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
