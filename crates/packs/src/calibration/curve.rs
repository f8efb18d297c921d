//! From raw to calibrated scores.

/// Raw probabilities are clamped this far from 0 and 1, where the log-odds are infinite.
const LEAST_PROBABILITY: f64 = 1e-9;

/// Maps a raw score to a calibrated one, 0..=1: straight lines in the log-odds of the calibrated score between points,
/// the first and the last of them extended. Through two points that is a logistic curve. It is strictly increasing up
/// to the precision of `f64`.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreCurve {
    /// `(raw score, log-odds of the calibrated score)`, ascending in both; at least two.
    points: Vec<(f64, f64)>,
}

impl ScoreCurve {
    /// Returns the curve through points `(raw score, calibrated score)`; `None` unless there are at least two, they ascend
    /// in both, and the calibrated scores lie between 0 and 1, both excluded.
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
        let points: Vec<(f64, f64)> = points
            .iter()
            .map(|&(probability, liveness)| (log_odds(probability), liveness))
            .collect();
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
}
