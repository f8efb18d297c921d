//! The scores of comparisons whose ground truth is known.

use super::histogram::Histogram;
use super::ranked::{Ranked, SortedScores, draws, share};

/// The cosine similarity of a comparison, -1..=1, with what it is about: the person of a genuine one, the two people of an
/// impostor one (each counted from 0), or the two images.
pub type Scored<P> = (f32, P);

/// The scores of comparisons whose ground truth is known.
#[derive(Debug, Clone)]
pub struct MatchScores {
    /// Number of people.
    pub people: usize,
    /// All impostor comparisons in 65,536 steps over -1..=1, for those below the ones held.
    pub impostor_histogram: Histogram,
    genuine: SortedScores<u32>,
    impostor: SortedScores<(u32, u32)>,
    /// Each person's number of images, where all pairs were compared and only the highest impostor comparisons are held.
    images_of_person: Option<Vec<u32>>,
}

/// Steps of the histogram of all impostor comparisons over -1..=1: 3e-5 each.
pub(crate) const FINE_STEPS: usize = 65_536;

impl MatchScores {
    /// Takes the comparisons of a list in any order: the result does not depend on it.
    #[must_use]
    pub fn listed(people: usize, genuine: Vec<Scored<u32>>, impostor: Vec<Scored<(u32, u32)>>) -> Self {
        let impostor = sorted(impostor);
        Self {
            people,
            genuine: sorted(genuine),
            impostor_histogram: impostor.histogram(-1.0, 1.0, FINE_STEPS),
            impostor,
            images_of_person: None,
        }
    }

    /// Takes the comparisons of all pairs of images: of the impostor ones the highest, and the histogram of all.
    #[must_use]
    pub fn all_pairs(
        images_of_person: Vec<u32>,
        genuine: Vec<Scored<u32>>,
        highest_impostor: Vec<Scored<(u32, u32)>>,
        impostor_histogram: Histogram,
    ) -> Self {
        Self {
            people: images_of_person.len(),
            genuine: sorted(genuine),
            impostor: sorted(highest_impostor),
            images_of_person: Some(images_of_person),
            impostor_histogram,
        }
    }

    /// Returns the number of genuine comparisons.
    #[must_use]
    pub fn genuine_count(&self) -> u64 {
        self.genuine.scores.len() as u64
    }

    /// Returns the number of impostor comparisons.
    #[must_use]
    pub fn impostor_count(&self) -> u64 {
        self.impostor_histogram.total()
    }

    /// Returns the number of impostor comparisons, the highest, that are held exactly.
    #[must_use]
    pub fn held_impostors(&self) -> u64 {
        self.impostor.scores.len() as u64
    }

    /// Returns the genuine scores.
    #[must_use]
    pub fn genuine(&self) -> Ranked<'_> {
        Ranked::plain(&self.genuine.scores, 0)
    }

    /// Returns the impostor scores.
    #[must_use]
    pub fn impostor(&self) -> Ranked<'_> {
        let unheld = self.impostor_count() - self.held_impostors();
        Ranked::plain(&self.impostor.scores, unheld)
    }

    /// Returns the genuine and the impostor scores, weighted by how often each person was drawn.
    #[must_use]
    pub fn weighted(&self, weights: &[u32]) -> (Ranked<'_>, Ranked<'_>) {
        let of_pair = |(a, b): (u32, u32)| draws(weights, a) * draws(weights, b);
        let unheld = self.images_of_person.as_ref().map_or(0, |images| {
            let images = (0..).zip(images);
            let sizes = images.map(|(person, &images)| u64::from(images) * draws(weights, person));
            let held: u64 = self.impostor.people.iter().map(|&pair| of_pair(pair)).sum();
            pairs_between(sizes).saturating_sub(held)
        });
        (
            self.genuine.weighted(|person| draws(weights, person), 0),
            self.impostor.weighted(of_pair, unheld),
        )
    }

    /// Returns the FMR, 0..=1, at a threshold: exact where the comparisons that reach it are held, else for a threshold
    /// that is at most 3e-5 higher.
    #[must_use]
    pub fn false_match_rate(&self, threshold: f64) -> Option<f64> {
        let all = || self.impostor_histogram.at_or_above(threshold);
        let exact = self.impostor().share_at_or_above(threshold);
        exact.or_else(|| share(all(), self.impostor_count()))
    }

    /// Returns the lowest threshold with at most this FMR; to within 3e-5 where the comparisons there are not held.
    #[must_use]
    pub fn threshold_at(&self, false_match_rate: f64) -> Option<f64> {
        self.impostor().threshold_at(false_match_rate).or_else(|| {
            let count = self.impostor_count();
            let allowed = (false_match_rate * count as f64).floor() as u64;
            (count > 0).then(|| self.impostor_histogram.lowest_with_at_most(allowed))
        })
    }

    /// Returns the histogram of the genuine scores in `steps` over -1..=1.
    #[must_use]
    pub fn genuine_histogram(&self, steps: usize) -> Histogram {
        self.genuine.histogram(-1.0, 1.0, steps)
    }
}

fn sorted<P: Copy + Ord>(comparisons: Vec<Scored<P>>) -> SortedScores<P> {
    let entries = comparisons.into_iter().map(|(score, of)| (f64::from(score), of));
    SortedScores::new(entries.collect())
}

/// Returns the number of pairs between different groups of these sizes.
pub(crate) fn pairs_between(groups: impl Iterator<Item = u64>) -> u64 {
    let (sum, squares) = groups.fold((0u128, 0u128), |(sum, squares), size| {
        let size = u128::from(size);
        (sum + size, squares + size * size)
    });
    ((sum * sum - squares) / 2) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn genuine(score: f32, person: u32) -> Scored<u32> {
        (score, person)
    }

    fn impostor(score: f32, a: u32, b: u32) -> Scored<(u32, u32)> {
        (score, (a, b))
    }

    #[test]
    fn worked_by_hand() {
        let scores = MatchScores::listed(
            3,
            vec![genuine(0.5, 0), genuine(0.75, 0), genuine(0.25, 1)],
            vec![
                impostor(0.5, 0, 1),
                impostor(0.0, 0, 2),
                impostor(0.125, 1, 2),
                impostor(-0.5, 1, 2),
            ],
        );
        assert_eq!(scores.false_match_rate(0.5), Some(0.25));
        assert_eq!(scores.false_match_rate(0.125), Some(0.5));
        assert_eq!(scores.genuine().share_below(0.5), Some(1.0 / 3.0));
        assert_eq!(scores.threshold_at(0.25), Some(0.125f64.next_up()));
        // Person 1 twice, person 2 not: genuine 0.5, 0.75, twice 0.25; impostors twice 0.5.
        let (genuine, impostor) = scores.weighted(&[1, 2, 0]);
        assert_eq!(genuine.share_below(0.5), Some(0.5));
        assert_eq!(
            (impostor.total(), impostor.share_at_or_above(0.5)),
            (2, Some(1.0))
        );
    }

    #[test]
    fn pairs_between_groups() {
        assert_eq!(pairs_between([2, 3, 4].into_iter()), 6 + 8 + 12);
        assert_eq!(pairs_between([5].into_iter()), 0);
    }

    /// Returns all pairs of images whose "similarity" is a function of the two, with ties.
    fn all_pairs(images: &[u32], held: usize) -> (MatchScores, MatchScores) {
        let owners: Vec<u32> = (0u32..)
            .zip(images)
            .flat_map(|(person, &count)| (0..count).map(move |_| person))
            .collect();
        let (mut same, mut other) = (Vec::new(), Vec::new());
        let mut histogram = Histogram::new(-1.0, 1.0, FINE_STEPS);
        for (i, &a) in owners.iter().enumerate() {
            for (j, &b) in owners.iter().enumerate().skip(i + 1) {
                let score = ((i * 7 + j * 13) % 16) as f32 / 16.0;
                if a == b {
                    same.push(genuine(score, a));
                } else {
                    other.push(impostor(score, a, b));
                    histogram.add(f64::from(score));
                }
            }
        }
        let listed = MatchScores::listed(images.len(), same.clone(), other.clone());
        other.sort_by(|a, b| b.0.total_cmp(&a.0));
        other.truncate(held);
        (
            MatchScores::all_pairs(images.to_vec(), same, other, histogram),
            listed,
        )
    }

    proptest! {
        #[test]
        fn the_highest_of_all_pairs_weigh_as_much_as_all(
            images in prop::collection::vec(1u32..4, 2..8),
            held in 1usize..60,
            draws in prop::collection::vec(0usize..8, 8),
            threshold in 0.0f64..1.0,
        ) {
            let (part, all) = all_pairs(&images, held);
            let mut weights = vec![0u32; images.len()];
            for draw in draws {
                weights[draw % images.len()] += 1;
            }
            let (of_part, of_all) = (part.weighted(&weights).1, all.weighted(&weights).1);
            prop_assert_eq!(of_part.total(), of_all.total());
            if let Some(share) = of_part.share_at_or_above(threshold) {
                prop_assert_eq!(Some(share), of_all.share_at_or_above(threshold));
            }
            // Beyond what is held the histogram answers, here exactly: scores lie at the beginning of its steps.
            let threshold = (threshold * 16.0).floor() / 16.0;
            prop_assert_eq!(part.false_match_rate(threshold), all.false_match_rate(threshold));
        }
    }
}
