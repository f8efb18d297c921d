//! One writer at a time. The kernel holds the lock, so it ends with the process, however that ends.

use std::fs::{File, TryLockError};

use super::Store;
use super::write::StoreError;

/// While this lives, nobody else writes to the store.
#[derive(Debug)]
pub(crate) struct Lock(#[allow(dead_code, reason = "closing it unlocks")] File);

impl Store {
    /// Locks the store for writing, and makes it where there is none. Where another process has locked it: `wait` is
    /// called, and says whether to wait.
    pub(crate) fn lock(&self, wait: impl FnOnce() -> bool) -> Result<Lock, StoreError> {
        std::fs::create_dir_all(&self.folder).map_err(StoreError::at(&self.folder))?;
        let path = self.folder.join("lock");
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(StoreError::at(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) if wait() => file.lock().map_err(StoreError::at(&path))?,
            Err(TryLockError::WouldBlock) => return Err(StoreError::Busy { lock: path }),
            Err(TryLockError::Error(error)) => return Err(StoreError::at(&path)(error)),
        }
        self.create()?;
        Ok(Lock(file))
    }
}
