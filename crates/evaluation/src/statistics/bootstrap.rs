//! How far a rate may be from the truth: confidence intervals by the bootstrap over people.
//!
//! Comparisons of the same person are alike, so an interval that resamples comparisons as if they were independent comes
//! out too narrow. Here the **people** are drawn with replacement; a comparison weighs as many times as its person was
//! drawn, one between two people the product of both (the product or "pigeonhole" bootstrap of Owen, "The pigeonhole
//! bootstrap", Annals of Applied Statistics 1, 2007, which errs on the wide side).

use std::num::NonZero;

use serde::Serialize;

use super::random::SplitMix64;

/// A confidence interval by the percentiles of the replicates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// How to resample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// How many times the people are drawn.
    pub replicates: usize,
    /// Share of the replicates within the interval, such as 0.95.
    pub confidence: f64,
    /// The same seed draws the same people.
    pub seed: u64,
    /// How many threads share the work; the result is the same from any number.
    pub threads: NonZero<usize>,
}

/// Of the replicates at most this share may leave a figure undefined, or it has no interval: those in which it is defined
/// would be a choice.
const MOST_UNDEFINED: f64 = 0.05;

impl Bootstrap {
    /// 1,000 replicates, 95 %, a fixed seed, as many threads as given.
    #[must_use]
    pub fn new(threads: NonZero<usize>) -> Self {
        Self {
            replicates: 1_000,
            confidence: 0.95,
            seed: 0x4c69_6b65_6e65_7373,
            threads,
        }
    }

    /// Intervals of several figures. `figures` computes them from how many times each of the people was drawn, always in
    /// the same order; a figure that cannot be computed is `None`. There is no interval where there are fewer than two
    /// people.
    pub fn intervals<F>(&self, people: usize, figures: F) -> Vec<Option<Interval>>
    where
        F: Fn(&[u32]) -> Vec<Option<f64>> + Sync,
    {
        let count = figures(&vec![1; people]).len();
        if people < 2 || self.replicates == 0 {
            return vec![None; count];
        }
        let replicate = |index: usize| {
            let mut generator = SplitMix64::new(self.seed, index as u64);
            let mut weights = vec![0u32; people];
            for _ in 0..people {
                if let Some(weight) = weights.get_mut(generator.below(people)) {
                    *weight += 1;
                }
            }
            figures(&weights)
        };
        let threads = self.threads.get().min(self.replicates);
        // Thread t takes every t-th replicate. The percentiles do not depend on the order.
        let drawn: Vec<Vec<Option<f64>>> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|first| {
                    let replicate = &replicate;
                    scope.spawn(move || {
                        (first..self.replicates)
                            .step_by(threads)
                            .map(replicate)
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            workers
                .into_iter()
                .flat_map(|worker| {
                    worker
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect()
        });
        (0..count)
            .map(|figure| {
                let values = drawn.iter().filter_map(|values| *values.get(figure)?).collect();
                self.interval(values)
            })
            .collect()
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

/// The quantile of ascending values, interpolated between the two nearest (type 7 of Hyndman and Fan, NumPy's default).
fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let place = share.clamp(0.0, 1.0) * values.len().checked_sub(1)? as f64;
    let (low, way) = (place.floor() as usize, place.fract());
    let below = *values.get(low)?;
    let above = values.get(low + 1).copied().unwrap_or(below);
    Some(below + way * (above - below))
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

    /// Share of simulated studies whose 95 % interval holds the true mean, where what a person's pictures give is alike:
    /// once with the people resampled, once with the pictures as if they were people.
    fn coverage() -> (f64, f64) {
        const STUDIES: usize = 300;
        const PEOPLE: usize = 40;
        const PICTURES: usize = 8;
        let bootstrap = Bootstrap {
            replicates: 300,
            ..Bootstrap::new(threads(2))
        };
        let mut generator = SplitMix64::new(7, 0);
        let (mut over_people, mut over_pictures) = (0, 0);
        for _ in 0..STUDIES {
            let values: Vec<f64> = (0..PEOPLE)
                .flat_map(|_| {
                    let person = normal(&mut generator);
                    (0..PICTURES)
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
            let found = bootstrap.intervals(PEOPLE, |weights| mean(&|index| weights[index / PICTURES]));
            over_people += usize::from(holds(&found));
            let found = bootstrap.intervals(values.len(), |weights| mean(&|index| weights[index]));
            over_pictures += usize::from(holds(&found));
        }
        let share = |count: usize| count as f64 / STUDIES as f64;
        (share(over_people), share(over_pictures))
    }

    #[test]
    fn intervals_over_people_hold_the_truth_as_often_as_they_say_and_those_over_pictures_do_not() {
        let (over_people, over_pictures) = coverage();
        assert!((0.90..=0.98).contains(&over_people), "{over_people}");
        assert!(over_pictures < 0.70, "{over_pictures}");
    }
}
