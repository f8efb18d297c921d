//! The one thread that writes the audit's files.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::chain::{ChainKey, Head};
use super::event::Note;
use super::folder::Folder;
use super::line_file::{LineFile, Open};
use super::state::State;
use super::waiting::{Waiting, Withheld};

/// Events that are written with one call.
const BATCH: usize = 256;
/// Events that wait in memory while the disk takes none.
const BACKLOG: usize = 8_192;
/// Pause between two attempts to write to a disk that takes nothing.
const RETRY: Duration = Duration::from_secs(1);

/// What the writer is asked for.
pub(super) enum Message {
    /// Write this.
    Event(Event),
    /// Write what there is, and end.
    Stop,
}

/// An event, and the request that waits until it is written.
pub(super) struct Event {
    pub(super) text: Box<RawValue>,
    pub(super) waiting: Option<Waiting>,
}

pub(super) struct Settings {
    pub(super) key: ChainKey,
    pub(super) sync: Duration,
    /// Every line is on the disk before anybody is told of it, and results that cannot be written are not kept: they are
    /// not given out either.
    pub(super) required: bool,
    pub(super) rotate_bytes: u64,
    pub(super) max_spool: u64,
    /// How long the queue must not have been full before the log says so.
    pub(super) quiet: Duration,
    pub(super) open: Open,
}

pub(super) struct Writer {
    folder: Arc<Folder>,
    state: Arc<State>,
    settings: Settings,
    head: Head,
    file: Option<OpenFile>,
    backlog: VecDeque<Event>,
    synced: Instant,
    is_sync_failing: bool,
    is_failing: bool,
    /// Lost events that the log tells of, and that the files tell of.
    told: u64,
    noted: u64,
    /// Since when the queue is not full any more, until the log says so.
    overflow: Option<Instant>,
}

struct OpenFile {
    file: Box<dyn LineFile>,
    path: PathBuf,
    /// How much of it stays.
    length: u64,
    day: i64,
    is_dirty: bool,
    /// Whether there may be more, which does not.
    is_torn: bool,
}

impl Writer {
    pub(super) fn new(folder: Arc<Folder>, state: Arc<State>, settings: Settings, head: Head) -> Self {
        Self {
            folder,
            state,
            settings,
            head,
            file: None,
            backlog: VecDeque::new(),
            synced: Instant::now(),
            is_sync_failing: false,
            is_failing: false,
            told: 0,
            noted: 0,
            overflow: None,
        }
    }

    /// Writes until it is told to stop, or nobody is left who could ask.
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
            let stops = self.take(first, messages);
            self.write_backlog();
            if self.synced.elapsed() >= self.settings.sync {
                self.sync();
            }
            self.tell_of_overflow(self.settings.quiet);
            if stops {
                break;
            }
        }
        self.write_backlog();
        self.sync();
        self.tell_of_overflow(Duration::ZERO);
    }

    /// Takes what there is, up to a batch. Whether it is to end.
    fn take(&mut self, first: Option<Message>, messages: &Receiver<Message>) -> bool {
        let mut stops = false;
        for message in first.into_iter().chain(messages.try_iter().take(BATCH - 1)) {
            match message {
                Message::Event(event) => self.backlog.push_back(event),
                Message::Stop => stops = true,
            }
        }
        self.state.is_full.store(false, Ordering::Relaxed);
        stops
    }

    fn write_backlog(&mut self) {
        if let Err(error) = self.try_write_backlog() {
            self.failed(&error);
        }
        self.state.queued.store(self.backlog.len(), Ordering::Relaxed);
    }

    fn try_write_backlog(&mut self) -> io::Result<()> {
        let lost = self.state.lost.load(Ordering::Relaxed);
        if lost > self.noted || (self.is_failing && self.backlog.is_empty()) {
            // First of all, so that the files say that something is missing; and where nothing else is to be written, to
            // see whether that could be.
            let note = Note::new("lost").with_lost(lost - self.noted);
            self.append(&[serde_json::value::to_raw_value(&note)?])?;
            self.noted = lost;
            self.recovered();
        }
        while !self.backlog.is_empty() {
            let count = self.backlog.len().min(BATCH);
            let texts: Vec<Box<RawValue>> = self
                .backlog
                .iter()
                .take(count)
                .map(|event| event.text.clone())
                .collect();
            self.append(&texts)?;
            let waiting = self.backlog.drain(..count).filter_map(|event| event.waiting);
            let withheld: Vec<Withheld> = waiting.filter_map(Waiting::written).collect();
            for withheld in withheld {
                self.backlog.push_front(Event {
                    text: serde_json::value::to_raw_value(&Note::withheld(&withheld))?,
                    waiting: None,
                });
            }
            self.recovered();
        }
        Ok(())
    }

    /// Appends lines, all of them or none.
    fn append(&mut self, events: &[Box<RawValue>]) -> io::Result<()> {
        if self.state.spool() > self.settings.max_spool {
            return Err(io::Error::other(format!(
                "{} MiB wait for the storage, which is as much as may (audit.max_spool_mib)",
                self.settings.max_spool >> 20
            )));
        }
        self.repair()?;
        self.rotate()?;
        let mut head = self.head.clone();
        let mut text = String::new();
        for event in events {
            text.push_str(&head.extend(&self.settings.key, self.folder.instance(), event)?);
            text.push('\n');
        }
        let required = self.settings.required;
        let Some(open) = &mut self.file else {
            return Err(io::Error::other("no file is open"));
        };
        let written = open
            .file
            .append(text.as_bytes())
            .and_then(|()| if required { open.file.sync() } else { Ok(()) });
        if let Err(error) = written {
            // Half a line would be taken for damage, and a whole one for one that stays: its number is given again.
            open.is_torn = true;
            // Where this fails too, nothing more is written before it does not.
            let _ = self.repair();
            return Err(error);
        }
        open.length += text.len() as u64;
        open.is_dirty = !required;
        self.head = head;
        self.state.written(self.head.seq, text.len() as u64);
        Ok(())
    }

    /// Cuts what a write that failed has left.
    fn repair(&mut self) -> io::Result<()> {
        let Some(open) = self.file.as_mut().filter(|open| open.is_torn) else {
            return Ok(());
        };
        open.file.cut(open.length).map_err(|error| {
            let path = open.path.display();
            io::Error::new(
                error.kind(),
                format!("what is torn in {path} cannot be cut: {error}"),
            )
        })?;
        open.is_torn = false;
        Ok(())
    }

    /// Begins a new file where the one before is full or of another day.
    fn rotate(&mut self) -> io::Result<()> {
        let now = Timestamp::now();
        let day = now.as_second().div_euclid(86_400);
        if let Some(open) = &self.file
            && open.day == day
            && open.length < self.settings.rotate_bytes
        {
            return Ok(());
        }
        self.sync();
        self.file = None;
        let path = self
            .folder
            .file(self.head.seq + 1, &now.strftime("%Y%m%d").to_string());
        let (file, length) = (self.settings.open)(&path)?;
        self.file = Some(OpenFile {
            file,
            path,
            length,
            day,
            is_dirty: false,
            is_torn: false,
        });
        Ok(())
    }

    fn sync(&mut self) {
        self.synced = Instant::now();
        let Some(open) = self.file.as_mut().filter(|open| open.is_dirty) else {
            return;
        };
        match open.file.sync() {
            Ok(()) => {
                open.is_dirty = false;
                self.is_sync_failing = false;
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_sync_failing, true) {
                    tracing::error!(%error, "the audit's file cannot be synced to the disk");
                }
            }
        }
    }

    fn failed(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.is_failing, true) {
            self.state.is_failing.store(true, Ordering::Relaxed);
            let consequence = if self.settings.required {
                "verifications are refused until it can"
            } else {
                "verifications go on, and what memory does not hold is lost"
            };
            tracing::error!(%error, folder = %self.folder.path().display(), consequence, "the audit cannot be written");
        }
        let before = self.backlog.len();
        // A result that is not written does not go out: there is nothing to be recorded of it later.
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
        let lost = before - self.backlog.len();
        self.state.lost.fetch_add(lost as u64, Ordering::Relaxed);
    }

    fn recovered(&mut self) {
        if std::mem::take(&mut self.is_failing) {
            self.state.is_failing.store(false, Ordering::Relaxed);
            let lost = self.newly_lost();
            tracing::info!(lost, "the audit is written again");
        }
    }

    /// Says that the queue is not full any more, and what that has cost; not before it has been so for a while, since one
    /// that is always nearly full would be so again and again.
    fn tell_of_overflow(&mut self, quiet: Duration) {
        if !self.state.is_overflow_told.load(Ordering::Relaxed) {
            return;
        }
        if self.state.is_full.load(Ordering::Relaxed) {
            self.overflow = None;
        }
        let since = *self.overflow.get_or_insert_with(Instant::now);
        if self.is_failing || since.elapsed() < quiet {
            return;
        }
        self.overflow = None;
        // In this order: what is lost from here on is told of anew.
        self.state.is_overflow_told.store(false, Ordering::Relaxed);
        let lost = self.newly_lost();
        tracing::warn!(lost, "the audit keeps up again");
    }

    /// How many were lost that the log does not tell of yet.
    fn newly_lost(&mut self) -> u64 {
        let lost = self.state.lost.load(Ordering::Relaxed);
        lost - std::mem::replace(&mut self.told, lost)
    }
}

#[cfg(test)]
mod tests;
