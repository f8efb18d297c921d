//! The model store: files by the SHA-256 of their bytes, and the manifests of packs that are not built in.
//!
//! ```text
//! <store>/blobs/sha256/<64 digits>     files with this SHA-256: sources and imported ONNX files
//! <store>/packs/<name>/pack.toml       manifests of installed packs
//! <store>/partial/<64 digits>          the received part of a file that is being fetched
//! <store>/lock                         locked by the process that writes to the store
//! ```

mod packs;
mod search;
#[cfg(feature = "fetch")]
mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use likeness_onnx::optimize::{self, Passes};

pub use packs::{PackPlace, PackStatus};
pub use search::{ENV_STORE, StoreSearch};
#[cfg(feature = "fetch")]
pub(crate) use write::{Lock, Partial, write_atomically};

use crate::files::{exists, is_sha256, read_text, read_verified};
use crate::manifest::is_plain_name;
use crate::{Manifest, PackError};

/// A manifest is text that a person writes.
pub(crate) const MANIFEST_LIMIT: u64 = 1 << 20;

/// Name of a manifest's file.
pub(crate) const MANIFEST_FILE: &str = "pack.toml";

/// A model store: a folder with the files of packs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    folder: PathBuf,
}

/// A pack whose models were all found and verified.
#[derive(Debug, Clone)]
pub struct Pack {
    manifest: Manifest,
    models: BTreeMap<String, Arc<Vec<u8>>>,
}

/// A manifest and its folder; files beside it belong to it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Located {
    pub(crate) manifest: Manifest,
    /// The manifest as written.
    #[cfg_attr(not(feature = "fetch"), allow(dead_code))]
    pub(crate) text: String,
    pub(crate) folder: Option<PathBuf>,
}

impl Store {
    /// Returns the model store in this folder, whether or not it exists.
    #[must_use]
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self { folder }
    }

    /// Returns its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the path of the file with this SHA-256, whether or not it exists; that of no file if it is invalid.
    #[must_use]
    pub fn blob(&self, sha256: &str) -> PathBuf {
        let name = if is_sha256(sha256) { sha256 } else { "none" };
        self.blobs().join(name)
    }

    fn blobs(&self) -> PathBuf {
        self.folder.join("blobs").join("sha256")
    }

    /// Returns the path of an installed pack's manifest, whether or not it exists.
    pub(crate) fn manifest_path(&self, pack: &str) -> PathBuf {
        self.folder.join("packs").join(pack).join(MANIFEST_FILE)
    }

    /// Returns the manifest of a pack: a built-in or else installed one by its name, or another by the path of its file or
    /// folder, with a separator in it.
    ///
    /// # Errors
    /// [`PackError::UnknownPack`], or the fault of the manifest.
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
        let path = if !is_path {
            self.manifest_path(pack)
        } else if Path::new(pack).is_dir() {
            Path::new(pack).join(MANIFEST_FILE)
        } else {
            PathBuf::from(pack)
        };
        if !(is_path || is_plain_name(pack)) || !exists(&path)? {
            return Err(PackError::UnknownPack {
                name: pack.to_owned(),
                builtin: Manifest::builtin_names().collect::<Vec<_>>().join(", "),
                manifest: path,
            });
        }
        let invalid = |pack: String, reason: String| PackError::Manifest { pack, reason };
        let here = path.display().to_string();
        let text = read_text(&path, MANIFEST_LIMIT)?.map_err(|reason| invalid(here.clone(), reason))?;
        let manifest = Manifest::parse(&text).map_err(|error| match error {
            PackError::Manifest { reason, .. } => invalid(here.clone(), reason),
            other => other,
        })?;
        if !is_path && manifest.name != pack {
            let reason = format!("{here} has the name '{}'", manifest.name);
            return Err(invalid(pack.to_owned(), reason));
        }
        if is_path && Manifest::builtin_text(&manifest.name).is_some() {
            let reason = format!("{here} has the name of a built-in pack: choose another");
            return Err(invalid(manifest.name, reason));
        }
        Ok(Located {
            manifest,
            text,
            folder: path.parent().map(Path::to_owned),
        })
    }

    /// Reads and verifies every model of a pack, from the model store or from beside its manifest.
    ///
    /// # Errors
    /// The first model that is missing, unreadable or not the one of the manifest.
    pub fn load(&self, pack: &str) -> Result<Pack, PackError> {
        let located = self.locate(pack)?;
        let mut models = BTreeMap::new();
        for name in located.manifest.models.keys() {
            let path = self.model_path(&located, name);
            if !exists(&path)? {
                return Err(PackError::MissingFile {
                    pack: located.manifest.name.clone(),
                    file: name.clone(),
                    path,
                });
            }
            models.insert(name.clone(), Arc::new(read_model(&located, name, &path)?));
        }
        let manifest = located.manifest;
        Ok(Pack { manifest, models })
    }

    /// Returns the path of a model: its blob or, if there is none, a file beside the manifest.
    pub(crate) fn model_path(&self, located: &Located, model: &str) -> PathBuf {
        let blob = self.blob(located.manifest.blob(model).0);
        match located.beside(model) {
            Some(path) if !blob.is_file() => path,
            _ => blob,
        }
    }
}

/// Reads and verifies a model of a pack.
pub(crate) fn read_model(located: &Located, model: &str, path: &Path) -> Result<Vec<u8>, PackError> {
    let (sha256, limit) = located.manifest.blob(model);
    read_verified(&located.manifest.name, path, sha256, limit)
}

impl Located {
    /// Returns the file of a model beside the manifest, if there is one.
    pub(crate) fn beside(&self, model: &str) -> Option<PathBuf> {
        self.folder
            .iter()
            .flat_map(|folder| [folder.join(model), folder.join(format!("{model}.onnx"))])
            .find(|path| path.is_file())
    }
}

impl Pack {
    /// Returns its manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Applies optimization passes to the pack's models, see [`likeness_onnx::optimize`]: their results stay the same but
    /// for rounding. A model that this process has optimized before is taken from a cache.
    #[must_use]
    pub fn optimized(mut self, passes: &Passes) -> Self {
        for (name, onnx) in &mut self.models {
            *onnx = optimize::cached(self.manifest.blob(name).0, onnx, passes);
        }
        self
    }

    /// Returns the bytes of one of its ONNX models.
    ///
    /// # Errors
    /// [`PackError::Manifest`] if the pack has no such model.
    pub fn model(&self, name: &str) -> Result<&[u8], PackError> {
        let found = self.models.get(name).map(|onnx| onnx.as_slice());
        found.ok_or_else(|| PackError::Manifest {
            pack: self.manifest.name.clone(),
            reason: format!("{name:?} is not among the models"),
        })
    }
}

#[cfg(test)]
mod tests;
