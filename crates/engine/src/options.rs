//! Inputs and options of requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::Instant;

use derive_setters::Setters;
use likeness_decision::{Profile, QualityChecks};
use likeness_imaging::{EncodedImage, Image, Interrupt};
use parking_lot::Mutex;

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

impl Input<'_> {
    /// Returns whether two inputs are the same file, byte by byte, or the same pixels.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self.bytes(), other.bytes()) {
            (Some(one), Some(other)) => one == other,
            _ => matches!((self, other), (Self::Image(one), Self::Image(other)) if one == other),
        }
    }

    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Encoded(bytes) => Some(bytes),
            Self::Opened(image) => Some(image.bytes()),
            Self::Image(_) => None,
        }
    }
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

/// Cancels the requests whose [`Budget`] has it, from any thread.
#[derive(Debug, Clone, Default)]
pub struct CancelFlag(Arc<Cancellation>);

#[derive(Debug, Default)]
struct Cancellation {
    is_set: AtomicBool,
    /// The threads that wait for a worker.
    waiting: Mutex<Vec<Thread>>,
}

impl CancelFlag {
    /// Cancels the requests; those that wait for a worker end at once.
    pub fn cancel(&self) {
        self.0.is_set.store(true, Ordering::Relaxed);
        self.0.waiting.lock().iter().for_each(Thread::unpark);
    }
}

/// The deadline of a request, and a way to cancel it from another thread. Waiting for a worker ends at either; between the
/// stages of a request and inside decoders and detectors both are checked: a request ends within half a second.
#[derive(Debug, Clone, Default, Setters)]
#[setters(prefix = "with_", strip_option)]
pub struct Budget {
    /// Sets the deadline.
    deadline: Option<Instant>,
    /// Sets the flag that cancels the request.
    cancel_flag: Option<CancelFlag>,
}

impl Budget {
    /// Returns a budget without a deadline or a way to cancel.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::default()
    }

    /// Returns the same for decoders and detectors.
    pub(crate) fn interrupt(&self) -> Interrupt<'_> {
        let mut interrupt = Interrupt::NEVER;
        if let Some(deadline) = self.deadline {
            interrupt = interrupt.with_deadline(deadline);
        }
        match &self.cancel_flag {
            Some(flag) => interrupt.with_cancel_flag(&flag.0.is_set),
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
        let flag = self.cancel_flag.as_ref();
        if flag.is_some_and(|flag| flag.0.is_set.load(Ordering::Relaxed)) {
            return Err(EngineError::Cancelled);
        }
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(EngineError::DeadlineExceeded),
            _ => Ok(()),
        }
    }

    /// Parks this thread until another unparks it, the deadline passes or the request is cancelled, or for no reason.
    pub(crate) fn park(&self) {
        let waiting = self.cancel_flag.as_ref().map(|flag| &flag.0.waiting);
        let this = thread::current();
        if let Some(waiting) = waiting {
            waiting.lock().push(this.clone());
        }
        // A flag that is set from here on unparks the thread; one that was set before is seen.
        match (self.check(), self.deadline) {
            (Err(_), _) => {}
            (Ok(()), Some(deadline)) => {
                thread::park_timeout(deadline.saturating_duration_since(Instant::now()));
            }
            (Ok(()), None) => thread::park(),
        }
        if let Some(waiting) = waiting {
            waiting.lock().retain(|thread| thread.id() != this.id());
        }
    }
}

/// Options of [`Engine::verify`](crate::Engine::verify).
#[derive(Debug, Clone, Default, Setters)]
#[setters(prefix = "with_")]
#[non_exhaustive]
pub struct VerifyOptions {
    /// The profile, whose thresholds the decision applies. Default: `optimal-v0`.
    pub profile: Profile,
    /// Whether to search the photo thoroughly for several faces and take the best match among them. Taking the best of n faces
    /// multiplies the false match rate by up to n.
    pub photo_multiface: bool,
    /// Deadline and cancellation.
    pub budget: Budget,
}

/// Options of [`Engine::liveness`](crate::Engine::liveness).
#[derive(Debug, Clone, Setters)]
#[setters(prefix = "with_")]
#[non_exhaustive]
pub struct LivenessOptions {
    /// The lowest score that counts as live, 0..=1. Default: the review threshold of `optimal-v0`.
    pub threshold: f64,
    /// The checks of how the selfie was captured. Default: those of `optimal-v0`.
    pub quality: QualityChecks,
    /// Deadline and cancellation.
    pub budget: Budget,
}

impl Default for LivenessOptions {
    fn default() -> Self {
        Self {
            threshold: Profile::optimal_v0().liveness().review_below(),
            quality: QualityChecks::default(),
            budget: Budget::unlimited(),
        }
    }
}

/// Options of [`Engine::embed`](crate::Engine::embed).
#[derive(Debug, Clone, Default, Setters)]
#[setters(prefix = "with_")]
#[non_exhaustive]
pub struct EmbedOptions {
    /// Whether to search thoroughly and embed every face, not only the primary one.
    pub all_faces: bool,
    /// Deadline and cancellation.
    pub budget: Budget,
}

/// Options of [`Engine::enrol`](crate::Engine::enrol).
#[derive(Debug, Clone, Default, Setters)]
#[setters(prefix = "with_")]
#[non_exhaustive]
pub struct EnrolOptions {
    /// The checks of how the photo was captured. Default: those of `optimal-v0`.
    pub quality: QualityChecks,
    /// Deadline and cancellation.
    pub budget: Budget,
}
