//! Which packs there are, and what is missing of them.

use std::path::PathBuf;

use super::{Located, Store, read_checked};
use crate::{Manifest, PackError};

/// Where a pack's manifest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PackPlace {
    /// In this crate.
    BuiltIn,
    /// In the store.
    Installed,
}

/// A pack that can be named, and how much of it is in the store.
#[derive(Debug)]
#[non_exhaustive]
pub struct PackStatus {
    /// Its name.
    pub name: String,
    /// Where its manifest is.
    pub place: PackPlace,
    /// The manifest, or what is wrong with it.
    pub manifest: Result<Manifest, PackError>,
    /// Names of the models that are missing.
    pub missing: Vec<String>,
    /// Names of the models that are there with other bytes than they should have.
    pub wrong: Vec<String>,
}

impl PackStatus {
    /// Whether the pack can be used.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.manifest.is_ok() && self.missing.is_empty() && self.wrong.is_empty()
    }
}

impl Store {
    /// The packs that can be named: those that are built in, then those in the store, by name. Every model is read and
    /// its checksum compared.
    #[must_use]
    pub fn packs(&self) -> Vec<PackStatus> {
        let builtin = Manifest::builtin_names().map(|name| (name.to_owned(), PackPlace::BuiltIn));
        let installed = self.installed().into_iter();
        builtin
            .chain(installed.map(|name| (name, PackPlace::Installed)))
            .map(|(name, place)| self.status(name, place))
            .collect()
    }

    fn installed(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.join("packs"));
        let mut names: Vec<String> = entries
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| self.manifest_path(name).is_file() && Manifest::builtin(name).is_none())
            .collect();
        names.sort();
        names
    }

    fn status(&self, name: String, place: PackPlace) -> PackStatus {
        let (mut missing, mut wrong) = (Vec::new(), Vec::new());
        let manifest = self.locate(&name).map(|located| {
            for model in located.manifest.models.keys() {
                let path = self.model_path(&located, model);
                let list = if !path.is_file() {
                    &mut missing
                } else if self.check_model(&located, model, &path).is_err() {
                    &mut wrong
                } else {
                    continue;
                };
                list.push(model.clone());
            }
            located.manifest
        });
        PackStatus {
            name,
            place,
            manifest,
            missing,
            wrong,
        }
    }

    /// Where a model is read from: its blob or, where there is none, a file beside the manifest.
    pub(crate) fn model_path(&self, located: &Located, model: &str) -> PathBuf {
        let blob = self.blob(located.manifest.model_sha256(model).unwrap_or_default());
        match located.beside(model) {
            Some(path) if !blob.is_file() => path,
            _ => blob,
        }
    }

    pub(crate) fn check_model(
        &self,
        Located { manifest, .. }: &Located,
        model: &str,
        path: &std::path::Path,
    ) -> Result<Vec<u8>, PackError> {
        let sha256 = manifest.model_sha256(model).unwrap_or_default();
        read_checked(path, sha256, manifest.model_max_bytes(model))
            .map_err(|fault| fault.of_pack(&manifest.name))
    }
}

impl Located {
    /// The file of a model beside the manifest, where there is one.
    pub(crate) fn beside(&self, model: &str) -> Option<PathBuf> {
        self.folder
            .iter()
            .flat_map(|folder| [folder.join(model), folder.join(format!("{model}.onnx"))])
            .find(|path| path.is_file())
    }
}
