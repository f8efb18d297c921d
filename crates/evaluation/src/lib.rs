//! How often Likeness is wrong, measured on one's own pictures, in the terms of ISO/IEC 19795-1 (false match and false
//! non-match rates) and ISO/IEC 30107-3 (attack and bona fide presentation classification error rates).
//!
//! [`PairList`] and [`People`] say what is compared, [`evaluate_pairs`] and [`evaluate_all_pairs`] compare it and give a
//! [`MatchReport`]; [`LabelList`] and [`evaluate_liveness`] do the same for liveness. [`statistics`] is pure: scores in, rates out. No HTTP and no command line is in here.
//!
//! Embeddings are biometric data: they are held in memory while an evaluation runs, and written nowhere but to a
//! [`Journal`] where somebody asks for one.

mod acquisition;
mod all_pairs;
mod calibrate;
mod confidence;
mod error;
mod html;
mod journal;
mod lists;
mod matching;
mod people;
mod presentation;
mod report;
pub mod statistics;
mod what_if;

pub use acquisition::{Acquisition, FaceChoice, NoProgress, Progress, Status};
pub use all_pairs::{AllPairs, HELD_IMPOSTORS, Scored, all_pairs};
pub use calibrate::{
    LivenessTargets, MATCH_ANCHORS, MatchAnchor, MatchFit, calibrate_liveness, calibrate_match,
};
pub use error::EvaluationError;
pub use journal::{Journal, JournalContent};
pub use lists::{KnownFrom, Pair, PairList};
pub use matching::{MatchOptions, PairScores, ScoredPair, evaluate_all_pairs, evaluate_pairs};
pub use people::People;
pub use presentation::{
    Apcer, AtThreshold, BpcerAt, LIVE, LabelList, LivenessReport, PresentationScores, ScoredPresentation,
    SpeciesReport, evaluate_liveness,
};
pub use report::{
    AcquisitionReport, AtFalseMatchRate, Bound, ComparisonCounts, EqualErrorReport, Estimate, MatchReport,
    Moved, MovedBounds, ProfileReport, Setup, Shares, WhatIf,
};
