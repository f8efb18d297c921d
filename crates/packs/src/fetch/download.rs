//! One file into the store, from one place.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use super::Patience;
use super::client::{Client, read_trouble};
use super::error::Trouble;
use super::event::{Event, Watcher};
use super::origin::Place;
use super::pace::Pace;
use crate::store::Partial;
use crate::{SourceFile, Store, StoreError};

/// Read at a time.
const CHUNK: usize = 1 << 16;

/// An attempt that got this many bytes further than any before it does not count as one of the tries: who is cut off every
/// few megabytes gets a large file all the same, and no file takes for ever.
const PROGRESS: u64 = 1 << 20;

/// Longest pause between two tries.
const LONGEST_PAUSE: std::time::Duration = std::time::Duration::from_secs(8);

/// What stops the fetching of a file: something with this place, or something with the store.
pub(super) enum Stop {
    Place(Trouble),
    Store(StoreError),
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        Self::Place(trouble)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Fetches files into a store.
pub(super) struct Fetcher<'a> {
    pub(super) store: &'a Store,
    pub(super) client: &'a Client,
    pub(super) patience: &'a Patience,
    pub(super) watch: Watcher<'a>,
}

/// A file to fetch.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) source: &'a SourceFile,
}

impl Fetcher<'_> {
    /// Brings a file from a place into the store, and says its size.
    pub(super) fn fetch(&self, wanted: Wanted<'_>, place: &Place) -> Result<u64, Stop> {
        match place {
            Place::File(path) => self.copy(wanted, path),
            Place::Address(address) => self.download(wanted, address),
        }
    }

    fn copy(&self, wanted: Wanted<'_>, path: &Path) -> Result<u64, Stop> {
        let found = std::fs::metadata(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Trouble::NoFile,
            _ => Trouble::Unreadable(error),
        })?;
        // A folder, or a pipe, which nobody may ever write to.
        if !found.is_file() {
            return Err(Trouble::Unreadable(std::io::Error::other("it is no file")).into());
        }
        check_size(wanted.source, Some(found.len()))?;
        let file = File::open(path).map_err(Trouble::Unreadable)?;
        let mut partial = self.store.begin(&wanted.source.sha256)?;
        self.begin(wanted, &path.display().to_string(), &partial);
        self.receive(wanted, file, &mut partial, Trouble::Unreadable, |_| Ok(()))?;
        finish(wanted.source, partial)
    }

    fn download(&self, wanted: Wanted<'_>, address: &str) -> Result<u64, Stop> {
        let source = wanted.source;
        let mut partial = self.store.resume(&source.sha256, source.max_bytes())?;
        let mut tries = self.patience.tries;
        let mut pause = self.patience.pause;
        let mut inherited = partial.length() > 0;
        let mut furthest = partial.length();
        self.begin(wanted, address, &partial);
        loop {
            let trouble = match self.attempt(wanted, address, &mut partial) {
                Ok(()) if partial.is_whole() => return finish(source, partial),
                // The wrong bytes may be those from before: once, it is fetched whole.
                Ok(()) if inherited => {
                    (inherited, furthest) = (false, 0);
                    partial.restart()?;
                    continue;
                }
                Ok(()) => return finish(source, partial),
                Err(Stop::Place(trouble)) if trouble.may_pass() => trouble,
                Err(stop) => return Err(stop),
            };
            // Not from the try before: what was thrown away in between may come again and again.
            if partial.length() >= furthest.saturating_add(PROGRESS) {
                furthest = partial.length();
                (tries, pause) = (self.patience.tries, self.patience.pause);
            } else {
                tries = tries.saturating_sub(1);
            }
            if tries == 0 {
                return Err(trouble.into());
            }
            (self.watch)(Event::Retrying {
                file: wanted.name,
                from: address,
                why: &trouble.to_string(),
            });
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One request, for what is missing of the file.
    fn attempt(&self, wanted: Wanted<'_>, address: &str, partial: &mut Partial) -> Result<(), Stop> {
        if partial.length() > 0 && partial.is_whole() {
            return Ok(());
        }
        if wanted.source.size == Some(partial.length()) {
            partial.restart()?;
        }
        let answer = match self.client.get(address, partial.length()) {
            Ok(answer) => answer,
            Err(trouble) => {
                if matches!(trouble, Trouble::Range) {
                    partial.restart()?;
                }
                return Err(trouble.into());
            }
        };
        match answer.status {
            206 if answer.start == partial.length() => check_size(wanted.source, answer.total)?,
            200 => {
                // Before what has arrived is thrown away: it may be no part of the file.
                check_size(wanted.source, answer.total)?;
                partial.restart()?;
            }
            status => {
                if status == 416 {
                    partial.restart()?;
                }
                return Err(Trouble::Status(status).into());
            }
        }
        let mut pace = Pace::new(self.patience.read, Instant::now(), partial.length());
        self.receive(
            wanted,
            answer.body,
            partial,
            |error| read_trouble(&error),
            |length| pace.check(Instant::now(), length),
        )?;
        let expected = wanted.source.size.or(answer.total);
        if expected.is_some_and(|expected| partial.length() < expected) {
            let received = partial.length();
            return Err(Trouble::Cut { received, expected }.into());
        }
        Ok(())
    }

    fn begin(&self, wanted: Wanted<'_>, from: &str, partial: &Partial) {
        (self.watch)(Event::Fetching {
            file: wanted.name,
            from,
            size: wanted.source.size,
            there: partial.length(),
        });
    }

    /// Writes what can be read, as long as it is no more than the file may have, and `go_on`, which is told how much there
    /// is, allows it.
    fn receive(
        &self,
        wanted: Wanted<'_>,
        mut from: impl Read,
        partial: &mut Partial,
        trouble: impl Fn(std::io::Error) -> Trouble,
        mut go_on: impl FnMut(u64) -> Result<(), Trouble>,
    ) -> Result<(), Stop> {
        let limit = wanted.source.max_bytes();
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = match from.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(trouble(error).into()),
            };
            if read as u64 > limit.saturating_sub(partial.length()) {
                partial.restart()?;
                return Err(Trouble::TooLong { limit }.into());
            }
            partial.write(&chunk[..read])?;
            (self.watch)(Event::Received {
                file: wanted.name,
                bytes: partial.length(),
            });
            if partial.length() < limit {
                go_on(partial.length())?;
            }
        }
    }
}

/// What a place says of the size, before anything is read.
fn check_size(source: &SourceFile, found: Option<u64>) -> Result<(), Trouble> {
    match (source.size, found) {
        (Some(expected), Some(found)) if expected != found => Err(Trouble::WrongSize { expected, found }),
        (None, Some(found)) if found > source.max_bytes() => Err(Trouble::TooLong {
            limit: source.max_bytes(),
        }),
        _ => Ok(()),
    }
}

fn finish(source: &SourceFile, partial: Partial) -> Result<u64, Stop> {
    let length = partial.length();
    match partial.finish()? {
        Ok(()) => Ok(length),
        Err(wrong) => Err(Stop::Place(Trouble::WrongChecksum {
            expected: source.sha256.clone(),
            found: wrong.found,
        })),
    }
}
