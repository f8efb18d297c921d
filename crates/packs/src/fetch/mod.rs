//! Pulling a pack: its sources are fetched, its models imported, and all of it verified, into a model store. Whatever ends
//! a pull, no file there has other bytes than its name says; the next pull resumes what has arrived.

mod cancellation;
mod client;
mod download;
mod job;
mod library;
mod member;
mod packages;
mod places;
mod stop;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use cancellation::Cancellation;
#[doc(hidden)]
pub use client::{client, native_roots};
pub use places::{ENV_MIRROR, Mirror};

use crate::archive::Archive;
use crate::{DEFAULT_PACK, Manifest, PackError, Store};
use job::Job;

/// Timeouts and attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Timeout of a name lookup, and of a connection.
    pub connect_timeout: Duration,
    /// Timeout of a response and of each part of its body; less than a kilobyte a second for as long counts as silence.
    pub read_timeout: Duration,
    /// Attempts for each address; those that brought a megabyte do not count.
    pub attempts: u32,
    /// Pause before the second attempt; it doubles with each, up to 8 s.
    pub backoff: Duration,
    /// Timeout of a client of a package registry, which is killed then.
    pub client_timeout: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            attempts: 4,
            backoff: Duration::from_millis(500),
            client_timeout: Duration::from_secs(300),
        }
    }
}

/// How to pull a pack.
///
/// ```no_run
/// use likeness_packs::{PackError, StoreSearch, fetch::{Mirror, Pull}};
///
/// # fn main() -> Result<(), PackError> {
/// let mut pull = Pull::default();
/// pull.mirror = Some(Mirror::Folder("/srv/models".into()));
/// let pulled = pull.run(&StoreSearch::new().place(), Some("open-2"), &|event| println!("{event:?}"))?;
/// println!("{} files fetched", pulled.fetched.len());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Pull {
    /// An archive of [`export`](crate::archive::export) as the only source.
    pub archive: Option<PathBuf>,
    /// A folder or server as the only source.
    pub mirror: Option<Mirror>,
    /// Local files by the names of sources; no other place is tried for these. Not used with an archive, which has all.
    pub sources: BTreeMap<String, PathBuf>,
    /// Files that are fetched at the same time; four where absent.
    pub jobs: Option<usize>,
    /// Whether licences that do not allow commercial use are accepted.
    pub accept_license: bool,
    /// Whether sources are deleted once the models are imported from them.
    pub drop_sources: bool,
    /// Whether to copy the manifest into the model store, so that a pack given by its path is found by its name.
    pub install: bool,
    /// Whether to fail, instead of waiting, while another process writes to the model store.
    pub no_wait: bool,
    /// Timeouts and attempts.
    pub retry: RetryPolicy,
    /// Cancels the pull from another thread.
    pub cancellation: Cancellation,
}

/// The result of a pull.
#[derive(Debug)]
#[non_exhaustive]
pub struct Pulled {
    /// The pack, which is complete now.
    pub manifest: Manifest,
    /// Names of the sources that were fetched, or blobs taken from an archive.
    pub fetched: Vec<String>,
    /// Names of the models that are new in the model store: imported ones, and sources that are models as they are.
    pub made: Vec<String>,
    /// Whether its manifest was installed.
    pub installed: bool,
}

impl Pull {
    /// Fetches the ONNX Runtime library for this platform, the one that `make setup` installs, into a folder, and returns its
    /// path. The user's pip gets it, out of a wheel that is pinned by version and SHA-256; the licence comes with it. A
    /// library that is present with the right checksum costs no request and no write.
    ///
    /// # Errors
    /// [`PackError::LibraryNotPinned`], [`PackError::LibraryNotFetched`], or a folder that cannot be written.
    pub fn onnx_runtime(&self, folder: &Path, watch: Watcher<'_>) -> Result<PathBuf, PackError> {
        library::Library::pinned()?.fetch(self, folder, watch)
    }

    /// Completes a pack in a model store, which is created if there is none. A complete pack costs no request and no
    /// write. The default for `pack` is the archive's, or else [`DEFAULT_PACK`].
    ///
    /// # Errors
    /// [`PackError`]; the model store keeps what was fetched so far, all of it verified.
    pub fn run(&self, store: &Store, pack: Option<&str>, watch: Watcher<'_>) -> Result<Pulled, PackError> {
        let archive = self.archive.as_deref();
        let archive = archive.map(|file| Archive::open(file, store, pack)).transpose()?;
        let located = match &archive {
            Some(archive) => archive.located.clone(),
            None => store.locate(pack.unwrap_or(DEFAULT_PACK))?,
        };
        let job = Job {
            pull: self,
            store,
            located,
            watch,
        };
        job.check()?;
        match archive {
            Some(archive) => job.take(&archive),
            None => job.fetch(),
        }
    }
}

/// Progress of a pull. Events of several files come from several threads.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Another process is writing to the model store in this folder; the pull waits for it.
    Waiting(&'a Path),
    /// What became of a file.
    File {
        /// Its name in the manifest.
        file: &'a str,
        /// Address or path.
        from: &'a str,
        /// What happened.
        step: Step<'a>,
    },
    /// A model is in the model store, verified.
    Made {
        /// Its name in the manifest.
        model: &'a str,
        /// Its size in bytes.
        bytes: u64,
    },
}

/// Progress of one file.
#[derive(Debug)]
#[non_exhaustive]
pub enum Step<'a> {
    /// It is requested.
    Fetching {
        /// Its size in bytes, if known.
        size: Option<u64>,
        /// Bytes from an earlier attempt.
        there: u64,
    },
    /// Another part of it has arrived: so many bytes in all.
    Received(u64),
    /// An attempt failed for this reason; there will be another one.
    Retrying(&'a str),
    /// The place failed for this reason; the next one is tried, if there is one.
    Refused(&'a str),
    /// It is in the model store, verified, with so many bytes.
    Fetched(u64),
}

/// Receives the events of a pull.
pub type Watcher<'a> = &'a (dyn Fn(Event<'_>) + Sync);
