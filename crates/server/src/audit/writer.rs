//! The thread that writes the audit's files.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use likeness_storage::files::check_in_place;
use serde_json::value::RawValue;

use super::chain::{ChainKey, Checkpoint};
use super::event::Event;
use super::folder::{self, Folder};
use super::state::SharedState;
use super::waiting::Waiting;
use crate::config::AuditConfig;

const BATCH: usize = 256;
/// Events that wait in memory while the disk fails.
const BACKLOG: usize = 8_192;
const RETRY: Duration = Duration::from_secs(1);

/// How long the queue must not have been full before the log says so: an outage is logged twice, not again and again.
const QUIET: Duration = Duration::from_secs(10);

/// An event to write; `None`: write all that is waiting, and end.
pub(super) type Message = Option<Queued>;

/// An event as JSON, and the request that waits until it is written.
pub(super) struct Queued {
    pub(super) text: Box<RawValue>,
    pub(super) waiting: Option<Waiting>,
}

/// What the writer does to files. A trait, so that tests have disks that fail.
pub(super) trait Disk: Send {
    /// Appends bytes. After a failure some of them may be there.
    fn append(&self, mut file: &File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    /// Returns when everything is on the disk.
    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn truncate(&self, file: &File, length: u64) -> io::Result<()> {
        file.set_len(length)
    }
}

pub(super) struct RealDisk;

impl Disk for RealDisk {}

pub(super) struct Writer {
    folder: Arc<Folder>,
    state: SharedState,
    config: AuditConfig,
    key: ChainKey,
    rotate_bytes: u64,
    pub(super) quiet: Duration,
    disk: Box<dyn Disk>,
    end: Checkpoint,
    file: Option<SpoolFile>,
    /// Complete files with records that are not in the database.
    complete: Vec<SpoolFile>,
    /// The latest records that are not in the database, with their numbers: a truncated file has lost them.
    recent: VecDeque<(u64, String)>,
    /// Whether a file or the folder is not in place.
    is_taken: bool,
    backlog: VecDeque<Queued>,
    synced: Instant,
    is_sync_failing: bool,
    is_failing: bool,
    /// Lost events that are logged, and those that are recorded.
    logged_lost: u64,
    recorded_lost: u64,
    /// Since when the queue is no longer full, until the log says so.
    overflow: Option<Instant>,
}

/// A file with records that are not in the database.
struct SpoolFile {
    file: File,
    path: PathBuf,
    /// How much of it stays.
    length: u64,
    last: u64,
    is_dirty: bool,
    /// Whether there may be more bytes, which do not stay.
    is_torn: bool,
}

impl SpoolFile {
    fn open(path: PathBuf, last: u64) -> io::Result<Self> {
        let file = folder::open(&path)?;
        Ok(Self {
            length: file.metadata()?.len(),
            file,
            path,
            last,
            is_dirty: false,
            is_torn: false,
        })
    }

    /// Fails if it was removed, moved, replaced or truncated. `more`: bytes beyond those that stay.
    fn check(&self, more: u64) -> io::Result<()> {
        check_in_place(&self.file, &self.path, self.length + more)
    }

    /// Fails likewise, and if its last record is another one: the file may have been truncated and have grown since.
    fn check_end(&self) -> io::Result<()> {
        self.check(0)?;
        if self.has_end()? {
            return Ok(());
        }
        let path = self.path.display();
        Err(io::Error::other(format!("{path} was truncated while in use")))
    }

    /// Returns whether its last record ends at its length.
    fn has_end(&self) -> io::Result<bool> {
        let length = self.file.metadata()?.len();
        if length < self.length || self.length == 0 {
            return Ok(self.length == 0);
        }
        let record = folder::last_record(&mut self.file.try_clone()?, self.length);
        Ok(record.is_ok_and(|record| Checkpoint::of(&record).is_ok_and(|end| end.seq == self.last)))
    }

    /// Returns how much of the file are complete records in order: bytes, and the number of the last of these records.
    fn intact(&self) -> io::Result<(u64, u64)> {
        if self.has_end()? {
            return Ok((self.length, self.last));
        }
        let first = folder::first_record_of(&self.path).unwrap_or(1);
        let (mut length, mut seq) = (0, first.saturating_sub(1));
        for record in folder::records_of(self.file.try_clone()?, 0)? {
            let (record, behind) = record?;
            let is_next = |end: Checkpoint| end.seq == seq + 1 && end.seq <= self.last;
            if !Checkpoint::of(&record).is_ok_and(is_next) {
                break;
            }
            (length, seq) = (behind, seq + 1);
        }
        Ok((length, seq))
    }
}

impl Writer {
    /// Continues the chain after `end`. The state must say which records are in the database.
    pub(super) fn new(
        folder: Arc<Folder>,
        state: SharedState,
        config: &AuditConfig,
        disk: Box<dyn Disk>,
        end: Checkpoint,
    ) -> io::Result<Self> {
        let complete = spool_files(&folder, state.lock().stored, end.seq)?;
        Ok(Self {
            folder,
            state,
            key: ChainKey::new(config.chain_key.clone()),
            rotate_bytes: config.rotate_mib.saturating_mul(1 << 20),
            config: config.clone(),
            quiet: QUIET,
            disk,
            end,
            file: None,
            complete,
            recent: VecDeque::new(),
            is_taken: false,
            backlog: VecDeque::new(),
            synced: Instant::now(),
            is_sync_failing: false,
            is_failing: false,
            logged_lost: 0,
            recorded_lost: 0,
            overflow: None,
        })
    }

    /// Writes until it is told to end, or no sender is left.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        let mut ends = false;
        while !ends {
            let pause = if self.is_failing { RETRY } else { self.config.sync };
            let first = match messages.recv_timeout(pause.max(Duration::from_millis(10))) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            for message in first.into_iter().chain(messages.try_iter().take(BATCH - 1)) {
                ends |= message.is_none();
                self.backlog.extend(message);
            }
            self.state.lock().is_full = false;
            self.write_backlog();
            if self.synced.elapsed() >= self.config.sync {
                self.sync();
            }
            self.log_overflow(self.quiet);
        }
        self.write_backlog();
        self.sync();
        if self.is_taken {
            self.write_backlog();
        }
        self.log_overflow(Duration::ZERO);
    }

    fn write_backlog(&mut self) {
        if let Err(error) = self.try_write_backlog() {
            self.failed(&error);
        }
        self.state.lock().queued = self.backlog.len();
    }

    fn try_write_backlog(&mut self) -> io::Result<()> {
        if self.is_taken {
            self.put_back()?;
        }
        let lost = self.state.lock().lost;
        if lost > self.recorded_lost || (self.is_failing && self.backlog.is_empty()) {
            // First of all, so that the files say that records are missing; and to see whether it is possible to write.
            let unrecorded = lost - self.recorded_lost;
            self.append(&[Event::Lost { lost: unrecorded }.json()?])?;
            self.recorded_lost = lost;
            self.recovered();
        }
        while !self.backlog.is_empty() {
            let count = self.backlog.len().min(BATCH);
            let batch = self.backlog.iter().take(count);
            let texts: Vec<Box<RawValue>> = batch.map(|event| event.text.clone()).collect();
            self.append(&texts)?;
            let waiting = self.backlog.drain(..count).filter_map(|event| event.waiting);
            let withheld: Vec<_> = waiting.filter_map(Waiting::written).collect();
            for (subject, status) in withheld {
                let text = Event::Withheld { subject, status }.json()?;
                self.backlog.push_front(Queued { text, waiting: None });
            }
            self.recovered();
        }
        Ok(())
    }

    /// Appends records, all of them or none.
    fn append(&mut self, events: &[Box<RawValue>]) -> io::Result<()> {
        let max_mib = self.config.max_spool_mib;
        if self.state.lock().spool > max_mib.saturating_mul(1 << 20) {
            let reason =
                format!("the spool is full: {max_mib} MiB wait for the database (audit.max_spool_mib)");
            return Err(io::Error::other(reason));
        }
        self.repair()?;
        self.rotate()?;
        let mut end = self.end.clone();
        let mut records = Vec::with_capacity(events.len());
        for event in events {
            let record = end.extend(&self.key, &self.folder.instance, event)?;
            records.push((end.seq, record));
        }
        let text = text_of(&records);
        let appended = self.append_text(&text);
        let Some(open) = &mut self.file else {
            return appended;
        };
        if let Err(error) = appended {
            // Half a record would be taken for damage, and a complete one for one that stays: its number is given again.
            open.is_torn = true;
            // If this fails too, nothing more is written until it succeeds.
            let _ = self.repair();
            return Err(error);
        }
        open.length += text.len() as u64;
        open.last = end.seq;
        open.is_dirty = !self.config.is_required();
        self.end = end;
        self.recent.extend(records);
        let surplus = self.recent.len().saturating_sub(BACKLOG);
        self.recent.drain(..surplus);
        self.state.lock().written(self.end.seq, text.len() as u64);
        Ok(())
    }

    /// Appends text to the open file. If that is required, it is then on the disk, in files that are in place.
    fn append_text(&mut self, text: &str) -> io::Result<()> {
        let open = self.file.as_ref();
        let open = open.ok_or_else(|| io::Error::other("no file is open"))?;
        self.disk.append(&open.file, text.as_bytes())?;
        if self.config.is_required() {
            self.disk.sync(&open.file)?;
            self.check(text.len() as u64)?;
        }
        Ok(())
    }

    /// Fails if the folder or a file is not in place. `more`: bytes of the open file beyond those that stay.
    fn check(&mut self, more: u64) -> io::Result<()> {
        let stored = self.state.lock().stored;
        while self.recent.front().is_some_and(|(seq, _)| *seq <= stored) {
            self.recent.pop_front();
        }
        self.complete.retain(|file| file.last > stored);
        let complete = || self.complete.iter().try_for_each(|file| file.check(0));
        let open = || self.file.iter().try_for_each(|open| open.check(more));
        let folder = self.folder.check();
        let checked = folder.and_then(|()| complete()).and_then(|()| open());
        self.is_taken = checked.is_err();
        if checked.is_ok() {
            self.state.lock().checks += 1;
        }
        checked
    }

    /// Restores what was taken away, as far as open files and memory have it. The next record begins a new file.
    fn put_back(&mut self) -> io::Result<()> {
        self.folder.put_back()?;
        if self.file.as_ref().is_some_and(|open| open.check_end().is_ok()) {
            self.repair()?;
        }
        self.complete.extend(self.file.take());
        let (mut files, mut lost, mut next) = (0_u64, 0, 0);
        while let Some(file) = self.complete.get(next) {
            if file.check_end().is_ok() {
                next += 1;
                continue;
            }
            let (back, records) = self.put_file_back(file)?;
            (files, lost) = (files + 1, lost + records);
            let behind = next + back.len();
            self.complete.splice(next..=next, back);
            next = behind;
        }
        self.check(0)?;
        self.state.lock().lost += lost;
        if lost == 0 {
            tracing::warn!(files, "restored audit files that were taken away while in use");
        } else {
            tracing::error!(
                files,
                lost,
                "restored audit files that were taken away while in use, without the records that neither the files nor \
                 memory had any more"
            );
        }
        Ok(())
    }

    /// Restores a file. Returns the files that are there instead, and the number of lost records.
    fn put_file_back(&self, file: &SpoolFile) -> io::Result<(Vec<SpoolFile>, u64)> {
        let (length, last_kept) = file.intact()?;
        folder::put_file_back(file.file.try_clone()?, &file.path, length)?;
        let mut back = Vec::new();
        if length > 0 {
            back.push(SpoolFile::open(file.path.clone(), last_kept)?);
        }
        let is_rest = |(seq, _): &&(u64, String)| (last_kept + 1..=file.last).contains(seq);
        let rest: Vec<_> = self.recent.iter().filter(is_rest).collect();
        let next = rest.first().map_or(file.last + 1, |(seq, _)| *seq);
        let mut is_reused = length > 0;
        if !rest.is_empty() {
            let path = file.path.with_file_name(folder::name(next, &day_of(&file.path)));
            is_reused |= path == file.path;
            let mut rest_file = SpoolFile::open(path, file.last)?;
            let text = text_of(rest);
            self.disk.append(&rest_file.file, text.as_bytes())?;
            self.disk.sync(&rest_file.file)?;
            rest_file.length += text.len() as u64;
            back.push(rest_file);
        }
        if !is_reused {
            std::fs::remove_file(&file.path)?;
        }
        let known = last_kept.max(self.state.lock().stored);
        Ok((back, next.saturating_sub(known + 1)))
    }

    fn repair(&mut self) -> io::Result<()> {
        let Some(open) = self.file.as_mut().filter(|open| open.is_torn) else {
            return Ok(());
        };
        // A truncated file would be filled up with zeros, or keep half a record in its middle.
        if let Err(error) = open.check_end() {
            self.is_taken = true;
            return Err(error);
        }
        self.disk.truncate(&open.file, open.length).map_err(|error| {
            let path = open.path.display();
            let reason = format!("cannot truncate the remains of a failed write in {path}: {error}");
            io::Error::new(error.kind(), reason)
        })?;
        open.is_torn = false;
        Ok(())
    }

    /// Begins a new file if the open one is full or of another day.
    fn rotate(&mut self) -> io::Result<()> {
        let day = Timestamp::now().strftime("%Y%m%d").to_string();
        if let Some(open) = &self.file
            && day_of(&open.path) == day
            && open.length < self.rotate_bytes
        {
            return Ok(());
        }
        self.check(0)?;
        self.sync();
        self.complete.extend(self.file.take());
        let path = self.folder.file(self.end.seq + 1, &day);
        self.file = Some(SpoolFile::open(path, self.end.seq)?);
        Ok(())
    }

    fn sync(&mut self) {
        self.synced = Instant::now();
        if let Err(error) = self.check(0) {
            self.failed(&error);
        }
        let Some(open) = self.file.as_mut().filter(|open| open.is_dirty) else {
            return;
        };
        match self.disk.sync(&open.file) {
            Ok(()) => {
                open.is_dirty = false;
                self.is_sync_failing = false;
            }
            Err(_) if self.is_sync_failing => {}
            Err(error) => {
                self.is_sync_failing = true;
                tracing::error!(%error, "cannot sync the audit file to the disk");
            }
        }
    }

    fn failed(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.is_failing, true) {
            self.state.lock().is_failing = true;
            let consequence = if self.config.is_required() {
                "refusing requests (audit.mode = required)"
            } else {
                "requests continue; records that memory cannot hold are lost (audit.mode = best-effort)"
            };
            tracing::error!(%error, folder = %self.folder.path.display(), consequence, "cannot write the audit");
        }
        let before = self.backlog.len();
        // A result that is not written is not sent: there is nothing to record later.
        self.backlog.retain_mut(|event| {
            let waiting = event.waiting.take();
            waiting.is_none_or(|waiting| !waiting.is_held)
        });
        let surplus = self.backlog.len().saturating_sub(BACKLOG);
        self.backlog.drain(..surplus);
        self.state.lock().lost += (before - self.backlog.len()) as u64;
    }

    fn recovered(&mut self) {
        if std::mem::take(&mut self.is_failing) {
            self.state.lock().is_failing = false;
            let lost = self.newly_lost();
            tracing::info!(lost, "writing the audit again");
        }
    }

    /// Logs, after a while, that the queue is no longer full, and how many events that has cost.
    fn log_overflow(&mut self, quiet: Duration) {
        match &*self.state.lock() {
            state if !state.is_overflow_logged => return,
            state if state.is_full => self.overflow = None,
            _ => {}
        }
        let since = *self.overflow.get_or_insert_with(Instant::now);
        if self.is_failing || since.elapsed() < quiet {
            return;
        }
        self.overflow = None;
        // In this order: an overflow from here on is logged anew.
        self.state.lock().is_overflow_logged = false;
        let lost = self.newly_lost();
        tracing::warn!(lost, "audit queue is no longer full");
    }

    /// Returns how many lost events the log does not tell yet.
    fn newly_lost(&mut self) -> u64 {
        let lost = self.state.lock().lost;
        lost - std::mem::replace(&mut self.logged_lost, lost)
    }
}

fn text_of<'a>(records: impl IntoIterator<Item = &'a (u64, String)>) -> String {
    let records = records.into_iter();
    records.flat_map(|(_, record)| [record.as_str(), "\n"]).collect()
}

fn day_of(file: &Path) -> String {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let (_, day) = name.split_once('-').unwrap_or_default();
    day.to_owned()
}

/// Opens the files of earlier processes with records after `stored`. The last file ends with the record `last`.
fn spool_files(folder: &Folder, stored: u64, last: u64) -> io::Result<Vec<SpoolFile>> {
    let files = folder::files(&folder.path)?;
    let begins = files.iter().skip(1).map(|next| folder::first_record_of(next));
    let ends = begins.map(|first| first.map_or(last, |first| first.saturating_sub(1)));
    let ends: Vec<u64> = ends.chain([last]).collect();
    let spool = files.into_iter().zip(ends).filter(|(_, last)| *last > stored);
    spool.map(|(path, last)| SpoolFile::open(path, last)).collect()
}

#[cfg(test)]
mod tests;
