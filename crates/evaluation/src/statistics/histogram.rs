//! Scores counted in equal steps.

use serde::Serialize;

/// The number of scores in each of equal steps from `low` to `high`; scores outside count in the outermost steps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Histogram {
    /// Beginning of the first step.
    pub low: f64,
    /// End of the last step.
    pub high: f64,
    /// Number of scores in each step.
    pub counts: Vec<u64>,
}

impl Histogram {
    /// Returns an empty histogram; `high` is above `low`, and there is at least one step.
    #[must_use]
    pub fn new(low: f64, high: f64, steps: usize) -> Self {
        Self {
            low,
            high,
            counts: vec![0; steps.max(1)],
        }
    }

    /// Counts a score.
    pub fn add(&mut self, score: f64) {
        let place = (score - self.low) / (self.high - self.low) * self.counts.len() as f64;
        // The conversion of a float outside of the integer's range gives the nearest integer.
        let step = (place as usize).min(self.counts.len() - 1);
        if let Some(count) = self.counts.get_mut(step) {
            *count += 1;
        }
    }

    /// Adds the counts of another histogram of the same steps.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    /// Returns the number of scores.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns the number of scores in the steps that begin at `threshold` or above: at most those that reach it.
    #[must_use]
    pub fn at_or_above(&self, threshold: f64) -> u64 {
        let steps = self.counts.iter().enumerate();
        let above = steps.filter(|(index, _)| self.begin(*index) >= threshold);
        above.map(|(_, count)| count).sum()
    }

    /// Returns the lowest beginning of a step from which on there are at most `allowed` scores; the upper end where even
    /// the last step has more.
    #[must_use]
    pub fn lowest_with_at_most(&self, allowed: u64) -> f64 {
        let mut sum = 0;
        for (index, count) in self.counts.iter().enumerate().rev() {
            sum += count;
            if sum > allowed {
                return self.begin(index + 1);
            }
        }
        self.low
    }

    /// Returns the same scores in `1 / factor` as many steps; `factor` divides the number of steps.
    #[must_use]
    pub fn coarser(&self, factor: usize) -> Self {
        let chunks = self.counts.chunks(factor.max(1));
        let counts = chunks.map(|chunk| chunk.iter().sum()).collect();
        Self { counts, ..*self }
    }

    fn begin(&self, index: usize) -> f64 {
        self.low + (self.high - self.low) * index as f64 / self.counts.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(scores: &[f64]) -> Histogram {
        let mut histogram = Histogram::new(-1.0, 1.0, 8);
        for &score in scores {
            histogram.add(score);
        }
        histogram
    }

    #[test]
    fn steps_include_their_beginning_and_the_outermost_take_what_is_beyond() {
        let histogram = counted(&[-3.0, -1.0, -0.76, -0.75, 0.0, 0.24, 0.99, 1.0, 2.0]);
        assert_eq!(histogram.counts, [3, 1, 0, 0, 2, 0, 0, 3]);
        assert_eq!(histogram.total(), 9);
        assert_eq!(histogram.coarser(4).counts, [4, 5]);
    }

    #[test]
    fn a_result_is_at_most_a_step_away() {
        let histogram = counted(&[-0.9, 0.1, 0.3, 0.4, 0.8]);
        assert_eq!(histogram.at_or_above(0.25), 3);
        // 0.3 and 0.4 share a step with 0.26, which is not said to be reached.
        assert_eq!(histogram.at_or_above(0.26), 1);
        assert_eq!(histogram.lowest_with_at_most(1), 0.5);
        assert_eq!(histogram.lowest_with_at_most(3), 0.25);
        assert_eq!(histogram.lowest_with_at_most(0), 1.0);
        assert_eq!(histogram.lowest_with_at_most(5), -1.0);
    }

    #[test]
    fn parts_add_up() {
        let mut sum = counted(&[0.1, 0.2]);
        sum.merge(&counted(&[0.2, 0.9]));
        assert_eq!(sum, counted(&[0.1, 0.2, 0.2, 0.9]));
    }
}
