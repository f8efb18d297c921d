//! Face detection for Likeness: the trait [`FaceDetector`], and YuNet, SCRFD and CenterFace behind it, alone or as an ensemble.
//!
//! ```no_run
//! use likeness_detection::{Detectors, FaceDetector, Search};
//! use likeness_imaging::{Interrupt, ImageLimits, decode};
//! use likeness_packs::{DEFAULT_PACK, StoreSearch};
//! use likeness_runtime::{LibrarySearch, Provider, Runtime};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = Runtime::load(&LibrarySearch::new(), Provider::Cpu)?;
//! let pack = StoreSearch::new().find()?.load(DEFAULT_PACK)?;
//! let mut detector = Detectors::open(&runtime, &pack, None)?;
//! let image = decode(&std::fs::read("group.jpg")?, &ImageLimits::default())?;
//! for face in detector.detect(&image, Search::Thorough, Interrupt::NEVER)? {
//!     println!("{:?}", face.bounding_box);
//! }
//! # Ok(())
//! # }
//! ```

mod centerface;
mod ensemble;
mod grid;
mod scrfd;
mod search;
mod yunet;

use likeness_imaging::{Image, ImagingError, Interrupt, Interrupted, Rotation};
use likeness_packs::{DetectorAdapter, PackError};
use likeness_runtime::RuntimeError;

pub use ensemble::Detectors;
pub use likeness_face::{BoundingBox, Face, Landmarks, Point, largest_first};
pub use search::{FIRST_PASS_SIDE, Search};

/// Detects faces. Implementations may keep buffers, so a detector is used by one thread at a time.
pub trait FaceDetector: Send {
    /// Returns the faces in an upright RGB image, largest first, boxes and landmarks in the image's pixels.
    ///
    /// An implementation that may take longer than a few tenths of a second checks the interrupt between its steps.
    ///
    /// # Errors
    /// [`DetectionError`] where the model fails; [`DetectionError::Interrupted`] where the interrupt was due. An image
    /// without a face is not an error: the list is empty.
    fn detect(
        &mut self,
        image: &Image,
        search: Search,
        interrupt: Interrupt<'_>,
    ) -> Result<Vec<Face>, DetectionError>;

    /// Returns what [`detect`](Self::detect) would find with [`Search::Primary`], where a first pass at [`FIRST_PASS_SIDE`]
    /// pixels on the longest side suffices: so the image may be one that was decoded at a reduced size. `None` where the
    /// search would go on in the image at its own size, and from detectors without such a pass.
    ///
    /// # Errors
    /// As [`detect`](Self::detect).
    fn first_pass(&mut self, _image: &Image) -> Result<Option<Vec<Face>>, DetectionError> {
        Ok(None)
    }

    /// Returns the turn after which the primary face of an image stands upright; `None` where it stands so already, where no
    /// orientation shows a face that is sure, and from detectors that do not tell. The image is the one that was searched last.
    ///
    /// # Errors
    /// As [`detect`](Self::detect).
    fn upright_rotation(
        &mut self,
        _image: &Image,
        _interrupt: Interrupt<'_>,
    ) -> Result<Option<Rotation>, DetectionError> {
        Ok(None)
    }

    /// Returns the face that fills an image in which [`detect`](Self::detect) found none, because it sees such a face only with
    /// room around it; `None` where there is none, and from detectors that do not look for one. The box may reach outside of
    /// the image.
    ///
    /// # Errors
    /// As [`detect`](Self::detect).
    fn filling_face(
        &mut self,
        _image: &Image,
        _interrupt: Interrupt<'_>,
    ) -> Result<Option<Face>, DetectionError> {
        Ok(None)
    }
}

/// The errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DetectionError {
    /// The pack has no usable detector: correct the configuration.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The pack has no detector of this family: correct the pack.
    #[error("the pack has no detector of this family")]
    NoModel,
    /// An adapter that this crate does not know: correct the pack.
    #[error("detector adapter {0:?} is not supported")]
    Unsupported(DetectorAdapter),
    /// The model cannot be opened or run: environment or bug.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The model's output has another shape than its adapter expects: correct the pack.
    #[error("the detector's output '{output}' has {found} numbers instead of {expected}")]
    OutputShape {
        /// Name of the output.
        output: String,
        /// How many numbers it should have.
        expected: usize,
        /// How many it has.
        found: usize,
    },
    /// The interrupt was due before the search had ended.
    #[error("the search for faces was interrupted: its deadline has passed, or it was cancelled")]
    Interrupted(#[from] Interrupted),
    /// An image could not be turned.
    #[error("the image could not be turned: {0}")]
    Rotation(ImagingError),
    /// An image could not be given a border.
    #[error("the image could not be given a border: {0}")]
    Border(ImagingError),
    /// A detector from outside of this crate failed.
    #[error("the detector failed: {0}")]
    Other(Box<dyn std::error::Error + Send + Sync>),
}
