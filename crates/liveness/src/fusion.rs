//! One score of the outputs of several liveness models.

use likeness_packs::{LivenessFusion, log_odds};

/// No model's log-odds count for more, so that none outvotes the others by its certainty.
const MOST_ODDS: f64 = 10.0;

/// A model's vote.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vote {
    /// Probability of live, 0..=1.
    pub probability: f64,
    /// Log-odds of live: those of the probability, or, of logits, what the probability can no longer tell apart near 1.
    pub log_odds: f64,
    /// The model's share, above 0.
    pub weight: f64,
}

impl Vote {
    /// Returns the vote of a model that gives probabilities.
    #[must_use]
    pub fn of_probability(probability: f64, weight: f64) -> Self {
        Self {
            probability,
            log_odds: log_odds(probability),
            weight,
        }
    }
}

/// Returns the live probability that the votes of a pack's models amount to; NaN without any.
#[must_use]
pub fn fuse(fusion: LivenessFusion, votes: &[Vote]) -> f64 {
    let mean = |value: fn(&Vote) -> f64| {
        let (mut sum, mut weights) = (0.0, 0.0);
        for vote in votes {
            sum += vote.weight * value(vote);
            weights += vote.weight;
        }
        sum / weights
    };
    match fusion {
        LivenessFusion::MeanLogOdds => {
            let odds = mean(|vote| vote.log_odds.clamp(-MOST_ODDS, MOST_ODDS));
            1.0 / (1.0 + (-odds).exp())
        }
        _ => mean(|vote| vote.probability),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fusions_worked_by_hand() {
        let votes = [Vote::of_probability(0.5, 1.0), Vote::of_probability(0.8, 3.0)];
        assert!((fuse(LivenessFusion::MeanProbability, &votes) - 0.725).abs() < 1e-12);
        // Three quarters of ln(4): the odds are 4 ^ 0.75 = 2.828427.
        let odds = 8.0_f64.sqrt();
        assert!((fuse(LivenessFusion::MeanLogOdds, &votes) - odds / (1.0 + odds)).abs() < 1e-12);
    }

    #[test]
    fn a_certain_model_counts_for_ten() {
        for (probability, odds) in [(1.0, 10.0_f64), (0.0, -10.0)] {
            let votes = [
                Vote::of_probability(probability, 1.0),
                Vote::of_probability(0.5, 1.0),
            ];
            let expected = 1.0 / (1.0 + (-odds / 2.0).exp());
            assert!((fuse(LivenessFusion::MeanLogOdds, &votes) - expected).abs() < 1e-12);
        }
    }
}
