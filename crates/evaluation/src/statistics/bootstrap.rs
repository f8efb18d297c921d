//! Confidence intervals by the bootstrap over people.
//!
//! Comparisons of the same person are correlated, so an interval that resamples comparisons as if they were independent
//! comes out too narrow. Here the **people** are drawn with replacement; a comparison weighs as often as its person was
//! drawn, one between two people the product of both (the product or "pigeonhole" bootstrap of Owen, "The pigeonhole
//! bootstrap", Annals of Applied Statistics 1, 2007, which errs on the wide side).

use std::convert::Infallible;
use std::num::NonZero;

use serde::Serialize;

use crate::threads::fold;

/// A confidence interval by the percentiles of the replicates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The parameters of a bootstrap.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Bootstrap {
    /// Number of times the people are drawn.
    pub replicates: usize,
    /// Share of the replicates within the interval, 0..=1.
    pub confidence: f64,
    /// Seed of the draws.
    pub seed: u64,
    /// Number of threads; the intervals are the same from any number.
    pub threads: NonZero<usize>,
}

/// Highest share of replicates that may leave a figure undefined; the others would be a biased choice.
const MOST_UNDEFINED: f64 = 0.05;

impl Bootstrap {
    /// Returns 1,000 replicates, 95 % and a fixed seed.
    #[must_use]
    pub fn new(threads: NonZero<usize>) -> Self {
        Self {
            replicates: 1_000,
            confidence: 0.95,
            seed: 0x4c69_6b65_6e65_7373,
            threads,
        }
    }

    /// Returns the interval of each figure that `figures` computes, in its order, from the number of times each person
    /// was drawn. An undefined figure is `None`. With fewer than two people there are no intervals.
    pub fn intervals<F>(&self, people: usize, figures: F) -> Vec<Option<Interval>>
    where
        F: Fn(&[u32]) -> Vec<Option<f64>> + Sync,
    {
        let count = figures(&vec![1; people]).len();
        if people < 2 || self.replicates == 0 {
            return vec![None; count];
        }
        let replicate = |drawn: &mut Vec<_>, index| {
            let mut generator = SplitMix64::new(self.seed, index as u64);
            let mut weights = vec![0u32; people];
            for _ in 0..people {
                if let Some(weight) = weights.get_mut(generator.below(people)) {
                    *weight += 1;
                }
            }
            drawn.push(figures(&weights));
            Ok::<_, Infallible>(())
        };
        let Ok(drawn) = fold(self.threads, 0..self.replicates, Vec::new, replicate);
        let interval = |figure| {
            let drawn = drawn.iter().flatten();
            // The percentiles do not depend on the order of the replicates.
            self.interval(drawn.filter_map(|values| *values.get(figure)?).collect())
        };
        (0..count).map(interval).collect()
    }

    fn interval(&self, mut values: Vec<f64>) -> Option<Interval> {
        if (values.len() as f64) < (1.0 - MOST_UNDEFINED) * self.replicates as f64 {
            return None;
        }
        values.sort_by(f64::total_cmp);
        let tail = (1.0 - self.confidence) / 2.0;
        Some(Interval {
            low: quantile(&values, tail)?,
            high: quantile(&values, 1.0 - tail)?,
        })
    }
}

/// Returns the quantile of ascending values, interpolated between the two nearest (type 7 of Hyndman and Fan, NumPy's default).
fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let place = share.clamp(0.0, 1.0) * values.len().checked_sub(1)? as f64;
    let (low, way) = (place.floor() as usize, place.fract());
    let below = *values.get(low)?;
    let above = values.get(low + 1).copied().unwrap_or(below);
    Some(below + way * (above - below))
}

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): written here because its
/// numbers, and so the intervals, must not change with the version of a library.
#[derive(Debug, Clone)]
struct SplitMix64(u64);

impl SplitMix64 {
    /// Returns the generator of a stream of a seed.
    fn new(seed: u64, stream: u64) -> Self {
        // Streams are scattered over the period by the generator's own mixing, so that neighbours do not overlap.
        let mut scattered = Self(stream);
        Self(seed ^ scattered.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `bound`, which is above 0.
    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threads(count: usize) -> NonZero<usize> {
        NonZero::new(count).unwrap()
    }

    /// About normal, mean 0, deviation 1: twelve uniform numbers.
    fn normal(generator: &mut SplitMix64) -> f64 {
        (0..12)
            .map(|_| generator.next() as f64 / u64::MAX as f64)
            .sum::<f64>()
            - 6.0
    }

    #[test]
    fn quantiles_worked_by_hand() {
        let values = [1.0, 2.0, 4.0, 8.0, 16.0];
        assert_eq!(quantile(&values, 0.0), Some(1.0));
        assert_eq!(quantile(&values, 0.5), Some(4.0));
        assert_eq!(quantile(&values, 0.375), Some(3.0));
        assert_eq!(quantile(&values, 1.0), Some(16.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn the_same_from_one_thread_and_many_and_other_from_another_seed() {
        let mean = |weights: &[u32]| {
            let sum: f64 = weights
                .iter()
                .enumerate()
                .map(|(person, &weight)| person as f64 * f64::from(weight))
                .sum();
            vec![Some(sum / weights.len() as f64)]
        };
        let one = Bootstrap::new(threads(1));
        let expected = one.intervals(50, mean);
        for count in [2, 3, 7] {
            assert_eq!(Bootstrap::new(threads(count)).intervals(50, mean), expected);
        }
        assert_ne!(Bootstrap { seed: 1, ..one }.intervals(50, mean), expected);
    }

    #[test]
    fn without_people_to_draw_there_is_no_interval() {
        let bootstrap = Bootstrap::new(threads(2));
        assert_eq!(bootstrap.intervals(1, |_| vec![Some(0.5); 2]), [None, None]);
        assert_eq!(bootstrap.intervals(0, |_| vec![Some(0.5)]), [None]);
        // A figure that is undefined too often: a fifth of the draws of two people have no second one.
        let figures = |weights: &[u32]| vec![Some(1.0), (weights[1] > 0).then_some(1.0)];
        let found = bootstrap.intervals(2, figures);
        assert_eq!(found, [Some(Interval { low: 1.0, high: 1.0 }), None]);
    }

    /// Share of simulated studies whose 95 % interval holds the true mean, where the scores of a person's images are
    /// correlated: once with the people resampled, once with the images as if they were people.
    fn coverage() -> (f64, f64) {
        const STUDIES: usize = 300;
        const PEOPLE: usize = 40;
        const IMAGES: usize = 8;
        let bootstrap = Bootstrap {
            replicates: 300,
            ..Bootstrap::new(threads(2))
        };
        let mut generator = SplitMix64::new(7, 0);
        let (mut over_people, mut over_images) = (0, 0);
        for _ in 0..STUDIES {
            let values: Vec<f64> = (0..PEOPLE)
                .flat_map(|_| {
                    let person = normal(&mut generator);
                    (0..IMAGES)
                        .map(|_| person + 0.5 * normal(&mut generator))
                        .collect::<Vec<_>>()
                })
                .collect();
            let mean = |weight_of: &dyn Fn(usize) -> u32| {
                let weights = (0..values.len()).map(|index| f64::from(weight_of(index)));
                let sum: f64 = weights
                    .clone()
                    .zip(&values)
                    .map(|(weight, value)| weight * value)
                    .sum();
                vec![Some(sum / weights.sum::<f64>())]
            };
            let holds = |found: &[Option<Interval>]| found[0].is_some_and(|i| i.low <= 0.0 && 0.0 <= i.high);
            let found = bootstrap.intervals(PEOPLE, |weights| mean(&|index| weights[index / IMAGES]));
            over_people += usize::from(holds(&found));
            let found = bootstrap.intervals(values.len(), |weights| mean(&|index| weights[index]));
            over_images += usize::from(holds(&found));
        }
        let share = |count: usize| count as f64 / STUDIES as f64;
        (share(over_people), share(over_images))
    }

    #[test]
    fn intervals_over_people_hold_the_truth_as_often_as_they_say_and_those_over_images_do_not() {
        let (over_people, over_images) = coverage();
        assert!((0.90..=0.98).contains(&over_people), "{over_people}");
        assert!(over_images < 0.70, "{over_images}");
    }

    #[test]
    fn the_published_sequence() {
        let mut generator = SplitMix64(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| generator.next()).collect();
        assert_eq!(
            first,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn every_number_below_the_bound_comes_about_equally_often() {
        let mut generator = SplitMix64::new(1, 2);
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[generator.below(7)] += 1;
        }
        assert!(
            counts.iter().all(|&count| (9_600..=10_400).contains(&count)),
            "{counts:?}"
        );
    }
}
