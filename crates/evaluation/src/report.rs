//! What the reports of both evaluations share.

use std::collections::BTreeMap;

use likeness_engine::Engine;
use likeness_engine::decision::{Profile, Thresholds};
use serde::Serialize;

use crate::error::Status;
use crate::statistics::{Bootstrap, Interval};

/// Least distance of two points of a DET curve, in normal deviates: 6 of them on 600 pixels show no more.
pub(crate) const DET_STEP: f64 = 0.01;

/// Steps of 0.05 over 0..1 in a what-if table.
const STEPS: u32 = 20;

/// The engine of an evaluation, in words that differ where its scores may.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setup {
    /// Version of Likeness.
    pub likeness: String,
    /// Model pack, its version and a digest of its manifest.
    pub pack: String,
    /// The calibration of the match confidence, or that there is none.
    pub match_calibration: String,
    /// The calibration of the liveness score, or that there is none.
    pub liveness_calibration: String,
    /// The cohort that similarities are normalised by, or that they are cosines.
    pub cohort: String,
    /// Execution provider.
    pub provider: String,
    /// Version of ONNX Runtime.
    pub onnx_runtime: String,
}

impl Setup {
    /// Returns the setup of an engine.
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
            cohort: info.cohort.clone(),
            provider: info.provider.clone(),
            onnx_runtime: info.runtime_version.clone(),
        }
    }

    /// Returns the setup as text.
    pub(crate) fn describe(&self) -> String {
        format!(
            "Likeness {}, pack {}, {}, ONNX Runtime {}. Calibration of the match confidence: {}; of the liveness score: {}. \
             Cohort: {}.",
            self.likeness,
            self.pack,
            self.provider,
            self.onnx_runtime,
            self.match_calibration,
            self.liveness_calibration,
            self.cohort
        )
    }
}

/// The face of an image that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaceChoice {
    /// The largest: the engine's primary face.
    #[default]
    Largest,
    /// The one nearest to the centre of the image, as LFW defines its subject, of all that a thorough search finds.
    Centre,
}

/// The numbers of comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ComparisonCounts {
    /// Comparisons of images of one person, with a score.
    pub genuine: u64,
    /// Comparisons of images of two people, with a score.
    pub impostor: u64,
    /// Genuine comparisons without a score, because an image was not acquired. They are in no error rate.
    pub genuine_without_score: u64,
    /// Impostor comparisons without a score.
    pub impostor_without_score: u64,
}

/// The images by what became of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AcquisitionReport {
    /// Number of distinct images.
    #[serde(rename = "pictures")]
    pub images: u64,
    /// Number of images with each outcome.
    pub by_status: BTreeMap<Status, u64>,
    /// Number of images without a usable face, or that cannot be decoded.
    pub failures_to_acquire: u64,
    /// Failure to acquire rate (FTA), 0..=1: their share of the images that could be read.
    pub failure_to_acquire_rate: Option<f64>,
}

impl AcquisitionReport {
    pub(crate) fn of<T>(results: &[Result<T, Status>]) -> Self {
        let mut by_status = BTreeMap::new();
        for result in results {
            let status = result.as_ref().err().copied().unwrap_or(Status::Ok);
            *by_status.entry(status).or_default() += 1;
        }
        let number = |status| by_status.get(&status).copied().unwrap_or_default();
        let failures_to_acquire: u64 = number(Status::NoFace) + number(Status::BadImage);
        let read = failures_to_acquire + number(Status::Ok);
        Self {
            images: by_status.values().sum(),
            failures_to_acquire,
            failure_to_acquire_rate: (read > 0).then(|| failures_to_acquire as f64 / read as f64),
            by_status,
        }
    }

    /// Returns the outcomes and their numbers as rows of a table.
    pub(crate) fn rows(&self) -> Vec<Vec<String>> {
        let row = |(status, count): (&Status, &u64)| vec![status.to_string(), grouped(*count)];
        self.by_status.iter().map(row).collect()
    }
}

/// A rate, 0..=1, or a threshold, with its confidence interval over people.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The observed value.
    pub value: f64,
    /// The interval; `None` where there are too few people or comparisons for one.
    pub interval: Option<Interval>,
}

impl Estimate {
    /// Returns a rate. Where no error was observed an interval would say that the rate is 0.
    pub(crate) fn of_rate(value: Option<f64>, interval: Option<Interval>) -> Option<Self> {
        value.map(|value| Self {
            value,
            interval: interval.filter(|_| value != 0.0),
        })
    }
}

/// Returns a rate with its interval as text, and where no error was observed with its upper bound.
pub(crate) fn estimate(estimate: Option<Estimate>, at_most: Option<f64>) -> String {
    let at_most = at_most.map_or_else(String::new, |rate| format!(" (at most {})", percent(rate)));
    or_dash(estimate, |Estimate { value, interval }| match interval {
        None => percent(value),
        Some(Interval { low, high }) => format!("{} ({} to {})", percent(value), percent(low), percent(high)),
    }) + &at_most
}

/// Returns how the intervals of a report were computed.
pub(crate) fn describe_intervals(bootstrap: &Bootstrap, over: &str) -> String {
    let (percent, replicates, seed) = (bootstrap.confidence * 100.0, bootstrap.replicates, bootstrap.seed);
    format!(
        "{percent} % percentile intervals, {replicates} replicates of a bootstrap over {over}, seed {seed}"
    )
}

/// Returns the scores from 0.05 to 0.95 in steps of 0.05, each the double nearest to the decimal, and the thresholds of the
/// built-in profiles, ascending; each with the names of the thresholds that it is.
pub(crate) fn steps_and_thresholds(of: fn(&Profile) -> &Thresholds) -> Vec<(f64, Vec<String>)> {
    let step = |step| (f64::from(step) / f64::from(STEPS), Vec::new());
    let mut wanted: Vec<(f64, Vec<String>)> = (1..STEPS).map(step).collect();
    let names = Profile::BUILTIN_NAMES.into_iter();
    for profile in names.filter_map(Profile::builtin) {
        let thresholds = of(&profile);
        for (value, threshold) in [
            (thresholds.reject_below(), "reject_below"),
            (thresholds.review_below(), "review_below"),
        ] {
            let name = format!("{} {threshold}", profile.name());
            match wanted.iter_mut().find(|(other, _)| *other == value) {
                Some((_, names)) => names.push(name),
                None => wanted.push((value, vec![name])),
            }
        }
    }
    wanted.sort_by(|a, b| a.0.total_cmp(&b.0));
    wanted
}

/// Returns whether a score is 0.1, 0.2 and so on: the steps that a terminal shows.
pub(crate) fn is_tenth(score: f64) -> bool {
    (1..10).any(|tenth| score == f64::from(tenth) / 10.0)
}

/// Returns a rate, 0..=1, in percent with at least two significant digits.
pub(crate) fn percent(rate: f64) -> String {
    let hundred = rate * 100.0;
    match hundred {
        0.0 => "0 %".to_owned(),
        0.1.. => format!("{hundred:.2} %"),
        0.001.. => format!("{hundred:.4} %"),
        _ => format!("{hundred:.1e} %"),
    }
}

/// Returns a number with its digits in groups of three.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups = groups.filter_map(|group| std::str::from_utf8(group).ok());
    groups.collect::<Vec<_>>().join(",")
}

/// Returns a value as text, or a dash.
pub(crate) fn or_dash<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), show)
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
    fn a_missing_file_is_not_a_failure_to_acquire() {
        let statuses = [
            (Status::Ok, 6),
            (Status::NoFace, 1),
            (Status::BadImage, 1),
            (Status::Missing, 4),
        ];
        let results: Vec<Result<(), Status>> = statuses
            .into_iter()
            .flat_map(|(status, number)| std::iter::repeat_n(status, number))
            .map(|status| if status == Status::Ok { Ok(()) } else { Err(status) })
            .collect();
        let report = AcquisitionReport::of(&results);
        assert_eq!((report.images, report.failures_to_acquire), (12, 2));
        assert_eq!(report.failure_to_acquire_rate, Some(0.25));
        let none = AcquisitionReport::of::<()>(&[]);
        assert_eq!(none.failure_to_acquire_rate, None);
    }

    #[test]
    fn the_thresholds_are_those_of_the_profiles_and_steps_between() {
        let all = steps_and_thresholds(Profile::liveness);
        assert!(all.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!((all.len(), all[0].0, all[18].0), (19, 0.05, 0.95));
        let used: Vec<_> = all.iter().filter(|(_, names)| !names.is_empty()).collect();
        let values: Vec<f64> = used.iter().map(|(value, _)| *value).collect();
        assert_eq!(values, [0.3, 0.4, 0.5, 0.6, 0.8]);
        assert_eq!(used[3].1, ["optimal-v0 review_below", "strict-v0 reject_below"]);
        // 0.56 is no step.
        let all = steps_and_thresholds(Profile::face_match);
        assert_eq!((all.len(), all[11].0), (20, 0.56));
        assert_eq!(all[11].1, ["optimal-v0 review_below", "strict-v0 reject_below"]);
    }
}
