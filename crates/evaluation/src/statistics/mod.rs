//! Error rates from scores. Pure: no image, no model, no file, and the same result from one thread or many.
//!
//! A comparison **matches** when its score is at least the threshold, as the engine's profiles decide.

mod attack;
mod bootstrap;
mod folds;
mod histogram;
mod match_scores;
mod ranked;

pub use attack::{LivenessScores, NonResponse, Species};
pub use bootstrap::{Bootstrap, Interval};
pub use folds::{Accuracy, FoldError, Judged, accuracy_at, best_threshold, blocks, k_fold_accuracy};
pub use histogram::Histogram;
pub(crate) use match_scores::{FINE_STEPS, pairs_between};
pub use match_scores::{MatchScores, Scored};
pub use ranked::{
    ERRORS_NEEDED, EqualErrorRate, OperatingPoint, Ranked, comparisons_needed, det_points, equal_error_rate,
    probit, upper_bound_without_errors,
};
