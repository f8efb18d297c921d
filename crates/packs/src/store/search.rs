//! Where the model store is.

use std::path::{Path, PathBuf};

use super::Store;
use crate::PackError;

/// Environment variable with the folder of the model store.
pub const ENV_STORE: &str = "LIKENESS_MODELS";

/// The model store of a checkout, below its root; `make setup` fills it.
const CHECKOUT_STORE: &str = "models/store";

/// From `target/release/deps/<test>` to the root of a checkout.
const LEVELS_ABOVE_EXECUTABLE: usize = 4;

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
        let folders = self.given().map_or_else(
            || {
                searched.push("--models: not given".to_owned());
                searched.push(format!("{ENV_STORE}: not set"));
                let executable = std::env::current_exe().unwrap_or_default();
                let above = executable.ancestors().skip(1).take(LEVELS_ABOVE_EXECUTABLE);
                let roots = std::iter::once(Path::new("")).chain(above);
                roots.map(|root| root.join(CHECKOUT_STORE)).collect()
            },
            |folder| vec![folder],
        );
        for folder in folders {
            if folder.is_dir() {
                return Ok(Store::at(folder));
            }
            searched.push(format!("{}: no such folder", folder.display()));
        }
        Err(PackError::NoStore { searched })
    }
}
