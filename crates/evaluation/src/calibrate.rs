//! Calibrations fitted to evaluations: the meaning of a match confidence and of a liveness score.

use likeness_engine::decision::Score;
use likeness_engine::packs::{
    CohortReference, LivenessCalibration, LivenessCurve, LivenessPoint, MatchCalibration, MatchPoint,
    MeasuredRange, PresentationCount, Provenance, log_odds,
};

use crate::error::EvaluationError;
use crate::liveness::PresentationScores;
use crate::match_report::MatchReport;
use crate::statistics::{LivenessScores, Species};

/// A match confidence, and the false match rate to calibrate it to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MatchAnchor {
    /// Match confidence, above 0 and below 1.
    pub confidence: f64,
    /// False match rate: 1e-1, 1e-2, 1e-3, 1e-4, 1e-5 or 1e-6.
    pub false_match_rate: f64,
}

/// The anchors at the documented thresholds: `optimal-v0` rejects below 0.40 and passes from 0.56, `strict-v0` from 0.70.
pub const MATCH_ANCHORS: [MatchAnchor; 3] = [anchor(0.40, 1e-3), anchor(0.56, 1e-4), anchor(0.70, 1e-5)];

const fn anchor(confidence: f64, false_match_rate: f64) -> MatchAnchor {
    MatchAnchor {
        confidence,
        false_match_rate,
    }
}

/// A match calibration, and the anchors for which the data is insufficient.
#[derive(Debug, Clone, PartialEq)]
pub struct MatchFit {
    /// The points of the curve and their provenance.
    pub calibration: MatchCalibration,
    /// The anchors without a point, each with the number of impostor comparisons that it needs.
    pub left_out: Vec<(MatchAnchor, u64)>,
}

/// Similarities are rounded up to five decimals. Confidences are rounded as well, to four decimals, so that of a thousand
/// counted comparisons one may fall on the other side of a threshold.
const SIMILARITY_STEPS: f64 = 1e5;

/// Returns the curve through each anchor's confidence at the lowest similarity with its false match rate. `name` and `date`
/// (YYYY-MM-DD) identify the calibration, and `cohort` is the one that the report's similarities were normalised by.
///
/// # Errors
/// [`EvaluationError::Input`] where fewer than two anchors can be measured, or they do not ascend.
pub fn calibrate_match(
    report: &MatchReport,
    anchors: &[MatchAnchor],
    name: &str,
    date: &str,
    cohort: Option<CohortReference>,
) -> Result<MatchFit, EvaluationError> {
    let mut anchors = anchors.to_vec();
    anchors.sort_by(|a, b| a.confidence.total_cmp(&b.confidence));
    let (mut points, mut left_out) = (Vec::new(), Vec::new());
    for anchor in anchors {
        let row = report
            .at_false_match_rates
            .iter()
            .find(|row| (row.false_match_rate - anchor.false_match_rate).abs() <= 1e-9 * anchor.false_match_rate)
            .ok_or_else(|| {
                EvaluationError::Input(format!(
                    "cannot calibrate to a false match rate of {:e}: use 1e-1, 1e-2, 1e-3, 1e-4, 1e-5 or 1e-6",
                    anchor.false_match_rate
                ))
            })?;
        match &row.threshold {
            Some(threshold) => points.push(MatchPoint {
                similarity: (threshold.value * SIMILARITY_STEPS).ceil() / SIMILARITY_STEPS,
                confidence: anchor.confidence,
                false_match_rate: row.false_match_rate,
                false_non_match_rate: row.false_non_match_rate.map(|rate| rounded(rate.value)),
            }),
            None => left_out.push((anchor, row.impostor_comparisons_needed)),
        }
    }
    if points.len() < 2 {
        let measured = points.len();
        let needed = left_out.iter().map(|(_, needed)| *needed).min();
        return Err(EvaluationError::Input(needed.map_or_else(
            || "a match calibration needs at least two anchors".to_owned(),
            |needed| {
                format!(
                    "insufficient data: {measured} of at least two anchors can be measured with {} impostor comparisons; \
                     the next one needs {needed}",
                    report.comparisons.impostor
                )
            },
        )));
    }
    let ascending = |a: &MatchPoint, b: &MatchPoint| {
        a.similarity < b.similarity && a.false_match_rate > b.false_match_rate
    };
    if !points.is_sorted_by(ascending) {
        return Err(EvaluationError::Input(
            "the anchors do not ascend: a higher confidence needs a lower false match rate and, in this data, a higher \
             similarity"
                .to_owned(),
        ));
    }
    let mut thresholds = report
        .at_false_match_rates
        .iter()
        .filter_map(|row| row.threshold.map(|threshold| rounded(threshold.value)));
    let from = thresholds.next().unwrap_or_default();
    let to = thresholds.next_back().unwrap_or(from);
    let calibration = MatchCalibration {
        provenance: Provenance {
            name: name.to_owned(),
            method: format!(
                "straight lines in the log-odds of the confidence over the {} similarity, through the lowest similarity \
                 with each false match rate",
                if cohort.is_some() { "normalised" } else { "cosine" }
            ),
            data: report.data.clone(),
            date: date.to_owned(),
        },
        people: report.people as u64,
        genuine_comparisons: report.comparisons.genuine,
        impostor_comparisons: report.comparisons.impostor,
        measured: MeasuredRange { from, to },
        cohort,
        points,
    };
    Ok(MatchFit {
        calibration,
        left_out,
    })
}

/// The error rates to calibrate the two documented liveness thresholds to.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct LivenessTargets {
    /// Highest APCER of any species at a liveness score of 0.60, between 0 and 1.
    pub apcer_at_review: f64,
    /// Highest BPCER at a liveness score of 0.40, between 0 and 1.
    pub bpcer_at_reject: f64,
    /// Whether a liveness score may be above the models' own where the attacks allow it. A curve that is fitted to easy
    /// attacks lets harder ones pass, so this is off by default.
    pub allow_easier: bool,
}

impl Default for LivenessTargets {
    fn default() -> Self {
        Self {
            apcer_at_review: 0.01,
            bpcer_at_reject: 0.01,
            allow_easier: false,
        }
    }
}

impl LivenessTargets {
    /// Returns targets for APCER and BPCER.
    ///
    /// # Errors
    /// [`EvaluationError::Input`] for rates that are not between 0 and 1.
    pub fn new(apcer_at_review: f64, bpcer_at_reject: f64) -> Result<Self, EvaluationError> {
        for (name, rate) in [("APCER", apcer_at_review), ("BPCER", bpcer_at_reject)] {
            // Also for NaN.
            if !(rate > 0.0 && rate < 1.0) {
                let reason = format!("invalid target {name} {rate}: must be between 0 and 1");
                return Err(EvaluationError::Input(reason));
            }
        }
        Ok(Self {
            apcer_at_review,
            bpcer_at_reject,
            ..Self::default()
        })
    }

    /// Sets whether a liveness score may be above the models' own.
    #[must_use]
    pub fn with_allow_easier(mut self, allow_easier: bool) -> Self {
        self.allow_easier = allow_easier;
        self
    }
}

/// The documented thresholds of `optimal-v0`: it rejects below the first and passes from the second.
const REJECT_BELOW: f64 = 0.40;
const REVIEW_BELOW: f64 = 0.60;

/// Steps of the probabilities that are tried: those of a score.
const STEPS: u32 = 10_000;

/// Returns the curve through the liveness scores 0.40 and 0.60. `name`, `data` and `date` (YYYY-MM-DD) identify it.
///
/// 0.60 is the lowest probability from which on no attack species passes more often than the target, but not below 0.60
/// itself, and 0.40 is as far below it (in log-odds) as for the probability: so no liveness score is above the probability
/// it comes from, and no presentation passes a threshold that did not before. The BPCER at 0.40 must not exceed the target.
/// With [`LivenessTargets::allow_easier`] 0.60 may be lower, and 0.40 low enough for its target. The result is counted again
/// with the curve and the rounding of scores. A species with too few presentations for the target does not pass at all.
///
/// # Errors
/// [`EvaluationError::Input`] where there are too few presentations, or the models do not separate bona fide presentations
/// from attacks as well as the targets require.
pub fn calibrate_liveness(
    scores: &PresentationScores<'_>,
    targets: &LivenessTargets,
    name: &str,
    data: &str,
    date: &str,
) -> Result<LivenessCalibration, EvaluationError> {
    let scored = scores.by_species();
    let needed = |rate: f64| (1.0 / rate).ceil() as u64;
    let live = scored.bona_fide.responses();
    if live < needed(targets.bpcer_at_reject) {
        return Err(EvaluationError::Input(format!(
            "insufficient data: {live} bona fide presentations with a score, {} needed for a BPCER of {}",
            needed(targets.bpcer_at_reject),
            targets.bpcer_at_reject
        )));
    }
    let counts = scored.attacks.iter().map(Species::responses);
    let most = counts.max().unwrap_or_default();
    if most < needed(targets.apcer_at_review) {
        return Err(EvaluationError::Input(format!(
            "insufficient data: no attack species has more than {most} presentations with a score, {} needed for an APCER \
             of {}",
            needed(targets.apcer_at_review),
            targets.apcer_at_review
        )));
    }
    let [reject, review] = liveness_thresholds(&scored, targets)?;
    let point = |probability: f64, liveness: f64| LivenessPoint {
        probability,
        liveness,
        apcer: rounded(scored.worst_apcer(probability).map_or(0.0, |(rate, _)| rate)),
        bpcer: rounded(scored.bpcer(probability).unwrap_or_default()),
    };
    let presentations = std::iter::once(&scored.bona_fide)
        .chain(&scored.attacks)
        .map(|species| PresentationCount {
            species: species.name.clone(),
            presentations: species.responses(),
        })
        .collect();
    let all = || {
        scores
            .presentations
            .iter()
            .filter_map(|one| one.liveness.ok().map(Score::value))
    };
    Ok(LivenessCalibration {
        provenance: Provenance {
            name: name.to_owned(),
            method: format!(
                "straight lines in log-odds; 0.6 where the APCER of every species is at most {}, 0.4 where the BPCER is at \
                 most {}; {}",
                targets.apcer_at_review,
                targets.bpcer_at_reject,
                if targets.allow_easier {
                    "may be easier than the models"
                } else {
                    "nowhere easier than the models"
                },
            ),
            data: data.to_owned(),
            date: date.to_owned(),
        },
        measured: MeasuredRange {
            from: all().fold(1.0, f64::min),
            to: all().fold(0.0, f64::max),
        },
        presentations,
        points: vec![point(reject, REJECT_BELOW), point(review, REVIEW_BELOW)],
    })
}

/// Returns the probabilities that become 0.40 and 0.60.
fn liveness_thresholds(
    scored: &LivenessScores,
    targets: &LivenessTargets,
) -> Result<[f64; 2], EvaluationError> {
    let lowest = if targets.allow_easier {
        1
    } else {
        (REVIEW_BELOW * f64::from(STEPS)).round() as u32
    };
    for step in lowest..STEPS {
        let review = f64::from(step) / f64::from(STEPS);
        // The probabilities rule out most steps without a curve.
        if scored
            .worst_apcer(review)
            .is_some_and(|(rate, _)| rate > targets.apcer_at_review)
        {
            continue;
        }
        let own_odds = log_odds(review) - (log_odds(REVIEW_BELOW) - log_odds(REJECT_BELOW));
        let own = 1.0 / (1.0 + (-own_odds).exp());
        let tolerable = highest_with_at_most(&scored.bona_fide, targets.bpcer_at_reject);
        let reject = if targets.allow_easier {
            own.min(tolerable.max(1.0 / f64::from(STEPS)))
        } else {
            own
        };
        let Some(curve) = LivenessCurve::through(&[(reject, REJECT_BELOW), (review, REVIEW_BELOW)]) else {
            continue;
        };
        let passing = |species: &Species, threshold: f64| {
            let calibrated = |&probability: &f64| Score::new(curve.at(probability)).ok();
            let passed = species
                .scores()
                .iter()
                .filter_map(calibrated)
                .filter(|score| score.value() >= threshold);
            passed.count() as f64 / species.responses().max(1) as f64
        };
        let attacks = scored
            .attacks
            .iter()
            .map(|species| passing(species, REVIEW_BELOW));
        if attacks.fold(0.0, f64::max) > targets.apcer_at_review {
            continue;
        }
        let rejected = 1.0 - passing(&scored.bona_fide, REJECT_BELOW);
        // The tolerance covers the rounding of the rates.
        if rejected > targets.bpcer_at_reject + 1e-9 {
            return Err(EvaluationError::Input(format!(
                "the models do not separate these presentations well enough: with an APCER of at most {} at liveness 0.6 \
                 (probability {review}), the BPCER at 0.4 is {rejected:.4}, above the target {}; raise the targets{}",
                targets.apcer_at_review,
                targets.bpcer_at_reject,
                if targets.allow_easier {
                    ""
                } else {
                    ", or allow scores above the models' own"
                },
            )));
        }
        return Ok([reject, review]);
    }
    Err(EvaluationError::Input(format!(
        "the models do not separate these attacks from bona fide presentations: at every probability an APCER is above {}",
        targets.apcer_at_review
    )))
}

/// Returns the highest score that at most this share of a species' scores lie below.
fn highest_with_at_most(species: &Species, rate: f64) -> f64 {
    let allowed = (rate * species.responses() as f64 * (1.0 + 1e-9)).floor() as usize;
    species.scores().get(allowed).copied().unwrap_or(1.0)
}

/// Rounds to six decimals, which are enough for a reader.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Status;
    use crate::liveness::ScoredPresentation;

    fn presentations<'a>(species: &[(&'a str, &[f64])]) -> PresentationScores<'a> {
        let presentations = species
            .iter()
            .flat_map(|(species, scores)| {
                scores.iter().map(|&score| ScoredPresentation {
                    file: "",
                    species,
                    subject: 0,
                    liveness: Score::new(score).map_err(|_| Status::NoFace),
                })
            })
            .collect();
        PresentationScores { presentations }
    }

    fn targets(apcer: f64, bpcer: f64, allow_easier: bool) -> LivenessTargets {
        LivenessTargets::new(apcer, bpcer)
            .unwrap()
            .with_allow_easier(allow_easier)
    }

    fn fit(
        scores: &PresentationScores<'_>,
        targets: &LivenessTargets,
    ) -> Result<LivenessCalibration, EvaluationError> {
        calibrate_liveness(scores, targets, "name", "data", "2026-11-25")
    }

    /// Of each point: probability, liveness, APCER, BPCER.
    fn points(calibration: &LivenessCalibration) -> Vec<[f64; 4]> {
        let numbers = |point: &LivenessPoint| [point.probability, point.liveness, point.apcer, point.bpcer];
        calibration.points.iter().map(numbers).collect()
    }

    const LIVE_SCORES: &[f64] = &[0.2, 0.5, 0.7, 0.8, 0.85, 0.9, 0.9, 0.95, 0.97, 0.99];
    const PRINTS: &[f64] = &[0.0, 0.01, 0.02, 0.1, 0.1, 0.2, 0.3, 0.4, 0.7, 0.8];

    /// Shares that pass 0.60 and that are rejected below 0.40 with a calibration, counted as the engine would.
    fn achieved(calibration: &LivenessCalibration, attacks: &[f64], live: &[f64]) -> (f64, f64) {
        let curve = calibration.curve().unwrap();
        let at = |probability: f64| Score::new(curve.at(probability)).unwrap().value();
        let passing = attacks.iter().filter(|&&score| at(score) >= 0.6).count();
        let rejected = live.iter().filter(|&&score| at(score) < 0.4).count();
        (
            passing as f64 / attacks.len() as f64,
            rejected as f64 / live.len() as f64,
        )
    }

    #[test]
    fn the_threshold_goes_where_the_attacks_end() {
        // One print of ten may pass: from just above 0.7 on. 0.40 is as far below as it is for the probability.
        let scores = presentations(&[("live", LIVE_SCORES), ("print", PRINTS)]);
        let found = fit(&scores, &targets(0.1, 0.3, false)).unwrap();
        let points = points(&found);
        assert_eq!(
            (points[1][0], points[1][1], points[1][2], points[1][3]),
            (0.7001, 0.6, 0.1, 0.3)
        );
        // Log-odds of 0.7001 less those of 0.6 and plus those of 0.4: 0.036844.
        assert!((points[0][0] - 0.509_210).abs() < 1e-5, "{points:?}");
        assert_eq!(achieved(&found, PRINTS, LIVE_SCORES), (0.1, 0.2));
        let counts: Vec<_> = found.presentations.iter().map(|one| one.presentations).collect();
        assert_eq!(
            (counts, found.measured.from, found.measured.to),
            (vec![10, 10], 0.0, 0.99)
        );
        // That is more than one live person of ten.
        let error = fit(&scores, &targets(0.1, 0.1, false)).unwrap_err().to_string();
        assert!(
            error.contains("the BPCER at 0.4 is 0.2000, above the target 0.1"),
            "{error}"
        );
    }

    #[test]
    fn nothing_is_easier_than_the_models_unless_asked() {
        // Live people whom the models take for prints, and easy prints: a tempting curve.
        let live = [LIVE_SCORES, &[0.0, 0.0]].concat();
        let easy: Vec<f64> = PRINTS.iter().map(|score| score / 10.0).collect();
        let scores = presentations(&[("live", &live), ("print", &easy)]);
        let found = fit(&scores, &targets(0.1, 0.4, false)).unwrap();
        let curve = found.curve().unwrap();
        for step in 0..=1000 {
            let probability = f64::from(step) / 1000.0;
            assert!(curve.at(probability) <= probability + 1e-6, "{probability}");
        }
        let found = fit(&scores, &targets(0.1, 0.2, true)).unwrap();
        assert!(
            (0.0701..0.071).contains(&found.points[1].probability),
            "{found:?}"
        );
        let (passing, rejected) = achieved(&found, &easy, &live);
        assert!(passing <= 0.1 && rejected <= 0.2, "{passing} {rejected}");
    }

    #[test]
    fn the_worst_species_decides_and_a_small_one_passes_not_at_all() {
        let scores = presentations(&[("live", LIVE_SCORES), ("print", PRINTS), ("replay", &[0.9, 0.1])]);
        let found = fit(&scores, &targets(0.1, 0.7, false)).unwrap();
        assert_eq!(found.points[1].probability, 0.9001);
        // Both rates as they are there: no attack passes, seven of ten live people do not.
        assert_eq!((found.points[1].apcer, found.points[1].bpcer), (0.0, 0.7));
    }

    #[test]
    fn the_target_is_met_wherever_the_scores_lie() {
        // Of ten attacks one may pass; the second highest takes every value that a score can have.
        for step in 1..9_990 {
            let second = f64::from(step) / 10_000.0;
            let attacks = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, second, 0.9995];
            let scores = presentations(&[("live", &[0.9999; 10]), ("print", &attacks)]);
            for allow_easier in [false, true] {
                let found = fit(&scores, &targets(0.1, 0.1, allow_easier)).unwrap();
                let (passing, rejected) = achieved(&found, &attacks, &[0.9999; 10]);
                assert!(
                    passing <= 0.1 && rejected <= 0.1,
                    "{second}: {passing} {rejected}"
                );
            }
        }
    }

    #[test]
    fn attacks_that_the_models_take_for_people_are_an_error() {
        let scores = presentations(&[("live", &[0.9999; 10]), ("mask", &[0.9999; 10])]);
        for allow_easier in [false, true] {
            let error = fit(&scores, &targets(0.1, 0.1, allow_easier))
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("do not separate these attacks from bona fide presentations"),
                "{error}"
            );
        }
    }

    #[test]
    fn too_few_presentations_are_an_error() {
        let scores = presentations(&[("live", LIVE_SCORES), ("print", PRINTS)]);
        for (wanted, expected) in [
            (
                targets(0.01, 0.1, false),
                "more than 10 presentations with a score, 100 needed",
            ),
            (
                targets(0.1, 0.01, false),
                "10 bona fide presentations with a score, 100 needed",
            ),
        ] {
            let error = fit(&scores, &wanted).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        for (apcer, bpcer, expected) in [
            (0.0, 0.1, "invalid target APCER 0"),
            (0.1, f64::NAN, "invalid target BPCER NaN"),
        ] {
            let error = LivenessTargets::new(apcer, bpcer).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let none = presentations(&[("live", LIVE_SCORES)]);
        assert!(fit(&none, &targets(0.1, 0.1, false)).is_err());
    }
}
