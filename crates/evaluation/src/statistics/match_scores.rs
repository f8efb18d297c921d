//! The scores of comparisons whose truth is known, with whose they are.

use super::histogram::Histogram;
use super::ranked::{EqualErrorRate, Ranked, equal_error_rate, share};

/// A comparison of two pictures of one person.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GenuineComparison {
    /// Cosine similarity.
    pub score: f32,
    /// Whose pictures, counted from 0.
    pub person: u32,
}

/// A comparison of pictures of two people.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImpostorComparison {
    /// Cosine similarity.
    pub score: f32,
    /// Whose pictures, counted from 0.
    pub people: (u32, u32),
}

/// Which impostor comparisons there are, and so what they weigh together when people weigh differently.
#[derive(Debug, Clone, PartialEq)]
pub enum PairDesign {
    /// Those of a list, all of which are held.
    Listed,
    /// Every picture with every picture of somebody else; the number of each person's pictures. Only the highest
    /// comparisons are held.
    AllPairs(Vec<u32>),
}

/// Scores of comparisons whose truth is known.
#[derive(Debug, Clone)]
pub struct MatchScores {
    people: usize,
    genuine: Vec<f64>,
    genuine_people: Vec<u32>,
    impostor: Vec<f64>,
    impostor_people: Vec<(u32, u32)>,
    design: PairDesign,
    /// All impostor comparisons in fine steps, for what lies below those that are held.
    impostor_histogram: Histogram,
}

/// Steps of the histogram of all impostor comparisons over -1..=1: 3e-5 each.
pub(crate) const FINE_STEPS: usize = 65_536;

impl MatchScores {
    /// From the comparisons in any order: the result does not depend on it.
    #[must_use]
    pub fn listed(people: usize, genuine: Vec<GenuineComparison>, impostor: Vec<ImpostorComparison>) -> Self {
        let mut histogram = Histogram::new(-1.0, 1.0, FINE_STEPS);
        for comparison in &impostor {
            histogram.add(f64::from(comparison.score));
        }
        Self::build(people, genuine, impostor, PairDesign::Listed, histogram)
    }

    /// From all pairs of pictures: all genuine comparisons, the highest of the impostor ones, and all of those counted in
    /// steps.
    #[must_use]
    pub fn all_pairs(
        pictures_of_person: Vec<u32>,
        genuine: Vec<GenuineComparison>,
        highest_impostor: Vec<ImpostorComparison>,
        impostor_histogram: Histogram,
    ) -> Self {
        let people = pictures_of_person.len();
        let design = PairDesign::AllPairs(pictures_of_person);
        Self::build(people, genuine, highest_impostor, design, impostor_histogram)
    }

    fn build(
        people: usize,
        mut genuine: Vec<GenuineComparison>,
        mut impostor: Vec<ImpostorComparison>,
        design: PairDesign,
        impostor_histogram: Histogram,
    ) -> Self {
        genuine.sort_unstable_by(|a, b| a.score.total_cmp(&b.score).then(a.person.cmp(&b.person)));
        impostor.sort_unstable_by(|a, b| a.score.total_cmp(&b.score).then(a.people.cmp(&b.people)));
        Self {
            people,
            genuine: genuine.iter().map(|one| f64::from(one.score)).collect(),
            genuine_people: genuine.iter().map(|one| one.person).collect(),
            impostor: impostor.iter().map(|one| f64::from(one.score)).collect(),
            impostor_people: impostor.iter().map(|one| one.people).collect(),
            design,
            impostor_histogram,
        }
    }

    /// How many people there are.
    #[must_use]
    pub fn people(&self) -> usize {
        self.people
    }

    /// Number of genuine comparisons.
    #[must_use]
    pub fn genuine_count(&self) -> u64 {
        self.genuine.len() as u64
    }

    /// Number of impostor comparisons.
    #[must_use]
    pub fn impostor_count(&self) -> u64 {
        self.impostor_histogram.total()
    }

    /// How many of the impostor comparisons, the highest, are held exactly.
    #[must_use]
    pub fn held_impostors(&self) -> u64 {
        self.impostor.len() as u64
    }

    /// The genuine scores, ascending.
    #[must_use]
    pub fn genuine(&self) -> Ranked<'_> {
        Ranked::plain(&self.genuine, 0)
    }

    /// The impostor scores, ascending.
    #[must_use]
    pub fn impostor(&self) -> Ranked<'_> {
        Ranked::plain(&self.impostor, self.impostor_count() - self.held_impostors())
    }

    /// The same with people who weigh as often as they were drawn; as many weights as people.
    #[must_use]
    pub fn weighted(&self, weights: &[u32]) -> (Ranked<'_>, Ranked<'_>) {
        let weight = |person: u32| u64::from(weights.get(person as usize).copied().unwrap_or_default());
        let genuine = Ranked::weighted(
            &self.genuine,
            self.genuine_people.iter().map(|&person| weight(person)),
            0,
        );
        let of_pairs = || self.impostor_people.iter().map(|&(a, b)| weight(a) * weight(b));
        let unheld = match &self.design {
            PairDesign::Listed => 0,
            PairDesign::AllPairs(pictures) => {
                let all = pairs_between(
                    pictures
                        .iter()
                        .zip(weights)
                        .map(|(&pictures, &weight)| u64::from(pictures) * u64::from(weight)),
                );
                all.saturating_sub(of_pairs().sum())
            }
        };
        (genuine, Ranked::weighted(&self.impostor, of_pairs(), unheld))
    }

    /// Share of the impostor comparisons that reach a threshold: exact where those are held, else to within a fine step
    /// of the threshold.
    #[must_use]
    pub fn false_match_rate(&self, threshold: f64) -> Option<f64> {
        self.impostor().share_at_or_above(threshold).or_else(|| {
            share(
                self.impostor_histogram.at_or_above(threshold),
                self.impostor_count(),
            )
        })
    }

    /// Share of the genuine comparisons that do not reach a threshold.
    #[must_use]
    pub fn false_non_match_rate(&self, threshold: f64) -> Option<f64> {
        self.genuine().share_below(threshold)
    }

    /// The lowest threshold that at most this share of the impostor comparisons reach; to within a fine step where those
    /// are not held.
    #[must_use]
    pub fn threshold_at(&self, false_match_rate: f64) -> Option<f64> {
        self.impostor().threshold_at(false_match_rate).or_else(|| {
            let count = self.impostor_count();
            (count > 0).then(|| {
                let allowed = (false_match_rate * count as f64).floor() as u64;
                self.impostor_histogram.lowest_with_at_most(allowed)
            })
        })
    }

    /// The equal error rate; `None` where it lies below the impostor comparisons that are held.
    #[must_use]
    pub fn equal_error_rate(&self) -> Option<EqualErrorRate> {
        equal_error_rate(&self.genuine(), &self.impostor())
    }

    /// The genuine scores in `steps` over -1..=1.
    #[must_use]
    pub fn genuine_histogram(&self, steps: usize) -> Histogram {
        let mut histogram = Histogram::new(-1.0, 1.0, steps);
        for &score in &self.genuine {
            histogram.add(score);
        }
        histogram
    }

    /// All impostor scores in fine steps over -1..=1.
    #[must_use]
    pub fn impostor_histogram(&self) -> &Histogram {
        &self.impostor_histogram
    }
}

/// How many pairs there are between different groups of these sizes.
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

    fn genuine(score: f32, person: u32) -> GenuineComparison {
        GenuineComparison { score, person }
    }

    fn impostor(score: f32, a: u32, b: u32) -> ImpostorComparison {
        ImpostorComparison {
            score,
            people: (a, b),
        }
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
        assert_eq!(scores.false_non_match_rate(0.5), Some(1.0 / 3.0));
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

    /// All pairs of pictures whose "similarity" is a function of the two, so that ties are there.
    fn all_pairs(pictures: &[u32], held: usize) -> (MatchScores, MatchScores) {
        let owners: Vec<u32> = (0u32..)
            .zip(pictures)
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
        let listed = MatchScores::listed(pictures.len(), same.clone(), other.clone());
        other.sort_by(|a, b| b.score.total_cmp(&a.score));
        other.truncate(held);
        (
            MatchScores::all_pairs(pictures.to_vec(), same, other, histogram),
            listed,
        )
    }

    proptest! {
        #[test]
        fn the_highest_of_all_pairs_weigh_as_all_do(
            pictures in prop::collection::vec(1u32..4, 2..8),
            held in 1usize..60,
            draws in prop::collection::vec(0usize..8, 8),
            threshold in 0.0f64..1.0,
        ) {
            let (part, all) = all_pairs(&pictures, held);
            let mut weights = vec![0u32; pictures.len()];
            for draw in draws {
                weights[draw % pictures.len()] += 1;
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
