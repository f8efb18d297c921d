//! What a caller may ask for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use likeness_decision::Profile;
use likeness_imaging::{Image, Interrupt};

use crate::EngineError;

/// An image to work on: the bytes of a file, or pixels.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// The bytes of a JPEG, PNG, WebP, BMP, TIFF or GIF file.
    Encoded(&'a [u8]),
    /// An upright image.
    Image(&'a Image),
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

/// How long a call may take, and a way to stop it from another thread. It is looked at while waiting for a worker,
/// between the stages of a call, and inside decoders and detectors: a call ends within half a second of it.
#[derive(Debug, Clone, Default)]
pub struct Budget {
    deadline: Option<Instant>,
    cancelled: Option<Arc<AtomicBool>>,
}

impl Budget {
    /// No deadline and no way to cancel.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::default()
    }

    /// Ends at `deadline`.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Ends when `flag` turns true.
    #[must_use]
    pub fn with_cancel_flag(mut self, flag: Arc<AtomicBool>) -> Self {
        self.cancelled = Some(flag);
        self
    }

    /// When the call must have ended.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The same for decoders and detectors.
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

    /// The error of a call that was interrupted.
    pub(crate) fn exceeded(&self) -> EngineError {
        self.check().err().unwrap_or(EngineError::DeadlineExceeded)
    }

    /// An error where the call should stop.
    ///
    /// # Errors
    /// [`EngineError::Cancelled`] or [`EngineError::DeadlineExceeded`].
    pub fn check(&self) -> Result<(), EngineError> {
        if self
            .cancelled
            .as_ref()
            .is_some_and(|flag| flag.load(Ordering::Relaxed))
        {
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
    /// Search the photo thoroughly for several faces and take the best match among them. Taking the best of n faces
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
    /// Judge by this profile.
    #[must_use]
    pub fn with_profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Search the photo for several faces.
    #[must_use]
    pub fn with_photo_multiface(mut self, multiface: bool) -> Self {
        self.photo_multiface = multiface;
        self
    }

    /// Stop as this says.
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
    /// The review bound of `optimal-v0`.
    fn default() -> Self {
        Self {
            threshold: Profile::optimal_v0().liveness().review_below(),
            budget: Budget::unlimited(),
        }
    }
}

impl LivenessOptions {
    /// Count as live from this score on.
    #[must_use]
    pub fn with_threshold(mut self, threshold: f64) -> Self {
        self.threshold = threshold;
        self
    }

    /// Stop as this says.
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
    /// Search thoroughly and embed every face, not only the largest.
    pub all_faces: bool,
    /// Deadline and cancellation.
    pub budget: Budget,
}

impl EmbedOptions {
    /// Embed every face.
    #[must_use]
    pub fn with_all_faces(mut self, all_faces: bool) -> Self {
        self.all_faces = all_faces;
        self
    }

    /// Stop as this says.
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }
}
