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
use super::waiting::{Waiting, Withheld};

/// Events that are written with one call.
const BATCH: usize = 256;
/// Events that wait in memory while the disk fails.
const BACKLOG: usize = 8_192;
/// Pause between two attempts to write to a disk that fails.
const RETRY: Duration = Duration::from_secs(1);

/// A request to the writer.
pub(super) enum Message {
    /// Write this.
    Event(Queued),
    /// Write all that is waiting, and end.
    Stop,
}

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

    /// Truncates a file to this length.
    fn truncate(&self, file: &File, length: u64) -> io::Result<()> {
        file.set_len(length)
    }
}

/// The disk of the file system.
pub(super) struct RealDisk;

impl Disk for RealDisk {}

pub(super) struct Settings {
    pub(super) key: ChainKey,
    pub(super) sync: Duration,
    /// Every record is on the disk before its request learns of it, and a result that cannot be written is not kept: it is
    /// not sent either.
    pub(super) required: bool,
    pub(super) rotate_bytes: u64,
    pub(super) max_spool: u64,
    /// How long the queue must not have been full before the log says so.
    pub(super) quiet: Duration,
    pub(super) disk: Box<dyn Disk>,
}

pub(super) struct Writer {
    folder: Arc<Folder>,
    state: SharedState,
    settings: Settings,
    end: Checkpoint,
    file: Option<SpoolFile>,
    /// Complete files with records that are not in the database.
    complete: VecDeque<SpoolFile>,
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
    /// Number of its last record.
    last: u64,
    day: i64,
    is_dirty: bool,
    /// Whether there may be more bytes, which do not stay.
    is_torn: bool,
}

impl SpoolFile {
    /// Opens a file of this day.
    fn open(path: PathBuf, day: i64, last: u64) -> io::Result<Self> {
        let file = folder::open(&path)?;
        Ok(Self {
            length: file.metadata()?.len(),
            file,
            path,
            last,
            day,
            is_dirty: false,
            is_torn: false,
        })
    }

    /// Fails if it was removed, moved, replaced or truncated. `more`: bytes beyond those that stay.
    fn check(&self, more: u64) -> io::Result<()> {
        check_in_place(&self.file, &self.path, self.length + more)
    }

    /// Fails likewise, and if its last record is another one: a truncated file may have grown since, so that its length says
    /// nothing.
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
        if self.file.metadata()?.len() < self.length {
            return Ok(false);
        }
        if self.length == 0 {
            return Ok(true);
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
    /// Continues the chain after `end`. The state must say which records of the folder are in the database.
    pub(super) fn new(
        folder: Arc<Folder>,
        state: SharedState,
        settings: Settings,
        end: Checkpoint,
    ) -> io::Result<Self> {
        let complete = spool_files(&folder, state.lock().stored, end.seq)?;
        Ok(Self {
            folder,
            state,
            settings,
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

    /// Writes until it gets [`Message::Stop`], or no sender is left.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        loop {
            let pause = if self.is_failing {
                RETRY
            } else {
                self.settings.sync
            };
            let first = match messages.recv_timeout(pause.max(Duration::from_millis(10))) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let stops = self.receive(first, messages);
            self.write_backlog();
            if self.synced.elapsed() >= self.settings.sync {
                self.sync();
            }
            self.log_overflow(self.settings.quiet);
            if stops {
                break;
            }
        }
        self.write_backlog();
        self.sync();
        if self.is_taken {
            self.write_backlog();
        }
        self.log_overflow(Duration::ZERO);
    }

    /// Receives up to a batch of messages. Returns whether to stop.
    fn receive(&mut self, first: Option<Message>, messages: &Receiver<Message>) -> bool {
        let mut stops = false;
        for message in first.into_iter().chain(messages.try_iter().take(BATCH - 1)) {
            match message {
                Message::Event(event) => self.backlog.push_back(event),
                Message::Stop => stops = true,
            }
        }
        self.state.lock().is_full = false;
        stops
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
            // First of all, so that the files say that records are missing; and without anything else to write, to see whether
            // that is possible.
            let event = Event::Lost {
                lost: lost - self.recorded_lost,
            };
            self.append(&[event.json()?])?;
            self.recorded_lost = lost;
            self.recovered();
        }
        while !self.backlog.is_empty() {
            let count = self.backlog.len().min(BATCH);
            let batch = self.backlog.iter().take(count);
            let texts: Vec<Box<RawValue>> = batch.map(|event| event.text.clone()).collect();
            self.append(&texts)?;
            let waiting = self.backlog.drain(..count).filter_map(|event| event.waiting);
            let withheld: Vec<Withheld> = waiting.filter_map(Waiting::written).collect();
            for Withheld { subject, status } in withheld {
                let event = Event::Withheld {
                    request_id: &subject.request_id,
                    app: subject.app.as_deref(),
                    status,
                };
                self.backlog.push_front(Queued {
                    text: event.json()?,
                    waiting: None,
                });
            }
            self.recovered();
        }
        Ok(())
    }

    /// Appends records, all of them or none.
    fn append(&mut self, events: &[Box<RawValue>]) -> io::Result<()> {
        if self.state.lock().spool > self.settings.max_spool {
            return Err(io::Error::other(format!(
                "the spool is full: {} MiB wait for the database (audit.max_spool_mib)",
                self.settings.max_spool >> 20
            )));
        }
        self.repair()?;
        self.rotate()?;
        let mut end = self.end.clone();
        let mut records = Vec::with_capacity(events.len());
        for event in events {
            let record = end.extend(&self.settings.key, self.folder.instance(), event)?;
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
        open.is_dirty = !self.settings.required;
        self.end = end;
        self.recent.extend(records);
        let surplus = self.recent.len().saturating_sub(BACKLOG);
        self.recent.drain(..surplus);
        self.state.lock().written(self.end.seq, text.len() as u64);
        Ok(())
    }

    /// Appends text to the open file. If that is required, it is then on the disk, in files that are in place.
    fn append_text(&mut self, text: &str) -> io::Result<()> {
        let open = self
            .file
            .as_ref()
            .ok_or_else(|| io::Error::other("no file is open"))?;
        self.settings.disk.append(&open.file, text.as_bytes())?;
        if self.settings.required {
            self.settings.disk.sync(&open.file)?;
            self.check(text.len() as u64)?;
        }
        Ok(())
    }

    /// Fails if a file with records that are not in the database, or the folder, is not in place. `more`: bytes of the open
    /// file beyond those that stay.
    fn check(&mut self, more: u64) -> io::Result<()> {
        let stored = self.state.lock().stored;
        while self.recent.front().is_some_and(|(seq, _)| *seq <= stored) {
            self.recent.pop_front();
        }
        while self.complete.front().is_some_and(|file| file.last <= stored) {
            self.complete.pop_front();
        }
        let checked = self
            .folder
            .check()
            .and_then(|()| self.complete.iter().try_for_each(|file| file.check(0)))
            .and_then(|()| self.file.as_ref().map_or(Ok(()), |open| open.check(more)));
        self.is_taken = checked.is_err();
        if checked.is_ok() {
            self.state.lock().checks += 1;
        }
        checked
    }

    /// Restores the folder and the files that were taken away, with all that open files and memory have of them. The next
    /// record begins a new file.
    fn put_back(&mut self) -> io::Result<()> {
        self.folder.put_back()?;
        if self.file.as_ref().is_some_and(|open| open.check_end().is_ok()) {
            self.repair()?;
        }
        self.complete.extend(self.file.take());
        let (mut files, mut lost) = (0_u64, 0);
        let mut kept = VecDeque::new();
        let mut outcome = Ok(());
        while let Some(file) = self.complete.pop_front() {
            if file.check_end().is_ok() {
                kept.push_back(file);
                continue;
            }
            match self.put_file_back(&file) {
                Ok((back, records)) => {
                    kept.extend(back);
                    (files, lost) = (files + 1, lost + records);
                }
                Err(error) => {
                    kept.push_back(file);
                    outcome = Err(error);
                    break;
                }
            }
        }
        kept.append(&mut self.complete);
        self.complete = kept;
        outcome?;
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
            back.push(SpoolFile::open(file.path.clone(), file.day, last_kept)?);
        }
        let rest = self.recent.iter();
        let rest: Vec<_> = rest
            .filter(|(seq, _)| (last_kept + 1..=file.last).contains(seq))
            .collect();
        let next = rest.first().map_or(file.last + 1, |(seq, _)| *seq);
        let mut is_reused = length > 0;
        if !rest.is_empty() {
            let path = file.path.with_file_name(folder::name(next, &day_of(&file.path)));
            is_reused |= path == file.path;
            let mut rest_file = SpoolFile::open(path, file.day, file.last)?;
            let text = text_of(rest);
            self.settings.disk.append(&rest_file.file, text.as_bytes())?;
            self.settings.disk.sync(&rest_file.file)?;
            rest_file.length += text.len() as u64;
            back.push(rest_file);
        }
        if !is_reused {
            std::fs::remove_file(&file.path)?;
        }
        let known = last_kept.max(self.state.lock().stored);
        Ok((back, next.saturating_sub(known + 1)))
    }

    /// Truncates the remains of a failed write.
    fn repair(&mut self) -> io::Result<()> {
        let Some(open) = self.file.as_mut().filter(|open| open.is_torn) else {
            return Ok(());
        };
        // A truncated file would be filled up with zeros, or keep half a record in its middle.
        if let Err(error) = open.check_end() {
            self.is_taken = true;
            return Err(error);
        }
        self.settings
            .disk
            .truncate(&open.file, open.length)
            .map_err(|error| {
                let path = open.path.display();
                io::Error::new(
                    error.kind(),
                    format!("cannot truncate the remains of a failed write in {path}: {error}"),
                )
            })?;
        open.is_torn = false;
        Ok(())
    }

    /// Begins a new file if the open one is full or of another day.
    fn rotate(&mut self) -> io::Result<()> {
        let now = Timestamp::now();
        let day = now.as_second().div_euclid(86_400);
        if let Some(open) = &self.file
            && open.day == day
            && open.length < self.settings.rotate_bytes
        {
            return Ok(());
        }
        self.check(0)?;
        self.sync();
        self.complete.extend(self.file.take());
        let name = now.strftime("%Y%m%d").to_string();
        let path = self.folder.file(self.end.seq + 1, &name);
        self.file = Some(SpoolFile::open(path, day, self.end.seq)?);
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
        match self.settings.disk.sync(&open.file) {
            Ok(()) => {
                open.is_dirty = false;
                self.is_sync_failing = false;
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_sync_failing, true) {
                    tracing::error!(%error, "cannot sync the audit file to the disk");
                }
            }
        }
    }

    fn failed(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.is_failing, true) {
            self.state.lock().is_failing = true;
            let consequence = if self.settings.required {
                "refusing requests (audit.mode = required)"
            } else {
                "requests continue; records that memory cannot hold are lost (audit.mode = best-effort)"
            };
            tracing::error!(%error, folder = %self.folder.path().display(), consequence, "cannot write the audit");
        }
        let before = self.backlog.len();
        // A result that is not written is not sent: there is nothing to record later.
        self.backlog.retain_mut(|event| {
            let Some(waiting) = event.waiting.take() else {
                return true;
            };
            let is_kept = !waiting.is_held;
            waiting.not_written();
            is_kept
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

    /// Logs that the queue is no longer full, and how many events that has cost. Not before a while: a queue that is always
    /// nearly full would be logged again and again.
    fn log_overflow(&mut self, quiet: Duration) {
        let (is_logged, is_full) = {
            let state = self.state.lock();
            (state.is_overflow_logged, state.is_full)
        };
        if !is_logged {
            return;
        }
        if is_full {
            self.overflow = None;
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

/// Returns records as a file has them.
fn text_of<'a>(records: impl IntoIterator<Item = &'a (u64, String)>) -> String {
    let records = records.into_iter();
    records.flat_map(|(_, record)| [record.as_str(), "\n"]).collect()
}

/// Returns the day at the end of a file's name.
fn day_of(file: &Path) -> String {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let (_, day) = name.split_once('-').unwrap_or_default();
    day.to_owned()
}

/// Opens the files of earlier processes with records after `stored`. The last file ends with the record `last`.
fn spool_files(folder: &Folder, stored: u64, last: u64) -> io::Result<VecDeque<SpoolFile>> {
    let files = folder::files(folder.path())?;
    let begins = files.iter().skip(1).map(|next| folder::first_record_of(next));
    let ends = begins.map(|first| first.map_or(last, |first| first.saturating_sub(1)));
    let ends: Vec<u64> = ends.chain([last]).collect();
    let spool = files.into_iter().zip(ends).filter(|(_, last)| *last > stored);
    spool.map(|(path, last)| SpoolFile::open(path, 0, last)).collect()
}

#[cfg(test)]
mod tests;
