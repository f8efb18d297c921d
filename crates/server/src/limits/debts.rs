//! The file that keeps what is owed to the database, so that a crash loses none of it and none of it is counted twice.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use likeness_storage::usage::Counted;
use serde::{Deserialize, Serialize};

use crate::private;

/// Largest file that is read, in bytes: a hundred thousand apps.
const MAX_BYTES: u64 = 16 << 20;

/// What is added to the database at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Batch {
    /// Who numbers it.
    pub(super) writer: String,
    /// It is the same under this number however often it is sent: the database adds it once.
    pub(super) number: i64,
    pub(super) counted: Vec<Counted>,
}

/// The file. One process has it at a time. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Debts {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: PathBuf,
    /// `None`: another process has the file, and nothing is kept here.
    lock: Option<File>,
    is_failing: AtomicBool,
}

impl Debts {
    pub(super) fn at(folder: &Path) -> Self {
        let open = || -> std::io::Result<Option<File>> {
            private::make_folder(folder)?;
            let lock = private::open_lock(&folder.join("usage-owed.lock"))?;
            Ok(lock.try_lock().is_ok().then_some(lock))
        };
        let lock = open().unwrap_or_else(|error| {
            tracing::warn!(%error, folder = %folder.display(), "usage would not survive a restart while the storage is away");
            None
        });
        Self {
            inner: Arc::new(Inner {
                file: folder.join("usage-owed.json"),
                lock,
                is_failing: AtomicBool::new(false),
            }),
        }
    }

    /// What an earlier process has left, in the order in which it is to be added.
    pub(super) fn read(&self) -> Vec<Batch> {
        let Inner { file, lock, .. } = &*self.inner;
        if lock.is_none() {
            return Vec::new();
        }
        let read = || -> std::io::Result<Vec<Batch>> {
            if std::fs::metadata(file)?.len() > MAX_BYTES {
                return Err(std::io::Error::other("it is too large"));
            }
            Ok(serde_json::from_slice(&std::fs::read(file)?)?)
        };
        match read() {
            Ok(owed) => owed,
            Err(error) => {
                if error.kind() != ErrorKind::NotFound {
                    tracing::error!(%error, file = %file.display(), "usage that an earlier process kept is lost");
                }
                Vec::new()
            }
        }
    }

    /// Keeps this instead of what is there. `synced`: so that it survives a power loss too.
    pub(super) async fn keep(&self, owed: Vec<Batch>, synced: bool) {
        let debts = self.clone();
        // Where this thread panics, what was kept before stays.
        let _ = tokio::task::spawn_blocking(move || debts.write(&owed, synced)).await;
    }

    fn write(&self, owed: &[Batch], synced: bool) {
        let Inner {
            file,
            lock,
            is_failing,
        } = &*self.inner;
        if lock.is_none() {
            return;
        }
        let written = if owed.is_empty() {
            match std::fs::remove_file(file) {
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                removed => removed,
            }
        } else {
            serde_json::to_vec(owed)
                .map_err(std::io::Error::from)
                .and_then(|bytes| private::replace(file, &bytes, synced))
        };
        match written {
            Ok(()) => {
                if is_failing.swap(false, Ordering::Relaxed) {
                    tracing::info!("usage that is not in the storage is kept on disk again");
                }
            }
            Err(error) => {
                if !is_failing.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        %error, file = %file.display(),
                        "usage that is not in the storage cannot be kept on disk: a crash would lose it"
                    );
                }
            }
        }
    }
}
