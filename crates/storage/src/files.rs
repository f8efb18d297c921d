//! The files of an SQLite database: making them, and noticing where somebody takes them away.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sqlx::{AssertSqlSafe, Executor};

use crate::database::Connection;
use crate::{FileId, StorageError};

/// What SQLite adds to the name of the database for the files beside it.
const BESIDE: [&str; 3] = ["", "-wal", "-shm"];

/// What became of a file that can be restored.
pub(crate) const REMOVED: &str = "removed or moved";
const REPLACED: &str = "replaced";

/// The files of a database that is open, as they were when it was opened.
#[derive(Debug)]
pub(crate) struct DatabaseFiles {
    path: PathBuf,
    open: Mutex<Vec<(PathBuf, FileId)>>,
    is_restoring: AtomicBool,
    /// Whether the log tells that they were taken away, and that they cannot be restored.
    is_told: AtomicBool,
    is_failure_told: AtomicBool,
}

impl DatabaseFiles {
    /// Those of the database at `path`, which must be open.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let files = Self {
            path: path.to_owned(),
            open: Mutex::default(),
            is_restoring: AtomicBool::new(false),
            is_told: AtomicBool::new(false),
            is_failure_told: AtomicBool::new(false),
        };
        files.look()?;
        Ok(files)
    }

    /// Takes those that are there now for those that are open.
    pub(crate) fn look(&self) -> io::Result<()> {
        let mut open = Vec::new();
        for beside in BESIDE {
            let path = with_suffix(&self.path, beside);
            if let Some(id) = FileId::of_path(&path)? {
                open.push((path, id));
            }
        }
        *self.open() = open;
        Ok(())
    }

    /// Whether all of them are in their places; [`StorageError::Taken`] where not, or not yet.
    pub(crate) fn check(&self) -> Result<(), StorageError> {
        if self.is_restoring.load(Ordering::Acquire) {
            // The copy in their place is another file until it is opened.
            return Err(removed(self.path.clone()));
        }
        self.compare()
    }

    /// Whether those that are open are in their places.
    fn compare(&self) -> Result<(), StorageError> {
        let mut missing = None;
        for (path, id) in &*self.open() {
            match FileId::of_path(path) {
                Ok(Some(found)) if found == *id => {}
                Ok(Some(_)) => {
                    return Err(StorageError::Taken {
                        path: path.clone(),
                        what: REPLACED,
                        remedy: "put the right one back, or restart the service to use the new one",
                    });
                }
                Ok(None) => missing = missing.or_else(|| Some(path.clone())),
                Err(source) => {
                    let path = path.clone();
                    return Err(StorageError::Folder { path, source });
                }
            }
        }
        missing.map_or(Ok(()), |path| Err(removed(path)))
    }

    /// Says that they are in their places, where the log tells otherwise.
    pub(crate) fn in_place(&self) {
        if self.is_told.load(Ordering::Relaxed) {
            self.is_told.store(false, Ordering::Relaxed);
            tracing::info!(path = %self.path.display(), "the database is in its place again");
        }
    }

    /// Whether a database of which this is wrong is to be restored now, by who asks.
    pub(crate) fn begin_restore(&self, error: &StorageError) -> bool {
        if !self.is_told.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, "the database was taken away while in use");
        }
        matches!(error, StorageError::Taken { what: REMOVED, .. })
            && !self.is_restoring.swap(true, Ordering::AcqRel)
    }

    /// Says what came of it.
    pub(crate) fn end_restore(&self, restored: io::Result<()>) {
        match restored {
            Ok(()) => {
                self.is_told.store(false, Ordering::Relaxed);
                self.is_failure_told.store(false, Ordering::Relaxed);
                tracing::warn!(path = %self.path.display(), "restored the database at its path");
            }
            // It is tried again as soon as somebody asks for something.
            Err(error) => {
                if !self.is_failure_told.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, "cannot restore the database: retrying");
                }
            }
        }
        self.is_restoring.store(false, Ordering::Release);
    }

    /// Writes all that is in the database to a file beside its place. `connection` has it open still.
    pub(crate) async fn copy(&self, connection: &mut Connection) -> io::Result<()> {
        let copy = self.copy_path();
        match fs::remove_file(&copy) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Its owner's only; SQLite takes an empty file.
        make_file(&copy).map_err(io::Error::other)?;
        let name = copy
            .to_str()
            .ok_or_else(|| io::Error::other("its path is not UTF-8"))?
            .replace('\'', "''");
        connection
            .execute(AssertSqlSafe(format!("VACUUM INTO '{name}'")))
            .await
            .map_err(io::Error::other)?;
        fs::File::open(&copy)?.sync_all()
    }

    /// Puts the copy in place of the database, which nobody has open any more.
    pub(crate) fn put_in_place(&self) -> io::Result<()> {
        if let Err(error @ StorageError::Taken { what: REPLACED, .. }) = self.compare() {
            return Err(io::Error::other(error));
        }
        // They belong to the one before: SQLite would take them for those of the copy.
        for beside in &BESIDE[1..] {
            match fs::remove_file(with_suffix(&self.path, beside)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(self.copy_path(), &self.path)?;
        match self.path.parent() {
            Some(folder) if cfg!(unix) && !folder.as_os_str().is_empty() => {
                fs::File::open(folder)?.sync_all()
            }
            _ => Ok(()),
        }
    }

    fn copy_path(&self) -> PathBuf {
        with_suffix(&self.path, "-restored")
    }

    fn open(&self) -> MutexGuard<'_, Vec<(PathBuf, FileId)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn removed(path: PathBuf) -> StorageError {
    StorageError::Taken {
        path,
        what: REMOVED,
        remedy: "its content is written to its place again",
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Makes the file and its folder, so that nobody else may read them. SQLite gives the files beside it the same rights.
pub(crate) fn make_file(path: &Path) -> Result<(), StorageError> {
    let fault = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| StorageError::Folder { path, source }
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(fault(folder))?;
    }
    let mut options = OpenOptions::new();
    // One that is there is not even opened: closing it again would take SQLite's locks away from the rest of this process
    // (https://www.sqlite.org/howtocorrupt.html, 2.2).
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(fault(path)(error)),
        _ => Ok(()),
    }
}
