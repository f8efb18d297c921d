//! Getting a pack: its sources from where they may be had, the models made of them, all of it checked, into a store.
//!
//! Whatever ends a pull, the store holds nothing that is not what its name says: files are gathered apart and take their
//! place when their checksum is right. The next pull goes on with what has arrived.

mod client;
mod download;
mod error;
mod event;
mod job;
mod origin;
mod pace;
mod proxy;
mod redirect;

use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

pub use error::{FetchError, NotFetched, Trouble};
pub use event::{Event, Watcher};
pub use origin::{ENV_MIRROR, Mirror};

use crate::archive::Archive;
use crate::{DEFAULT_PACK, Manifest, Store};
use job::Job;

/// Files that are fetched at the same time.
const JOBS: NonZero<usize> = NonZero::new(4).unwrap();

/// How long to wait, and how often to try.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Patience {
    /// Longest wait for an address to be looked up, and for a connection.
    pub connect: Duration,
    /// Longest silence of a server, before its answer and within it; a server that sends less than a kilobyte a second for
    /// as long counts as silent too.
    pub read: Duration,
    /// Tries for each address; those that brought a megabyte do not count.
    pub tries: u32,
    /// Pause before the second try; it doubles with each, up to 8 s.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            read: Duration::from_secs(30),
            tries: 4,
            pause: Duration::from_millis(500),
        }
    }
}

/// How to get a pack.
///
/// ```no_run
/// use likeness_packs::{StoreSearch, fetch::{FetchError, Mirror, Pull}};
///
/// # fn main() -> Result<(), FetchError> {
/// let pull = Pull::new().with_mirror(Mirror::Folder("/srv/models".into()));
/// let pulled = pull.run(&StoreSearch::new().place(), Some("open-1"), &|event| println!("{event:?}"))?;
/// println!("{} files fetched", pulled.fetched.len());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Pull {
    archive: Option<PathBuf>,
    mirror: Option<Mirror>,
    jobs: NonZero<usize>,
    accept_license: bool,
    keep_sources: bool,
    install: bool,
    wait: bool,
    patience: Patience,
}

/// What a pull did.
#[derive(Debug)]
#[non_exhaustive]
pub struct Pulled {
    /// The pack, which is whole now.
    pub manifest: Manifest,
    /// Names of the sources that were fetched, or blobs taken from an archive.
    pub fetched: Vec<String>,
    /// Names of the models that were put into the store: those that were made, and those that are sources as they are.
    pub made: Vec<String>,
    /// Whether its manifest was put into the store.
    pub installed: bool,
}

impl Default for Pull {
    fn default() -> Self {
        Self {
            archive: None,
            mirror: None,
            jobs: JOBS,
            accept_license: false,
            keep_sources: true,
            install: false,
            wait: true,
            patience: Patience::default(),
        }
    }
}

impl Pull {
    /// From the manifest's addresses, four files at a time.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From this archive of [`export`](crate::archive::export), and from nowhere else.
    #[must_use]
    pub fn with_archive(mut self, file: impl Into<PathBuf>) -> Self {
        self.archive = Some(file.into());
        self
    }

    /// From this folder or server, and from nowhere else.
    #[must_use]
    pub fn with_mirror(mut self, mirror: Mirror) -> Self {
        self.mirror = Some(mirror);
        self
    }

    /// So many files at the same time.
    #[must_use]
    pub fn with_jobs(mut self, jobs: NonZero<usize>) -> Self {
        self.jobs = jobs;
        self
    }

    /// Whether whoever pulls accepts licences that do not allow commercial use.
    #[must_use]
    pub fn with_accepted_license(mut self, accepted: bool) -> Self {
        self.accept_license = accepted;
        self
    }

    /// Whether sources stay in the store beside the models that were made of them, as they do unless told otherwise.
    #[must_use]
    pub fn with_kept_sources(mut self, kept: bool) -> Self {
        self.keep_sources = kept;
        self
    }

    /// Whether the manifest is put into the store as well, so that a pack named by a path can be named by its name.
    #[must_use]
    pub fn with_install(mut self, install: bool) -> Self {
        self.install = install;
        self
    }

    /// Whether to wait while another process writes to the store, as it does unless told otherwise.
    #[must_use]
    pub fn with_wait(mut self, wait: bool) -> Self {
        self.wait = wait;
        self
    }

    /// How long to wait for servers, and how often to try.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Makes a pack whole in a store, which is made where there is none. A pack that is whole already costs no request
    /// and no write. Without a name it is the archive's pack, else [`DEFAULT_PACK`].
    ///
    /// # Errors
    /// [`FetchError`]; the store is left with what was had so far, all of it checked.
    pub fn run(&self, store: &Store, pack: Option<&str>, watch: Watcher<'_>) -> Result<Pulled, FetchError> {
        if let Some(file) = &self.archive {
            let archive = Archive::open(file)?;
            let located = archive.pack(store, pack)?;
            return Job::new(self, store, located, watch)?.take(archive);
        }
        let located = store.locate(pack.unwrap_or(DEFAULT_PACK))?;
        Job::new(self, store, located, watch)?.fetch()
    }
}
