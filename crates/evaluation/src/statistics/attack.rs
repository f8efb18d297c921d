//! Error rates of presentation attack detection, in the terms of ISO/IEC 30107-3.

use serde::Serialize;

use super::histogram::Histogram;
use super::ranked::{Ranked, SortedScores, draws, share};

/// The presentations of one attack species (PAI species), or the bona fide ones.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Species {
    /// Name of the species.
    pub name: String,
    scores: SortedScores<u32>,
    non_responses: u64,
}

/// Presentations without a score.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct NonResponse {
    /// Number of presentations without a score.
    pub count: u64,
    /// Number of presentations.
    pub presentations: u64,
    /// Their share, 0..=1: APNRR of attacks, BPNRR of bona fide presentations.
    pub rate: f64,
}

impl Species {
    /// Takes liveness scores, 0..=1, each with its subject, counted from 0; `None` for a presentation without a score.
    #[must_use]
    pub fn new(name: &str, presentations: &[(Option<f64>, u32)]) -> Self {
        let scores = presentations.iter();
        let scores = scores.filter_map(|&(score, subject)| Some((score?, subject)));
        let scores: Vec<_> = scores.collect();
        Self {
            name: name.to_owned(),
            non_responses: (presentations.len() - scores.len()) as u64,
            scores: SortedScores::new(scores),
        }
    }

    /// Returns the scores, ascending.
    #[must_use]
    pub fn scores(&self) -> &[f64] {
        &self.scores.scores
    }

    /// Returns the scores for rates at thresholds.
    #[must_use]
    pub fn ranked(&self) -> Ranked<'_> {
        Ranked::plain(self.scores(), 0)
    }

    /// Returns the scores, each weighing as often as its subject was drawn.
    #[must_use]
    pub fn weighted(&self, weights: &[u32]) -> Ranked<'_> {
        self.scores.weighted(|subject| draws(weights, subject), 0)
    }

    /// Returns the histogram of the scores in `steps` over 0..=1.
    #[must_use]
    pub fn histogram(&self, steps: usize) -> Histogram {
        self.scores.histogram(0.0, 1.0, steps)
    }

    /// Returns the number of presentations with a score.
    #[must_use]
    pub fn responses(&self) -> u64 {
        self.scores().len() as u64
    }

    /// Returns the presentations without a score; `None` where there is no presentation.
    #[must_use]
    pub fn non_response(&self) -> Option<NonResponse> {
        let presentations = self.responses() + self.non_responses;
        Some(NonResponse {
            count: self.non_responses,
            presentations,
            rate: share(self.non_responses, presentations)?,
        })
    }
}

/// Liveness scores of bona fide presentations and of attacks by species. A presentation passes as live when its score is
/// at least the threshold. One without a score is in a non-response rate and in no error rate.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LivenessScores {
    /// Bona fide presentations.
    pub bona_fide: Species,
    /// The attack species.
    pub attacks: Vec<Species>,
}

impl LivenessScores {
    /// Returns the BPCER, 0..=1: the share of bona fide presentations that do not pass.
    #[must_use]
    pub fn bpcer(&self, threshold: f64) -> Option<f64> {
        self.bona_fide.ranked().share_below(threshold)
    }

    /// Returns the highest APCER of a species, 0..=1, and the first species that has it: the headline figure of ISO/IEC
    /// 30107-3, which forbids to average over species.
    #[must_use]
    pub fn worst_apcer(&self, threshold: f64) -> Option<(f64, &str)> {
        let attacks = self.attacks.iter();
        attacks
            .filter_map(|one| Some((one.ranked().share_at_or_above(threshold)?, one.name.as_str())))
            .reduce(|worst, one| if one.0 > worst.0 { one } else { worst })
    }

    /// Returns the ACER, 0..=1: the mean of the highest APCER and the BPCER. Withdrawn from ISO/IEC 30107-3; for
    /// comparison with papers only.
    #[must_use]
    pub fn acer(&self, threshold: f64) -> Option<f64> {
        let (apcer, _) = self.worst_apcer(threshold)?;
        Some(f64::midpoint(apcer, self.bpcer(threshold)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn species(name: &str, scores: &[f64], missing: usize) -> Species {
        let scores = scores.iter().map(|&score| Some(score));
        let all = scores.chain(std::iter::repeat_n(None, missing)).zip(0..);
        Species::new(name, &all.collect::<Vec<_>>())
    }

    fn worked() -> LivenessScores {
        LivenessScores {
            bona_fide: species("live", &[0.9, 0.3, 0.6, 0.8], 1),
            attacks: vec![
                species("print", &[0.1, 0.2, 0.6, 0.3], 0),
                species("replay", &[0.7, 0.1], 2),
                species("mask", &[], 1),
            ],
        }
    }

    #[test]
    fn rates_at_a_threshold() {
        let scores = worked();
        assert_eq!(scores.bpcer(0.6), Some(0.25));
        assert_eq!(scores.bpcer(0.61), Some(0.5));
        // Print 1 of 4, replay 1 of 2.
        assert_eq!(scores.worst_apcer(0.6), Some((0.5, "replay")));
        assert_eq!(scores.acer(0.6), Some(0.375));
        assert_eq!(scores.worst_apcer(0.2), Some((0.75, "print")));
        // Both 0: the first.
        assert_eq!(scores.worst_apcer(0.95), Some((0.0, "print")));
    }

    #[test]
    fn a_presentation_without_a_score_is_neither_right_nor_wrong() {
        let scores = worked();
        let replay = scores.attacks[1].non_response().unwrap();
        assert_eq!((replay.count, replay.presentations, replay.rate), (2, 4, 0.5));
        let mask = &scores.attacks[2];
        assert_eq!((mask.responses(), mask.non_response().unwrap().rate), (0, 1.0));
        assert_eq!(Species::default().non_response(), None);
    }

    #[test]
    fn without_attacks_there_is_no_attack_rate() {
        let scores = LivenessScores {
            attacks: vec![],
            ..worked()
        };
        assert_eq!((scores.worst_apcer(0.5), scores.acer(0.5)), (None, None));
    }

    #[test]
    fn a_subject_weighs_as_often_as_it_was_drawn() {
        let bona_fide = species("live", &[0.9, 0.3, 0.6, 0.8], 0);
        // Subjects 1 (0.3) three times and 3 (0.8) once.
        assert_eq!(bona_fide.weighted(&[0, 3, 0, 1]).share_below(0.6), Some(0.75));
    }
}
