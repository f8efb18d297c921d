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
pub(crate) use write::{Lock, Partial};

use crate::digest::is_sha256;
use crate::files::{exists, read_text, read_verified};
use crate::manifest::is_plain_name;
use crate::{MAX_COHORT_BYTES, Manifest, PackError};

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
    cohort: Option<Arc<[u8]>>,
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

    /// Returns the path of the file with this SHA-256, whether or not it exists; an invalid SHA-256 gives the path of no
    /// file.
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

    /// Returns the manifest of a pack: a built-in or installed one by its name, or another by the path of its file or
    /// folder, with a separator in it.
    ///
    /// An installed pack cannot replace a built-in one.
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

    /// Reads and verifies every model of a pack, from the model store or from beside its manifest. A file that changes
    /// afterwards has no effect on the result.
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
        let cohort = self.cohort(&located)?.map(Into::into);
        let manifest = located.manifest;
        Ok(Pack {
            manifest,
            models,
            cohort,
        })
    }

    /// Returns the path of a pack's cohort, whether or not it exists: its blob or, if there is none, the file beside the
    /// manifest. `None` for a pack without one, and for a built-in pack, whose cohort is in the program.
    pub(crate) fn cohort_path(&self, located: &Located) -> Option<PathBuf> {
        let reference = located.manifest.cohort()?;
        if Manifest::builtin_cohort(&located.manifest.name).is_some() {
            return None;
        }
        let blob = self.blob(&reference.sha256);
        match (&located.folder, &reference.file) {
            (Some(folder), Some(file)) if !blob.is_file() => Some(folder.join(file)),
            _ => Some(blob),
        }
    }

    /// Reads and verifies the cohort of a pack.
    pub(crate) fn cohort(&self, located: &Located) -> Result<Option<Vec<u8>>, PackError> {
        let manifest = &located.manifest;
        let Some(reference) = manifest.cohort() else {
            return Ok(None);
        };
        let Some(path) = self.cohort_path(located) else {
            return Ok(Manifest::builtin_cohort(&manifest.name).map(<[u8]>::to_vec));
        };
        if !exists(&path)? {
            return Err(PackError::MissingFile {
                pack: manifest.name.clone(),
                file: reference.file.clone().unwrap_or_default(),
                path,
            });
        }
        read_verified(&manifest.name, &path, &reference.sha256, MAX_COHORT_BYTES).map(Some)
    }

    /// Returns the path of a model: its blob or, if there is none, a file beside the manifest.
    pub(crate) fn model_path(&self, located: &Located, model: &str) -> PathBuf {
        let blob = self.blob(located.manifest.model_sha256(model).unwrap_or_default());
        match located.beside(model) {
            Some(path) if !blob.is_file() => path,
            _ => blob,
        }
    }
}

/// Reads and verifies a model of a pack.
pub(crate) fn read_model(located: &Located, model: &str, path: &Path) -> Result<Vec<u8>, PackError> {
    let manifest = &located.manifest;
    let sha256 = manifest.model_sha256(model).unwrap_or_default();
    read_verified(&manifest.name, path, sha256, manifest.model_max_bytes(model))
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

    /// Returns the bytes of its cohort file, where it has one.
    #[must_use]
    pub fn cohort(&self) -> Option<&[u8]> {
        self.cohort.as_deref()
    }

    /// Applies optimization passes to the pack's models, see [`likeness_onnx::optimize`]: their results stay the same but
    /// for rounding. A model that this process has optimized before is taken from a cache.
    #[must_use]
    pub fn optimized(mut self, passes: &Passes) -> Self {
        for (name, onnx) in &mut self.models {
            let sha256 = self.manifest.model_sha256(name).unwrap_or_default();
            *onnx = optimize::cached(sha256, onnx, passes);
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
