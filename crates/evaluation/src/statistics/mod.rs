//! Error rates from scores. Pure: no picture, no model, no file, and the same result from one thread or many.
//!
//! A comparison **matches** when its score is at least the threshold, as a profile's bounds are read.

mod attack;
mod bootstrap;
mod folds;
mod histogram;
mod match_scores;
mod random;
mod ranked;
mod support;

pub use attack::{LivenessScores, NonResponse, Species};
pub use bootstrap::{Bootstrap, Interval};
pub use folds::{Accuracy, FoldError, Judged, accuracy_at, best_threshold, blocks, k_fold_accuracy};
pub use histogram::Histogram;
pub(crate) use match_scores::{FINE_STEPS, pairs_between};
pub use match_scores::{GenuineComparison, ImpostorComparison, MatchScores, PairDesign};
pub use ranked::{EqualErrorRate, OperatingPoint, Ranked, det_points, equal_error_rate, probit};
pub use support::{ERRORS_NEEDED, comparisons_needed, supports, upper_bound_without_errors};
