//! The one thread that writes the audit's files.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::chain::{ChainKey, Head};
use super::event::Note;
use super::folder::{self, Folder};
use super::line_file::{self, LineFile, Open};
use super::recent::Recent;
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
    /// Files that are complete, and that the storage has not got all lines of.
    complete: VecDeque<CompleteFile>,
    recent: Recent,
    /// Whether a file or the folder is not where it should be.
    is_taken: bool,
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

/// A file to which nothing more is written.
struct CompleteFile {
    file: OpenFile,
    /// Number of its last line.
    last: u64,
}

impl OpenFile {
    /// Opens the file at `path`, which belongs to this day.
    fn open(settings: &Settings, path: PathBuf, day: i64) -> io::Result<Self> {
        let (file, length) = (settings.open)(&path)?;
        Ok(Self {
            file,
            path,
            length,
            day,
            is_dirty: false,
            is_torn: false,
        })
    }

    /// Fails where it was removed, moved, replaced or truncated.
    fn check(&self) -> io::Result<()> {
        self.file.check(&self.path, self.length)
    }

    /// Likewise, and where the line `last` is not its last one: where it was truncated, something else may have been appended
    /// since, so that its length says nothing.
    fn check_end(&self, last: u64) -> io::Result<()> {
        self.check()?;
        if ends_with(self.file.reader()?, self.length, last)? {
            return Ok(());
        }
        let path = self.path.display();
        Err(io::Error::other(format!("{path} was truncated while in use")))
    }
}

impl Writer {
    /// Goes on behind `head`. The state must say what of the folder is in the storage.
    pub(super) fn new(
        folder: Arc<Folder>,
        state: Arc<State>,
        settings: Settings,
        head: Head,
    ) -> io::Result<Self> {
        let complete = unstored_files(&folder, &settings, state.last_stored(), head.seq)?;
        Ok(Self {
            complete,
            recent: Recent::new(head.seq, BACKLOG),
            is_taken: false,
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
        })
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
        if self.is_taken {
            self.write_backlog();
        }
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
        if self.is_taken {
            self.put_back()?;
        }
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
        let mut lines = Vec::with_capacity(events.len());
        for event in events {
            lines.push(head.extend(&self.settings.key, self.folder.instance(), event)?);
        }
        let text = text_of(lines.iter().map(String::as_str));
        if let Err(error) = self.append_text(&text) {
            if let Some(open) = &mut self.file {
                // Half a line would be taken for damage, and a whole one for one that stays: its number is given again.
                open.is_torn = true;
            }
            // Where this fails too, nothing more is written before it does not.
            let _ = self.repair();
            return Err(error);
        }
        if let Some(open) = &mut self.file {
            open.length += text.len() as u64;
            open.is_dirty = !self.settings.required;
        }
        self.head = head;
        for line in lines {
            self.recent.push(line);
        }
        self.state.written(self.head.seq, text.len() as u64);
        Ok(())
    }

    /// Appends text to the open file. Where it is required, it is on the disk, in files that are where they should be.
    fn append_text(&mut self, text: &str) -> io::Result<()> {
        let open = self
            .file
            .as_mut()
            .ok_or_else(|| io::Error::other("no file is open"))?;
        open.file.append(text.as_bytes())?;
        if self.settings.required {
            open.file.sync()?;
            self.check(text.len() as u64)?;
        }
        Ok(())
    }

    /// Fails where a file that the storage has not got all lines of, or the folder, is not where it should be any more.
    /// `more`: bytes that the open file has besides those that count.
    fn check(&mut self, more: u64) -> io::Result<()> {
        let stored = self.state.last_stored();
        self.recent.forget(stored);
        while self.complete.front().is_some_and(|file| file.last <= stored) {
            self.complete.pop_front();
        }
        let checked = self
            .folder
            .check()
            .and_then(|()| self.complete.iter().try_for_each(|file| file.file.check()))
            .and_then(|()| match &self.file {
                Some(open) => open.file.check(&open.path, open.length + more),
                None => Ok(()),
            });
        self.is_taken = checked.is_err();
        if checked.is_ok() {
            self.state.checked();
        }
        checked
    }

    /// Has the folder and the files that were taken away again where they should be, with all that the open files and the
    /// memory have of them. What is written next goes into a new file.
    fn put_back(&mut self) -> io::Result<()> {
        self.folder.put_back()?;
        let last = self.head.seq;
        if self
            .file
            .as_ref()
            .is_some_and(|open| open.check_end(last).is_ok())
        {
            self.repair()?;
        }
        let open = self.file.take().map(|file| CompleteFile {
            file,
            last: self.head.seq,
        });
        self.complete.extend(open);
        let (mut files, mut lost) = (0_u64, 0);
        let mut kept = VecDeque::new();
        while let Some(file) = self.complete.pop_front() {
            if file.file.check_end(file.last).is_ok() {
                kept.push_back(file);
                continue;
            }
            match self.put_file_back(&file) {
                Ok((back, lines)) => {
                    kept.extend(back);
                    (files, lost) = (files + 1, lost + lines);
                }
                Err(error) => {
                    kept.push_back(file);
                    kept.append(&mut self.complete);
                    self.complete = kept;
                    return Err(error);
                }
            }
        }
        self.complete = kept;
        self.check(0)?;
        self.state.lost.fetch_add(lost, Ordering::Relaxed);
        if lost == 0 {
            tracing::warn!(files, "restored audit files that were taken away while in use");
        } else {
            tracing::error!(
                files,
                lost,
                "restored audit files that were taken away while in use, without the records that neither the files nor                  memory had any more"
            );
        }
        Ok(())
    }

    /// Has a file again where it should be. What is there now instead, and how many lines are lost.
    fn put_file_back(&self, file: &CompleteFile) -> io::Result<(Vec<CompleteFile>, u64)> {
        let CompleteFile { file: open, last } = file;
        let first = folder::first_line_of(&open.path).unwrap_or(1);
        let (length, last_kept) = if ends_with(open.file.reader()?, open.length, *last)? {
            (open.length, *last)
        } else {
            whole_lines(open.file.reader()?, first, *last)?
        };
        line_file::put_back(&open.file.reader()?, &open.path, length)?;
        let mut back = Vec::new();
        let rest = self.recent.between(last_kept, *last);
        let next = rest.as_ref().map_or(last + 1, |(first, _)| *first);
        if let Some((number, lines)) = rest {
            let path = open
                .path
                .with_file_name(folder::name(number, &day_of(&open.path)));
            let mut rest = OpenFile::open(&self.settings, path, open.day)?;
            let text = text_of(lines);
            rest.file.append(text.as_bytes())?;
            rest.file.sync()?;
            rest.length += text.len() as u64;
            back.push(CompleteFile {
                file: rest,
                last: *last,
            });
        }
        if length > 0 {
            let file = OpenFile::open(&self.settings, open.path.clone(), open.day)?;
            back.insert(
                0,
                CompleteFile {
                    file,
                    last: last_kept,
                },
            );
        } else if back.iter().all(|rest| rest.file.path != open.path) {
            std::fs::remove_file(&open.path)?;
        }
        let known = last_kept.max(self.state.last_stored());
        Ok((back, next.saturating_sub(known + 1)))
    }

    /// Cuts what a write that failed has left.
    fn repair(&mut self) -> io::Result<()> {
        let Some(open) = self.file.as_mut().filter(|open| open.is_torn) else {
            return Ok(());
        };
        // One that was truncated would be filled up with zeros, or keep half a line in its middle.
        if let Err(error) = open.check_end(self.head.seq) {
            self.is_taken = true;
            return Err(error);
        }
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
        self.check(0)?;
        self.sync();
        let complete = self.file.take().map(|file| CompleteFile {
            file,
            last: self.head.seq,
        });
        self.complete.extend(complete);
        let path = self
            .folder
            .file(self.head.seq + 1, &now.strftime("%Y%m%d").to_string());
        self.file = Some(OpenFile::open(&self.settings, path, day)?);
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

/// Lines as a file has them.
fn text_of<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The day that the name of a file ends with.
fn day_of(file: &Path) -> String {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let (_, day) = name.split_once('-').unwrap_or_default();
    day.to_owned()
}

/// Whether the line `last` ends at this place.
fn ends_with(mut file: File, place: u64, last: u64) -> io::Result<bool> {
    if file.metadata()?.len() < place {
        return Ok(false);
    }
    if place == 0 {
        return Ok(true);
    }
    let line = folder::last_line(&mut file, place);
    Ok(line.is_ok_and(|line| Head::of(&line).is_ok_and(|head| head.seq == last)))
}

/// How much of a file are whole lines with the numbers from `first` on, no further than `last`: bytes, and the number of the
/// last of these lines.
fn whole_lines(file: File, first: u64, last: u64) -> io::Result<(u64, u64)> {
    let (mut length, mut seq) = (0, first.saturating_sub(1));
    for line in folder::lines_of(file, 0) {
        let (line, behind) = line?;
        let is_next = Head::of(&line).is_ok_and(|head| head.seq == seq + 1 && head.seq <= last);
        if !is_next {
            break;
        }
        (length, seq) = (behind, seq + 1);
    }
    Ok((length, seq))
}

/// The files of earlier processes whose last line is behind `stored`, with their ends; that of the last one is `last`.
fn unstored_files(
    folder: &Folder,
    settings: &Settings,
    stored: u64,
    last: u64,
) -> io::Result<VecDeque<CompleteFile>> {
    let files = folder::files(folder.path())?;
    let begins = files.iter().skip(1).map(|next| folder::first_line_of(next));
    let ends = begins.map(|first| first.map_or(last, |first| first.saturating_sub(1)));
    let ends: Vec<u64> = ends.chain([last]).collect();
    let unstored = files.into_iter().zip(ends).filter(|(_, last)| *last > stored);
    unstored
        .map(|(path, last)| {
            let file = OpenFile::open(settings, path, 0)?;
            Ok(CompleteFile { file, last })
        })
        .collect()
}

#[cfg(test)]
mod tests;
