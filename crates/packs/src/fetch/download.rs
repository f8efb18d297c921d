//! One file from one place into the model store.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use super::client::{Client, network, of_status};
use super::places::Place;
use super::{Event, RetryPolicy, Watcher};
use crate::store::Partial;
use crate::{FailureKind, FetchFailure, PackError, SourceFile, Store};

/// Bytes that are read at a time.
const CHUNK: usize = 1 << 16;

/// An attempt that got this many bytes further than any before it does not count: a connection that is cut every few
/// megabytes still delivers a large file, and no file takes for ever.
const PROGRESS: u64 = 1 << 20;

/// Longest pause between two attempts.
const LONGEST_BACKOFF: Duration = Duration::from_secs(8);

/// Fewest bytes a second, on average over the read timeout. A server that sends a byte now and then would otherwise hold
/// a pull, and the lock of the model store, for years; a model of 8 MB takes over two hours at this rate.
const LEAST_RATE: f64 = 1024.0;

/// Why fetching a file stops.
pub(super) enum Stop {
    /// This place failed.
    Place(FetchFailure),
    /// The model store failed.
    Store(PackError),
}

impl From<FetchFailure> for Stop {
    fn from(failure: FetchFailure) -> Self {
        Self::Place(failure)
    }
}

impl From<PackError> for Stop {
    fn from(error: PackError) -> Self {
        Self::Store(error)
    }
}

/// Fetches files into a model store.
pub(super) struct Fetcher<'a> {
    pub(super) store: &'a Store,
    pub(super) client: &'a Client,
    pub(super) retry: &'a RetryPolicy,
    pub(super) watch: Watcher<'a>,
}

/// A file to fetch.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) source: &'a SourceFile,
}

impl Fetcher<'_> {
    /// Fetches a file from a place, and returns its size.
    pub(super) fn fetch(&self, wanted: Wanted<'_>, place: &Place) -> Result<u64, Stop> {
        match place {
            Place::File(path) => self.copy(wanted, path),
            Place::Address(address) => self.download(wanted, address),
        }
    }

    fn copy(&self, wanted: Wanted<'_>, path: &Path) -> Result<u64, Stop> {
        let failed = |error: std::io::Error| {
            let reason = match error.kind() {
                ErrorKind::NotFound => "there is no such file".to_owned(),
                _ => format!("cannot be read: {error}"),
            };
            FetchFailure::new(FailureKind::Unavailable, reason)
        };
        let found = std::fs::metadata(path).map_err(failed)?;
        // A folder, or a pipe, which would block.
        if !found.is_file() {
            return Err(failed(std::io::Error::other("it is not a file")).into());
        }
        check_size(wanted.source, Some(found.len()))?;
        let file = File::open(path).map_err(failed)?;
        let mut partial = self.store.begin(&wanted.source.sha256)?;
        self.announce(wanted, &path.display().to_string(), &partial);
        self.receive(wanted, file, &mut partial, failed, |_| Ok(()))?;
        finish(wanted.source, partial)
    }

    fn download(&self, wanted: Wanted<'_>, address: &str) -> Result<u64, Stop> {
        let source = wanted.source;
        let mut partial = self.store.resume(&source.sha256, source.max_bytes())?;
        let mut attempts = self.retry.attempts;
        let mut backoff = self.retry.backoff;
        let mut inherited = partial.length() > 0;
        let mut furthest = partial.length();
        self.announce(wanted, address, &partial);
        loop {
            let failure = match self.attempt(wanted, address, &mut partial) {
                Ok(()) if partial.is_whole() || !inherited => return finish(source, partial),
                // The wrong bytes may be those of an earlier pull: once, the whole file is fetched.
                Ok(()) => {
                    (inherited, furthest) = (false, 0);
                    partial.restart()?;
                    continue;
                }
                Err(Stop::Place(failure))
                    if matches!(failure.kind(), FailureKind::Temporary | FailureKind::Network) =>
                {
                    failure
                }
                Err(stop) => return Err(stop),
            };
            // Further than any attempt: what was discarded in between may come again and again.
            if partial.length() >= furthest.saturating_add(PROGRESS) {
                furthest = partial.length();
                (attempts, backoff) = (self.retry.attempts, self.retry.backoff);
            } else {
                attempts = attempts.saturating_sub(1);
            }
            if attempts == 0 {
                return Err(failure.into());
            }
            (self.watch)(Event::Retrying {
                file: wanted.name,
                from: address,
                why: &failure.to_string(),
            });
            std::thread::sleep(backoff);
            backoff = (backoff * 2).min(LONGEST_BACKOFF);
        }
    }

    /// Makes one request, for the missing part of the file.
    fn attempt(&self, wanted: Wanted<'_>, address: &str, partial: &mut Partial) -> Result<(), Stop> {
        if partial.length() > 0 && partial.is_whole() {
            return Ok(());
        }
        if wanted.source.size == Some(partial.length()) {
            partial.restart()?;
        }
        let answer = self.client.get(address, partial.length())?;
        match answer.status {
            206 if answer.start == partial.length() => check_size(wanted.source, answer.total)?,
            206 => {
                partial.restart()?;
                let reason = "the server sent another part of the file than requested";
                return Err(FetchFailure::new(FailureKind::Temporary, reason).into());
            }
            200 => {
                // Before the bytes so far are discarded: the response may be no file at all.
                check_size(wanted.source, answer.total)?;
                partial.restart()?;
            }
            status => {
                if status == 416 {
                    partial.restart()?;
                }
                return Err(of_status(status).into());
            }
        }
        let mut pace = Pace::new(self.retry.read_timeout, Instant::now(), partial.length());
        self.receive(
            wanted,
            answer.body,
            partial,
            |error| network(format!("the connection broke: {error}")),
            |length| pace.check(Instant::now(), length),
        )?;
        match wanted.source.size.or(answer.total) {
            Some(expected) if partial.length() < expected => {
                let received = partial.length();
                Err(network(format!("ended after {received} bytes of {expected}")).into())
            }
            _ => Ok(()),
        }
    }

    fn announce(&self, wanted: Wanted<'_>, from: &str, partial: &Partial) {
        (self.watch)(Event::Fetching {
            file: wanted.name,
            from,
            size: wanted.source.size,
            there: partial.length(),
        });
    }

    /// Writes what can be read, as long as it is no more than the file may have, and `go_on`, which gets the length so
    /// far, allows it.
    fn receive(
        &self,
        wanted: Wanted<'_>,
        mut from: impl Read,
        partial: &mut Partial,
        failed: impl Fn(std::io::Error) -> FetchFailure,
        mut go_on: impl FnMut(u64) -> Result<(), FetchFailure>,
    ) -> Result<(), Stop> {
        let limit = wanted.source.max_bytes();
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = match from.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed(error).into()),
            };
            if read as u64 > limit.saturating_sub(partial.length()) {
                partial.restart()?;
                return Err(wrong_file(format!("more than {limit} bytes")).into());
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

fn wrong_file(reason: impl std::fmt::Display) -> FetchFailure {
    FetchFailure::new(FailureKind::WrongFile, format!("not the file: {reason}"))
}

/// Checks the size that a place states, before anything is read.
fn check_size(source: &SourceFile, found: Option<u64>) -> Result<(), FetchFailure> {
    match (source.size, found) {
        (Some(expected), Some(found)) if expected != found => {
            Err(wrong_file(format!("expected {expected} bytes, found {found}")))
        }
        (None, Some(found)) if found > source.max_bytes() => {
            Err(wrong_file(format!("more than {} bytes", source.max_bytes())))
        }
        _ => Ok(()),
    }
}

fn finish(source: &SourceFile, partial: Partial) -> Result<u64, Stop> {
    let length = partial.length();
    let wrong = |found| wrong_file(format!("expected SHA-256 {}, found {found}", source.sha256));
    partial.finish()?.map_err(wrong)?;
    Ok(length)
}

/// The rate of a download, averaged over one window after another.
struct Pace {
    window: Duration,
    begin: Instant,
    /// Bytes at the beginning of the window.
    length: u64,
}

impl Pace {
    fn new(window: Duration, now: Instant, length: u64) -> Self {
        Self {
            window,
            begin: now,
            length,
        }
    }

    /// Fails if the window that ends now had fewer bytes than [`LEAST_RATE`] allows.
    fn check(&mut self, now: Instant, length: u64) -> Result<(), FetchFailure> {
        let passed = now.saturating_duration_since(self.begin);
        if passed < self.window {
            return Ok(());
        }
        let came = length.saturating_sub(self.length);
        if (came as f64) < LEAST_RATE * passed.as_secs_f64() {
            return Err(network(format!(
                "the server sends too slowly: {came} bytes in {:.0} s",
                passed.as_secs_f64()
            )));
        }
        (self.begin, self.length) = (now, length);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_slow_by_what_it_sent_in_a_window() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut pace = Pace::new(Duration::from_secs(30), start, 500);
        assert!(pace.check(at(29), 500).is_ok(), "the window is not over");
        assert!(pace.check(at(30), 500 + 30 * 1024).is_ok());
        // Ahead in one window is not ahead in the next.
        assert!(pace.check(at(60), 10_000_000).is_ok());
        let error = pace.check(at(90), 10_000_003).unwrap_err();
        assert_eq!(error.to_string(), "the server sends too slowly: 3 bytes in 30 s");
        assert_eq!(error.kind(), FailureKind::Network);
    }
}
