//! Calibrations fitted to evaluations: the meaning of a match confidence and of a liveness score.

use likeness_engine::decision::Score;
use likeness_engine::packs::{
    CohortReference, LivenessCalibration, LivenessCurve, LivenessPoint, MatchCalibration, MatchPoint,
    MeasuredRange, PresentationCount, Provenance, log_odds,
};

use crate::error::{EvaluationError, Result};
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
/// (YYYY-MM-DD) identify the calibration, and `cohort` is the one that the report's similarities were normalised by. Fails
/// where fewer than two anchors can be measured, or they do not ascend.
pub fn calibrate_match(
    report: &MatchReport,
    anchors: &[MatchAnchor],
    name: &str,
    date: &str,
    cohort: Option<CohortReference>,
) -> Result<MatchFit> {
    let mut anchors = anchors.to_vec();
    anchors.sort_by(|a, b| a.confidence.total_cmp(&b.confidence));
    let (mut points, mut left_out) = (Vec::new(), Vec::new());
    for anchor in anchors {
        let wanted = anchor.false_match_rate;
        let mut rows = report.at_false_match_rates.iter();
        let row = rows.find(|row| (row.false_match_rate - wanted).abs() <= 1e-9 * wanted);
        let row = row.ok_or_else(|| {
            EvaluationError::Input(format!(
                "cannot calibrate to a false match rate of {wanted:e}: use 1e-1, 1e-2, 1e-3, 1e-4, 1e-5 or 1e-6"
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
        let needed = left_out.iter().map(|(_, needed)| *needed).min();
        return Err(EvaluationError::Input(match needed {
            None => "a match calibration needs at least two anchors".to_owned(),
            Some(needed) => format!(
                "insufficient data: {} of at least two anchors can be measured with {} impostor comparisons; \
                 the next one needs {needed}",
                points.len(),
                report.comparisons.impostor
            ),
        }));
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
    let rows = report.at_false_match_rates.iter();
    let mut thresholds = rows.filter_map(|row| Some(rounded(row.threshold?.value)));
    let from = thresholds.next().unwrap_or_default();
    let to = thresholds.next_back().unwrap_or(from);
    let kind = if cohort.is_some() { "normalised" } else { "cosine" };
    let method = format!(
        "straight lines in the log-odds of the confidence over the {kind} similarity, through the lowest similarity with \
         each false match rate"
    );
    let calibration = MatchCalibration {
        provenance: provenance(name, &method, &report.data, date),
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

fn provenance(name: &str, method: &str, data: &str, date: &str) -> Provenance {
    Provenance {
        name: name.to_owned(),
        method: method.to_owned(),
        data: data.to_owned(),
        date: date.to_owned(),
    }
}

/// The error rates to calibrate the two documented liveness thresholds to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LivenessTargets {
    /// Highest APCER of any species at a liveness score of 0.60, between 0 and 1.
    pub apcer_at_review: f64,
    /// Highest BPCER at a liveness score of 0.40, between 0 and 1.
    pub bpcer_at_reject: f64,
    /// Whether a liveness score may be above the models' own. Off: a curve fitted to easy attacks lets harder ones pass.
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
    /// Returns targets; fails for rates that are not between 0 and 1.
    pub fn new(apcer: f64, bpcer: f64, allow_easier: bool) -> Result<Self> {
        for (name, rate) in [("APCER", apcer), ("BPCER", bpcer)] {
            // Also for NaN.
            if !(rate > 0.0 && rate < 1.0) {
                let reason = format!("invalid target {name} {rate}: must be between 0 and 1");
                return Err(EvaluationError::Input(reason));
            }
        }
        Ok(Self {
            apcer_at_review: apcer,
            bpcer_at_reject: bpcer,
            allow_easier,
        })
    }
}

/// The documented thresholds of `optimal-v0`: it rejects below the first and passes from the second.
const REJECT_BELOW: f64 = 0.40;
const REVIEW_BELOW: f64 = 0.60;

/// Steps of the probabilities that are tried: those of a score.
const STEPS: u32 = 10_000;

/// Returns the curve through the liveness scores 0.40 and 0.60. `name`, `data` and `date` (YYYY-MM-DD) identify it.
///
/// 0.60 is the lowest probability, from 0.60 on, at which no attack species passes more often than the target, and 0.40 is as
/// far below it (in log-odds) as for the probability: so no presentation passes a threshold that did not before. With
/// [`LivenessTargets::allow_easier`] 0.60 may be lower, and 0.40 low enough for its target. The rates are counted again with
/// the curve and the rounding of scores. A species with too few presentations for the target does not pass at all. Fails
/// where there are too few presentations, or the models do not separate them as well as the targets require.
pub fn calibrate_liveness(
    scores: &PresentationScores<'_>,
    targets: &LivenessTargets,
    name: &str,
    data: &str,
    date: &str,
) -> Result<LivenessCalibration> {
    let scored = scores.by_species();
    let (apcer, bpcer) = (targets.apcer_at_review, targets.bpcer_at_reject);
    let needed = |rate: f64| (1.0 / rate).ceil() as u64;
    let live = scored.bona_fide.responses();
    if live < needed(bpcer) {
        return Err(EvaluationError::Input(format!(
            "insufficient data: {live} bona fide presentations with a score, {} needed for a BPCER of {bpcer}",
            needed(bpcer)
        )));
    }
    let responses = scored.attacks.iter().map(Species::responses);
    let most = responses.max().unwrap_or_default();
    if most < needed(apcer) {
        return Err(EvaluationError::Input(format!(
            "insufficient data: no attack species has more than {most} presentations with a score, {} needed for an APCER \
             of {apcer}",
            needed(apcer)
        )));
    }
    let [reject, review] = liveness_thresholds(&scored, targets)?;
    let point = |probability: f64, liveness: f64| LivenessPoint {
        probability,
        liveness,
        apcer: rounded(scored.worst_apcer(probability).map_or(0.0, |(rate, _)| rate)),
        bpcer: rounded(scored.bpcer(probability).unwrap_or_default()),
    };
    let count = |species: &Species| PresentationCount {
        species: species.name.clone(),
        presentations: species.responses(),
    };
    let easier = if targets.allow_easier { "may be" } else { "nowhere" };
    let method = format!(
        "straight lines in log-odds; 0.6 where the APCER of every species is at most {apcer}, 0.4 where the BPCER is at \
         most {bpcer}; {easier} easier than the models"
    );
    let species = || [&scored.bona_fide].into_iter().chain(&scored.attacks);
    let all = || species().flat_map(|species| species.scores().iter().copied());
    Ok(LivenessCalibration {
        provenance: provenance(name, &method, data, date),
        measured: MeasuredRange {
            from: all().fold(1.0, f64::min),
            to: all().fold(0.0, f64::max),
        },
        presentations: species().map(count).collect(),
        points: vec![point(reject, REJECT_BELOW), point(review, REVIEW_BELOW)],
    })
}

/// Returns the probabilities that become 0.40 and 0.60.
fn liveness_thresholds(scored: &LivenessScores, targets: &LivenessTargets) -> Result<[f64; 2]> {
    let step_of = |probability: f64| (probability * f64::from(STEPS)).round() as u32;
    let lowest = if targets.allow_easier {
        1
    } else {
        step_of(REVIEW_BELOW)
    };
    for step in lowest..STEPS {
        let review = f64::from(step) / f64::from(STEPS);
        // The probabilities rule out most steps without a curve.
        let worst = scored.worst_apcer(review);
        if worst.is_some_and(|(rate, _)| rate > targets.apcer_at_review) {
            continue;
        }
        let own_odds = log_odds(review) - (log_odds(REVIEW_BELOW) - log_odds(REJECT_BELOW));
        let mut reject = 1.0 / (1.0 + (-own_odds).exp());
        if targets.allow_easier {
            let tolerable = highest_with_at_most(&scored.bona_fide, targets.bpcer_at_reject);
            reject = reject.min(tolerable.max(1.0 / f64::from(STEPS)));
        }
        let Some(curve) = LivenessCurve::through(&[(reject, REJECT_BELOW), (review, REVIEW_BELOW)]) else {
            continue;
        };
        let passing = |species: &Species, threshold: f64| {
            let calibrated = |&probability: &f64| Score::new(curve.at(probability)).ok();
            let scores = species.scores().iter().filter_map(calibrated);
            let passed = scores.filter(|score| score.value() >= threshold).count();
            passed as f64 / species.responses().max(1) as f64
        };
        let attacks = scored.attacks.iter();
        let attacks = attacks.map(|species| passing(species, REVIEW_BELOW));
        if attacks.fold(0.0, f64::max) > targets.apcer_at_review {
            continue;
        }
        let rejected = 1.0 - passing(&scored.bona_fide, REJECT_BELOW);
        // The tolerance covers the rounding of the rates.
        if rejected > targets.bpcer_at_reject + 1e-9 {
            let allow = ", or allow scores above the models' own";
            let allow = if targets.allow_easier { "" } else { allow };
            return Err(EvaluationError::Input(format!(
                "the models do not separate these presentations well enough: with an APCER of at most {} at liveness 0.6 \
                 (probability {review}), the BPCER at 0.4 is {rejected:.4}, above the target {}; raise the targets{allow}",
                targets.apcer_at_review, targets.bpcer_at_reject
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
    use crate::lists::LabelList;

    /// Presentations and their scores.
    struct Scored(LabelList, Vec<Result<Score, Status>>);

    fn presentations(species: &[(&str, &[f64])]) -> Scored {
        let mut all = Vec::new();
        for (species, scores) in species {
            all.extend(scores.iter().map(|&score| ((*species).to_owned(), score)));
        }
        let (species, scores): (Vec<String>, Vec<f64>) = all.into_iter().unzip();
        let list = LabelList {
            files: vec![String::new(); species.len()],
            subjects: vec![0; species.len()],
            has_people: true,
            groups: None,
            species,
        };
        let scores = scores
            .into_iter()
            .map(|score| Score::new(score).map_err(|_| Status::NoFace));
        Scored(list, scores.collect())
    }

    fn targets(apcer: f64, bpcer: f64, allow_easier: bool) -> LivenessTargets {
        LivenessTargets::new(apcer, bpcer, allow_easier).unwrap()
    }

    fn fit(
        Scored(list, liveness): &Scored,
        targets: &LivenessTargets,
    ) -> Result<LivenessCalibration, EvaluationError> {
        let liveness = liveness.clone();
        let scores = PresentationScores { list, liveness };
        calibrate_liveness(&scores, targets, "name", "data", "2026-11-25")
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
            let error = LivenessTargets::new(apcer, bpcer, false).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let none = presentations(&[("live", LIVE_SCORES)]);
        assert!(fit(&none, &targets(0.1, 0.1, false)).is_err());
    }
}
