//! From the files into the storage.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use likeness_storage::audit::{AuditAnchor, AuditRow};
use likeness_storage::{Database, StorageError, now};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::chain::{ChainKey, Head, Line};
use super::folder::{self, Anchor, Folder};
use super::state::State;
use crate::periodic::ticks;
use crate::private;

/// Rows of one transaction.
const BATCH: usize = 500;
/// Time between two looks at the files.
const PAUSE: Duration = Duration::from_millis(200);
/// Looks between two clean-ups.
const CLEANING: u64 = 300;
/// Rows that are removed at once: SQLite is locked for others meanwhile, for some 60 ms.
const REMOVED: i64 = 10_000;
/// How long an instance must have written nothing for others to remove its rows. One that runs removes its own.
const SILENCE: Duration = Duration::from_secs(7 * 86_400);
const CURSOR: &str = "cursor.json";

/// What of the files is in the storage.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Cursor {
    /// Name of the file; empty: none yet.
    file: String,
    /// Place in it.
    place: u64,
    /// Number of the last line.
    seq: u64,
}

/// Why nothing was moved.
#[derive(Debug, thiserror::Error)]
pub(super) enum ShipError {
    #[error("{0}")]
    Storage(#[from] StorageError),
    #[error("the audit's files cannot be read: {0}")]
    Files(#[from] io::Error),
}

/// How old what is recorded may become; `None`: as old as it will.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Retention {
    pub(super) rows: Option<Duration>,
    /// Files that the storage has all lines of.
    pub(super) files: Option<Duration>,
}

pub(super) struct Shipper {
    folder: Arc<Folder>,
    state: Arc<State>,
    database: Database,
    retention: Retention,
    key: ChainKey,
    cursor: tokio::sync::Mutex<Cursor>,
    is_down: AtomicBool,
    doubt: Mutex<Option<Doubt>>,
}

/// Lines of one file that are to be moved.
struct Batch {
    rows: Vec<AuditRow>,
    bytes: u64,
    next: Cursor,
    /// The number of the line that is there instead of the one that should come next, where that is so.
    gap: Option<u64>,
}

/// Lines that are missing or cannot be read, perhaps only until the writer has put back what was taken away.
#[derive(Debug, Clone, Copy)]
struct Doubt {
    /// Number of the last line before.
    after: u64,
    /// How often the writer had found all files in their places when that was noticed.
    checks: u64,
}

impl Cursor {
    fn of(folder: &Path) -> io::Result<Self> {
        match std::fs::read(folder.join(CURSOR)) {
            // Where it is damaged, all is sent again: rows that are there stay as they are.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(%error, "the audit's cursor is damaged: its files are sent again from the beginning");
                Self::default()
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }
}

/// Number of the last line of this folder that is in the storage.
pub(super) fn last_stored(folder: &Path) -> io::Result<u64> {
    Ok(Cursor::of(folder)?.seq)
}

impl Shipper {
    pub(super) fn new(
        folder: Arc<Folder>,
        state: Arc<State>,
        database: Database,
        retention: Retention,
        key: ChainKey,
        written: u64,
    ) -> io::Result<Self> {
        let cursor = Cursor::of(folder.path())?;
        let mut spool = 0;
        for file in folder::files(folder.path())? {
            let length = std::fs::metadata(&file)?.len();
            let name = name(&file);
            if name == cursor.file {
                spool += length.saturating_sub(cursor.place);
            } else if name > cursor.file {
                spool += length;
            }
        }
        let oldest = next_batch(&folder, &cursor, written)?.and_then(|batch| batch.oldest());
        state.begin(written, cursor.seq, spool, oldest);
        Ok(Self {
            folder,
            state,
            database,
            retention,
            key,
            cursor: tokio::sync::Mutex::new(cursor),
            is_down: AtomicBool::new(false),
            doubt: Mutex::new(None),
        })
    }

    /// Moves lines for as long as it is polled.
    pub(super) async fn keep_up(&self) {
        let mut ticks = ticks(Instant::now(), PAUSE);
        let mut until_cleaning = 0;
        loop {
            ticks.tick().await;
            self.look_at_database();
            self.ship().await;
            if until_cleaning > 0 {
                until_cleaning -= 1;
                continue;
            }
            match self.clean().await {
                // What is new goes first, and the storage is left to others in between.
                Ok(true) => {}
                Ok(false) => until_cleaning = CLEANING,
                Err(error) => {
                    tracing::warn!(%error, "what is older than audit.retention_days and audit.file_days say could not be removed");
                    until_cleaning = CLEANING;
                }
            }
        }
    }

    /// Notices where the file of the database was taken away.
    fn look_at_database(&self) {
        let taken = self.database.check_in_place().is_err();
        self.state.is_database_taken.store(taken, Ordering::Relaxed);
    }

    /// Moves all that there is, after a database that was taken away is restored.
    pub(super) async fn ship_last(&self) {
        self.database.restored().await;
        self.ship().await;
    }

    /// Moves all that there is.
    pub(super) async fn ship(&self) {
        loop {
            match self.step().await {
                Ok(0) => return,
                Ok(_) => {
                    if self.is_down.swap(false, Ordering::Relaxed) {
                        tracing::info!("the audit goes into the storage again");
                    }
                }
                Err(error) => {
                    if !self.is_down.swap(true, Ordering::Relaxed) {
                        tracing::error!(%error, "the audit does not get into the storage: it waits in its files");
                    }
                    return;
                }
            }
        }
    }

    /// Moves a batch; how many lines it had.
    async fn step(&self) -> Result<usize, ShipError> {
        let mut cursor = self.cursor.lock().await;
        let batch = {
            let (folder, from) = (Arc::clone(&self.folder), cursor.clone());
            let written = self.state.last_written();
            tokio::task::spawn_blocking(move || next_batch(&folder, &from, written))
                .await
                .map_err(io::Error::other)?
        };
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) if self.is_certain(cursor.seq) => return Err(error.into()),
            Err(_) => return Ok(0),
        };
        self.state.waits_since(batch.as_ref().and_then(Batch::oldest));
        let Some(batch) = batch else { return Ok(0) };
        if let Some(found) = batch.gap {
            if !self.is_certain(cursor.seq) {
                return Ok(0);
            }
            tracing::error!(
                first = cursor.seq + 1,
                last = found - 1,
                "audit records are missing: they are neither in the files nor in the storage"
            );
            cursor.seq = found - 1;
            return Ok(1);
        }
        let count = batch.rows.len();
        self.database.add_audit(batch.rows).await?;
        // Where this is lost, rows are sent again, and stay as they are.
        let cursor_file = self.folder.path().join(CURSOR);
        let bytes = serde_json::to_vec(&batch.next).map_err(io::Error::from)?;
        private::replace(&cursor_file, &bytes, true)?;
        self.state.stored(batch.next.seq, batch.bytes);
        *cursor = batch.next;
        Ok(count)
    }

    /// Whether what is wrong with the files behind this line is so for good: the writer has found all in their places since.
    fn is_certain(&self, after: u64) -> bool {
        let checks = self.state.checks();
        let mut doubt = self.doubt.lock();
        let since = doubt.filter(|doubt| doubt.after == after);
        let since = *doubt.insert(since.unwrap_or(Doubt { after, checks }));
        // One check may have begun before.
        checks > since.checks + 1
    }

    /// Removes what is older than it should be: rows of the storage, those of instances that have ended included, and files
    /// that are in there. Of the rows a batch at most; whether there may be more.
    pub(super) async fn clean(&self) -> Result<bool, ShipError> {
        let Retention { rows, files } = self.retention;
        let own = self.folder.instance();
        if let Some(age) = rows
            && self.remove_rows(own, ago(age)).await?
        {
            return Ok(true);
        }
        if let Some(age) = rows.into_iter().chain(files).min() {
            let stored = self.cursor.lock().await.seq;
            let (folder, key) = (Arc::clone(&self.folder), self.key.clone());
            tokio::task::spawn_blocking(move || remove_files(&folder, &key, stored, ago(age)))
                .await
                .map_err(io::Error::other)??;
        }
        let Some(age) = rows else {
            return Ok(false);
        };
        let (before, silent_since) = (ago(age), ago(age.min(SILENCE)));
        let mut after = String::new();
        while let Some(instance) = self.database.ended_audit(&after, silent_since, before).await? {
            if self.remove_rows(&instance, before).await? {
                return Ok(true);
            }
            after = instance;
        }
        Ok(false)
    }

    /// Removes a batch of an instance's rows that are older than that. Whether there were some.
    async fn remove_rows(&self, instance: &str, before: i64) -> Result<bool, ShipError> {
        let Some(row) = self.database.last_audit_before(instance, before, REMOVED).await? else {
            return Ok(false);
        };
        // A seal says that lines were removed by who has the chain's key: those of another key are not this service's.
        if instance != self.folder.instance() && !self.key.is_hash_of(&row.line, instance) {
            return Ok(false);
        }
        let before = Head::of(&row.line).map_err(io::Error::from)?;
        let anchor = AuditAnchor {
            instance: instance.to_owned(),
            seq: row.seq,
            seal: self.key.seal(instance, &before),
            hash: before.hash,
        };
        self.database.remove_audit(anchor).await?;
        Ok(true)
    }
}

/// The time that was so long ago, in microseconds since 1970.
fn ago(age: Duration) -> i64 {
    let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    now().saturating_sub(age)
}

fn name(file: &Path) -> String {
    file.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

impl Batch {
    /// The time of its first line.
    fn oldest(&self) -> Option<i64> {
        self.rows.first().map(|row| row.time)
    }
}

/// What comes next, up to line `written`: what is behind that may not stay.
fn next_batch(folder: &Folder, from: &Cursor, written: u64) -> io::Result<Option<Batch>> {
    for file in folder::files(folder.path())? {
        let name = name(&file);
        if name < from.file {
            continue;
        }
        let place = if name == from.file { from.place } else { 0 };
        let mut batch = Batch {
            rows: Vec::new(),
            bytes: 0,
            next: Cursor {
                file: name,
                place,
                seq: from.seq.max(folder.anchored()),
            },
            gap: None,
        };
        for line in folder::lines(&file, place)?.take(BATCH) {
            let seq = batch.next.seq;
            if seq >= written {
                break;
            }
            let (text, behind) = line?;
            let row = row(text)?;
            let found = u64::try_from(row.seq).unwrap_or(0);
            if found > seq + 1 {
                batch.gap = Some(found).filter(|_| batch.rows.is_empty());
                break;
            }
            batch.bytes += behind - batch.next.place;
            batch.next.place = behind;
            batch.next.seq = found.max(seq);
            batch.rows.push(row);
        }
        if !batch.rows.is_empty() || batch.gap.is_some() {
            return Ok(Some(batch));
        }
    }
    Ok(None)
}

/// What of an event is searched by.
#[derive(Debug, Deserialize)]
struct Searched {
    time: String,
    kind: String,
    #[serde(default)]
    request_id: Option<String>,
    #[serde(default)]
    app: Option<String>,
    #[serde(default)]
    status: Option<i64>,
    #[serde(default)]
    outcome: Option<String>,
}

/// The row of a line.
pub(super) fn row(text: String) -> io::Result<AuditRow> {
    let line: Line<'_> = serde_json::from_str(&text)?;
    let event: Searched = serde_json::from_str(line.event.get())?;
    Ok(AuditRow {
        instance: line.instance.to_owned(),
        seq: i64::try_from(line.seq).map_err(io::Error::other)?,
        time: event
            .time
            .parse::<Timestamp>()
            .map_err(io::Error::other)?
            .as_microsecond(),
        kind: event.kind,
        request_id: event.request_id,
        app: event.app,
        status: event.status,
        outcome: event.outcome,
        line: text,
    })
}

/// Removes whole files from the beginning, never the last one.
fn remove_files(folder: &Folder, key: &ChainKey, stored: u64, before: i64) -> io::Result<()> {
    let files: Vec<PathBuf> = folder::files(folder.path())?;
    for pair in files.windows(2) {
        let [file, next] = pair else { break };
        let Some(last) = folder::first_line_of(next).and_then(|first| first.checked_sub(1)) else {
            break;
        };
        let Some(Ok((text, _))) = folder::lines(file, 0)?.last() else {
            break;
        };
        let row = row(text)?;
        if last > stored || row.time >= before {
            break;
        }
        let before = Head::of(&row.line)?;
        let anchor = Anchor {
            seal: key.seal(folder.instance(), &before),
            before,
        };
        // Before the file is gone: the chain is whole at every moment.
        folder.set_anchor(anchor)?;
        std::fs::remove_file(file)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
