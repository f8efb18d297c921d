//! What scores mean: calibrations as packs and files have them, and the curves that they are.
//!
//! A calibration is measured data: points whose error rates were observed, with what they were observed on. A pack brings
//! one for its embedder; `likeness calibrate` writes others to files, which are bound to the pack that they were measured
//! with, since another detector or alignment moves the error rates behind every score.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::store::short_digest;
use crate::{Manifest, ModelsError};

/// The format of calibration files that this version reads and writes.
const FORMAT: u32 = 1;

/// Largest calibration file in bytes. One has a few dozen lines.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Most points of a curve.
const MAX_POINTS: usize = 64;

/// Raw probabilities are held this far from 0 and 1, where the log-odds end.
const LEAST_PROBABILITY: f64 = 1e-9;

/// From a raw score to a calibrated one, 0..=1: straight lines in the log-odds of the calibrated score between points,
/// the first and the last of them extended beyond. Through two points that is a logistic curve. It grows strictly
/// wherever doubles can tell.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreCurve {
    /// `(raw score, log-odds of the calibrated score)`, ascending in both; at least two.
    points: Vec<(f64, f64)>,
}

impl ScoreCurve {
    /// The curve through points `(raw score, calibrated score)`; `None` unless there are at least two, they ascend in
    /// both, and the calibrated scores lie between 0 and 1, both excluded.
    #[must_use]
    pub fn through(points: &[(f64, f64)]) -> Option<Self> {
        let points: Vec<(f64, f64)> = points
            .iter()
            .map(|&(raw, score)| (raw, log_odds(score)))
            .collect();
        let finite = points
            .iter()
            .all(|(raw, odds)| raw.is_finite() && odds.is_finite());
        let ascending = points.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1);
        let slopes_are_finite = points
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if ((b.1 - a.1) / (b.0 - a.0)).is_finite()));
        (points.len() >= 2 && finite && ascending && slopes_are_finite).then_some(Self { points })
    }

    /// The calibrated score, 0..=1, of a raw one; not a number where that is none.
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

/// `ln(p / (1 - p))`; infinite at 0 and 1.
#[must_use]
pub fn log_odds(probability: f64) -> f64 {
    (probability / (1.0 - probability)).ln()
}

/// The scores between which error rates were measured. Below and above, the curve is only the straight line continued.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredRange {
    /// Lowest raw score.
    pub from: f64,
    /// Highest raw score.
    pub to: f64,
}

/// Where a calibration comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// What `/info`, logs and reports call it.
    pub name: String,
    /// How it was fitted.
    pub method: String,
    /// What it was measured on.
    pub data: String,
    /// The day on which it was fitted, `YYYY-MM-DD`.
    pub date: String,
}

impl Provenance {
    /// For `/info` and reports. The digest tells two calibrations of one name and day apart.
    fn describe(&self, calibration: &impl Serialize) -> String {
        // Writing a calibration does not fail; were it to, the text alone would still name it.
        let text = toml::to_string(calibration).unwrap_or_default();
        let digest = short_digest(&text);
        format!("{} ({}, {digest})", self.name, self.date)
    }

    fn fault(&self) -> Option<String> {
        let texts = [
            ("name", &self.name),
            ("method", &self.method),
            ("data", &self.data),
            ("date", &self.date),
        ];
        for (key, text) in texts {
            if text.is_empty() || text.len() > 500 || text.chars().any(char::is_control) {
                return Some(format!(
                    "{key} must have 1 to 500 characters and no control characters"
                ));
            }
        }
        None
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
    /// How many comparisons of one person's pictures.
    pub genuine_comparisons: u64,
    /// How many comparisons of two people's pictures.
    pub impostor_comparisons: u64,
    /// Similarities between which the false match rate was measured.
    pub measured: MeasuredRange,
    /// Points that the curve goes through, ascending.
    pub points: Vec<MatchPoint>,
}

impl MatchCalibration {
    /// For `/info`, logs and reports: name, date, and the first digits of a digest over all of it.
    #[must_use]
    pub fn describe(&self) -> String {
        self.provenance.describe(self)
    }

    /// The curve through the points; `None` where they are no curve.
    #[must_use]
    pub fn curve(&self) -> Option<ScoreCurve> {
        let points: Vec<(f64, f64)> = self
            .points
            .iter()
            .map(|point| (point.similarity, point.confidence))
            .collect();
        ScoreCurve::through(&points)
    }

    /// What is wrong with it, naming the key.
    pub(crate) fn fault(&self) -> Option<String> {
        if let Some(fault) = self.provenance.fault() {
            return Some(fault);
        }
        let measured = self.measured;
        if !(measured.from >= -1.0 && measured.from < measured.to && measured.to <= 1.0) {
            return Some("measured: from must be below to, both between -1 and 1".to_owned());
        }
        if !(2..=MAX_POINTS).contains(&self.points.len()) {
            return Some(format!("points: a curve takes 2 to {MAX_POINTS} points"));
        }
        for point in &self.points {
            let rates = [Some(point.false_match_rate), point.false_non_match_rate];
            let rates_are = rates
                .into_iter()
                .flatten()
                .all(|rate| (0.0..=1.0).contains(&rate));
            if !((-1.0..=1.0).contains(&point.similarity) && rates_are) {
                return Some("points: similarity must be -1..=1, rates 0..=1".to_owned());
            }
        }
        let falls = |a: &MatchPoint, b: &MatchPoint| a.false_match_rate > b.false_match_rate;
        if self.curve().is_none() || !self.points.is_sorted_by(falls) {
            return Some(
                "points must ascend in similarity and in confidence (between 0 and 1), and false_match_rate must fall"
                    .to_owned(),
            );
        }
        None
    }
}

/// A point of a liveness calibration.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LivenessPoint {
    /// Mean live probability of the models, between 0 and 1, both excluded.
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

/// From the models' mean live probability to liveness. The curve's straight lines are in log-odds on both sides, so that
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
    /// As [`MatchCalibration::describe`].
    #[must_use]
    pub fn describe(&self) -> String {
        self.provenance.describe(self)
    }

    /// The curve through the points, over log-odds; `None` where they are no curve.
    #[must_use]
    pub fn curve(&self) -> Option<LivenessCurve> {
        let points: Vec<(f64, f64)> = self
            .points
            .iter()
            .map(|point| (log_odds(point.probability), point.liveness))
            .collect();
        ScoreCurve::through(&points).map(LivenessCurve)
    }

    pub(crate) fn fault(&self) -> Option<String> {
        if let Some(fault) = self.provenance.fault() {
            return Some(fault);
        }
        let measured = self.measured;
        if !(measured.from >= 0.0 && measured.from < measured.to && measured.to <= 1.0) {
            return Some("measured: from must be below to, both between 0 and 1".to_owned());
        }
        if !(2..=MAX_POINTS).contains(&self.points.len()) {
            return Some(format!("points: a curve takes 2 to {MAX_POINTS} points"));
        }
        let rates_are =
            |point: &LivenessPoint| (0.0..=1.0).contains(&point.apcer) && (0.0..=1.0).contains(&point.bpcer);
        if !self.points.iter().all(rates_are) {
            return Some("points: apcer and bpcer must be 0..=1".to_owned());
        }
        if self.curve().is_none() {
            return Some("points must ascend in probability and in liveness, between 0 and 1".to_owned());
        }
        None
    }
}

/// The curve of a [`LivenessCalibration`].
#[derive(Debug, Clone, PartialEq)]
pub struct LivenessCurve(ScoreCurve);

impl LivenessCurve {
    /// Liveness, 0..=1, of a mean live probability.
    #[must_use]
    pub fn at(&self, probability: f64) -> f64 {
        self.0.at(log_odds(
            probability.clamp(LEAST_PROBABILITY, 1.0 - LEAST_PROBABILITY),
        ))
    }
}

/// What a calibration file holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Calibration {
    /// Of the match confidence.
    Match(MatchCalibration),
    /// Of the liveness.
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
    /// A calibration of this pack's scores.
    ///
    /// # Errors
    /// [`ModelsError::Calibration`] where the calibration is none.
    pub fn new(
        pack: &str,
        pack_version: &str,
        pack_digest: &str,
        calibration: Calibration,
    ) -> Result<Self, ModelsError> {
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

    /// Reads a file and checks it.
    ///
    /// # Errors
    /// [`ModelsError::Unreadable`], or [`ModelsError::Calibration`] naming the key. Unknown keys are errors.
    pub fn read(path: &Path) -> Result<Self, ModelsError> {
        let place = path.display().to_string();
        let unreadable = |source| ModelsError::Unreadable {
            path: path.to_owned(),
            source,
        };
        // Not a pipe, which might never end; and no more of it than a calibration can have.
        if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(fault(&place, "it is no file".to_owned()));
        }
        let bytes = crate::store::read(path, MAX_FILE_BYTES + 1)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(fault(
                &place,
                format!("more than {MAX_FILE_BYTES} bytes are too many for a calibration"),
            ));
        }
        let text = String::from_utf8(bytes).map_err(|_| fault(&place, "it is not UTF-8".to_owned()))?;
        Self::parse(&place, &text)
    }

    /// Reads the text of a file; `place` is what errors call it.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(place: &str, text: &str) -> Result<Self, ModelsError> {
        let file: Self = toml::from_str(text).map_err(|error| fault(place, error.to_string()))?;
        file.check(place)?;
        Ok(file)
    }

    /// The text of a file.
    ///
    /// # Errors
    /// None that is known of: every calibration can be written as TOML.
    pub fn to_toml(&self) -> Result<String, ModelsError> {
        toml::to_string(self).map_err(|error| fault("the calibration", error.to_string()))
    }

    /// Whether the calibration may be used with a pack.
    ///
    /// # Errors
    /// [`ModelsError::Calibration`] where it was measured with another one.
    pub fn check_pack(&self, place: &str, manifest: &Manifest) -> Result<(), ModelsError> {
        let found = (
            self.pack.as_str(),
            self.pack_version.as_str(),
            self.pack_digest.as_str(),
        );
        if found == (&manifest.name, &manifest.version, &manifest.digest) {
            return Ok(());
        }
        Err(fault(
            place,
            format!(
                "it was measured with pack {} {} ({}), but pack {} {} ({}) is in use, whose scores may mean something else: \
                 calibrate again",
                self.pack,
                self.pack_version,
                self.pack_digest,
                manifest.name,
                manifest.version,
                manifest.digest
            ),
        ))
    }

    fn check(&self, place: &str) -> Result<(), ModelsError> {
        let wrong = if self.format == FORMAT {
            match &self.calibration {
                Calibration::Match(calibration) => calibration.fault(),
                Calibration::Liveness(calibration) => calibration.fault(),
            }
        } else {
            Some(format!("format {} is not supported, only {FORMAT}", self.format))
        };
        wrong.map_or(Ok(()), |reason| Err(fault(place, reason)))
    }
}

fn fault(place: &str, reason: String) -> ModelsError {
    ModelsError::Calibration {
        place: place.to_owned(),
        reason,
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

    fn of_match() -> MatchCalibration {
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

    fn of_liveness(points: &[(f64, f64)]) -> LivenessCalibration {
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
    fn a_curve_goes_through_its_points_and_on_in_straight_log_odds() {
        let curve = of_match().curve().unwrap();
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
            &[(0.3, 0.4), (0.4, 0.5), (0.5, 0.45)],
            &[(0.0, 0.4), (f64::from_bits(1), 0.5)],
        ] {
            assert!(ScoreCurve::through(points).is_none(), "{points:?}");
        }
    }

    #[test]
    fn a_liveness_curve_through_equal_points_changes_nothing() {
        let curve = of_liveness(&[(0.4, 0.4), (0.6, 0.6)]).curve().unwrap();
        for probability in [0.001, 0.2, 0.5, 0.73, 0.999] {
            assert!((curve.at(probability) - probability).abs() < 1e-9);
        }
        assert!((0.0..1e-6).contains(&curve.at(0.0)) && (1.0 - 1e-6..=1.0).contains(&curve.at(1.0)));
        assert!(curve.at(f64::NAN).is_nan());
    }

    #[test]
    fn what_is_written_reads_back() {
        for calibration in [
            Calibration::Match(of_match()),
            Calibration::Liveness(of_liveness(&[(0.5, 0.4), (0.9, 0.6)])),
        ] {
            let file = CalibrationFile::new("open-1", "2", "0123abcd", calibration).unwrap();
            let text = file.to_toml().unwrap();
            assert_eq!(CalibrationFile::parse("x.toml", &text).unwrap(), file, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let text = CalibrationFile::new("open-1", "2", "0123abcd", Calibration::Match(of_match()))
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
    fn two_of_one_name_and_day_are_told_apart() {
        let (one, mut other) = (of_match(), of_match());
        assert!(one.describe().starts_with("branch (2026-11-25, "));
        assert_eq!(one.describe(), other.describe());
        other.points[1].similarity = 0.41;
        assert_ne!(one.describe(), other.describe());
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
    fn a_file_that_is_none_is_not_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.toml");
        std::fs::write(&path, vec![b'#'; 70_000]).unwrap();
        let error = CalibrationFile::read(&path).unwrap_err().to_string();
        assert!(error.contains("more than 65536 bytes are too many"), "{error}");
        let absent = CalibrationFile::read(&folder.path().join("absent.toml"));
        assert!(matches!(absent, Err(ModelsError::Unreadable { .. })));
        let error = CalibrationFile::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("it is no file"), "{error}");
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
}
