//! Accuracy as LFW reports it: each threshold comes from other comparisons than those it decides.

use serde::Serialize;

use super::ranked::share;

/// A comparison: its score and whether both images show the same person. One without a score counts as "not the same".
pub type Judged = (Option<f64>, bool);

/// The accuracy over folds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Accuracy {
    /// Mean of the folds' accuracies, 0..=1.
    pub mean: f64,
    /// Standard error of that mean: the folds' standard deviation (n - 1) by the root of their number.
    pub standard_error: f64,
    /// Each fold's accuracy, 0..=1.
    pub folds: Vec<f64>,
    /// The threshold of each fold, in units of the score.
    pub thresholds: Vec<f64>,
}

/// The reason that comparisons cannot be divided into folds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum FoldError {
    /// There are fewer than two folds, or more folds than comparisons.
    #[error("{comparisons} comparisons cannot be divided into {folds} folds")]
    Count { comparisons: usize, folds: usize },
    /// A fold is empty.
    #[error("fold {0} has no comparison")]
    Empty(usize),
}

/// Returns the fold of each comparison, in consecutive blocks of lengths that differ by at most 1, as LFW's ten blocks of
/// 600. Fails for fewer than two folds or more folds than comparisons.
pub fn blocks(comparisons: usize, folds: usize) -> Result<Vec<usize>, FoldError> {
    if folds < 2 || folds > comparisons {
        return Err(FoldError::Count { comparisons, folds });
    }
    let fold = |index| (index as u128 * folds as u128 / comparisons as u128) as usize;
    Ok((0..comparisons).map(fold).collect())
}

/// Returns the share of right decisions at a threshold, 0..=1; `None` of nothing.
#[must_use]
pub fn accuracy_at(comparisons: &[Judged], threshold: f64) -> Option<f64> {
    let matches = |score: Option<f64>| score.is_some_and(|score| score >= threshold);
    let right = |(score, same): &&Judged| matches(*score) == *same;
    let right = comparisons.iter().filter(right);
    share(right.count() as u64, comparisons.len() as u64)
}

/// Returns the threshold with the most right decisions, halfway between two neighbouring scores; of several, the middle
/// one. `None` where there is no score.
#[must_use]
pub fn best_threshold(comparisons: &[Judged]) -> Option<f64> {
    let scores = comparisons.iter().copied();
    let mut scores: Vec<(f64, bool)> = scores.filter_map(|(score, same)| Some((score?, same))).collect();
    scores.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Right decisions more than at the lowest score, where all match.
    let mut gain = 0i64;
    let mut candidates = vec![(0i64, scores.first()?.0)];
    for (index, &(score, same)) in scores.iter().enumerate() {
        gain += if same { -1 } else { 1 };
        match scores.get(index + 1) {
            Some(&(next, _)) if next == score => {}
            Some(&(next, _)) => candidates.push((gain, score + (next - score) / 2.0)),
            None => candidates.push((gain, score.next_up())),
        }
    }
    let best = candidates.iter().map(|(gain, _)| *gain).max()?;
    candidates.retain(|(gain, _)| *gain == best);
    let middle = candidates.get(candidates.len() / 2);
    middle.map(|(_, threshold)| *threshold)
}

/// Returns the accuracy by LFW's protocol: each fold is decided at the threshold that is best on all others. `folds` has the
/// fold of each comparison, counted from 0 without a gap. Fails where there are fewer than two folds or a fold is empty.
pub fn k_fold_accuracy(comparisons: &[Judged], folds: &[usize]) -> Result<Accuracy, FoldError> {
    let count = folds.iter().max().map_or(0, |last| last + 1);
    if count < 2 || folds.len() != comparisons.len() {
        return Err(FoldError::Count {
            comparisons: comparisons.len(),
            folds: count,
        });
    }
    let (mut accuracies, mut thresholds) = (Vec::new(), Vec::new());
    for fold in 0..count {
        let part = |held_out: bool| -> Vec<Judged> {
            let of_fold = folds.iter().map(|of| *of == fold).zip(comparisons);
            let part = of_fold.filter(|(is_in, _)| *is_in == held_out);
            part.map(|(_, comparison)| *comparison).collect()
        };
        // Where the others have no score, nothing matches.
        let threshold = best_threshold(&part(false)).unwrap_or(f64::MAX);
        accuracies.push(accuracy_at(&part(true), threshold).ok_or(FoldError::Empty(fold))?);
        thresholds.push(threshold);
    }
    let n = count as f64;
    let mean = accuracies.iter().sum::<f64>() / n;
    let squares = accuracies.iter().map(|accuracy| (accuracy - mean).powi(2));
    let variance = squares.sum::<f64>() / (n - 1.0);
    Ok(Accuracy {
        mean,
        standard_error: (variance / n).sqrt(),
        folds: accuracies,
        thresholds,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn blocks_are_consecutive_and_as_equal_as_can_be() {
        assert_eq!(blocks(6, 3).unwrap(), [0, 0, 1, 1, 2, 2]);
        assert_eq!(blocks(5, 2).unwrap(), [0, 0, 0, 1, 1]);
        let lfw = blocks(6_000, 10).unwrap();
        assert!((0..10).all(|fold| lfw[fold * 600..(fold + 1) * 600].iter().all(|&of| of == fold)));
        for (comparisons, folds) in [(6_000, 1), (6_000, 0), (3, 4), (0, 2)] {
            assert_eq!(
                blocks(comparisons, folds),
                Err(FoldError::Count { comparisons, folds })
            );
        }
    }

    #[test]
    fn the_best_threshold_lies_between_scores() {
        let separable = [
            (Some(0.1), false),
            (Some(0.8), true),
            (Some(0.2), false),
            (Some(0.6), true),
        ];
        assert_eq!(best_threshold(&separable), Some(0.4));
        assert_eq!(accuracy_at(&separable, 0.4), Some(1.0));
        // One error wherever: after 0.2 (0.4 is wrong), and after 0.5 (0.4 is wrong).
        let mixed = [
            (Some(0.2), false),
            (Some(0.4), true),
            (Some(0.5), false),
            (Some(0.7), true),
        ];
        let threshold = best_threshold(&mixed).unwrap();
        assert_eq!((threshold, accuracy_at(&mixed, threshold)), (0.6, Some(0.75)));
        assert_eq!(best_threshold(&[(None, true)]), None);
        // Only impostors: none should match; only genuine: all should.
        assert_eq!(best_threshold(&[(Some(0.5), false)]), Some(0.5f64.next_up()));
        assert_eq!(best_threshold(&[(Some(0.5), true)]), Some(0.5));
    }

    #[test]
    fn a_comparison_without_a_score_does_not_match() {
        let comparisons = [(None, true), (None, false), (Some(0.5), true)];
        assert_eq!(accuracy_at(&comparisons, 0.1), Some(2.0 / 3.0));
    }

    #[test]
    fn each_fold_is_decided_by_the_others() {
        // Fold 0 is best cut at 0.5, fold 1 at 0.1, which fails half of fold 0; at 0.5 half of fold 1 fails.
        let comparisons = [
            (Some(0.4), false),
            (Some(0.6), true),
            (Some(0.0), false),
            (Some(0.2), true),
        ];
        let accuracy = k_fold_accuracy(&comparisons, &[0, 0, 1, 1]).unwrap();
        assert_eq!(accuracy.thresholds, [0.1, 0.5]);
        assert_eq!(accuracy.folds, [0.5, 0.5]);
        assert_eq!((accuracy.mean, accuracy.standard_error), (0.5, 0.0));
        // Standard error of 1 and 0.5: deviation sqrt(1/8), by sqrt(2).
        let comparisons = [
            (Some(0.4), false),
            (Some(0.6), true),
            (Some(0.45), false),
            (Some(0.47), true),
        ];
        let accuracy = k_fold_accuracy(&comparisons, &[0, 0, 1, 1]).unwrap();
        assert_eq!(accuracy.folds, [1.0, 0.5]);
        assert!((accuracy.standard_error - 0.25).abs() < 1e-12);
    }

    #[test]
    fn too_few_or_empty_folds_are_errors() {
        let comparisons = [(Some(0.4), false), (Some(0.6), true)];
        assert!(matches!(
            k_fold_accuracy(&comparisons, &[0, 0]),
            Err(FoldError::Count { .. })
        ));
        assert_eq!(k_fold_accuracy(&comparisons, &[0, 2]), Err(FoldError::Empty(1)));
    }

    proptest! {
        #[test]
        fn no_threshold_is_better_than_the_best(
            comparisons in prop::collection::vec(((0i32..8).prop_map(|step| Some(f64::from(step))), any::<bool>()), 1..30),
            other in -1.0f64..9.0,
        ) {
            let threshold = best_threshold(&comparisons).unwrap();
            prop_assert!(accuracy_at(&comparisons, threshold) >= accuracy_at(&comparisons, other));
        }
    }
}
