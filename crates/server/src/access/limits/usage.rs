//! Pending usage: what the database does not know until the next flush. A file keeps it, so that a crash loses none of it and
//! none of it is counted twice.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use likeness_storage::files::{self, FileId, check_in_place};
use likeness_storage::usage::{Period, Usage, Used};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Largest file that is read, in bytes: a hundred thousand apps.
const MAX_BYTES: u64 = 16 << 20;

const FILE: &str = "usage-pending.json";
const LOCK: &str = "usage-pending.lock";
/// The names of both in version 0.1.0 and before.
const FORMER_FILE: &str = "usage-owed.json";
const FORMER_LOCK: &str = "usage-owed.lock";

/// Usage that is added to the database at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Batch {
    /// The process that numbers the batch.
    pub(super) writer: String,
    /// A batch never changes under its number. The database adds it once, however often it is sent.
    pub(super) number: i64,
    #[serde(alias = "counted")]
    pub(super) usage: Vec<Usage>,
}

/// Usage that the database does not know yet.
#[derive(Debug)]
pub(super) struct PendingUsage {
    /// The writer of this process's batches. Each process has another one: the file may be older than the last number of
    /// the process before.
    writer: String,
    number: i64,
    /// Batches that are sent in this order until the database confirms them.
    batches: VecDeque<Batch>,
    /// Usage for the next batch: of periods that are over, and of the time that a batch has been waiting.
    next: BTreeMap<(String, Period), Usage>,
}

impl PendingUsage {
    /// Begins with the batches of an earlier process.
    pub(super) fn new(batches: Vec<Batch>) -> Self {
        Self {
            writer: Uuid::new_v4().to_string(),
            number: 0,
            batches: batches.into(),
            next: BTreeMap::new(),
        }
    }

    pub(super) fn push(&mut self, usage: &Usage) {
        if usage.is_none() {
            return;
        }
        let key = (usage.app.clone(), usage.period);
        let sum = self.next.entry(key);
        sum.or_insert_with(|| Usage::none(&usage.app, usage.period))
            .add(usage);
    }

    /// Returns the units of an app that are used and that the database does not know.
    pub(super) fn units(&self, app: &str, period: Period) -> Used {
        let sent = self.batches.iter().flat_map(|batch| &batch.usage);
        let of_app = sent.chain(self.next.values()).filter(|usage| usage.app == app);
        of_app.fold(Used::default(), |used, usage| {
            let units = u64::try_from(usage.units).unwrap_or(0);
            let of = |is_same: bool| if is_same { units } else { 0 };
            used.plus(Used {
                day: of(usage.period.day == period.day),
                month: of(usage.period.month == period.month),
            })
        })
    }

    /// Returns the number of batches that wait for the database.
    pub(super) fn waiting(&self) -> usize {
        self.batches.len()
    }

    /// Removes the first batch, which the database has confirmed, and returns the others.
    pub(super) fn confirm(&mut self) -> Vec<Batch> {
        self.batches.pop_front();
        self.all()
    }

    /// Returns all batches, the next one included.
    fn all(&self) -> Vec<Batch> {
        let usage: Vec<Usage> = self
            .next
            .values()
            .filter(|usage| !usage.is_none())
            .cloned()
            .collect();
        let next = (!usage.is_empty()).then(|| Batch {
            writer: self.writer.clone(),
            number: self.number + 1,
            usage,
        });
        self.batches.iter().cloned().chain(next).collect()
    }

    /// Closes the next batch unless another one is waiting, and returns all.
    pub(super) fn close_batch(&mut self) -> Vec<Batch> {
        let all = self.all();
        if self.batches.is_empty() {
            self.batches.extend(all.iter().cloned());
            self.number += all.len() as i64;
            self.next.clear();
        }
        all
    }
}

/// The file of pending usage. One process has it at a time.
#[derive(Debug)]
pub(super) struct PendingFile {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// `None`: another process has the file, and this one keeps nothing.
    lock: Option<File>,
    /// The file that was written last, if it should still exist.
    written: Option<FileId>,
    is_failing: bool,
}

/// Takes a lock, `None` if another process holds it. Creates the folder if it does not exist.
fn lock(path: &Path) -> io::Result<Option<File>> {
    if let Some(folder) = path.parent() {
        files::create_folder(folder)?;
    }
    let lock = files::open_lock(path)?;
    Ok(lock.try_lock().is_ok().then_some(lock))
}

/// Reads batches, none if there is no such file.
fn read(file: &Path) -> Vec<Batch> {
    let read = || -> io::Result<Vec<Batch>> {
        if std::fs::metadata(file)?.len() > MAX_BYTES {
            return Err(io::Error::other("it is too large"));
        }
        Ok(serde_json::from_slice(&std::fs::read(file)?)?)
    };
    read().unwrap_or_else(|error| {
        if error.kind() != ErrorKind::NotFound {
            tracing::error!(%error, file = %file.display(), "lost the pending usage of an earlier process: cannot read its file");
        }
        Vec::new()
    })
}

impl PendingFile {
    /// Opens the file, and returns the batches of an earlier process in the order in which they are to be added.
    pub(super) fn open(folder: &Path) -> (Self, Vec<Batch>) {
        let lock = lock(&folder.join(LOCK)).unwrap_or_else(|error| {
            tracing::warn!(
                %error, folder = %folder.display(),
                "cannot lock the file of pending usage: usage would not survive a restart while the database is down"
            );
            None
        });
        let is_locked = lock.is_some();
        let file = Self {
            folder: folder.to_owned(),
            state: Mutex::new(State {
                lock,
                written: None,
                is_failing: false,
            }),
        };
        let batches = if is_locked {
            file.read_and_migrate()
        } else {
            Vec::new()
        };
        (file, batches)
    }

    fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// Reads the file. Moves batches from the file under its former name into it, unless a process of the former version
    /// still has that. The database adds a batch once, so that nothing is lost nor counted twice wherever this is
    /// interrupted.
    fn read_and_migrate(&self) -> Vec<Batch> {
        let mut batches = read(&self.path());
        let [former, former_lock] = [FORMER_FILE, FORMER_LOCK].map(|name| self.folder.join(name));
        if !former.exists() && !former_lock.exists() {
            return batches;
        }
        let Ok(Some(_lock)) = lock(&former_lock) else {
            return batches;
        };
        batches.splice(0..0, read(&former));
        let migrate = || -> io::Result<()> {
            self.replace(&mut self.state.lock(), &batches, true)?;
            files::sync_folder_of(&former)?;
            files::remove(&former)?;
            files::remove(&former_lock)
        };
        match migrate() {
            Ok(()) => tracing::info!(from = FORMER_FILE, to = FILE, "renamed the file of pending usage"),
            Err(error) => {
                tracing::warn!(%error, from = FORMER_FILE, "cannot rename the file of pending usage");
            }
        }
        batches
    }

    /// Keeps these batches instead of those that are there. `synced`: so that they survive a power loss too.
    pub(super) async fn keep(self: &Arc<Self>, batches: Vec<Batch>, synced: bool) {
        let file = Arc::clone(self);
        // If this thread panics, the file stays as it is.
        let _ = tokio::task::spawn_blocking(move || file.write(&batches, synced)).await;
    }

    fn write(&self, batches: &[Batch], synced: bool) {
        let mut state = self.state.lock();
        if state.lock.is_none() {
            return;
        }
        let file = self.path();
        match self.replace(&mut state, batches, synced) {
            Ok(was_taken) => {
                if was_taken {
                    tracing::error!(
                        file = %file.display(),
                        "restored the file of pending usage, which was removed, moved or replaced while in use"
                    );
                }
                if std::mem::take(&mut state.is_failing) {
                    tracing::info!("pending usage is kept on disk again");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut state.is_failing, true) {
                    tracing::warn!(
                        %error, file = %file.display(),
                        "cannot keep pending usage on disk: a crash would lose it"
                    );
                }
            }
        }
    }

    /// Replaces the content of the file. Returns whether the file, its lock or its folder was taken away while it was
    /// needed.
    fn replace(&self, state: &mut State, batches: &[Batch], synced: bool) -> io::Result<bool> {
        let (file, lock_file) = (self.folder.join(FILE), self.folder.join(LOCK));
        let has_lock = |lock: &File| check_in_place(lock, &lock_file, 0).is_ok();
        let written = state.written.take();
        let was_taken = if state.lock.as_ref().is_some_and(has_lock) {
            written.is_some_and(|written| {
                FileId::of_path(&file).is_ok_and(|found| found.as_ref() != Some(&written))
            })
        } else {
            let taken_up =
                || io::Error::other("another process has taken its lock since that was taken away");
            state.lock = Some(lock(&lock_file)?.ok_or_else(taken_up)?);
            true
        };
        if batches.is_empty() {
            files::remove(&file)?;
        } else {
            files::replace(&file, &serde_json::to_vec(batches)?, synced)?;
            state.written = FileId::of_path(&file)?;
        }
        Ok(was_taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(number: i64) -> Batch {
        Batch {
            writer: "one".to_owned(),
            number,
            usage: Vec::new(),
        }
    }

    fn open(folder: &Path) -> PendingFile {
        PendingFile::open(folder).0
    }

    /// Pending usage is in memory as well: the next write, each second, has it on disk again.
    #[test]
    fn pending_usage_whose_file_folder_or_lock_is_taken_away_is_written_again() {
        type Act = fn(&Path);
        let acts: [Act; 4] = [
            |folder| std::fs::remove_file(folder.join(FILE)).unwrap(),
            |folder| std::fs::remove_file(folder.join(LOCK)).unwrap(),
            |folder| std::fs::remove_dir_all(folder).unwrap(),
            |folder| std::fs::rename(folder, folder.with_extension("old")).unwrap(),
        ];
        for act in acts {
            let parent = tempfile::tempdir().unwrap();
            let folder = parent.path().join("data");
            let file = open(&folder);
            file.write(&[batch(1)], true);
            act(&folder);
            file.write(&[batch(1), batch(2)], true);
            let another = open(&folder);
            assert!(another.state.lock().lock.is_none(), "two processes have the file");
            drop(file);
            assert_eq!(PendingFile::open(&folder).1, [batch(1), batch(2)]);
        }
    }

    #[test]
    fn a_file_that_is_taken_away_is_noticed_and_one_that_is_not_needed_any_more_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = open(folder.path());
        let replace = |batches: &[Batch]| {
            let mut state = file.state.lock();
            file.replace(&mut state, batches, false).unwrap()
        };
        assert!(!replace(&[batch(1)]));
        assert!(!replace(&[batch(1), batch(2)]));
        assert!(!replace(&[]));
        assert!(!replace(&[batch(3)]));
        std::fs::remove_file(file.path()).unwrap();
        assert!(replace(&[batch(3)]));
        std::fs::write(folder.path().join("other"), "[]").unwrap();
        std::fs::rename(folder.path().join("other"), file.path()).unwrap();
        assert!(replace(&[batch(3)]));
        assert!(!replace(&[batch(4)]));
    }

    /// A file that version 0.1.0 has left.
    const FORMER: &str = r#"[{"writer":"former","number":7,"counted":[{"app":"acme","day":20782,"month":202611,"units":3,"biometric":1,"liveness":2,"refused":4}]}]"#;

    #[test]
    fn the_file_of_an_earlier_version_is_migrated_with_all_that_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let (former, former_lock) = (folder.path().join(FORMER_FILE), folder.path().join(FORMER_LOCK));
        std::fs::write(&former, FORMER).unwrap();
        std::fs::write(&former_lock, "").unwrap();
        // As after a crash between writing the new file and removing the former one.
        std::fs::write(folder.path().join(FILE), serde_json::to_vec(&[batch(1)]).unwrap()).unwrap();
        let (file, batches) = PendingFile::open(folder.path());
        assert_eq!(batches.len(), 2);
        assert_eq!((&*batches[0].writer, batches[0].number), ("former", 7));
        let usage = &batches[0].usage[0];
        let counts = (usage.units, usage.biometric, usage.liveness, usage.refused);
        assert_eq!(
            (&*usage.app, usage.period.day, counts),
            ("acme", 20_782, (3, 1, 2, 4))
        );
        assert!(!former.exists() && !former_lock.exists());
        drop(file);
        assert_eq!(
            PendingFile::open(folder.path()).1,
            batches,
            "from the new file alone"
        );
    }

    #[test]
    fn the_file_of_an_earlier_version_that_still_runs_stays() {
        let folder = tempfile::tempdir().unwrap();
        let former = folder.path().join(FORMER_FILE);
        std::fs::write(&former, FORMER).unwrap();
        let _running = lock(&folder.path().join(FORMER_LOCK)).unwrap().unwrap();
        assert_eq!(PendingFile::open(folder.path()).1, []);
        assert!(former.exists());
    }
}
