//! What scores mean: calibrations as packs and files have them, and their curves.
//!
//! A calibration is measured data: points with their observed error rates, and the data that they were observed on. One in
//! a file is bound to the pack that it was measured with: another detector or alignment moves all error rates.

use std::path::Path;

use likeness_onnx::quote;
use serde::{Deserialize, Serialize};

use super::is_plain_name;
use crate::files::{is_sha256, read_text, short_digest};
use crate::{Manifest, PackError};

/// The format of calibration files that this version reads and writes.
const FORMAT: u32 = 1;

/// Largest calibration file in bytes. One has a few dozen lines.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Most points of a curve.
const MAX_POINTS: usize = 64;

/// Raw probabilities are clamped this far from 0 and 1, where the log-odds are infinite.
const LEAST_PROBABILITY: f64 = 1e-9;

/// The scores between which error rates were measured. Below and above, the curve is only the straight line continued.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredRange {
    /// Lowest raw score.
    pub from: f64,
    /// Highest raw score.
    pub to: f64,
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
    let p = provenance;
    let (name, method, data, date) = (&p.name, &p.method, &p.data, &p.date);
    for (key, text) in [("name", name), ("method", method), ("data", data), ("date", date)] {
        if !(1..=500).contains(&text.len()) || text.chars().any(char::is_control) {
            return Err(format!(
                "{key} must have 1 to 500 characters and no control characters"
            ));
        }
    }
    // False also for NaN.
    if !(measured.from >= lowest && measured.from < measured.to && measured.to <= 1.0) {
        return Err(format!(
            "measured: from must be below to, both between {lowest} and 1"
        ));
    }
    if !(2..=MAX_POINTS).contains(&points) {
        return Err(format!("points: a curve takes 2 to {MAX_POINTS} points"));
    }
    Ok(())
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
    /// Similarity, -1..=1: normalised where the calibration has a cohort, else the cosine.
    pub similarity: f64,
    /// Match confidence there, between 0 and 1, both excluded.
    pub confidence: f64,
    /// Share of the zero-effort impostor comparisons at or above `similarity`: the rate that the confidence stands for.
    pub false_match_rate: f64,
    /// Share of the genuine comparisons below `similarity`, where there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub false_non_match_rate: Option<f64>,
}

/// The cohort that a normalised similarity was measured with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CohortReference {
    /// Name of its file, beside the manifest or the calibration file. In a calibration file it may be left out where the
    /// cohort is the pack's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// SHA-256 of its bytes, 64 hexadecimal digits in lower case.
    pub sha256: String,
}

/// From similarity to match confidence.
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
    /// The cohort of a normalised similarity; `None`: the similarity is the cosine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cohort: Option<CohortReference>,
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
        if let Some(CohortReference { file, sha256 }) = &self.cohort {
            if !is_sha256(sha256) {
                return Err("cohort.sha256 is not 64 hexadecimal digits in lower case".to_owned());
            }
            if !file.as_deref().is_none_or(is_plain_name) {
                return Err("cohort.file is not a plain file name".to_owned());
            }
        }
        let in_range = |point: &MatchPoint| {
            (-1.0..=1.0).contains(&point.similarity)
                && is_rate(point.false_match_rate)
                && point.false_non_match_rate.is_none_or(is_rate)
        };
        if !self.points.iter().all(in_range) {
            return Err("points: similarity must be -1..=1, rates 0..=1".to_owned());
        }
        let falls = |a: &MatchPoint, b: &MatchPoint| a.false_match_rate > b.false_match_rate;
        if !(self.curve().is_some() && self.points.is_sorted_by(falls)) {
            let fault = "points must ascend in similarity and in confidence (between 0 and 1), and false_match_rate \
                         must fall";
            return Err(fault.to_owned());
        }
        Ok(())
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
        if !self.points.iter().all(in_range) {
            return Err("points: apcer and bpcer must be 0..=1".to_owned());
        }
        if self.curve().is_none() {
            return Err("points must ascend in probability and in liveness, between 0 and 1".to_owned());
        }
        Ok(())
    }
}

/// The calibration in a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Calibration {
    /// For the match confidence.
    Match(MatchCalibration),
    /// For the liveness score.
    Liveness(LivenessCalibration),
}

/// A calibration with the pack that it was measured with, as `likeness calibrate` writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationFile {
    /// Version of the format; 1.
    format: u32,
    /// Name of the pack.
    pub pack: String,
    /// Version of the pack.
    pub pack_version: String,
    /// Digest of the pack's manifest, which pins its files: [`Manifest::digest`](crate::Manifest::digest).
    pub pack_digest: String,
    /// The calibration.
    pub calibration: Calibration,
}

impl CalibrationFile {
    /// Makes a file for a calibration of this pack's scores.
    ///
    /// # Errors
    /// [`PackError::Calibration`] if the calibration is invalid.
    pub fn new(
        pack: &str,
        pack_version: &str,
        pack_digest: &str,
        calibration: Calibration,
    ) -> Result<Self, PackError> {
        let file = Self {
            format: FORMAT,
            pack: pack.to_owned(),
            pack_version: pack_version.to_owned(),
            pack_digest: pack_digest.to_owned(),
            calibration,
        };
        file.check("the calibration")?;
        Ok(file)
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`PackError::Unreadable`], or [`PackError::Calibration`] naming the key. Unknown keys are errors.
    pub fn read(path: &Path) -> Result<Self, PackError> {
        let place = path.display().to_string();
        // Not a pipe, which might never end.
        let found = std::fs::metadata(path).map_err(PackError::unreadable(path))?;
        if !found.is_file() {
            return Err(fault(&place, "it is not a file"));
        }
        let text = read_text(path, MAX_FILE_BYTES)?.map_err(|reason| fault(&place, reason))?;
        Self::parse(&place, &text)
    }

    /// Parses the text of a file as [`read`](Self::read) does; `place` is its name in errors.
    pub fn parse(place: &str, text: &str) -> Result<Self, PackError> {
        let file: Self =
            toml::from_str(text).map_err(|error| fault(place, quote::message(&error.to_string())))?;
        file.check(place)?;
        Ok(file)
    }

    /// Returns the text of the file. No calibration is known that cannot be written as TOML.
    pub fn to_toml(&self) -> Result<String, PackError> {
        toml::to_string(self).map_err(|error| fault("the calibration", error.to_string()))
    }

    /// Checks that the calibration was measured with this pack.
    ///
    /// # Errors
    /// [`PackError::Calibration`] if it was measured with another one.
    pub fn check_pack(&self, place: &str, manifest: &Manifest) -> Result<(), PackError> {
        let (pack, version, digest) = (&self.pack, &self.pack_version, &self.pack_digest);
        let (name, used, pin) = (&manifest.name, &manifest.version, &manifest.digest);
        if (pack, version, digest) == (name, used, pin) {
            return Ok(());
        }
        let reason = format!(
            "it was measured with pack {pack} {version} ({digest}), but pack {name} {used} ({pin}) is in use, whose scores \
             may mean something else: calibrate again"
        );
        Err(fault(place, reason))
    }

    fn check(&self, place: &str) -> Result<(), PackError> {
        let checked = match &self.calibration {
            _ if self.format != FORMAT => {
                Err(format!("format {} is not supported, only {FORMAT}", self.format))
            }
            Calibration::Match(calibration) => calibration.check(),
            Calibration::Liveness(calibration) => calibration.check(),
        };
        checked.map_err(|reason| fault(place, reason))
    }
}

fn fault(place: &str, reason: impl Into<String>) -> PackError {
    let (place, reason) = (place.to_owned(), reason.into());
    PackError::Calibration { place, reason }
}

/// Maps a raw score to a calibrated one, 0..=1, increasing: straight lines between points in the log-odds of the calibrated
/// score, the first and the last of them extended. Through two points that is a logistic curve.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreCurve {
    /// `(raw score, log-odds of the calibrated score)`, ascending in both; at least two.
    points: Vec<(f64, f64)>,
}

impl ScoreCurve {
    /// Returns the curve through at least two points `(raw score, calibrated score)`, ascending in both, whose calibrated
    /// scores lie between 0 and 1, both excluded; else `None`.
    #[must_use]
    pub fn through(points: &[(f64, f64)]) -> Option<Self> {
        let points = points.iter().map(|&(raw, score)| (raw, log_odds(score)));
        let points: Vec<(f64, f64)> = points.collect();
        // False also for NaN, and for log-odds that are not finite.
        let ascends = |a: &(f64, f64), b: &(f64, f64)| {
            a.0 < b.0 && a.1 < b.1 && ((b.1 - a.1) / (b.0 - a.0)).is_finite()
        };
        let is_curve = points.len() >= 2 && points.iter().all(|point| point.0.is_finite());
        (is_curve && points.is_sorted_by(ascends)).then_some(Self { points })
    }

    /// Returns the calibrated score, 0..=1, of a raw one; NaN for NaN.
    #[must_use]
    pub fn at(&self, raw: f64) -> f64 {
        // The segment that holds the score, or the nearest one.
        let after = self.points.partition_point(|point| point.0 < raw);
        let last = self.points.len().saturating_sub(2);
        let first = after.saturating_sub(1).min(last);
        let odds = match self.points.get(first..first + 2) {
            Some([a, b]) => a.1 + (raw - a.0) * (b.1 - a.1) / (b.0 - a.0),
            _ => f64::NAN,
        };
        1.0 / (1.0 + (-odds).exp())
    }
}

/// Returns `ln(p / (1 - p))`; infinite at 0 and 1.
#[must_use]
pub fn log_odds(probability: f64) -> f64 {
    (probability / (1.0 - probability)).ln()
}

/// Maps a fused live probability to a liveness score: a [`ScoreCurve`] over the log-odds of the probability.
#[derive(Debug, Clone, PartialEq)]
pub struct LivenessCurve(ScoreCurve);

impl LivenessCurve {
    /// Returns the curve through points `(probability, liveness)`; `None` as for [`ScoreCurve::through`].
    #[must_use]
    pub fn through(points: &[(f64, f64)]) -> Option<Self> {
        let points = points.iter();
        let points: Vec<_> = points.map(|&(raw, liveness)| (log_odds(raw), liveness)).collect();
        ScoreCurve::through(&points).map(Self)
    }

    /// Returns the liveness score, 0..=1, of a fused live probability.
    #[must_use]
    pub fn at(&self, probability: f64) -> f64 {
        self.0.at(log_odds(
            probability.clamp(LEAST_PROBABILITY, 1.0 - LEAST_PROBABILITY),
        ))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
            cohort: None,
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
        let (mut one, mut other) = (of_match(), of_match());
        let cohort = |digits: &str| CohortReference {
            file: None,
            sha256: digits.repeat(32),
        };
        one.cohort = Some(cohort("ab"));
        other.cohort = Some(cohort("cd"));
        assert_ne!(one.describe(), other.describe());
    }

    #[test]
    fn a_curve_goes_through_its_points_and_on_in_straight_log_odds() {
        let curve = ScoreCurve::through(&[(0.3, 0.4), (0.4, 0.56), (0.5, 0.7)]).unwrap();
        for (raw, score) in [(0.3, 0.4), (0.4, 0.56), (0.5, 0.7)] {
            assert!((curve.at(raw) - score).abs() < 1e-12, "{raw}");
        }
        // Log-odds of 0.4 and 0.56 are -0.405465 and 0.241162: a step back from 0.3 is -1.052093.
        assert!((log_odds(curve.at(0.2)) + 1.052_093).abs() < 1e-5);
        // 0.847298 and one step of 0.606136 beyond 0.5.
        assert!((log_odds(curve.at(0.6)) - 1.453_434).abs() < 1e-5);
        assert!(curve.at(-1e9) >= 0.0 && curve.at(1e9) <= 1.0);
        assert!(curve.at(f64::NAN).is_nan());
    }

    #[test]
    fn points_that_do_not_ascend_are_no_curve() {
        for points in [
            &[(0.3, 0.4)][..],
            &[(0.3, 0.4), (0.3, 0.5)],
            &[(0.3, 0.4), (0.4, 0.4)],
            &[(0.3, 0.0), (0.4, 0.5)],
            &[(0.3, 0.5), (0.4, 1.0)],
            &[(f64::NAN, 0.4), (0.4, 0.5)],
            &[(f64::NEG_INFINITY, 0.4), (0.4, 0.5)],
            &[(0.3, 0.4), (0.4, 0.5), (0.5, 0.45)],
            &[(0.0, 0.4), (f64::from_bits(1), 0.5)],
        ] {
            assert!(ScoreCurve::through(points).is_none(), "{points:?}");
        }
    }

    #[test]
    fn a_liveness_curve_through_equal_points_changes_nothing() {
        let curve = LivenessCurve::through(&[(0.4, 0.4), (0.6, 0.6)]).unwrap();
        for probability in [0.001, 0.2, 0.5, 0.73, 0.999] {
            assert!((curve.at(probability) - probability).abs() < 1e-9);
        }
        assert!((0.0..1e-6).contains(&curve.at(0.0)) && (1.0 - 1e-6..=1.0).contains(&curve.at(1.0)));
        assert!(curve.at(f64::NAN).is_nan());
    }

    proptest! {
        #[test]
        fn scores_keep_their_order_and_stay_in_range(
            mut raws in prop::collection::vec(-1.0f64..1.0, 2..6),
            mut scores in prop::collection::vec(0.01f64..0.99, 6),
            a in -2.0f64..2.0, b in -2.0f64..2.0,
        ) {
            raws.sort_by(f64::total_cmp);
            raws.dedup();
            scores.sort_by(f64::total_cmp);
            scores.dedup();
            let points: Vec<_> = raws.into_iter().zip(scores).collect();
            prop_assume!(points.len() >= 2);
            let curve = ScoreCurve::through(&points).unwrap();
            for &(raw, score) in &points {
                prop_assert!((curve.at(raw) - score).abs() < 1e-9);
            }
            prop_assert!(curve.at(a.min(b)) <= curve.at(a.max(b)));
            prop_assert!((0.0..=1.0).contains(&curve.at(a)));
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let with_cohort = |file: Option<&str>| MatchCalibration {
            cohort: Some(CohortReference {
                file: file.map(ToOwned::to_owned),
                sha256: "ab".repeat(32),
            }),
            ..of_match()
        };
        for calibration in [
            Calibration::Match(of_match()),
            Calibration::Match(with_cohort(None)),
            Calibration::Match(with_cohort(Some("cohort.bin"))),
            Calibration::Liveness(of_liveness(&[(0.5, 0.4), (0.9, 0.6)])),
        ] {
            let file = CalibrationFile::new("open-1", "2", "0123abcd", calibration).unwrap();
            let text = file.to_toml().unwrap();
            assert_eq!(CalibrationFile::parse("x.toml", &text).unwrap(), file, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let mut calibration = of_match();
        calibration.cohort = Some(CohortReference {
            file: Some("cohort.bin".to_owned()),
            sha256: "ab".repeat(32),
        });
        let text = CalibrationFile::new("open-1", "2", "0123abcd", Calibration::Match(calibration))
            .unwrap()
            .to_toml()
            .unwrap();
        for (from, to, expected) in [
            ("format = 1", "format = 9", "format 9 is not supported"),
            ("confidence = 0.56", "confidence = 0.3", "must ascend"),
            (
                "similarity = 0.4",
                "similarity = 1.4",
                "similarity must be -1..=1",
            ),
            (
                "false_match_rate = 0.0001",
                "false_match_rate = 0.1",
                "false_match_rate must fall",
            ),
            ("from = 0.1", "from = 0.6", "from must be below to"),
            ("from = 0.1", "from = nan", "from must be below to"),
            ("name = \"branch\"", "name = \"\"", "name must have"),
            ("name = \"branch\"", "name = \"a\\nb\"", "name must have"),
            ("people = 10", "people = 10\ncolour = 1", "unknown field `colour`"),
            (
                "file = \"cohort.bin\"",
                "file = \"/etc/cohort.bin\"",
                "cohort.file is not a plain file name",
            ),
            (
                "sha256 = \"ab",
                "sha256 = \"",
                "cohort.sha256 is not 64 hexadecimal digits",
            ),
            (
                "calibration.match",
                "calibration.voice",
                "unknown variant `voice`",
            ),
        ] {
            assert!(text.contains(from), "{from} in {text}");
            let error = CalibrationFile::parse("x.toml", &text.replace(from, to))
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("x.toml") && error.contains(expected),
                "{to}: {error}"
            );
        }
    }

    #[test]
    fn a_calibration_goes_with_the_pack_that_it_was_measured_with() {
        let mut manifest = Manifest::builtin("open-1").unwrap().unwrap();
        let file = |manifest: &Manifest| {
            let calibration = Calibration::Match(of_match());
            CalibrationFile::new(&manifest.name, &manifest.version, &manifest.digest, calibration).unwrap()
        };
        let measured = file(&manifest);
        assert!(measured.check_pack("x.toml", &manifest).is_ok());
        // The same name and version, but made otherwise.
        manifest.digest = "0123abcd".to_owned();
        let error = measured.check_pack("x.toml", &manifest).unwrap_err().to_string();
        assert!(error.contains("(0123abcd) is in use"), "{error}");
        manifest = Manifest::builtin("open-1").unwrap().unwrap();
        manifest.version = "0".to_owned();
        assert!(measured.check_pack("x.toml", &manifest).is_err());
    }

    #[test]
    fn an_oversized_missing_or_irregular_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.toml");
        std::fs::write(&path, vec![b'#'; 70_000]).unwrap();
        let error = CalibrationFile::read(&path).unwrap_err().to_string();
        assert!(error.contains("more than 65536 bytes are too many"), "{error}");
        let absent = CalibrationFile::read(&folder.path().join("absent.toml"));
        assert!(matches!(absent, Err(PackError::Unreadable { .. })));
        let error = CalibrationFile::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("it is not a file"), "{error}");
    }
}
