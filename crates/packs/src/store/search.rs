//! Where the store is.

use std::path::PathBuf;

use super::Store;
use crate::PackError;

/// Environment variable that names the store's folder.
pub const ENV_STORE: &str = "LIKENESS_MODELS";

/// The store of a checkout, below its root; `make setup` fills it.
const CHECKOUT_STORE: &str = "models/store";

/// From `target/release/deps/<test>` to the root of a checkout.
const LEVELS_ABOVE_EXECUTABLE: usize = 4;

/// Where to look for the store, in this order: the folder given to [`with_folder`](Self::with_folder), the folder named
/// by [`LIKENESS_MODELS`](ENV_STORE), `models/store` in the working directory, `models/store` above the executable. The
/// first two are orders: where one is given, nothing else is tried.
#[derive(Debug, Clone, Default)]
pub struct StoreSearch {
    folder: Option<PathBuf>,
}

impl StoreSearch {
    /// The usual places.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// This folder and no other.
    #[must_use]
    pub fn with_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// The folder that was ordered, or else `models/store` in the working directory, whether or not it exists: where a
    /// pull puts what it fetches.
    #[must_use]
    pub fn place(&self) -> Store {
        self.find()
            .unwrap_or_else(|_| Store::at(self.ordered().unwrap_or_else(|| PathBuf::from(CHECKOUT_STORE))))
    }

    fn ordered(&self) -> Option<PathBuf> {
        self.folder.clone().or_else(|| {
            std::env::var_os(ENV_STORE)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        })
    }

    /// Finds the store.
    ///
    /// # Errors
    /// [`PackError::NoStore`] with every place that was tried.
    pub fn find(&self) -> Result<Store, PackError> {
        if let Some(folder) = self.ordered() {
            return if folder.is_dir() {
                Ok(Store::at(folder))
            } else {
                Err(PackError::NoStore {
                    looked_for: vec![format!("{}: no such folder", folder.display())],
                })
            };
        }
        let mut looked_for = vec!["--models: not given".to_owned(), format!("{ENV_STORE}: not set")];
        let executable = std::env::current_exe().unwrap_or_default();
        let above = executable
            .ancestors()
            .skip(1)
            .take(LEVELS_ABOVE_EXECUTABLE)
            .map(|f| f.join(CHECKOUT_STORE));
        for folder in std::iter::once(PathBuf::from(CHECKOUT_STORE)).chain(above) {
            if folder.is_dir() {
                return Ok(Store::at(folder));
            }
            looked_for.push(format!("{}: no such folder", folder.display()));
        }
        Err(PackError::NoStore { looked_for })
    }
}
