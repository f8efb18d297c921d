//! Fitting what a score means to what was measured.

use likeness_engine::decision::Score;
use likeness_engine::models::{
    LivenessCalibration, LivenessPoint, MatchCalibration, MatchPoint, MeasuredRange, PresentationCount,
    Provenance,
};

use crate::presentation::{LIVE, PresentationScores};
use crate::statistics::{LivenessScores, Species};
use crate::{EvaluationError, MatchReport};

/// A match confidence and the false match rate that it shall stand for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MatchAnchor {
    /// Match confidence, between 0 and 1, both excluded.
    pub confidence: f64,
    /// One of the rates that a [`MatchReport`] is about: 1e-1, 1e-2 and so on to 1e-6.
    pub false_match_rate: f64,
}

/// The documented thresholds: `optimal-v0` rejects below 0.40 and passes from 0.56, `strict-v0` passes from 0.70.
pub const MATCH_ANCHORS: [MatchAnchor; 3] = [
    MatchAnchor {
        confidence: 0.40,
        false_match_rate: 1e-3,
    },
    MatchAnchor {
        confidence: 0.56,
        false_match_rate: 1e-4,
    },
    MatchAnchor {
        confidence: 0.70,
        false_match_rate: 1e-5,
    },
];

/// A match calibration, and the anchors that the data was too little for.
#[derive(Debug, Clone, PartialEq)]
pub struct MatchFit {
    /// The curve's points and where they come from.
    pub calibration: MatchCalibration,
    /// Anchors that are no points: each would need so many impostor comparisons.
    pub left_out: Vec<(MatchAnchor, u64)>,
}

/// Similarities are written with this many decimals, rounded up so that no false match rate is exceeded.
const SIMILARITY_STEPS: f64 = 1e5;

/// The curve that gives each anchor's confidence to the lowest similarity that reaches its false match rate.
///
/// # Errors
/// [`EvaluationError::Input`] where fewer than two anchors can be measured, or where they do not ascend.
pub fn calibrate_match(
    report: &MatchReport,
    anchors: &[MatchAnchor],
    name: &str,
    date: &str,
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
                    "false match rate {:e} cannot be calibrated to: choose among 1e-1, 1e-2, 1e-3, 1e-4, 1e-5 and 1e-6",
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
        let needed = left_out
            .iter()
            .map(|(_, needed)| *needed)
            .min()
            .unwrap_or_default();
        return Err(EvaluationError::Input(format!(
            "insufficient data: a curve takes two points, and the {} impostor comparisons are enough for {}; the next one \
             needs {needed}",
            report.comparisons.impostor,
            points.len()
        )));
    }
    let ascending = |a: &MatchPoint, b: &MatchPoint| {
        a.similarity < b.similarity && a.false_match_rate > b.false_match_rate
    };
    if !points.is_sorted_by(ascending) {
        return Err(EvaluationError::Input(
            "a higher confidence must stand for a lower false match rate, and the data must tell the two apart".to_owned(),
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
            method: "straight lines in the log-odds of the confidence over the cosine similarity, through the lowest \
                     similarity with each false match rate"
                .to_owned(),
            data: report.data.clone(),
            date: date.to_owned(),
        },
        people: report.people as u64,
        genuine_comparisons: report.comparisons.genuine,
        impostor_comparisons: report.comparisons.impostor,
        measured: MeasuredRange { from, to },
        points,
    };
    Ok(MatchFit {
        calibration,
        left_out,
    })
}

/// What the two documented liveness bounds shall stand for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LivenessTargets {
    /// At liveness 0.60 the APCER of no species is above this.
    pub apcer_at_review: f64,
    /// At liveness 0.40 the BPCER is not above this.
    pub bpcer_at_reject: f64,
    /// Let liveness 0.60 stand for a lower probability than 0.60 where the attacks allow it. What was fitted to easy attacks
    /// lets harder ones in, so that is off by default.
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

/// The documented bounds of `optimal-v0`: rejected below the first, passed from the second on.
const REJECT_BELOW: f64 = 0.40;
const REVIEW_BELOW: f64 = 0.60;

/// Probabilities are written with this many decimals, as scores are.
const PROBABILITY_STEPS: f64 = 1e4;

/// The curve through 0.40 and 0.60.
///
/// 0.60 is the lowest probability at which no species of attack passes more often than the target says, but not below
/// 0.60 itself unless [`LivenessTargets::allow_easier`]. 0.40 is the highest probability at which not more of the bona
/// fide presentations are rejected than the target says, but near enough to the other that the curve is not steeper than
/// the probability itself. A species with too few presentations for the target passes not at all.
///
/// # Errors
/// [`EvaluationError::Input`] where there are too few presentations, or where the models do not tell live people from
/// attacks as well as the targets ask for.
pub fn calibrate_liveness(
    scores: &PresentationScores,
    targets: &LivenessTargets,
    name: &str,
    data: &str,
    date: &str,
) -> Result<LivenessCalibration, EvaluationError> {
    for (what, rate) in [
        ("APCER", targets.apcer_at_review),
        ("BPCER", targets.bpcer_at_reject),
    ] {
        if !(rate > 0.0 && rate < 1.0) {
            return Err(EvaluationError::Input(format!(
                "the {what} to calibrate to is {rate}, but must be between 0 and 1"
            )));
        }
    }
    let scored = of_species(scores);
    let needed = |rate: f64| (1.0 / rate).ceil() as u64;
    let live = scored.bona_fide.responses();
    if live < needed(targets.bpcer_at_reject) {
        return Err(EvaluationError::Input(format!(
            "insufficient data: {live} live presentations with a score, {} needed for a BPCER of {}",
            needed(targets.bpcer_at_reject),
            targets.bpcer_at_reject
        )));
    }
    let most = scored
        .attacks
        .iter()
        .map(|(_, species)| species.responses())
        .max();
    let most = most.unwrap_or_default();
    if most < needed(targets.apcer_at_review) {
        return Err(EvaluationError::Input(format!(
            "insufficient data: no species of attack has more than {most} presentations with a score, {} needed for an \
             APCER of {}",
            needed(targets.apcer_at_review),
            targets.apcer_at_review
        )));
    }

    let lowest_safe = scored
        .attacks
        .iter()
        .filter_map(|(_, species)| species.ranked().threshold_at(targets.apcer_at_review))
        .map(|threshold| (threshold * PROBABILITY_STEPS).ceil() / PROBABILITY_STEPS)
        .fold(0.0, f64::max);
    let floor = if targets.allow_easier { 0.0 } else { REVIEW_BELOW };
    let review = inside(lowest_safe.max(floor));
    let bearable = highest_with_at_most(&scored.bona_fide, targets.bpcer_at_reject);
    // Where the probability itself would have its 0.40, were its 0.60 at `review`.
    let own_odds = odds(review) - (odds(REVIEW_BELOW) - odds(REJECT_BELOW));
    let own = 1.0 / (1.0 + (-own_odds).exp());
    let reject = inside((bearable.min(own) * PROBABILITY_STEPS).floor() / PROBABILITY_STEPS);
    if reject >= review {
        return Err(EvaluationError::Input(format!(
            "there is no room between the bounds: liveness {REJECT_BELOW} would stand for a probability of {reject}, \
             {REVIEW_BELOW} for {review}"
        )));
    }
    let point = |probability: f64, liveness: f64| LivenessPoint {
        probability,
        liveness,
        apcer: rounded(scored.worst_apcer(probability).map_or(0.0, |(rate, _)| rate)),
        bpcer: rounded(scored.bpcer(probability).unwrap_or_default()),
    };
    let presentations = std::iter::once((LIVE, &scored.bona_fide))
        .chain(
            scored
                .attacks
                .iter()
                .map(|(name, species)| (name.as_str(), species)),
        )
        .map(|(species, scores)| PresentationCount {
            species: species.to_owned(),
            presentations: scores.responses(),
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
                "straight lines in log-odds; 0.6 where the APCER of every species is at most {}{}, 0.4 where the BPCER is \
                 at most {}",
                targets.apcer_at_review,
                if targets.allow_easier {
                    ""
                } else {
                    " and the probability at least 0.6"
                },
                targets.bpcer_at_reject
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

fn of_species(scores: &PresentationScores) -> LivenessScores {
    let of = |wanted: &str| {
        Species::new(
            (0u32..)
                .zip(scores.presentations.iter().filter(|one| one.species == wanted))
                .filter_map(|(index, one)| Some((Some(one.liveness.ok()?.value()), index))),
        )
    };
    let mut names: Vec<&str> = Vec::new();
    for one in &scores.presentations {
        if one.species != LIVE && !names.contains(&one.species.as_str()) {
            names.push(&one.species);
        }
    }
    LivenessScores {
        bona_fide: of(LIVE),
        attacks: names
            .into_iter()
            .map(|name| (name.to_owned(), of(name)))
            .collect(),
    }
}

/// The highest score that at most this share of a species' scores lie below.
fn highest_with_at_most(species: &Species, rate: f64) -> f64 {
    let allowed = (rate * species.responses() as f64 * (1.0 + 1e-9)).floor() as usize;
    species.scores().get(allowed).copied().unwrap_or(1.0)
}

/// Strictly between 0 and 1, where log-odds are finite.
fn inside(probability: f64) -> f64 {
    probability.clamp(1.0 / PROBABILITY_STEPS, 1.0 - 1.0 / PROBABILITY_STEPS)
}

fn odds(probability: f64) -> f64 {
    (probability / (1.0 - probability)).ln()
}

/// Rates are facts for a reader: six decimals tell what can be told.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ScoredPresentation, Status};

    fn presentations(species: &[(&str, &[f64])]) -> PresentationScores {
        let presentations = species
            .iter()
            .flat_map(|(species, scores)| {
                scores.iter().map(|&score| ScoredPresentation {
                    file: String::new(),
                    species: (*species).to_owned(),
                    liveness: Score::new(score).map_err(|_| Status::NoFace),
                })
            })
            .collect();
        PresentationScores { presentations }
    }

    fn targets(apcer: f64, bpcer: f64, allow_easier: bool) -> LivenessTargets {
        LivenessTargets {
            apcer_at_review: apcer,
            bpcer_at_reject: bpcer,
            allow_easier,
        }
    }

    fn fit(
        scores: &PresentationScores,
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

    #[test]
    fn the_bounds_go_where_the_targets_are_met() {
        // One print of ten may pass: from just above 0.7 on. One live person of ten may be rejected: below 0.5.
        let scores = presentations(&[("live", LIVE_SCORES), ("print", PRINTS)]);
        let found = fit(&scores, &targets(0.1, 0.1, false)).unwrap();
        assert_eq!(points(&found), [[0.5, 0.4, 0.2, 0.1], [0.7001, 0.6, 0.1, 0.3]]);
        let curve = found.curve().unwrap();
        assert!((curve.at(0.7001) - 0.6).abs() < 1e-9 && (curve.at(0.5) - 0.4).abs() < 1e-9);
        let counts: Vec<_> = found.presentations.iter().map(|one| one.presentations).collect();
        assert_eq!(
            (counts, found.measured.from, found.measured.to),
            (vec![10, 10], 0.0, 0.99)
        );
    }

    #[test]
    fn easy_attacks_do_not_lower_the_bound_unasked() {
        let easy: Vec<f64> = PRINTS.iter().map(|score| score / 10.0).collect();
        let scores = presentations(&[("live", LIVE_SCORES), ("print", &easy)]);
        let found = fit(&scores, &targets(0.1, 0.2, false)).unwrap();
        // 0.40 would bear a probability of 0.7, but the curve is no steeper than the probability: 0.4 where 0.6 is 0.6.
        assert_eq!(points(&found), [[0.4, 0.4, 0.0, 0.1], [0.6, 0.6, 0.0, 0.2]]);
        let found = fit(&scores, &targets(0.1, 0.2, true)).unwrap();
        let points = points(&found);
        assert_eq!((points[1][0], points[1][1], points[1][2]), (0.0701, 0.6, 0.1));
        assert!(points[0][0] < points[1][0], "{points:?}");
    }

    #[test]
    fn the_worst_species_decides_and_a_small_one_passes_not_at_all() {
        let scores = presentations(&[("live", LIVE_SCORES), ("print", PRINTS), ("replay", &[0.9, 0.1])]);
        let found = fit(&scores, &targets(0.1, 0.1, false)).unwrap();
        assert_eq!(found.points[1].probability, 0.9001);
        // Both rates as they are there: no attack passes, seven of ten live people do not.
        assert_eq!((found.points[1].apcer, found.points[1].bpcer), (0.0, 0.7));
    }

    #[test]
    fn too_few_presentations_are_told() {
        let scores = presentations(&[("live", LIVE_SCORES), ("print", PRINTS)]);
        for (wanted, expected) in [
            (
                targets(0.01, 0.1, false),
                "more than 10 presentations with a score, 100 needed",
            ),
            (
                targets(0.1, 0.01, false),
                "10 live presentations with a score, 100 needed",
            ),
            (targets(0.0, 0.1, false), "the APCER to calibrate to is 0"),
            (targets(0.1, f64::NAN, false), "the BPCER to calibrate to is NaN"),
        ] {
            let error = fit(&scores, &wanted).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let none = presentations(&[("live", LIVE_SCORES)]);
        assert!(fit(&none, &targets(0.1, 0.1, false)).is_err());
    }
}
