//! What a similarity means.

use likeness_models::Calibration;

/// Match confidence as a logistic curve of the cosine similarity: `1 / (1 + exp(-(slope * similarity + offset)))`.
///
/// The curve goes through two points whose false match rates were measured, so that a threshold on the confidence stands
/// for a false match rate. Between and beyond them the confidence grows with the similarity and stays between 0 and 1,
/// but is no probability of being the same person: that would need to know how many of the callers are impostors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogisticCalibration {
    slope: f64,
    offset: f64,
}

impl LogisticCalibration {
    /// The curve through two points `(similarity, confidence)`; `None` unless they ascend in both and the confidences
    /// lie between 0 and 1, both excluded.
    #[must_use]
    pub fn through(low: (f64, f64), high: (f64, f64)) -> Option<Self> {
        let logit = |confidence: f64| (confidence / (1.0 - confidence)).ln();
        let ascending = low.0 < high.0 && low.1 < high.1 && low.1 > 0.0 && high.1 < 1.0;
        if !ascending {
            return None;
        }
        let slope = (logit(high.1) - logit(low.1)) / (high.0 - low.0);
        let offset = logit(low.1) - slope * low.0;
        (slope.is_finite() && offset.is_finite()).then_some(Self { slope, offset })
    }

    /// The curve of a manifest.
    #[must_use]
    pub fn from_manifest(calibration: &Calibration) -> Option<Self> {
        match calibration.points.as_slice() {
            [low, high] => Self::through(
                (low.similarity, low.confidence),
                (high.similarity, high.confidence),
            ),
            _ => None,
        }
    }

    /// Match confidence, between 0 and 1, of a cosine similarity.
    #[must_use]
    pub fn confidence(&self, similarity: f32) -> f64 {
        1.0 / (1.0 + (-(self.slope * f64::from(similarity) + self.offset)).exp())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn default_pack() -> LogisticCalibration {
        let manifest = likeness_models::Manifest::builtin("open-1").unwrap().unwrap();
        LogisticCalibration::from_manifest(&manifest.embedder.calibration).unwrap()
    }

    #[test]
    fn the_default_pack_gives_the_documented_thresholds_their_false_match_rates() {
        let curve = default_pack();
        // 1 in 1,000 and 1 in 10,000.
        assert!((curve.confidence(0.3416) - 0.40).abs() < 1e-6);
        assert!((curve.confidence(0.4273) - 0.56).abs() < 1e-6);
        // Strangers and the same picture twice.
        assert!(curve.confidence(0.0) < 0.06);
        assert!(curve.confidence(1.0) > 0.98);
    }

    #[test]
    fn points_that_do_not_ascend_are_no_curve() {
        for (low, high) in [
            ((0.3, 0.4), (0.3, 0.5)),
            ((0.3, 0.4), (0.4, 0.4)),
            ((0.3, 0.0), (0.4, 0.5)),
            ((0.3, 0.5), (0.4, 1.0)),
            ((f64::NAN, 0.4), (0.4, 0.5)),
        ] {
            assert!(
                LogisticCalibration::through(low, high).is_none(),
                "{low:?} {high:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn confidence_grows_with_similarity_and_stays_in_range(a in -1.0f32..=1.0, b in -1.0f32..=1.0) {
            let curve = default_pack();
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(curve.confidence(low) <= curve.confidence(high));
            prop_assert!((0.0..=1.0).contains(&curve.confidence(a)));
        }
    }
}
