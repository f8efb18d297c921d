//! The files of an open SQLite database: they are created for their owner only, and restored when they are removed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use sqlx::{AnyConnection, AssertSqlSafe, Executor};

use crate::files::{self, FileId, with_suffix};
use crate::{Result, StorageError};

/// What SQLite appends to the name of the database for the files beside it.
const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

const REMOVED: &str = "removed or moved";
const REPLACED: &str = "replaced";

/// The files of an open database, as they were when it was opened.
#[derive(Debug, Default)]
pub(crate) struct SqliteFiles {
    path: PathBuf,
    open: Mutex<Vec<(PathBuf, FileId)>>,
    is_restoring: AtomicBool,
    /// Whether the log says that they are missing, and that they cannot be restored.
    is_logged: AtomicBool,
    is_failure_logged: AtomicBool,
}

/// Returns whether a database with this error can be restored: its file was removed, not replaced.
pub(crate) fn is_removed(error: &StorageError) -> bool {
    matches!(error, StorageError::Taken { what: REMOVED, .. })
}

fn removed(path: PathBuf) -> StorageError {
    StorageError::Taken {
        path,
        what: REMOVED,
        remedy: "restoring its content",
    }
}

/// Creates the file of a database and its folder, unless they exist. SQLite gives the files beside it the same mode.
pub(crate) fn create(path: &Path) -> Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        files::create_folder(folder).map_err(StorageError::file(folder))?;
    }
    // An existing file is not even opened: closing it would release SQLite's locks on it in this process
    // (https://www.sqlite.org/howtocorrupt.html, 2.2).
    match files::private().write(true).create_new(true).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(StorageError::file(path)(error)),
        _ => Ok(()),
    }
}

impl SqliteFiles {
    /// Remembers the files of the database at `path`, which must be open.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let files = Self {
            path: path.to_owned(),
            ..Self::default()
        };
        files.remember()?;
        Ok(files)
    }

    /// Takes the files that are there now for the open ones.
    pub(crate) fn remember(&self) -> io::Result<()> {
        let mut open = Vec::new();
        for suffix in SUFFIXES {
            let path = with_suffix(&self.path, suffix);
            if let Some(id) = FileId::of_path(&path)? {
                open.push((path, id));
            }
        }
        *self.open.lock() = open;
        Ok(())
    }

    /// Checks that all files are in place, and logs when that changes.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_restoring.load(Ordering::Acquire) {
            // The copy in place of the database is another file until it is opened.
            return Err(removed(self.path.clone()));
        }
        let found = self.compare();
        match &found {
            Ok(()) if self.is_logged.swap(false, Ordering::Relaxed) => {
                tracing::info!(path = %self.path.display(), "database file is back in place");
            }
            Err(error) if !self.is_logged.swap(true, Ordering::Relaxed) => {
                tracing::error!(%error, "database file was taken away while in use");
            }
            _ => {}
        }
        found
    }

    fn compare(&self) -> Result<()> {
        let mut missing = None;
        for (path, id) in &*self.open.lock() {
            let path = path.clone();
            match FileId::of_path(&path) {
                Ok(Some(found)) if found == *id => {}
                Ok(Some(_)) => {
                    return Err(StorageError::Taken {
                        path,
                        what: REPLACED,
                        remedy: "put the right one back, or restart the service to use the new one",
                    });
                }
                Ok(None) => missing = missing.or(Some(path)),
                Err(source) => return Err(StorageError::File { path, source }),
            }
        }
        missing.map_or(Ok(()), |path| Err(removed(path)))
    }

    /// Returns whether the caller is to restore the files now, since no other one does.
    pub(crate) fn begin_restore(&self) -> bool {
        !self.is_restoring.swap(true, Ordering::AcqRel)
    }

    /// Ends a restoration. After a failure the next call to the database begins another one.
    pub(crate) fn end_restore(&self, restored: io::Result<()>) {
        match restored {
            Ok(()) => {
                self.is_logged.store(false, Ordering::Relaxed);
                self.is_failure_logged.store(false, Ordering::Relaxed);
                tracing::warn!(path = %self.path.display(), "restored the database at its path");
            }
            Err(error) if !self.is_failure_logged.swap(true, Ordering::Relaxed) => {
                tracing::error!(%error, "cannot restore the database; retrying");
            }
            Err(_) => {}
        }
        self.is_restoring.store(false, Ordering::Release);
    }

    /// Copies the database to a file beside its path. `connection` still has it open.
    pub(crate) async fn copy(&self, connection: &mut AnyConnection) -> io::Result<()> {
        let copy = self.copy_path();
        files::remove(&copy)?;
        // So that only its owner may read it; SQLite accepts an empty file.
        create(&copy).map_err(io::Error::other)?;
        let name = copy.to_str();
        let name = name.ok_or_else(|| io::Error::other("its path is not UTF-8"))?;
        let vacuum = format!("VACUUM INTO '{}'", name.replace('\'', "''"));
        let vacuumed = connection.execute(AssertSqlSafe(vacuum)).await;
        vacuumed.map_err(io::Error::other)?;
        std::fs::File::open(&copy)?.sync_all()
    }

    /// Moves the copy to the path of the database, which nothing has open any more.
    pub(crate) fn put_in_place(&self) -> io::Result<()> {
        if let Err(error @ StorageError::Taken { what: REPLACED, .. }) = self.compare() {
            return Err(io::Error::other(error));
        }
        // SQLite would take the files beside the old database for those of the copy.
        for suffix in &SUFFIXES[1..] {
            files::remove(&with_suffix(&self.path, suffix))?;
        }
        std::fs::rename(self.copy_path(), &self.path)?;
        files::sync_folder_of(&self.path)
    }

    fn copy_path(&self) -> PathBuf {
        with_suffix(&self.path, "-restored")
    }
}
