//! Error rates of Likeness on your own images, in the terms of ISO/IEC 19795-1 (FMR, FNMR, FTA) and ISO/IEC 30107-3 (APCER,
//! BPCER), and calibrations fitted to them.
//!
//! An [`Evaluation`] compares the images of a [`PairList`] or of [`People`] and returns a [`MatchReport`], or scores the
//! presentations of a [`LabelList`] and returns a [`LivenessReport`]. [`statistics`] is pure: scores in, rates out.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use likeness_engine::Engine;
//! use likeness_evaluation::{Evaluation, MatchOptions, PairList};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::builder().build()?;
//! let list = PairList::read(Path::new("images/pairs.csv"))?;
//! let evaluation = Evaluation {
//!     data: "branch customers, 2026",
//!     ..Evaluation::new(&engine, Path::new("images"))
//! };
//! let (report, scores) = evaluation.pairs(&list, None, &MatchOptions::default())?;
//! println!("{}", report.summary());
//! scores.write_csv(std::fs::File::create("scores.csv")?)?;
//! # Ok(())
//! # }
//! ```
//!
//! Embeddings are biometric data: they are held in memory, and written to a [`Journal`] only on request. A report holds no
//! image unless [`Evaluation::gallery`] asks for it.

mod acquisition;
mod all_pairs;
mod calibrate;
mod chart;
mod cohort;
mod document;
mod error;
mod gallery;
mod groups;
mod highest;
mod journal;
mod lists;
mod liveness;
mod liveness_groups;
mod match_groups;
mod match_report;
mod matching;
mod report;
pub mod statistics;
mod threads;

pub use acquisition::{Acquisition, Evaluation, Progress};
pub use all_pairs::{AllPairs, HELD_IMPOSTORS, all_pairs};
pub use calibrate::{
    LivenessTargets, MATCH_ANCHORS, MatchAnchor, MatchFit, calibrate_liveness, calibrate_match,
};
pub use cohort::{CohortFit, CohortImages, ENOUGH_IMAGES};
pub use error::{EvaluationError, Status};
pub use gallery::{Gallery, MAX_GALLERY};
pub use groups::{GroupRate, NamedRate, RateByGroup};
pub use journal::{Journal, JournalContent};
pub use lists::{Groups, KnownFrom, LIVE, LabelList, Pair, PairList, People};
pub use liveness::{Apcer, AtThreshold, BpcerAt, LivenessReport, PresentationScores, SpeciesReport};
pub use liveness_groups::{LivenessGroup, LivenessGroups, LivenessGroupsAt, SpeciesByGroup};
pub use match_groups::{GroupsAtThreshold, MatchGroup, MatchGroups};
pub use match_report::{
    AtFalseMatchRate, EqualErrorReport, MatchReport, MovedThresholds, Outcomes, ProfileReport, Shares,
    ThresholdRates, WhatIf,
};
pub use matching::{MatchOptions, PairScores, ScoredPair};
pub use report::{AcquisitionReport, ComparisonCounts, Estimate, FaceChoice, Setup};
