//! Deadline and cancellation of work.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A deadline and a cancellation flag, which decoders check in their innermost loops over bytes and rows.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use likeness_imaging::Interrupt;
///
/// let interrupt = Interrupt::NEVER.with_deadline(Instant::now() + Duration::from_secs(60));
/// assert!(!interrupt.is_due());
/// assert!(interrupt.leaves(Duration::from_secs(1)) && !interrupt.leaves(Duration::from_secs(90)));
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Interrupt<'a> {
    deadline: Option<Instant>,
    cancelled: Option<&'a AtomicBool>,
}

/// The error of work whose [`Interrupt`] was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted: the deadline has passed, or the work was cancelled")]
pub struct Interrupted;

impl Interrupt<'static> {
    /// No deadline and no flag: the work is done to its end.
    pub const NEVER: Self = Self {
        deadline: None,
        cancelled: None,
    };
}

impl<'a> Interrupt<'a> {
    /// The same with a deadline.
    #[must_use]
    pub fn with_deadline(self, deadline: Instant) -> Self {
        Self {
            deadline: Some(deadline),
            ..self
        }
    }

    /// The same with a flag that cancels the work once it is true.
    #[must_use]
    pub fn with_cancel_flag<'b>(self, flag: &'b AtomicBool) -> Interrupt<'b>
    where
        'a: 'b,
    {
        Interrupt {
            cancelled: Some(flag),
            ..self
        }
    }

    /// Whether the deadline has passed or the flag is set.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.cancelled.is_some_and(|flag| flag.load(Ordering::Relaxed))
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Whether so much time is left. For a step that cannot be interrupted: it starts only if it can end in time.
    #[must_use]
    pub fn leaves(&self, needed: Duration) -> bool {
        !self.is_due()
            && self
                .deadline
                .is_none_or(|deadline| deadline.saturating_duration_since(Instant::now()) >= needed)
    }

    /// Checks whether the work may go on.
    ///
    /// # Errors
    /// [`Interrupted`] once the interrupt is due.
    pub fn check(&self) -> Result<(), Interrupted> {
        if self.is_due() { Err(Interrupted) } else { Ok(()) }
    }
}
