//! What an evaluation of matching found, for `report.json` and for reading.

use std::collections::BTreeMap;
use std::fmt::Write;

use likeness_engine::Engine;
use serde::Serialize;

use crate::statistics::{Accuracy, Histogram, Interval, OperatingPoint};
use crate::{FaceChoice, KnownFrom, Status};

/// What was measured with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setup {
    /// Version of Likeness.
    pub likeness: String,
    /// Model pack, its version and a digest of its manifest.
    pub pack: String,
    /// The calibration of the match confidence.
    pub match_calibration: String,
    /// The calibration of the liveness, or that there is none.
    pub liveness_calibration: String,
    /// Execution provider.
    pub provider: String,
    /// Version of ONNX Runtime.
    pub onnx_runtime: String,
}

impl Setup {
    /// Of an engine.
    #[must_use]
    pub fn of(engine: &Engine) -> Self {
        let info = engine.labels();
        Self {
            likeness: env!("CARGO_PKG_VERSION").to_owned(),
            pack: match info.pack_digest.as_str() {
                "" => info.pack.clone(),
                digest => format!("{} {} ({digest})", info.pack, info.pack_version),
            },
            match_calibration: info.match_calibration.clone(),
            liveness_calibration: info.liveness_calibration.clone(),
            provider: info.provider.clone(),
            onnx_runtime: info.runtime_version.clone(),
        }
    }
}

/// What became of the pictures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AcquisitionReport {
    /// Distinct pictures.
    pub pictures: u64,
    /// How many came to what.
    pub by_status: BTreeMap<Status, u64>,
    /// Pictures without a usable face, or that are no pictures.
    pub failures_to_acquire: u64,
    /// FTA: their share of the pictures that could be read, 0..=1.
    pub failure_to_acquire_rate: Option<f64>,
}

impl AcquisitionReport {
    pub(crate) fn of(by_status: BTreeMap<Status, u64>) -> Self {
        let pictures: u64 = by_status.values().sum();
        let sum = |wanted: &dyn Fn(Status) -> bool| -> u64 {
            by_status
                .iter()
                .filter(|(status, _)| wanted(**status))
                .map(|(_, count)| count)
                .sum()
        };
        let failures = sum(&Status::is_failure_to_acquire);
        let shown = failures + sum(&|status| status == Status::Ok);
        Self {
            pictures,
            failures_to_acquire: failures,
            failure_to_acquire_rate: (shown > 0).then(|| failures as f64 / shown as f64),
            by_status,
        }
    }
}

/// How many comparisons there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ComparisonCounts {
    /// Of one person's pictures, with a score.
    pub genuine: u64,
    /// Of two people's pictures, with a score.
    pub impostor: u64,
    /// Genuine ones without a score: a picture of them was not acquired. They are in no error rate.
    pub genuine_without_score: u64,
    /// Impostor ones without a score.
    pub impostor_without_score: u64,
}

/// A rate or threshold with its confidence interval over people.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// What was observed.
    pub value: f64,
    /// Where the truth may lie; `None` where there are too few people or comparisons for saying so.
    pub interval: Option<Interval>,
}

impl Estimate {
    /// A rate. Where no error was seen no replicate has one either: that interval would say that the rate is 0.
    pub(crate) fn of_rate(value: Option<f64>, interval: Option<Interval>) -> Option<Self> {
        value.map(|value| Self {
            value,
            interval: interval.filter(|_| value != 0.0),
        })
    }
}

/// The threshold for a false match rate, and what it costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AtFalseMatchRate {
    /// The false match rate, 0..=1.
    pub false_match_rate: f64,
    /// Impostor comparisons that it takes to speak of this rate.
    pub impostor_comparisons_needed: u64,
    /// Whether there are as many. If not, what follows is `None`: insufficient data.
    pub sufficient_data: bool,
    /// The lowest similarity threshold with this false match rate.
    pub threshold: Option<Estimate>,
    /// Confidence at that threshold, rounded to 4 decimals; `None` also where the engine has no match calibration.
    pub confidence: Option<f64>,
    /// False non-match rate at that threshold; its interval is for the false match rate held fixed.
    pub false_non_match_rate: Option<Estimate>,
}

/// The equal error rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EqualErrorReport {
    /// The rate.
    pub rate: Estimate,
    /// Similarity there.
    pub threshold: f64,
    /// Confidence there, rounded to 4 decimals; `None` where the engine has no match calibration.
    pub confidence: Option<f64>,
}

/// Shares of pass, review and reject, of comparisons with a score.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Shares {
    /// At or above both bounds.
    pub pass: f64,
    /// Between the bounds.
    pub review: f64,
    /// Below both.
    pub reject: f64,
}

/// The errors if a bound of a profile were the threshold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bound {
    /// The bound, a confidence.
    pub confidence: f64,
    /// The lowest similarity that reaches it; above 1 where none does.
    pub similarity: f64,
    /// False match rate.
    pub false_match_rate: Option<Estimate>,
    /// Where no false match was seen: what the rate may still be, with 95 % confidence, were the comparisons independent.
    pub false_match_rate_at_most: Option<f64>,
    /// False non-match rate.
    pub false_non_match_rate: Option<Estimate>,
}

/// What a profile would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProfileReport {
    /// Its name.
    pub profile: String,
    /// Below which it rejects.
    pub reject_below: Bound,
    /// Below which it asks for review.
    pub review_below: Bound,
    /// What becomes of genuine comparisons.
    pub genuine: Option<Shares>,
    /// What becomes of impostor comparisons.
    pub impostor: Option<Shares>,
}

/// What becomes of comparisons where one of a profile's two bounds is moved.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Moved {
    /// Genuine comparisons.
    pub genuine: Option<Shares>,
    /// Impostor comparisons.
    pub impostor: Option<Shares>,
}

/// What a profile would do with one bound elsewhere and the other where it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MovedBounds {
    /// Its name.
    pub profile: String,
    /// With the threshold in place of `reject_below`; `None` where it is above `review_below`.
    pub as_reject_below: Option<Moved>,
    /// With the threshold in place of `review_below`; `None` where it is below `reject_below`.
    pub as_review_below: Option<Moved>,
}

/// A row of the what-if table: a threshold, and what would be if it were in use.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WhatIf {
    /// The threshold, and the errors if it were the only one.
    #[serde(flatten)]
    pub bound: Bound,
    /// Bounds of built-in profiles that it is, or the named false match rate that it has here.
    pub used_as: Vec<String>,
    /// What each profile would do with it in place of one of its bounds.
    pub profiles: Vec<MovedBounds>,
}

/// What an evaluation of matching found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MatchReport {
    /// What was measured with.
    pub setup: Setup,
    /// What was measured on, in a few words.
    pub data: String,
    /// Which face of a picture counted.
    pub face: FaceChoice,
    /// How many people there are.
    pub people: usize,
    /// How it is known who they are.
    pub people_known_from: KnownFrom,
    /// What became of the pictures.
    pub acquisition: AcquisitionReport,
    /// How many comparisons there were.
    pub comparisons: ComparisonCounts,
    /// How the intervals were computed.
    pub intervals: String,
    /// FNMR and threshold at named false match rates.
    pub at_false_match_rates: Vec<AtFalseMatchRate>,
    /// The equal error rate.
    pub equal_error_rate: Option<EqualErrorReport>,
    /// Accuracy of a list over folds.
    pub accuracy: Option<Accuracy>,
    /// Accuracy of a list at a threshold that was chosen on another: `(accuracy, threshold)`.
    pub accuracy_at_trained_threshold: Option<(f64, f64)>,
    /// What each profile would do.
    pub profiles: Vec<ProfileReport>,
    /// What would be at other thresholds, by similarity: confidences in steps of 0.05, every bound of a profile, and the
    /// thresholds of the named false match rates that the data supports.
    pub what_if: Vec<WhatIf>,
    /// The DET curve.
    pub det: Vec<OperatingPoint>,
    /// Genuine similarities.
    pub genuine_histogram: Histogram,
    /// Impostor similarities.
    pub impostor_histogram: Histogram,
}

/// A rate from 0 to 1 in per cent, with two or three digits that say something.
pub(crate) fn percent(rate: f64) -> String {
    let hundred = rate * 100.0;
    match hundred {
        0.0 => "0 %".to_owned(),
        0.1.. => format!("{hundred:.2} %"),
        0.001.. => format!("{hundred:.4} %"),
        _ => format!("{hundred:.1e} %"),
    }
}

pub(crate) fn estimate(estimate: Option<Estimate>) -> String {
    match estimate {
        None => "-".to_owned(),
        Some(Estimate {
            value,
            interval: None,
        }) => percent(value),
        Some(Estimate {
            value,
            interval: Some(interval),
        }) => format!(
            "{} ({} to {})",
            percent(value),
            percent(interval.low),
            percent(interval.high)
        ),
    }
}

/// Digits in groups of three.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A confidence, where there is one.
fn shown(confidence: Option<f64>) -> String {
    confidence.map_or_else(|| "-".to_owned(), |confidence| format!("{confidence:.4}"))
}

impl MatchReport {
    /// The report for reading in a terminal.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write_summary(&mut text);
        text
    }

    fn write_summary(&self, text: &mut String) -> std::fmt::Result {
        let acquisition = &self.acquisition;
        writeln!(text, "{}", self.data)?;
        writeln!(
            text,
            "{} pictures of {} people (known from {})",
            grouped(acquisition.pictures),
            grouped(self.people as u64),
            match self.people_known_from {
                KnownFrom::Columns => "left_person and right_person",
                KnownFrom::Folders => "the folders",
                KnownFrom::GenuinePairs => "the genuine pairs",
            }
        )?;
        writeln!(
            text,
            "failure to acquire: {} pictures ({})",
            grouped(acquisition.failures_to_acquire),
            acquisition
                .failure_to_acquire_rate
                .map_or_else(|| "-".to_owned(), percent)
        )?;
        for (status, count) in &acquisition.by_status {
            if *status != Status::Ok {
                writeln!(text, "  {}: {}", status.as_str(), grouped(*count))?;
            }
        }
        let counts = self.comparisons;
        writeln!(
            text,
            "{} genuine and {} impostor comparisons",
            grouped(counts.genuine),
            grouped(counts.impostor)
        )?;
        if counts.genuine_without_score + counts.impostor_without_score > 0 {
            writeln!(
                text,
                "without a score, and in no error rate: {} genuine and {} impostor comparisons",
                grouped(counts.genuine_without_score),
                grouped(counts.impostor_without_score)
            )?;
        }
        writeln!(text, "\nFMR      threshold  confidence  FNMR (95 % interval)")?;
        for row in &self.at_false_match_rates {
            let rate = format!("{:e}", row.false_match_rate);
            match (row.threshold, row.confidence) {
                (Some(threshold), confidence) => writeln!(
                    text,
                    "{rate:8} {:<10.4} {:<11} {}",
                    threshold.value,
                    shown(confidence),
                    estimate(row.false_non_match_rate)
                )?,
                _ => writeln!(
                    text,
                    "{rate:8} insufficient data: {} impostor comparisons, {} needed",
                    grouped(counts.impostor),
                    grouped(row.impostor_comparisons_needed)
                )?,
            }
        }
        match &self.equal_error_rate {
            Some(equal) => writeln!(
                text,
                "equal error rate: {} at similarity {:.4} (confidence {})",
                estimate(Some(equal.rate)),
                equal.threshold,
                shown(equal.confidence)
            )?,
            None => writeln!(text, "equal error rate: -")?,
        }
        if let Some(accuracy) = &self.accuracy {
            writeln!(
                text,
                "accuracy over {} folds: {:.4} ± {:.4} (standard error)",
                accuracy.folds.len(),
                accuracy.mean,
                accuracy.standard_error
            )?;
        }
        if let Some((accuracy, threshold)) = self.accuracy_at_trained_threshold {
            writeln!(
                text,
                "accuracy at the threshold that is best on the training pairs, {threshold:.4}: {accuracy:.4}"
            )?;
        }
        if self.profiles.is_empty() {
            return writeln!(
                text,
                "\nwithout a match calibration there are no confidences for profiles to judge"
            );
        }
        writeln!(
            text,
            "\nprofile        bound         similarity  FMR; FNMR if it were the threshold"
        )?;
        for profile in &self.profiles {
            for (name, bound) in [
                ("reject", &profile.reject_below),
                ("review", &profile.review_below),
            ] {
                let at_most = bound
                    .false_match_rate_at_most
                    .map_or_else(String::new, |rate| format!(" (at most {})", percent(rate)));
                writeln!(
                    text,
                    "{:14} {name} < {:<4} {:<11.4} {}{at_most}; {}",
                    profile.profile,
                    bound.confidence,
                    bound.similarity,
                    estimate(bound.false_match_rate),
                    estimate(bound.false_non_match_rate)
                )?;
            }
        }
        writeln!(text, "\nprofile        comparisons  pass      review    reject")?;
        for profile in &self.profiles {
            for (kind, shares) in [("genuine", profile.genuine), ("impostor", profile.impostor)] {
                if let Some(shares) = shares {
                    writeln!(
                        text,
                        "{:14} {kind:12} {:9} {:9} {}",
                        profile.profile,
                        percent(shares.pass),
                        percent(shares.review),
                        percent(shares.reject)
                    )?;
                }
            }
        }
        writeln!(
            text,
            "\nwhat if the threshold were another (in full in report.html and report.json)\n\
             confidence  similarity  FMR       FNMR"
        )?;
        for row in self.what_if.iter().filter(|row| is_tenth(row.bound.confidence)) {
            let rate = |estimate: Option<Estimate>| {
                estimate.map_or_else(|| "-".to_owned(), |estimate| percent(estimate.value))
            };
            writeln!(
                text,
                "{:<11} {:<11.4} {:9} {}",
                row.bound.confidence,
                row.bound.similarity,
                rate(row.bound.false_match_rate),
                rate(row.bound.false_non_match_rate)
            )?;
        }
        Ok(())
    }
}

/// Whether a score is 0.1, 0.2 and so on: what a terminal shows of the steps of 0.05.
pub(crate) fn is_tenth(score: f64) -> bool {
    (1..10).any(|tenth| score == f64::from(tenth) / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_reading() {
        for (rate, text) in [
            (0.0, "0 %"),
            (1.0, "100.00 %"),
            (0.009_53, "0.95 %"),
            (1.01e-4, "0.0101 %"),
            (5e-6, "5.0e-4 %"),
        ] {
            assert_eq!(percent(rate), text);
        }
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (5_923_194, "5,923,194")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_no_failure_to_acquire() {
        let counts = [
            (Status::Ok, 6),
            (Status::NoFace, 1),
            (Status::BadPicture, 1),
            (Status::Missing, 4),
        ];
        let report = AcquisitionReport::of(counts.into_iter().collect());
        assert_eq!((report.pictures, report.failures_to_acquire), (12, 2));
        assert_eq!(report.failure_to_acquire_rate, Some(0.25));
        assert_eq!(
            AcquisitionReport::of(BTreeMap::new()).failure_to_acquire_rate,
            None
        );
    }
}
