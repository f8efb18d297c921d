//! The file that keeps what is owed to the database, so that a crash loses none of it and none of it is counted twice.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use likeness_storage::usage::Counted;
use likeness_storage::{FileId, check_in_place};
use parking_lot::Mutex;
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
    lock_file: PathBuf,
    /// `None`: another process has the file, and nothing is kept here.
    lock: Mutex<Option<File>>,
    /// The file that was written last, where it should be there.
    written: Mutex<Option<FileId>>,
    is_failing: AtomicBool,
}

impl Inner {
    fn is_ours(&self) -> bool {
        self.lock.lock().is_some()
    }

    /// Makes folder and lock again where they were taken away. Whether anything was.
    fn put_back(&self) -> io::Result<bool> {
        let mut lock = self.lock.lock();
        let is_in_place = lock
            .as_ref()
            .is_none_or(|lock| check_in_place(lock, &self.lock_file, 0).is_ok());
        if is_in_place {
            let written = self.written.lock().take();
            return Ok(written.is_some_and(|written| {
                FileId::of_path(&self.file).is_ok_and(|found| found.as_ref() != Some(&written))
            }));
        }
        *lock = Some(open_lock(&self.lock_file)?.ok_or_else(|| {
            io::Error::other("another process has taken it up since it was removed, moved or replaced")
        })?);
        Ok(true)
    }

    /// Has the file hold this. Whether one was taken away that held something.
    fn replace(&self, owed: &[Batch], synced: bool) -> io::Result<bool> {
        let was_taken = self.put_back()?;
        if owed.is_empty() {
            return match std::fs::remove_file(&self.file) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => Ok(was_taken),
            };
        }
        private::replace(&self.file, &serde_json::to_vec(owed)?, synced)?;
        *self.written.lock() = FileId::of_path(&self.file)?;
        Ok(was_taken)
    }
}

/// The lock, `None` where another process holds it; with its folder, where that is not there.
fn open_lock(path: &Path) -> io::Result<Option<File>> {
    if let Some(folder) = path.parent() {
        private::make_folder(folder)?;
    }
    let lock = private::open_lock(path)?;
    Ok(lock.try_lock().is_ok().then_some(lock))
}

impl Debts {
    pub(super) fn at(folder: &Path) -> Self {
        let lock_file = folder.join("usage-owed.lock");
        let lock = open_lock(&lock_file).unwrap_or_else(|error| {
            tracing::warn!(%error, folder = %folder.display(), "usage would not survive a restart while the storage is away");
            None
        });
        Self {
            inner: Arc::new(Inner {
                file: folder.join("usage-owed.json"),
                lock_file,
                lock: Mutex::new(lock),
                written: Mutex::new(None),
                is_failing: AtomicBool::new(false),
            }),
        }
    }

    /// What an earlier process has left, in the order in which it is to be added.
    pub(super) fn read(&self) -> Vec<Batch> {
        let Inner { file, .. } = &*self.inner;
        if !self.inner.is_ours() {
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
        let Inner { file, is_failing, .. } = &*self.inner;
        if !self.inner.is_ours() {
            return;
        }
        match self.inner.replace(owed, synced) {
            Ok(was_taken) => {
                if was_taken {
                    tracing::error!(
                        file = %file.display(),
                        "restored the file of pending usage, which was removed, moved or replaced while in use"
                    );
                }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(number: i64) -> Batch {
        Batch {
            writer: "one".to_owned(),
            number,
            counted: Vec::new(),
        }
    }

    /// What is pending is in memory as well: the next write, each second, has it on the disk again.
    #[test]
    fn pending_usage_whose_file_folder_or_lock_is_taken_away_is_written_again() {
        type Act = fn(&Path);
        let acts: [Act; 4] = [
            |folder| std::fs::remove_file(folder.join("usage-owed.json")).unwrap(),
            |folder| std::fs::remove_file(folder.join("usage-owed.lock")).unwrap(),
            |folder| std::fs::remove_dir_all(folder).unwrap(),
            |folder| std::fs::rename(folder, folder.with_extension("old")).unwrap(),
        ];
        for act in acts {
            let parent = tempfile::tempdir().unwrap();
            let folder = parent.path().join("data");
            let debts = Debts::at(&folder);
            debts.write(&[batch(1)], true);
            act(&folder);
            debts.write(&[batch(1), batch(2)], true);
            let another = Debts::at(&folder);
            assert!(!another.inner.is_ours(), "two processes have the file");
            drop(debts);
            assert_eq!(Debts::at(&folder).read(), [batch(1), batch(2)]);
        }
    }

    #[test]
    fn a_file_that_is_taken_away_is_noticed_and_one_that_is_not_needed_any_more_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let debts = Debts::at(folder.path());
        let replace = |owed: &[Batch]| debts.inner.replace(owed, false).unwrap();
        assert!(!replace(&[batch(1)]));
        assert!(!replace(&[batch(1), batch(2)]));
        assert!(!replace(&[]));
        assert!(!replace(&[batch(3)]));
        std::fs::remove_file(folder.path().join("usage-owed.json")).unwrap();
        assert!(replace(&[batch(3)]));
        std::fs::write(folder.path().join("other"), "[]").unwrap();
        std::fs::rename(folder.path().join("other"), folder.path().join("usage-owed.json")).unwrap();
        assert!(replace(&[batch(3)]));
        assert!(!replace(&[batch(4)]));
    }
}
