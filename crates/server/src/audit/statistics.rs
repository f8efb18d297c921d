//! Distributions of recorded scores and outcomes, and the outcomes under other thresholds.

use std::collections::{BTreeMap, HashMap};

use likeness_engine::decision::{Code, Outcome, Profile, RecordedDecision, Score};
use likeness_storage::records::{Sample, SampledRecord};
use likeness_storage::usage::SECONDS_OF_A_DAY;
use serde::Serialize;

/// Bins of a distribution of scores from 0 to 1.
pub(crate) const BINS: usize = 50;

/// Records by outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(crate) struct OutcomeCounts {
    /// Passed without a finding, or live.
    pub(crate) pass: u64,
    /// Passed with warnings.
    pub(crate) warning: u64,
    pub(crate) review: u64,
    /// Rejected, or not live.
    pub(crate) reject: u64,
}

impl OutcomeCounts {
    pub(crate) fn total(&self) -> u64 {
        self.pass + self.warning + self.review + self.reject
    }

    fn add(&mut self, outcome: Outcome, count: u64) {
        let counted = match outcome {
            Outcome::Pass => &mut self.pass,
            Outcome::Warning => &mut self.warning,
            Outcome::Review => &mut self.review,
            Outcome::Reject => &mut self.reject,
        };
        *counted += count;
    }
}

/// Returns the outcome of a decision by its name in records.
fn outcome(name: &str) -> Option<Outcome> {
    match name {
        "live" => Some(Outcome::Pass),
        "not live" => Some(Outcome::Reject),
        name => [Outcome::Pass, Outcome::Warning, Outcome::Review, Outcome::Reject]
            .into_iter()
            .find(|outcome| outcome.as_str() == name),
    }
}

/// How scores and outcomes of a selection are distributed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Statistics {
    /// Records in the sample.
    pub(crate) sampled: u64,
    /// Records that each of them stands for.
    pub(crate) one_in: u64,
    /// Computed scores by bin; of 1.0 in the last one.
    pub(crate) face_match: Vec<u64>,
    pub(crate) liveness: Vec<u64>,
    /// By day since 1970-01-01 UTC.
    pub(crate) days: BTreeMap<i64, OutcomeCounts>,
}

impl Statistics {
    pub(crate) fn of(sample: &Sample) -> Self {
        let mut statistics = Self {
            sampled: sample.records.len() as u64,
            one_in: sample.one_in,
            face_match: vec![0; BINS],
            liveness: vec![0; BINS],
            days: BTreeMap::new(),
        };
        for record in &sample.records {
            statistics.add(record);
        }
        statistics
    }

    fn add(&mut self, record: &SampledRecord) {
        let has_no = |code: Code| record.codes.split(' ').any(|found| found == code.as_str());
        let has_selfie = !has_no(Code::NoFaceInSelfie);
        // Records show a score that could not be computed as 0.
        let face_match = record
            .face_match
            .filter(|_| has_selfie && !has_no(Code::NoFaceInImage));
        let liveness = record.liveness.filter(|_| has_selfie);
        for (bins, score) in [(&mut self.face_match, face_match), (&mut self.liveness, liveness)] {
            // Scores have four decimals at most: 0.58 times 50 is a little less than 29.
            let bin = score.map(|score| ((score * BINS as f64 + 1e-9) as usize).min(BINS - 1));
            if let Some(bin) = bin.and_then(|bin| bins.get_mut(bin)) {
                *bin += 1;
            }
        }
        if let Some(outcome) = outcome(&record.outcome) {
            let day = record.time.div_euclid(SECONDS_OF_A_DAY * 1_000_000);
            self.days.entry(day).or_default().add(outcome, 1);
        }
    }
}

/// The decisions of biometric verifications in a sample, as recorded; equal ones are counted.
#[derive(Debug, Clone, Default)]
pub(crate) struct RecordedDecisions {
    decisions: HashMap<RecordedDecision, u64>,
    pub(crate) recorded: OutcomeCounts,
    /// Records that each of them stands for.
    pub(crate) one_in: u64,
    /// Records whose codes or scores this version does not know, as of a newer one. They are not in the counts.
    pub(crate) unknown: u64,
}

impl RecordedDecisions {
    pub(crate) fn of(sample: &Sample) -> Self {
        let mut decisions = Self {
            one_in: sample.one_in,
            ..Self::default()
        };
        for record in &sample.records {
            // Requests without a decision, and liveness verifications, whose threshold is the request's.
            let (Some(face_match), Some(outcome)) = (record.face_match, outcome(&record.outcome)) else {
                continue;
            };
            match decision(face_match, record) {
                Some(decision) => {
                    *decisions.decisions.entry(decision).or_default() += 1;
                    decisions.recorded.add(outcome, 1);
                }
                None => decisions.unknown += 1,
            }
        }
        decisions
    }

    /// Returns the outcomes under this profile.
    pub(crate) fn outcomes(&self, profile: &Profile) -> OutcomeCounts {
        let mut counts = OutcomeCounts::default();
        for (decision, &count) in &self.decisions {
            counts.add(decision.outcome(profile), count);
        }
        counts
    }
}

fn decision(face_match: f64, record: &SampledRecord) -> Option<RecordedDecision> {
    let known = |name: &str| Code::ALL.iter().find(|code| code.as_str() == name).copied();
    let codes: Option<Vec<Code>> = record.codes.split_whitespace().map(known).collect();
    let score = |score| Score::new(score).ok();
    Some(RecordedDecision::new(
        score(face_match)?,
        score(record.liveness?)?,
        &codes?,
    ))
}

#[cfg(test)]
mod tests {
    use likeness_engine::decision::Thresholds;

    use super::*;

    fn record(day: i64, outcome: &str, codes: &str, face_match: f64, liveness: f64) -> SampledRecord {
        SampledRecord {
            time: day * SECONDS_OF_A_DAY * 1_000_000 + 1,
            outcome: outcome.to_owned(),
            codes: codes.to_owned(),
            face_match: Some(face_match),
            liveness: Some(liveness),
        }
    }

    fn sample() -> Sample {
        Sample {
            records: vec![
                record(1, "pass", "", 1.0, 0.99),
                record(1, "reject", "NO_FACE_IN_IMAGE", 0.0, 0.9),
                record(2, "review", "FAILED_FACE_MATCH BLURRED_FACE_IN_SELFIE", 0.5, 0.9),
                record(2, "error", "", 0.0, 0.0),
                record(2, "review", "CODE_OF_A_NEWER_VERSION", 0.9, 0.9),
                SampledRecord {
                    face_match: None,
                    ..record(3, "not live", "", 0.0, 0.1)
                },
            ],
            one_in: 4,
        }
    }

    #[test]
    fn scores_are_counted_where_they_were_computed() {
        let statistics = Statistics::of(&sample());
        let counted = |bins: &[u64]| -> Vec<(usize, u64)> {
            bins.iter()
                .copied()
                .enumerate()
                .filter(|(_, count)| *count > 0)
                .collect()
        };
        assert_eq!(
            counted(&statistics.face_match),
            [(0, 1), (25, 1), (45, 1), (49, 1)]
        );
        assert_eq!(counted(&statistics.liveness), [(0, 1), (5, 1), (45, 3), (49, 1)]);
        assert_eq!((statistics.sampled, statistics.one_in), (6, 4));
        let days: Vec<_> = statistics.days.into_iter().collect();
        let counts = |pass, review, reject| OutcomeCounts {
            pass,
            review,
            reject,
            ..OutcomeCounts::default()
        };
        assert_eq!(
            days,
            [(1, counts(1, 0, 1)), (2, counts(0, 2, 0)), (3, counts(0, 0, 1))]
        );
    }

    #[test]
    fn recorded_decisions_come_out_anew() {
        let decisions = RecordedDecisions::of(&sample());
        let recorded = OutcomeCounts {
            pass: 1,
            review: 1,
            reject: 1,
            ..OutcomeCounts::default()
        };
        assert_eq!(
            (decisions.recorded, decisions.unknown, decisions.one_in),
            (recorded, 1, 4)
        );
        assert_eq!(decisions.outcomes(&Profile::optimal_v0()), recorded);
        let low = Thresholds::new(0.1, 0.2).unwrap();
        let permissive = Profile::new("own", low, low).unwrap();
        let wanted = OutcomeCounts {
            review: 0,
            warning: 1,
            ..recorded
        };
        assert_eq!(decisions.outcomes(&permissive), wanted);
    }
}
