//! Inputs and options of requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use likeness_decision::Profile;
use likeness_imaging::{EncodedImage, Image, Interrupt};

use crate::error::EngineError;

/// An image of a request: the bytes of a file, a file whose headers were read, or pixels.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// The bytes of a JPEG, PNG, WebP, BMP, TIFF or GIF file.
    Encoded(&'a [u8]),
    /// A file that the embedder has opened, under limits of its own, to check its header first; it is not parsed again.
    Opened(&'a EncodedImage<'a>),
    /// An upright image.
    Image(&'a Image),
}

impl<'a> From<&'a EncodedImage<'a>> for Input<'a> {
    fn from(image: &'a EncodedImage<'a>) -> Self {
        Self::Opened(image)
    }
}

impl<'a> From<&'a [u8]> for Input<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Encoded(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Input<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Encoded(bytes)
    }
}

impl<'a> From<&'a Image> for Input<'a> {
    fn from(image: &'a Image) -> Self {
        Self::Image(image)
    }
}

/// The deadline of a request, and a way to cancel it from another thread. It is checked while waiting for a worker, between
/// the stages of a request, and inside decoders and detectors: a request ends within half a second of it.
#[derive(Debug, Clone, Default)]
pub struct Budget {
    deadline: Option<Instant>,
    cancelled: Option<Arc<AtomicBool>>,
}

impl Budget {
    /// Returns a budget without a deadline or a way to cancel.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::default()
    }

    /// Sets the deadline.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets a flag that cancels the request once it is true.
    #[must_use]
    pub fn with_cancel_flag(mut self, flag: Arc<AtomicBool>) -> Self {
        self.cancelled = Some(flag);
        self
    }

    /// Returns the deadline.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Returns the same for decoders and detectors.
    pub(crate) fn interrupt(&self) -> Interrupt<'_> {
        let mut interrupt = Interrupt::NEVER;
        if let Some(deadline) = self.deadline {
            interrupt = interrupt.with_deadline(deadline);
        }
        match &self.cancelled {
            Some(flag) => interrupt.with_cancel_flag(flag),
            None => interrupt,
        }
    }

    /// Returns the error of a request that was interrupted.
    pub(crate) fn exceeded(&self) -> EngineError {
        self.check().err().unwrap_or(EngineError::DeadlineExceeded)
    }

    /// Checks whether the request may go on.
    ///
    /// # Errors
    /// [`EngineError::Cancelled`] or [`EngineError::DeadlineExceeded`].
    pub fn check(&self) -> Result<(), EngineError> {
        let flag = self.cancelled.as_ref();
        if flag.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            return Err(EngineError::Cancelled);
        }
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(EngineError::DeadlineExceeded),
            _ => Ok(()),
        }
    }
}

/// Options of [`Engine::verify`](crate::Engine::verify).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// The thresholds that the decision applies.
    pub profile: Profile,
    /// Whether to search the photo thoroughly for several faces and take the best match among them. Taking the best of n faces
    /// multiplies the false match rate by up to n.
    pub photo_multiface: bool,
    /// Deadline and cancellation.
    pub budget: Budget,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self {
            profile: Profile::optimal_v0(),
            photo_multiface: false,
            budget: Budget::unlimited(),
        }
    }
}

impl VerifyOptions {
    /// Sets the profile.
    #[must_use]
    pub fn with_profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Sets whether the photo may show several faces.
    #[must_use]
    pub fn with_photo_multiface(mut self, multiface: bool) -> Self {
        self.photo_multiface = multiface;
        self
    }

    /// Sets deadline and cancellation.
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }
}

/// Options of [`Engine::liveness`](crate::Engine::liveness).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LivenessOptions {
    /// The face counts as live if its score is at least this, 0..=1.
    pub threshold: f64,
    /// Deadline and cancellation.
    pub budget: Budget,
}

impl Default for LivenessOptions {
    /// The review threshold of `optimal-v0`.
    fn default() -> Self {
        Self {
            threshold: Profile::optimal_v0().liveness().review_below(),
            budget: Budget::unlimited(),
        }
    }
}

impl LivenessOptions {
    /// Sets the lowest score that counts as live.
    #[must_use]
    pub fn with_threshold(mut self, threshold: f64) -> Self {
        self.threshold = threshold;
        self
    }

    /// Sets deadline and cancellation.
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }
}

/// Options of [`Engine::embed`](crate::Engine::embed).
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct EmbedOptions {
    /// Whether to search thoroughly and embed every face, not only the primary one.
    pub all_faces: bool,
    /// Deadline and cancellation.
    pub budget: Budget,
}

impl EmbedOptions {
    /// Sets whether every face is embedded.
    #[must_use]
    pub fn with_all_faces(mut self, all_faces: bool) -> Self {
        self.all_faces = all_faces;
        self
    }

    /// Sets deadline and cancellation.
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }
}
