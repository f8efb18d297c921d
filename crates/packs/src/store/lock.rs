//! One writer at a time. The kernel holds the lock, so it ends with the process, however that ends.

use std::fs::{File, TryLockError};

use super::Store;
use super::files::{create_folder, open_own};
use super::write::StoreError;

/// While this lives, nobody else writes to the store.
#[derive(Debug)]
pub(crate) struct Lock<'a> {
    store: &'a Store,
    #[allow(dead_code, reason = "closing it unlocks")]
    file: File,
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        self.store.tidy();
    }
}

impl Store {
    /// Locks the store for writing, and makes it where there is none. Where another process has locked it: `wait` is
    /// called, and says whether to wait.
    pub(crate) fn lock(&self, wait: impl FnOnce() -> bool) -> Result<Lock<'_>, StoreError> {
        create_folder(&self.folder).map_err(StoreError::at(&self.folder))?;
        let path = self.folder.join("lock");
        let file = open_own(&path).map_err(StoreError::at(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) if wait() => file.lock().map_err(StoreError::at(&path))?,
            Err(TryLockError::WouldBlock) => return Err(StoreError::Busy { lock: path }),
            Err(TryLockError::Error(error)) => return Err(StoreError::at(&path)(error)),
        }
        self.create()?;
        Ok(Lock { store: self, file })
    }
}
