//! The model store: files by the SHA-256 of their bytes, and the manifests of packs that are not built in.
//!
//! ```text
//! <store>/blobs/sha256/<64 digits>     files with this SHA-256: sources and imported ONNX files
//! <store>/packs/<name>/pack.toml       manifests of installed packs
//! <store>/partial/<64 digits>          the received part of a file that is being fetched
//! <store>/lock                         locked by the process that writes to the store
//! ```

#[cfg(feature = "fetch")]
mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use likeness_onnx::optimize::{self, Passes};

#[cfg(feature = "fetch")]
pub(crate) use write::{Lock, Partial, create_folder, write_atomically};

use crate::files::{exists, is_sha256, read_text, read_verified};
use crate::manifest::is_plain_name;
use crate::{MAX_COHORT_BYTES, Manifest, PackError};

/// A manifest is text that a person writes.
pub(crate) const MANIFEST_LIMIT: u64 = 1 << 20;

/// Name of a manifest's file.
pub(crate) const MANIFEST_FILE: &str = "pack.toml";

/// Environment variable with the folder of the model store.
pub const ENV_STORE: &str = "LIKENESS_MODELS";

/// The model store of a checkout, below its root; `make setup` fills it.
const CHECKOUT_STORE: &str = "models/store";

/// From `target/release/deps/<test>` to the root of a checkout.
const LEVELS_ABOVE_EXECUTABLE: usize = 4;

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

/// A known pack, and how much of it is in the model store.
#[derive(Debug)]
#[non_exhaustive]
pub struct PackStatus {
    /// Its name.
    pub name: String,
    /// Whether its manifest is in the program, not in the model store.
    pub is_builtin: bool,
    /// The manifest, or its fault.
    pub manifest: Result<Manifest, PackError>,
    /// Names of the missing models, and of the cohort's file.
    pub missing: Vec<String>,
    /// Names of the models with wrong bytes, and `cohort`.
    pub wrong: Vec<String>,
}

impl PackStatus {
    /// Whether the pack can be used.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.manifest.is_ok() && self.missing.is_empty() && self.wrong.is_empty()
    }
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
            return Err(manifest.missing_cohort(path));
        }
        read_verified(&manifest.name, &path, &reference.sha256, MAX_COHORT_BYTES).map(Some)
    }

    /// Returns the built-in packs, then the installed ones by name. Every model is read and verified.
    #[must_use]
    pub fn packs(&self) -> Vec<PackStatus> {
        let builtin = Manifest::builtin_names().map(|name| self.status(name.to_owned(), true));
        let installed = self.installed().into_iter();
        builtin
            .chain(installed.map(|name| self.status(name, false)))
            .collect()
    }

    fn installed(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.join("packs"));
        let mut names: Vec<String> = entries
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| self.manifest_path(name).is_file() && Manifest::builtin_text(name).is_none())
            .collect();
        names.sort();
        names
    }

    fn status(&self, name: String, is_builtin: bool) -> PackStatus {
        let (mut missing, mut wrong) = (Vec::new(), Vec::new());
        let manifest = self.locate(&name).map(|located| {
            for model in located.manifest.models.keys() {
                let path = self.model_path(&located, model);
                if !path.is_file() {
                    missing.push(model.clone());
                } else if read_model(&located, model, &path).is_err() {
                    wrong.push(model.clone());
                }
            }
            match self.cohort(&located) {
                Ok(_) => {}
                Err(PackError::MissingCohort { file, .. }) => missing.push(file),
                Err(_) => wrong.push("cohort".to_owned()),
            }
            located.manifest
        });
        PackStatus {
            name,
            is_builtin,
            manifest,
            missing,
            wrong,
        }
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

/// Searches for the model store, in this order: the folder given to [`with_folder`](Self::with_folder), the folder in
/// [`LIKENESS_MODELS`](ENV_STORE), `models/store` in the working directory, `models/store` above the executable. With
/// either of the first two no other place is searched.
#[derive(Debug, Clone, Default)]
pub struct StoreSearch {
    folder: Option<PathBuf>,
}

impl StoreSearch {
    /// Searches the usual places.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Searches this folder only.
    #[must_use]
    pub fn with_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Returns the model store to write to: the one that is found, else the given folder or `models/store`.
    #[must_use]
    pub fn place(&self) -> Store {
        let given = || self.given().unwrap_or_else(|| PathBuf::from(CHECKOUT_STORE));
        self.find().unwrap_or_else(|_| Store::at(given()))
    }

    fn given(&self) -> Option<PathBuf> {
        let named = || std::env::var_os(ENV_STORE).filter(|value| !value.is_empty());
        self.folder.clone().or_else(|| named().map(PathBuf::from))
    }

    /// Finds the model store.
    ///
    /// # Errors
    /// [`PackError::NoStore`] with every place that was searched.
    pub fn find(&self) -> Result<Store, PackError> {
        let mut searched = Vec::new();
        let mut folders = Vec::from_iter(self.given());
        if folders.is_empty() {
            searched = vec!["--models: not given".to_owned(), format!("{ENV_STORE}: not set")];
            let executable = std::env::current_exe().unwrap_or_default();
            let above = executable.ancestors().skip(1).take(LEVELS_ABOVE_EXECUTABLE);
            let roots = std::iter::once(Path::new("")).chain(above);
            folders.extend(roots.map(|root| root.join(CHECKOUT_STORE)));
        }
        for folder in folders {
            if folder.is_dir() {
                return Ok(Store::at(folder));
            }
            searched.push(format!("{}: no such folder", folder.display()));
        }
        Err(PackError::NoStore { searched })
    }
}

#[cfg(test)]
mod tests;
