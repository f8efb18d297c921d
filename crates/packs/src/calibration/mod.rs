//! What scores mean: calibrations as packs and files have them, and their curves.
//!
//! A calibration is measured data: points with their observed error rates, and the data that they were observed on. A
//! pack has one for its embedders; `likeness calibrate` writes others to files, which are bound to the pack that they were
//! measured with, since another detector or alignment moves the error rates of every score.

mod curve;

use serde::{Deserialize, Serialize};

pub use curve::{LivenessCurve, ScoreCurve, log_odds};

use crate::digest::short_digest;

/// Most points of a curve.
const MAX_POINTS: usize = 64;

/// The scores between which error rates were measured. Below and above, the curve is only the straight line continued.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredRange {
    /// Lowest raw score.
    pub from: f64,
    /// Highest raw score.
    pub to: f64,
}

fn require(holds: bool, fault: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(fault.to_owned()) }
}

fn is_rate(rate: f64) -> bool {
    (0.0..=1.0).contains(&rate)
}

/// Checks what calibrations of both kinds have, for raw scores from `lowest` to 1.
fn check_common(
    provenance: &Provenance,
    measured: MeasuredRange,
    lowest: f64,
    points: usize,
) -> Result<(), String> {
    let Provenance {
        name,
        method,
        data,
        date,
    } = provenance;
    for (key, text) in [("name", name), ("method", method), ("data", data), ("date", date)] {
        require(
            (1..=500).contains(&text.len()) && !text.chars().any(char::is_control),
            &format!("{key} must have 1 to 500 characters and no control characters"),
        )?;
    }
    // False also for NaN.
    require(
        measured.from >= lowest && measured.from < measured.to && measured.to <= 1.0,
        &format!("measured: from must be below to, both between {lowest} and 1"),
    )?;
    require(
        (2..=MAX_POINTS).contains(&points),
        &format!("points: a curve takes 2 to {MAX_POINTS} points"),
    )
}

/// The origin of a calibration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Its name in `/info`, logs and reports.
    pub name: String,
    /// The method of the fit.
    pub method: String,
    /// The data that it was measured on.
    pub data: String,
    /// The day of the fit, `YYYY-MM-DD`.
    pub date: String,
}

impl Provenance {
    /// Returns a label for `/info` and reports. The digest tells two calibrations of one name and day apart.
    fn describe(&self, calibration: &impl Serialize) -> String {
        // Writing a calibration does not fail; were it to, the text alone would still name it.
        let digest = short_digest(&toml::to_string(calibration).unwrap_or_default());
        format!("{} ({}, {digest})", self.name, self.date)
    }
}

/// A point of a match calibration.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatchPoint {
    /// Cosine similarity, -1..=1.
    pub similarity: f64,
    /// Match confidence there, between 0 and 1, both excluded.
    pub confidence: f64,
    /// Share of the zero-effort impostor comparisons at or above `similarity`: the rate that the confidence stands for.
    pub false_match_rate: f64,
    /// Share of the genuine comparisons below `similarity`, where there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub false_non_match_rate: Option<f64>,
}

/// From cosine similarity to match confidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatchCalibration {
    /// Where it comes from.
    pub provenance: Provenance,
    /// How many people were compared.
    pub people: u64,
    /// How many comparisons of two images of the same person.
    pub genuine_comparisons: u64,
    /// How many comparisons of images of two people.
    pub impostor_comparisons: u64,
    /// Similarities between which the false match rate was measured.
    pub measured: MeasuredRange,
    /// Points that the curve goes through, ascending.
    pub points: Vec<MatchPoint>,
}

impl MatchCalibration {
    /// Returns a label for `/info`, logs and reports: name, date, and the first digits of a digest over all of it.
    #[must_use]
    pub fn describe(&self) -> String {
        self.provenance.describe(self)
    }

    /// Returns the curve through the points; `None` if they are not a curve.
    #[must_use]
    pub fn curve(&self) -> Option<ScoreCurve> {
        let points = self.points.iter();
        let points: Vec<_> = points.map(|point| (point.similarity, point.confidence)).collect();
        ScoreCurve::through(&points)
    }

    /// Checks it; a fault has the key.
    pub(crate) fn check(&self) -> Result<(), String> {
        check_common(&self.provenance, self.measured, -1.0, self.points.len())?;
        let in_range = |point: &MatchPoint| {
            (-1.0..=1.0).contains(&point.similarity)
                && is_rate(point.false_match_rate)
                && point.false_non_match_rate.is_none_or(is_rate)
        };
        require(
            self.points.iter().all(in_range),
            "points: similarity must be -1..=1, rates 0..=1",
        )?;
        let falls = |a: &MatchPoint, b: &MatchPoint| a.false_match_rate > b.false_match_rate;
        require(
            self.curve().is_some() && self.points.is_sorted_by(falls),
            "points must ascend in similarity and in confidence (between 0 and 1), and false_match_rate must fall",
        )
    }
}

/// A point of a liveness calibration.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LivenessPoint {
    /// Fused live probability of the models, between 0 and 1, both excluded.
    pub probability: f64,
    /// Liveness there, between 0 and 1, both excluded.
    pub liveness: f64,
    /// Share of the attacks of the worst species at or above `probability`.
    pub apcer: f64,
    /// Share of the bona fide presentations below `probability`.
    pub bpcer: f64,
}

/// Presentations that a liveness calibration was fitted to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PresentationCount {
    /// `live`, or the attack species.
    pub species: String,
    /// How many of them gave a score.
    pub presentations: u64,
}

/// From the models' fused live probability to liveness. The curve's straight lines are in log-odds on both sides, so that
/// one through `(0.4, 0.4)` and `(0.6, 0.6)` changes nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LivenessCalibration {
    /// Where it comes from.
    pub provenance: Provenance,
    /// Probabilities between which error rates were measured.
    pub measured: MeasuredRange,
    /// What it was fitted to.
    pub presentations: Vec<PresentationCount>,
    /// Points that the curve goes through, ascending.
    pub points: Vec<LivenessPoint>,
}

impl LivenessCalibration {
    /// Returns a label, as [`MatchCalibration::describe`] does.
    #[must_use]
    pub fn describe(&self) -> String {
        self.provenance.describe(self)
    }

    /// Returns the curve through the points, over log-odds; `None` if they are not a curve.
    #[must_use]
    pub fn curve(&self) -> Option<LivenessCurve> {
        let points = self.points.iter();
        let points: Vec<_> = points.map(|point| (point.probability, point.liveness)).collect();
        LivenessCurve::through(&points)
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        check_common(&self.provenance, self.measured, 0.0, self.points.len())?;
        let in_range = |point: &LivenessPoint| is_rate(point.apcer) && is_rate(point.bpcer);
        require(
            self.points.iter().all(in_range),
            "points: apcer and bpcer must be 0..=1",
        )?;
        require(
            self.curve().is_some(),
            "points must ascend in probability and in liveness, between 0 and 1",
        )
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn provenance() -> Provenance {
        Provenance {
            name: "branch".to_owned(),
            method: "by hand".to_owned(),
            data: "ten of our own".to_owned(),
            date: "2026-11-25".to_owned(),
        }
    }

    fn match_point(similarity: f64, confidence: f64, false_match_rate: f64) -> MatchPoint {
        MatchPoint {
            similarity,
            confidence,
            false_match_rate,
            false_non_match_rate: None,
        }
    }

    pub(crate) fn of_match() -> MatchCalibration {
        MatchCalibration {
            provenance: provenance(),
            people: 10,
            genuine_comparisons: 20,
            impostor_comparisons: 100_000,
            measured: MeasuredRange { from: 0.1, to: 0.5 },
            points: vec![
                match_point(0.3, 0.4, 1e-3),
                match_point(0.4, 0.56, 1e-4),
                match_point(0.5, 0.7, 1e-5),
            ],
        }
    }

    pub(crate) fn of_liveness(points: &[(f64, f64)]) -> LivenessCalibration {
        LivenessCalibration {
            provenance: provenance(),
            measured: MeasuredRange { from: 0.0, to: 1.0 },
            presentations: vec![PresentationCount {
                species: "live".to_owned(),
                presentations: 100,
            }],
            points: points
                .iter()
                .map(|&(probability, liveness)| LivenessPoint {
                    probability,
                    liveness,
                    apcer: 0.01,
                    bpcer: 0.02,
                })
                .collect(),
        }
    }

    #[test]
    fn two_of_one_name_and_day_are_told_apart() {
        let (one, mut other) = (of_match(), of_match());
        assert!(one.describe().starts_with("branch (2026-11-25, "));
        assert_eq!(one.describe(), other.describe());
        other.points[1].similarity = 0.41;
        assert_ne!(one.describe(), other.describe());
    }
}
