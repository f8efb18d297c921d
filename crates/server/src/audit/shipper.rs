//! Moves audit records from the files into the database, and removes old ones.

use std::cmp::Ordering;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use likeness_storage::audit::{AuditCheckpoint, AuditRow};
use likeness_storage::records::Searchable;
use likeness_storage::{Database, StorageError, files, now};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::chain::{ChainKey, Checkpoint};
use super::folder::{self, Folder, SealedCheckpoint};
use super::row::{audit_row, searchable};
use super::state::SharedState;
use crate::config::AuditConfig;
use crate::periodic::ticks;

const BATCH: usize = 500;
const INTERVAL: Duration = Duration::from_millis(200);
/// Shipments between two removals of old records.
const CLEANING: u64 = 300;
/// Rows that are removed at once: this locks SQLite for some 60 ms.
const REMOVED: i64 = 10_000;
/// How long an instance must have been silent for others to remove its rows. A running one removes its own.
const SILENCE: Duration = Duration::from_secs(7 * 86_400);
const CURSOR: &str = "cursor.json";

/// The position up to which the files are in the database.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Cursor {
    /// Name of the file; empty before the first one.
    file: String,
    place: u64,
    seq: u64,
}

/// An error that prevents verifying or moving audit records.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the messages explain them")]
pub enum RecordsError {
    #[error("cannot read the audit files: {0}")]
    Files(#[from] io::Error),
    #[error(transparent)]
    Database(#[from] StorageError),
}

#[derive(Debug)]
pub(super) struct Shipper {
    folder: Arc<Folder>,
    state: SharedState,
    database: Database,
    key: ChainKey,
    /// How long rows are retained, and files whose records are all in the database; `None`: for ever.
    rows: Option<Duration>,
    files: Option<Duration>,
    cursor: tokio::sync::Mutex<Cursor>,
    is_down: AtomicBool,
    /// The last record before missing ones, and how often the writer had found all files in place when that was noticed.
    doubt: Mutex<Option<(u64, u64)>>,
}

struct Batch {
    rows: Vec<AuditRow>,
    /// What they are found by.
    found: Vec<Searchable>,
    bytes: u64,
    next: Cursor,
    /// The number of the record that was found instead of the next one.
    gap: Option<u64>,
}

impl Cursor {
    fn of(folder: &Path) -> io::Result<Self> {
        match std::fs::read(folder.join(CURSOR)) {
            // Rows that exist stay as they are.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(%error, "audit cursor is damaged; moving all records into the database again");
                Self::default()
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Returns the position in a file from which on its records are not in the database; `None`: all of them are.
    fn place_in(&self, file: &str) -> Option<u64> {
        match file.cmp(&self.file) {
            Ordering::Less => None,
            Ordering::Equal => Some(self.place),
            Ordering::Greater => Some(0),
        }
    }
}

/// Returns the number of the last record of this folder that is in the database.
pub(super) fn last_stored(folder: &Path) -> io::Result<u64> {
    Ok(Cursor::of(folder)?.seq)
}

impl Shipper {
    pub(super) fn new(
        folder: Arc<Folder>,
        state: SharedState,
        database: Database,
        config: &AuditConfig,
        written: u64,
    ) -> io::Result<Self> {
        let cursor = Cursor::of(&folder.path)?;
        let mut spool = 0;
        for file in folder::files(&folder.path)? {
            let length = std::fs::metadata(&file)?.len();
            spool += length.saturating_sub(cursor.place_in(&name(&file)).unwrap_or(length));
        }
        let batch = next_batch(&folder, &cursor, written)?;
        let oldest = batch.and_then(|batch| Some(batch.rows.first()?.time));
        state.lock().begin(written, cursor.seq, spool, oldest);
        let days = |days: u32| Duration::from_secs(u64::from(days) * 86_400);
        Ok(Self {
            folder,
            state,
            database,
            key: ChainKey::new(config.chain_key.clone()),
            rows: config.retention_days.map(days),
            files: config.file_days.or(config.retention_days).map(days),
            cursor: tokio::sync::Mutex::new(cursor),
            is_down: AtomicBool::new(false),
            doubt: Mutex::new(None),
        })
    }

    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    /// Moves and removes records as long as it is polled.
    pub(super) async fn keep_up(&self) {
        let mut ticks = ticks(Instant::now(), INTERVAL);
        let mut until_cleaning = 0;
        loop {
            ticks.tick().await;
            self.state.lock().is_database_taken = self.database.check_in_place().is_err();
            self.ship().await;
            if until_cleaning > 0 {
                until_cleaning -= 1;
                continue;
            }
            let is_more = self.clean().await.unwrap_or_else(|error| {
                tracing::warn!(%error, "cannot remove audit records older than audit.retention_days or audit.file_days");
                false
            });
            // New records go first, and others use the database in between.
            until_cleaning = if is_more { 0 } else { CLEANING };
        }
    }

    /// Moves all records, after a removed database is restored.
    pub(super) async fn ship_last(&self) {
        self.database.wait_until_restored().await;
        self.ship().await;
    }

    pub(super) async fn ship(&self) {
        loop {
            match self.step().await {
                Ok(0) => return,
                Ok(_) => {
                    if self.is_down.swap(false, Relaxed) {
                        tracing::info!("moving audit records into the database again");
                    }
                }
                Err(error) => {
                    if !self.is_down.swap(true, Relaxed) {
                        tracing::error!(%error, "cannot move audit records into the database; they wait in the spool");
                    }
                    return;
                }
            }
        }
    }

    /// Moves a batch. Returns its number of records.
    async fn step(&self) -> Result<usize, RecordsError> {
        let mut cursor = self.cursor.lock().await;
        let batch = {
            let (folder, from) = (Arc::clone(&self.folder), cursor.clone());
            let written = self.state.lock().written;
            let found = spawn_blocking(move || next_batch(&folder, &from, written)).await;
            found.map_err(io::Error::other)?
        };
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) if self.is_certain(cursor.seq) => return Err(error.into()),
            Err(_) => return Ok(0),
        };
        let oldest = batch.as_ref().and_then(|batch| Some(batch.rows.first()?.time));
        self.state.lock().waits_since(oldest);
        let Some(batch) = batch else { return Ok(0) };
        if let Some(found) = batch.gap {
            if !self.is_certain(cursor.seq) {
                return Ok(0);
            }
            tracing::error!(
                first = cursor.seq + 1,
                last = found - 1,
                "audit records are missing from both the files and the database"
            );
            cursor.seq = found - 1;
            return Ok(1);
        }
        let count = batch.rows.len();
        self.database.add_records(batch.rows, batch.found).await?;
        // If this is lost, rows are sent again, and those that exist stay as they are.
        let cursor_file = self.folder.path.join(CURSOR);
        let bytes = serde_json::to_vec(&batch.next).map_err(io::Error::from)?;
        files::replace(&cursor_file, &bytes, true)?;
        self.state.lock().stored(batch.next.seq, batch.bytes);
        *cursor = batch.next;
        Ok(count)
    }

    /// Returns whether a fault of the files after this record is permanent: the writer has found all files in place since.
    fn is_certain(&self, after: u64) -> bool {
        let checks = self.state.lock().checks;
        let mut doubt = self.doubt.lock();
        let since = doubt.filter(|(seq, _)| *seq == after);
        let (_, since) = *doubt.insert(since.unwrap_or((after, checks)));
        // One check may have begun before.
        checks > since + 1
    }

    /// Removes files and at most one batch of rows that are too old. Returns whether there may be more rows.
    pub(super) async fn clean(&self) -> Result<bool, RecordsError> {
        let (rows, files) = (self.rows, self.files);
        let own = &self.folder.instance;
        if let Some(age) = rows
            && self.remove_rows(own, ago(age)).await?
        {
            return Ok(true);
        }
        if let Some(age) = rows.into_iter().chain(files).min() {
            let stored = self.cursor.lock().await.seq;
            let (folder, key) = (Arc::clone(&self.folder), self.key.clone());
            let removed = spawn_blocking(move || remove_files(&folder, &key, stored, ago(age))).await;
            removed.map_err(io::Error::other)??;
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

    async fn remove_rows(&self, instance: &str, before: i64) -> Result<bool, RecordsError> {
        let Some(row) = self.database.last_audit_before(instance, before, REMOVED).await? else {
            return Ok(false);
        };
        // A seal proves that records were removed with the chain's key: this service cannot seal chains of another key.
        if instance != self.folder.instance && !self.key.is_hash_of(&row.line, instance) {
            return Ok(false);
        }
        let end = Checkpoint::of(&row.line).map_err(io::Error::from)?;
        let checkpoint = AuditCheckpoint {
            instance: instance.to_owned(),
            seq: row.seq,
            seal: self.key.seal(instance, &end),
            hash: end.hash,
        };
        self.database.remove_audit(checkpoint).await?;
        Ok(true)
    }
}

/// Returns the time that was so long ago, in microseconds since 1970.
fn ago(age: Duration) -> i64 {
    let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    now().saturating_sub(age)
}

fn name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Returns the next records up to `written`: later ones may not stay.
fn next_batch(folder: &Folder, from: &Cursor, written: u64) -> io::Result<Option<Batch>> {
    for file in folder::files(&folder.path)? {
        let name = name(&file);
        let Some(place) = from.place_in(&name) else {
            continue;
        };
        let mut batch = Batch {
            rows: Vec::new(),
            found: Vec::new(),
            bytes: 0,
            next: Cursor {
                file: name,
                place,
                seq: from.seq.max(folder.removed()),
            },
            gap: None,
        };
        for record in folder::records(&file, place)?.take(BATCH) {
            let seq = batch.next.seq;
            if seq >= written {
                break;
            }
            let (text, behind) = record?;
            let row = audit_row(&text)?;
            let found = u64::try_from(row.seq).unwrap_or(0);
            if found > seq + 1 {
                batch.gap = Some(found).filter(|_| batch.rows.is_empty());
                break;
            }
            batch.bytes += behind - batch.next.place;
            batch.next.place = behind;
            batch.next.seq = found.max(seq);
            // A field that this version does not know delays no record.
            batch.found.extend(searchable(&text).ok().flatten());
            batch.rows.push(row);
        }
        if !batch.rows.is_empty() || batch.gap.is_some() {
            return Ok(Some(batch));
        }
    }
    Ok(None)
}

/// Removes whole files from the beginning, never the last one.
fn remove_files(folder: &Folder, key: &ChainKey, stored: u64, before: i64) -> io::Result<()> {
    let files = folder::files(&folder.path)?;
    for pair in files.windows(2) {
        let [file, next] = pair else { break };
        let Some(last) = folder::first_record_of(next).and_then(|first| first.checked_sub(1)) else {
            break;
        };
        let Some(Ok((text, _))) = folder::records(file, 0)?.last() else {
            break;
        };
        let row = audit_row(&text)?;
        if last > stored || row.time >= before {
            break;
        }
        let checkpoint = Checkpoint::of(&row.line)?;
        // Before the file is removed: the chain is valid at every moment.
        folder.set_checkpoint(SealedCheckpoint {
            seal: key.seal(&folder.instance, &checkpoint),
            checkpoint,
        })?;
        std::fs::remove_file(file)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
