//! Scores.

use std::fmt;

/// How many steps there are from 0 to 1: the HTTP contract rounds scores to 4 decimals.
const STEPS: f64 = 10_000.0;

/// How far outside of 0..=1 a value may lie and still count as an arithmetic slip of the model that made it (a softmax
/// in single precision sums to 1 within about 1e-7).
const SLACK: f64 = 1e-6;

/// How far below a half of a step a value may lie and still be rounded up, in steps: 0.55995 times 10,000 is
/// 5599.499999999999 in double precision. Such an error is below 1e-11 steps; models differ by 1e-4 steps at best.
const HALF_SLACK: f64 = 1e-9;

/// A score from 0 to 1, rounded to 4 decimals.
///
/// It is rounded here, once, so that a verdict rests on the number that the response shows. A value that is not
/// finite cannot become a `Score`, so no comparison further on can be fooled by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Score(
    /// In steps.
    u16,
);

impl Score {
    /// The lowest score; also shown for a score that could not be computed.
    pub const ZERO: Self = Self(0);

    /// The highest score.
    pub const ONE: Self = Self(STEPS as u16);

    /// Rounds a value to 4 decimals, halves upwards. Values outside of 0..=1 by at most 1e-6 become 0 or 1.
    ///
    /// # Errors
    /// [`NotAScore`] for NaN, an infinity, and what lies further outside.
    pub fn new(value: f64) -> Result<Self, NotAScore> {
        // NaN is in no range.
        if !(-SLACK..=1.0 + SLACK).contains(&value) {
            return Err(NotAScore(value));
        }
        let steps = (value.clamp(0.0, 1.0) * STEPS + 0.5 + HALF_SLACK).floor();
        Ok(Self(steps as u16))
    }

    /// The score, 0..=1, the nearest double to a number of at most 4 decimals; never -0.0.
    #[must_use]
    pub fn value(self) -> f64 {
        // The quotient is the double nearest to the decimal: it prints with 4 decimals at most and reads back as itself.
        f64::from(self.0) / STEPS
    }
}

impl fmt::Display for Score {
    /// Shortest form, always with a decimal point: `0.0`, `0.4803`, `1.0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.value())
    }
}

/// A value that is no score: not finite, or outside of 0..=1.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} is not a score: it must be a finite number from 0 to 1")]
pub struct NotAScore(pub f64);
