//! The one thread that writes the audit's files.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::chain::{ChainKey, Head};
use super::event::Note;
use super::folder::Folder;
use super::state::State;

/// Events that are written with one call.
const BATCH: usize = 256;
/// Events that wait in memory while the disk takes none.
const BACKLOG: usize = 8_192;
/// Pause between two attempts to write to a disk that takes nothing.
const RETRY: Duration = Duration::from_secs(1);

/// What the writer is asked for.
pub(super) enum Message {
    /// Write this. Who waits is told whether it is in the file.
    Event(Box<RawValue>, Option<oneshot::Sender<bool>>),
    /// Write what there is, and end.
    Stop,
}

type Waiting = (Box<RawValue>, Option<oneshot::Sender<bool>>);

pub(super) struct Settings {
    pub(super) key: ChainKey,
    pub(super) sync: Duration,
    /// Every line is on the disk before anybody is told of it, and what cannot be written is not kept.
    pub(super) required: bool,
    pub(super) rotate_bytes: u64,
    pub(super) max_spool: u64,
}

pub(super) struct Writer {
    folder: Arc<Folder>,
    state: Arc<State>,
    settings: Settings,
    head: Head,
    file: Option<OpenFile>,
    backlog: VecDeque<Waiting>,
    synced: Instant,
    /// Since when nothing could be written, and what had been lost by then.
    failing: Option<u64>,
}

struct OpenFile {
    file: File,
    length: u64,
    day: i64,
    is_dirty: bool,
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
            failing: None,
        }
    }

    /// Writes until it is told to stop, or nobody is left who could ask.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        loop {
            let pause = if self.failing.is_some() {
                RETRY
            } else {
                self.settings.sync
            };
            let first = match messages.recv_timeout(pause.max(Duration::from_millis(10))) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let mut stops = false;
            for message in first.into_iter().chain(messages.try_iter().take(BATCH - 1)) {
                match message {
                    Message::Event(event, waiting) => self.backlog.push_back((event, waiting)),
                    Message::Stop => stops = true,
                }
            }
            self.write_backlog();
            if self.synced.elapsed() >= self.settings.sync {
                self.sync();
            }
            if stops {
                break;
            }
        }
        self.write_backlog();
        self.sync();
    }

    fn write_backlog(&mut self) {
        let lost = self.state.lost.load(Ordering::Relaxed);
        if let Some(before) = self.failing
            && (lost > before || self.backlog.is_empty())
        {
            // First of all, so that the files say that something is missing; and where nothing else is to be written, to
            // see whether that could be.
            self.note_lost(lost - before);
        }
        while !self.backlog.is_empty() {
            let count = self.backlog.len().min(BATCH);
            let events: Vec<Box<RawValue>> = self
                .backlog
                .iter()
                .take(count)
                .map(|(event, _)| event.clone())
                .collect();
            match self.append(&events) {
                Ok(()) => {
                    for (_, waiting) in self.backlog.drain(..count) {
                        if let Some(waiting) = waiting {
                            // Who does not wait any longer does not mind.
                            let _ = waiting.send(true);
                        }
                    }
                    self.recovered();
                }
                Err(error) => {
                    self.failed(&error);
                    break;
                }
            }
        }
        self.state.queued.store(self.backlog.len(), Ordering::Relaxed);
    }

    fn note_lost(&mut self, lost: u64) {
        let Ok(event) = serde_json::value::to_raw_value(&Note::new("lost").with_lost(lost)) else {
            return;
        };
        if self.append(&[event]).is_ok() {
            self.recovered();
        }
    }

    /// Appends lines, all of them or none.
    fn append(&mut self, events: &[Box<RawValue>]) -> io::Result<()> {
        if self.state.spool() > self.settings.max_spool {
            return Err(io::Error::other(format!(
                "{} MiB wait for the storage, which is as much as may (audit.max_spool_mib)",
                self.settings.max_spool >> 20
            )));
        }
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
            .write_all(text.as_bytes())
            .and_then(|()| if required { open.file.sync_data() } else { Ok(()) });
        if let Err(error) = written {
            // Half a line would be taken for damage.
            if open.file.set_len(open.length).is_err() {
                self.file = None;
            }
            return Err(error);
        }
        open.length += text.len() as u64;
        open.is_dirty = !required;
        self.head = head;
        self.state.written(self.head.seq, text.len() as u64);
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
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        let length = file.metadata()?.len();
        self.file = Some(OpenFile {
            file,
            length,
            day,
            is_dirty: false,
        });
        Ok(())
    }

    fn sync(&mut self) {
        self.synced = Instant::now();
        if let Some(open) = &mut self.file
            && open.is_dirty
        {
            match open.file.sync_data() {
                Ok(()) => open.is_dirty = false,
                Err(error) => tracing::error!(%error, "the audit's file cannot be synced to the disk"),
            }
        }
    }

    fn failed(&mut self, error: &io::Error) {
        if self.failing.is_none() {
            self.failing = Some(self.state.lost.load(Ordering::Relaxed));
            self.state.is_failing.store(true, Ordering::Relaxed);
            let consequence = if self.settings.required {
                "verifications are refused until it can"
            } else {
                "verifications go on, and what memory does not hold is lost"
            };
            tracing::error!(%error, folder = %self.folder.path().display(), consequence, "the audit cannot be written");
        }
        let kept = if self.settings.required { 0 } else { BACKLOG };
        while self.backlog.len() > kept {
            if let Some((_, Some(waiting))) = self.backlog.pop_front() {
                let _ = waiting.send(false);
            }
            self.state.lost.fetch_add(1, Ordering::Relaxed);
        }
        // What is kept is not in the file: nobody waits for that any longer.
        for (_, waiting) in &mut self.backlog {
            if let Some(waiting) = waiting.take() {
                let _ = waiting.send(false);
            }
        }
    }

    fn recovered(&mut self) {
        if let Some(before) = self.failing.take() {
            self.state.is_failing.store(false, Ordering::Relaxed);
            let lost = self.state.lost.load(Ordering::Relaxed) - before;
            tracing::info!(lost, "the audit is written again");
        }
    }
}
