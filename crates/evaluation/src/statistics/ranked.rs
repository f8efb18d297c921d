//! Rates of scores at thresholds, and how many scores a rate needs.

use serde::Serialize;
use statrs::function::erf::erfc_inv;

use super::histogram::Histogram;

/// Relative tolerance of counts computed from rates: 0.001 times 3,000 comparisons must allow 3 errors.
const SLACK: f64 = 1e-9;

/// Scores of one kind, ascending, each with a weight. Where only the highest are held, a result that depends on the values of
/// the others is `None`.
#[derive(Debug, Clone)]
pub struct Ranked<'a> {
    scores: &'a [f64],
    /// Weight of `scores[..i]` for each i up to the length; `None` where each weighs 1.
    cumulative: Option<Vec<u64>>,
    /// Weight of the scores that are not held, none of which is above a held one.
    unheld: u64,
}

impl<'a> Ranked<'a> {
    /// Takes ascending scores of weight 1; `unheld` more, none above the first, are not held.
    #[must_use]
    pub fn plain(scores: &'a [f64], unheld: u64) -> Self {
        Self {
            scores,
            cumulative: None,
            unheld,
        }
    }

    /// Takes ascending scores with a weight each; otherwise as [`plain`](Self::plain).
    pub fn weighted(scores: &'a [f64], weights: impl IntoIterator<Item = u64>, unheld: u64) -> Self {
        let mut sum = 0;
        let sums = weights.into_iter().take(scores.len()).map(|weight| {
            sum += weight;
            sum
        });
        Self {
            scores,
            cumulative: Some([0].into_iter().chain(sums).collect()),
            unheld,
        }
    }

    /// Returns the weight of all scores.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.before(self.scores.len())
    }

    /// Returns the weight of the scores below a threshold.
    #[must_use]
    pub fn below(&self, threshold: f64) -> Option<u64> {
        let index = self.scores.partition_point(|&score| score < threshold);
        // Where a threshold is not above the lowest held score, the others may reach it as well.
        (index > 0 || self.unheld == 0).then(|| self.before(index))
    }

    /// Returns the share of the scores below a threshold, 0..=1.
    #[must_use]
    pub fn share_below(&self, threshold: f64) -> Option<f64> {
        share(self.below(threshold)?, self.total())
    }

    /// Returns the share of the scores at or above a threshold, 0..=1.
    #[must_use]
    pub fn share_at_or_above(&self, threshold: f64) -> Option<f64> {
        let total = self.total();
        share(total - self.below(threshold)?, total)
    }

    /// Returns the lowest threshold that at most `rate` of the scores reach: the next double above a score, or the lowest
    /// score where all may reach it.
    #[must_use]
    pub fn threshold_at(&self, rate: f64) -> Option<f64> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        let allowed = (rate * total as f64 * (1.0 + SLACK)).floor() as u64;
        let held = total - self.unheld;
        // The number of scores after which few enough remain.
        let excluded = match &self.cumulative {
            Some(cumulative) => cumulative.partition_point(|below| held - below > allowed),
            None => held.saturating_sub(allowed) as usize,
        };
        match excluded.checked_sub(1) {
            Some(last) => self.scores.get(last).map(|score| score.next_up()),
            None if self.unheld == 0 => self.scores.first().copied(),
            None => None,
        }
    }

    fn before(&self, index: usize) -> u64 {
        let held = match &self.cumulative {
            Some(cumulative) => cumulative.get(index).copied().unwrap_or_default(),
            None => index as u64,
        };
        self.unheld + held
    }

    /// Returns the lowest score for which a condition holds that, once it holds, holds for all above.
    fn first_where(&self, holds: impl Fn(f64) -> bool) -> Option<f64> {
        let index = self.scores.partition_point(|&score| !holds(score));
        self.scores.get(index).copied()
    }

    /// Returns the highest score below a threshold.
    fn last_below(&self, threshold: f64) -> Option<f64> {
        let index = self.scores.partition_point(|&score| score < threshold);
        self.scores.get(index.checked_sub(1)?).copied()
    }
}

/// The scores of one kind, ascending, each with the person or people that it is about.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct SortedScores<P> {
    pub(super) scores: Vec<f64>,
    pub(super) people: Vec<P>,
}

impl<P: Copy + Ord> SortedScores<P> {
    /// Takes scores in any order: the result does not depend on it.
    pub(super) fn new(mut entries: Vec<(f64, P)>) -> Self {
        entries.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let (scores, people) = entries.into_iter().unzip();
        Self { scores, people }
    }

    /// Returns the scores with the weights of their people.
    pub(super) fn weighted(&self, weight: impl Fn(P) -> u64, unheld: u64) -> Ranked<'_> {
        let weights = self.people.iter().map(|&people| weight(people));
        Ranked::weighted(&self.scores, weights, unheld)
    }

    /// Returns the histogram of the scores in `steps` from `low` to `high`.
    pub(super) fn histogram(&self, low: f64, high: f64, steps: usize) -> Histogram {
        let mut histogram = Histogram::new(low, high, steps);
        self.scores.iter().for_each(|&score| histogram.add(score));
        histogram
    }
}

/// Returns how often a person was drawn.
pub(super) fn draws(weights: &[u32], person: u32) -> u64 {
    u64::from(weights.get(person as usize).copied().unwrap_or_default())
}

/// Returns a share, 0..=1; `None` of nothing.
pub(super) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The operating point where both kinds of errors are equally frequent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EqualErrorRate {
    /// The rate, 0..=1.
    pub rate: f64,
    /// The threshold there, in units of the score.
    pub threshold: f64,
}

/// Returns the equal error rate of scores that should reach the threshold (`positive`) and scores that should not
/// (`negative`).
///
/// Between the last threshold where more negatives err and the first where more positives do, rates and threshold are
/// interpolated linearly. `None` where a kind has no score, or the crossing lies below the scores held.
#[must_use]
pub fn equal_error_rate(positive: &Ranked<'_>, negative: &Ranked<'_>) -> Option<EqualErrorRate> {
    if positive.total() == 0 || negative.total() == 0 {
        return None;
    }
    let rates = |threshold: f64| {
        let up = negative.share_at_or_above(threshold)?;
        Some((up, positive.share_below(threshold)?))
    };
    // Below the scores held more negatives err: the crossing is not there, or unknown.
    let crossed = |threshold: f64| rates(threshold).is_some_and(|(up, down)| down >= up);
    let both = [positive, negative];
    let last = both.iter().filter_map(|kind| kind.scores.last().copied());
    let highest = last.fold(f64::NEG_INFINITY, f64::max);
    let crossing = both.iter().filter_map(|kind| kind.first_where(crossed));
    let after = crossing.fold(highest.next_up(), f64::min);
    let below = both.iter().filter_map(|kind| kind.last_below(after));
    let before = below.fold(f64::NEG_INFINITY, f64::max);
    let (up_after, down_after) = rates(after)?;
    let (up_before, down_before) = rates(before)?;
    let (gap_before, gap_after) = (up_before - down_before, down_after - up_after);
    let way = gap_before / (gap_before + gap_after);
    way.is_finite().then_some(EqualErrorRate {
        rate: up_before + way * (up_after - up_before),
        threshold: before + way * (after - before),
    })
}

/// The error rates at one threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct OperatingPoint {
    /// The threshold, in units of the score.
    pub threshold: f64,
    /// Share of the scores that reach the threshold and should not: FMR or APCER.
    pub false_positive: f64,
    /// Share of the scores that do not reach it and should: FNMR or BPCER.
    pub false_negative: f64,
}

/// Returns the points of a DET curve by ascending threshold, thinned so that neighbours are at least `step` apart on one of
/// the normal-deviate axes. Points where a rate is 0 or 1, which such axes cannot show, are left out.
#[must_use]
pub fn det_points(positive: &Ranked<'_>, negative: &Ranked<'_>, step: f64) -> Vec<OperatingPoint> {
    let mut points: Vec<OperatingPoint> = Vec::new();
    let mut last: Option<(f64, f64)> = None;
    let mut thresholds = [positive.scores, negative.scores].concat();
    // Stable, so that merging the two ascending runs takes linear time.
    thresholds.sort_by(f64::total_cmp);
    thresholds.dedup();
    for threshold in thresholds {
        let (Some(false_positive), Some(false_negative)) = (
            negative.share_at_or_above(threshold),
            positive.share_below(threshold),
        ) else {
            continue;
        };
        let inside = |rate: f64| rate > 0.0 && rate < 1.0;
        if !inside(false_positive) || !inside(false_negative) {
            continue;
        }
        let place = (probit(false_positive), probit(false_negative));
        if !last.is_some_and(|(x, y)| (place.0 - x).abs() < step && (place.1 - y).abs() < step) {
            last = Some(place);
            points.push(OperatingPoint {
                threshold,
                false_positive,
                false_negative,
            });
        }
    }
    points
}

/// Returns the normal deviate of a probability strictly between 0 and 1, for the axes of a DET plot.
#[must_use]
pub fn probit(probability: f64) -> f64 {
    -std::f64::consts::SQRT_2 * erfc_inv(2.0 * probability)
}

/// Least number of errors behind a reported rate: with 30 the true rate lies, with 90 % confidence, within 30 % of the
/// observed one (Doddington, Przybocki, Martin and Reynolds, "The NIST speaker recognition evaluation", Speech Communication
/// 31, 2000; ISO/IEC 19795-1). It assumes independent comparisons, so it is necessary and not sufficient.
pub const ERRORS_NEEDED: u64 = 30;

/// Returns the number of comparisons of which `rate`, above 0, is [`ERRORS_NEEDED`] errors.
#[must_use]
pub fn comparisons_needed(rate: f64) -> u64 {
    let needed = ERRORS_NEEDED as f64 / rate;
    // 1e-5 is a little less as a double, and must not need one comparison more.
    (needed * (1.0 - SLACK)).ceil() as u64
}

/// Returns the upper 95 % confidence bound of a rate, 0..=1, where no error was seen in `trials` independent trials: the
/// exact form of the "rule of 3", which is 3 / trials. 1 without a trial.
#[must_use]
pub fn upper_bound_without_errors(trials: u64) -> f64 {
    if trials == 0 {
        return 1.0;
    }
    // At this rate the probability of no error in all trials is 0.05.
    1.0 - 0.05f64.powf(1.0 / trials as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    const POSITIVE: [f64; 5] = [0.3, 0.5, 0.6, 0.8, 0.9];
    const NEGATIVE: [f64; 10] = [-0.1, 0.0, 0.0, 0.1, 0.1, 0.2, 0.3, 0.3, 0.4, 0.5];

    #[test]
    fn a_score_at_the_threshold_reaches_it() {
        let positive = Ranked::plain(&POSITIVE, 0);
        let negative = Ranked::plain(&NEGATIVE, 0);
        for (threshold, up, down) in [
            (-1.0, 1.0, 0.0),
            (0.3, 0.4, 0.0),
            (0.30001, 0.2, 0.2),
            (0.5, 0.1, 0.2),
            (0.50001, 0.0, 0.4),
            (2.0, 0.0, 1.0),
        ] {
            assert!(
                close(negative.share_at_or_above(threshold).unwrap(), up),
                "{threshold}"
            );
            assert!(
                close(positive.share_below(threshold).unwrap(), down),
                "{threshold}"
            );
        }
    }

    #[test]
    fn the_threshold_at_a_rate_lies_just_above_the_first_score_too_many() {
        let negative = Ranked::plain(&NEGATIVE, 0);
        for (rate, above) in [(0.1, 0.4), (0.19, 0.4), (0.2, 0.3), (0.05, 0.5), (0.5, 0.1)] {
            assert_eq!(negative.threshold_at(rate), Some(f64::next_up(above)), "{rate}");
        }
        // Two scores are 0.3: allowing one of them is allowing neither.
        assert_eq!(negative.threshold_at(0.3), Some(0.3f64.next_up()));
        assert_eq!(negative.threshold_at(0.4), Some(0.2f64.next_up()));
        assert_eq!(negative.threshold_at(1.0), Some(-0.1));
    }

    #[test]
    fn a_result_that_depends_on_scores_not_held_is_none() {
        // The four lowest are left out.
        let held = Ranked::plain(&NEGATIVE[4..], 4);
        assert_eq!(held.total(), 10);
        let all = Ranked::plain(&NEGATIVE, 0);
        for rate in [0.05, 0.1, 0.2, 0.3, 0.4, 0.5] {
            assert_eq!(held.threshold_at(rate), all.threshold_at(rate), "{rate}");
        }
        assert_eq!(held.threshold_at(0.6), None);
        assert_eq!(held.share_at_or_above(0.2), Some(0.5));
        assert_eq!(held.share_at_or_above(0.1), None);
    }

    #[test]
    fn equal_error_rate_where_the_steps_meet() {
        // At 0.4 one of four on either side errs.
        let positive = [0.2, 0.5, 0.6, 0.7];
        let negative = [0.0, 0.1, 0.2, 0.4];
        let found = equal_error_rate(&Ranked::plain(&positive, 0), &Ranked::plain(&negative, 0)).unwrap();
        assert!(
            close(found.rate, 0.25) && close(found.threshold, 0.4),
            "{found:?}"
        );
    }

    #[test]
    fn equal_error_rate_between_steps_is_on_the_line() {
        // From (0.4, 0) at 0.3 to (0.2, 0.2) at 0.4: they meet there.
        let (positive, negative) = (Ranked::plain(&POSITIVE, 0), Ranked::plain(&NEGATIVE, 0));
        let found = equal_error_rate(&positive, &negative).unwrap();
        assert!(close(found.rate, 0.2) && close(found.threshold, 0.4), "{found:?}");
        // From (1/2, 0) at 0.4 to (0, 1/3) above: x - the line 1/2 (1 - s) = s/3 gives s = 0.6, rate 0.2.
        let positive = [0.4, 0.5, 0.6];
        let negative = [0.1, 0.4];
        let found = equal_error_rate(&Ranked::plain(&positive, 0), &Ranked::plain(&negative, 0)).unwrap();
        assert!(
            close(found.rate, 0.2) && close(found.threshold, 0.46),
            "{found:?}"
        );
    }

    #[test]
    fn equal_error_rate_at_the_ends() {
        let rate = |positive: &[f64], negative: &[f64]| {
            equal_error_rate(&Ranked::plain(positive, 0), &Ranked::plain(negative, 0)).map(|found| found.rate)
        };
        assert!(close(rate(&[0.5, 0.6], &[0.1, 0.2]).unwrap(), 0.0));
        assert!(close(rate(&[0.1, 0.2], &[0.5, 0.6]).unwrap(), 1.0));
        // All the same: nothing can be told apart.
        assert!(close(rate(&[0.5, 0.5], &[0.5, 0.5, 0.5]).unwrap(), 0.5));
        assert_eq!(rate(&[], &[0.5]), None);
        assert_eq!(rate(&[0.5], &[]), None);
    }

    #[test]
    fn normal_deviates() {
        for (probability, deviate) in [
            (0.5, 0.0),
            (0.841_344_746_068_542_9, 1.0),
            (0.022_750_131_948_179_2, -2.0),
            (1e-6, -4.753_424_308_822_899),
            (0.975, 1.959_963_984_540_054),
        ] {
            assert!((probit(probability) - deviate).abs() < 1e-8, "{probability}");
        }
    }

    #[test]
    fn det_points_leave_out_the_corners() {
        let points = det_points(&Ranked::plain(&POSITIVE, 0), &Ranked::plain(&NEGATIVE, 0), 0.0);
        let thresholds: Vec<f64> = points.iter().map(|point| point.threshold).collect();
        assert_eq!(thresholds, [0.4, 0.5]);
        assert!(close(points[0].false_positive, 0.2) && close(points[0].false_negative, 0.2));
    }

    #[test]
    fn thirty_errors_are_needed() {
        assert_eq!(comparisons_needed(0.1), 300);
        assert_eq!(comparisons_needed(0.01), 3_000);
        assert_eq!(comparisons_needed(1e-3), 30_000);
        assert_eq!(comparisons_needed(1e-5), 3_000_000);
        assert_eq!(comparisons_needed(1e-6), 30_000_000);
        assert_eq!(comparisons_needed(0.7), 43);
    }

    #[test]
    fn without_errors_three_in_n_are_possible() {
        // 1 - 0.05^(1/59) is the well-known 5 % of 59 trials.
        assert!((upper_bound_without_errors(59) - 0.0495).abs() < 1e-4);
        assert!((upper_bound_without_errors(3_000) - 0.001).abs() < 2e-6);
        assert_eq!(upper_bound_without_errors(0), 1.0);
        assert!((upper_bound_without_errors(1) - 0.95).abs() < 1e-12);
    }

    fn sorted(mut scores: Vec<f64>) -> Vec<f64> {
        scores.sort_by(f64::total_cmp);
        scores
    }

    /// Few distinct values, so that ties are the rule.
    fn scores() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec((-8i32..8).prop_map(|step| f64::from(step) / 8.0), 1..40).prop_map(sorted)
    }

    proptest! {
        #[test]
        fn rates_are_counts_and_monotonic(positive in scores(), a in -1.2f64..1.2, b in -1.2f64..1.2) {
            let ranked = Ranked::plain(&positive, 0);
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(ranked.share_below(low) <= ranked.share_below(high));
            let counted = positive.iter().filter(|&&score| score >= a).count() as f64 / positive.len() as f64;
            prop_assert!(close(ranked.share_at_or_above(a).unwrap(), counted));
            prop_assert!(close(ranked.share_at_or_above(a).unwrap() + ranked.share_below(a).unwrap(), 1.0));
        }

        #[test]
        fn the_threshold_at_a_rate_keeps_it_and_none_lower_does(negative in scores(), rate in 0.001f64..0.999) {
            let ranked = Ranked::plain(&negative, 0);
            let threshold = ranked.threshold_at(rate).unwrap();
            prop_assert!(ranked.share_at_or_above(threshold).unwrap() <= rate);
            if threshold > negative[0] {
                prop_assert!(ranked.share_at_or_above(threshold.next_down()).unwrap() > rate);
            }
        }

        #[test]
        fn turning_the_scores_around_leaves_the_equal_error_rate(positive in scores(), negative in scores()) {
            let turned = |scores: &[f64]| sorted(scores.iter().map(|score| -score).collect());
            let (turned_positive, turned_negative) = (turned(&positive), turned(&negative));
            let rate = equal_error_rate(&Ranked::plain(&positive, 0), &Ranked::plain(&negative, 0)).unwrap().rate;
            let other = equal_error_rate(&Ranked::plain(&turned_negative, 0), &Ranked::plain(&turned_positive, 0));
            prop_assert!((0.0..=1.0).contains(&rate));
            prop_assert!((rate - other.unwrap().rate).abs() < 1e-9);
        }

        #[test]
        fn a_weight_is_a_repetition(
            positive in scores(),
            negative in prop::collection::vec(((-8i32..8).prop_map(f64::from), 0u64..4), 1..30),
            rate in 0.01f64..0.9,
        ) {
            let mut negative = negative;
            negative.sort_by(|a, b| a.0.total_cmp(&b.0));
            let scores: Vec<f64> = negative.iter().map(|entry| entry.0).collect();
            let repeated: Vec<f64> = negative.iter().flat_map(|&(score, times)| (0..times).map(move |_| score)).collect();
            prop_assume!(!repeated.is_empty());
            let weighted = Ranked::weighted(&scores, negative.iter().map(|entry| entry.1), 0);
            let plain = Ranked::plain(&repeated, 0);
            prop_assert_eq!(weighted.total(), plain.total());
            let (a, b) = (weighted.threshold_at(rate).unwrap(), plain.threshold_at(rate).unwrap());
            // Scores without weight may lie between two thresholds that mean the same.
            prop_assert_eq!(weighted.share_at_or_above(a), plain.share_at_or_above(b));
            let positive = Ranked::plain(&positive, 0);
            let (a, b) = (equal_error_rate(&positive, &weighted), equal_error_rate(&positive, &plain));
            prop_assert!((a.unwrap().rate - b.unwrap().rate).abs() < 1e-9);
        }

        #[test]
        fn the_highest_scores_are_enough(positive in scores(), negative in scores(), kept in 1usize..40) {
            let skipped = negative.len().saturating_sub(kept);
            let part = Ranked::plain(&negative[skipped..], skipped as u64);
            let all = Ranked::plain(&negative, 0);
            let positive = Ranked::plain(&positive, 0);
            for rate in [0.01, 0.1, 0.3, 0.7] {
                if let Some(threshold) = part.threshold_at(rate) {
                    prop_assert_eq!(Some(threshold), all.threshold_at(rate));
                }
            }
            if let Some(found) = equal_error_rate(&positive, &part) {
                prop_assert!((found.rate - equal_error_rate(&positive, &all).unwrap().rate).abs() < 1e-9);
            }
        }
    }
}
