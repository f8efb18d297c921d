//! The known packs, and which of their models are missing.

use super::{Store, read_model};
use crate::{Manifest, PackError};

/// Where a pack's manifest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PackPlace {
    /// In the program.
    BuiltIn,
    /// In the model store.
    Installed,
}

/// A known pack, and how much of it is in the model store.
#[derive(Debug)]
#[non_exhaustive]
pub struct PackStatus {
    /// Its name.
    pub name: String,
    /// Where its manifest is.
    pub place: PackPlace,
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

impl Store {
    /// Returns the built-in packs, then the installed ones by name. Every model is read and verified.
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
            .filter(|name| self.manifest_path(name).is_file() && Manifest::builtin_text(name).is_none())
            .collect();
        names.sort();
        names
    }

    fn status(&self, name: String, place: PackPlace) -> PackStatus {
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
                Err(PackError::MissingFile { file, .. }) => missing.push(file),
                Err(_) => wrong.push("cohort".to_owned()),
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
}
