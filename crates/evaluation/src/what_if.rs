//! What would become of the comparisons if a threshold were another one.

use likeness_engine::Engine;
use likeness_engine::decision::{Profile, Thresholds};

use crate::EvaluationError;
use crate::confidence::{confidence, similarity_reaching};
use crate::report::{Bound, Moved, MovedBounds, ProfileReport, Shares, WhatIf};
use crate::statistics::MatchScores;

/// Steps of the table over 0..1.
const STEPS: u32 = 20;

/// The scores from 0.05 to 0.95 in steps of 0.05, each the double nearest to the decimal, then those bounds of named profiles
/// that are no step; each with the bounds that it is.
pub(crate) fn steps_and_bounds(
    profiles: impl IntoIterator<Item = (String, Thresholds)>,
) -> Vec<(f64, Vec<String>)> {
    let step = |step| (f64::from(step) / f64::from(STEPS), Vec::new());
    let mut wanted: Vec<(f64, Vec<String>)> = (1..STEPS).map(step).collect();
    for (profile, bounds) in profiles {
        for (value, bound) in [
            (bounds.reject_below(), "reject_below"),
            (bounds.review_below(), "review_below"),
        ] {
            let name = format!("{profile} {bound}");
            match wanted.iter_mut().find(|(other, _)| *other == value) {
                Some((_, names)) => names.push(name),
                None => wanted.push((value, vec![name])),
            }
        }
    }
    wanted
}

/// A row of the table before anything is counted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) confidence: f64,
    pub(crate) similarity: f64,
    pub(crate) used_as: Vec<String>,
}

/// Every step, every bound of the profiles, and the thresholds of the named false match rates, by similarity. A bound that is
/// a step is one row; a false match rate has its own, since it fixes the similarity and not the rounded confidence.
pub(crate) fn candidates(
    engine: &Engine,
    profiles: &[Profile],
    scores: &MatchScores,
    rates: &[f64],
) -> Result<Vec<Candidate>, EvaluationError> {
    // Without a calibration no similarity stands for a step.
    if !engine.is_calibrated() {
        return Ok(Vec::new());
    }
    let wanted = steps_and_bounds(
        profiles
            .iter()
            .map(|profile| (profile.name().to_owned(), *profile.face_match())),
    );
    let mut candidates = Vec::new();
    for (confidence, used_as) in wanted {
        candidates.push(Candidate {
            confidence,
            similarity: similarity_reaching(engine, confidence)?,
            used_as,
        });
    }
    for &rate in rates {
        if let Some(similarity) = scores.threshold_at(rate)
            && let Some(confidence) = confidence(engine, similarity)?
        {
            candidates.push(Candidate {
                confidence: confidence.value(),
                similarity,
                used_as: vec![format!("FMR {rate:e}")],
            });
        }
    }
    candidates.sort_by(|a, b| {
        let by_confidence = a.confidence.total_cmp(&b.confidence);
        a.similarity.total_cmp(&b.similarity).then(by_confidence)
    });
    Ok(candidates)
}

/// A row of the table: the rates where the candidate is the only threshold, and the shares where it is one of a profile's two
/// bounds and the other stays. Where it would be on the wrong side of the other there are none.
pub(crate) fn row(bound: Bound, used_as: Vec<String>, profiles: &[ProfileReport]) -> WhatIf {
    let profiles = profiles
        .iter()
        .map(|profile| {
            let (reject, review) = (&profile.reject_below, &profile.review_below);
            MovedBounds {
                profile: profile.profile.clone(),
                as_reject_below: (bound.similarity <= review.similarity).then(|| moved(&bound, review)),
                as_review_below: (bound.similarity >= reject.similarity).then(|| moved(reject, &bound)),
            }
        })
        .collect();
    WhatIf {
        bound,
        used_as,
        profiles,
    }
}

pub(crate) fn moved(reject_below: &Bound, review_below: &Bound) -> Moved {
    let genuine = |bound: &Bound| bound.false_non_match_rate.map(|rate| rate.value);
    let impostor = |bound: &Bound| bound.false_match_rate.map(|rate| 1.0 - rate.value);
    Moved {
        genuine: shares(genuine(reject_below), genuine(review_below)),
        impostor: shares(impostor(reject_below), impostor(review_below)),
    }
}

/// From the shares below the two bounds.
fn shares(reject: Option<f64>, review: Option<f64>) -> Option<Shares> {
    let (reject, review) = (reject?, review?);
    Some(Shares {
        pass: 1.0 - review,
        review: review - reject,
        reject,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Estimate;

    fn bound(similarity: f64, false_match: f64, false_non_match: f64) -> Bound {
        let estimate = |value| {
            Some(Estimate {
                value,
                interval: None,
            })
        };
        Bound {
            confidence: similarity,
            similarity,
            false_match_rate: estimate(false_match),
            false_match_rate_at_most: None,
            false_non_match_rate: estimate(false_non_match),
        }
    }

    #[test]
    fn steps_are_the_decimals() {
        let steps: Vec<f64> = steps_and_bounds([]).into_iter().map(|(step, _)| step).collect();
        assert_eq!(
            (steps.len(), steps[0], steps[5], steps[18]),
            (19, 0.05, 0.3, 0.95)
        );
    }

    #[test]
    fn shares_add_up() {
        let found = shares(Some(0.25), Some(0.375)).unwrap();
        assert_eq!((found.pass, found.review, found.reject), (0.625, 0.125, 0.25));
        assert_eq!(shares(None, Some(0.5)), None);
    }

    #[test]
    fn one_bound_is_moved_and_the_other_stays() {
        let (reject, review) = (bound(0.25, 0.5, 0.125), bound(0.5, 0.25, 0.25));
        let profile = ProfileReport {
            profile: "p".to_owned(),
            genuine: None,
            impostor: None,
            reject_below: reject,
            review_below: review,
        };
        let of = |bound: Bound| {
            row(bound, vec![], std::slice::from_ref(&profile))
                .profiles
                .remove(0)
        };
        let shares = |pass, review, reject| Some(Shares { pass, review, reject });
        // Between the two it may be either.
        let between = of(bound(0.375, 0.375, 0.1875));
        let as_reject = between.as_reject_below.unwrap();
        assert_eq!(as_reject.genuine, shares(0.75, 0.0625, 0.1875));
        assert_eq!(as_reject.impostor, shares(0.25, 0.125, 0.625));
        let as_review = between.as_review_below.unwrap();
        assert_eq!(as_review.genuine, shares(0.8125, 0.0625, 0.125));
        assert_eq!(as_review.impostor, shares(0.375, 0.125, 0.5));
        // Above both it can only be the upper one, below both the lower one.
        let above = of(bound(0.75, 0.0, 0.5));
        assert_eq!(above.as_reject_below, None);
        assert_eq!(above.as_review_below.unwrap().impostor, shares(0.0, 0.5, 0.5));
        let below = of(bound(0.125, 1.0, 0.0));
        assert_eq!(below.as_review_below, None);
        assert_eq!(below.as_reject_below.unwrap().genuine, shares(0.75, 0.25, 0.0));
    }
}
