//! The two bounds of one check.

use serde::{Deserialize, Serialize};

use crate::{Score, Verdict};

/// Below which scores a check rejects and asks for review.
///
/// `score < reject_below` is a reject, else `score < review_below` is a review, else the check passes. A bound of 0
/// switches its verdict off; equal bounds leave no room for a review.
///
/// In configuration: `{ reject_below = 0.4, review_below = 0.56 }`, both required.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Thresholds {
    reject_below: f64,
    review_below: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename = "Thresholds")]
struct Unchecked {
    reject_below: f64,
    review_below: f64,
}

impl TryFrom<Unchecked> for Thresholds {
    type Error = ThresholdsError;

    fn try_from(bounds: Unchecked) -> Result<Self, ThresholdsError> {
        Self::new(bounds.reject_below, bounds.review_below)
    }
}

impl Thresholds {
    /// Bounds as an operator writes them, each 0..=1.
    ///
    /// # Errors
    /// [`ThresholdsError`] where a bound is not a finite number from 0 to 1, or where `reject_below` is above
    /// `review_below`.
    pub fn new(reject_below: f64, review_below: f64) -> Result<Self, ThresholdsError> {
        for (bound, value) in [("reject_below", reject_below), ("review_below", review_below)] {
            // NaN is in no range.
            if !(0.0..=1.0).contains(&value) {
                return Err(ThresholdsError::OutOfRange { bound, value });
            }
        }
        if reject_below > review_below {
            return Err(ThresholdsError::Crossed {
                reject_below,
                review_below,
            });
        }
        // Adding 0.0 turns -0.0, which is in the range, into 0.0: the texts would show it as `-0`.
        Ok(Self {
            reject_below: reject_below + 0.0,
            review_below: review_below + 0.0,
        })
    }

    /// For the built-in profiles only, which a test sends through [`Thresholds::new`].
    pub(crate) const fn builtin(reject_below: f64, review_below: f64) -> Self {
        Self {
            reject_below,
            review_below,
        }
    }

    /// Scores below this are rejected, 0..=1.
    #[must_use]
    pub fn reject_below(&self) -> f64 {
        self.reject_below
    }

    /// Scores below this, and not rejected, are to be reviewed, 0..=1.
    #[must_use]
    pub fn review_below(&self) -> f64 {
        self.review_below
    }

    /// What these bounds say of a score: [`Verdict::Reject`], [`Verdict::Review`], or `None` where the check passes.
    #[must_use]
    pub fn verdict(&self, score: Score) -> Option<Verdict> {
        let score = score.value();
        if score < self.reject_below {
            Some(Verdict::Reject)
        } else if score < self.review_below {
            Some(Verdict::Review)
        } else {
            None
        }
    }

    /// `R < S (actual) < V`, from which the verdict follows. The documented samples write it so for a reject as well,
    /// where `R < S` is not true.
    pub(crate) fn describe(&self, score: Score) -> String {
        format!("{} < {score} (actual) < {}", self.reject_below, self.review_below)
    }
}

/// Why two numbers are no [`Thresholds`].
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ThresholdsError {
    /// A bound is not a number from 0 to 1.
    #[error("{bound} is {value}, but must be a number from 0 to 1")]
    OutOfRange {
        /// `reject_below` or `review_below`.
        bound: &'static str,
        /// What was written.
        value: f64,
    },
    /// More would be rejected than is looked at.
    #[error(
        "reject_below is {reject_below}, which is above review_below, {review_below}; it must not be higher"
    )]
    Crossed {
        /// What was written for `reject_below`.
        reject_below: f64,
        /// What was written for `review_below`.
        review_below: f64,
    },
}
