//! Error rates of matching within each group and across groups.

use std::num::NonZero;

use serde::Serialize;

use crate::document::Document;
use crate::error::Status;
use crate::groups::{Acquired, Kind, RateByGroup};
use crate::lists::{Groups, People};
use crate::report::{ComparisonCounts, Estimate, estimate, grouped};
use crate::statistics::{Bootstrap, MatchScores, Ranked, upper_bound_without_errors};

/// A threshold of profiles: confidence, similarity, and the names of the thresholds that it is.
pub(crate) type ProfileThreshold = (f64, f64, Vec<String>);

/// The images and comparisons of a group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MatchGroup {
    /// Name of the group.
    pub group: String,
    /// Number of images.
    #[serde(rename = "pictures")]
    pub images: u64,
    /// Number of people with an image in the group.
    pub people: usize,
    /// Numbers of comparisons of two images of the group.
    pub comparisons: ComparisonCounts,
}

/// The error rates of a threshold by group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupsAtThreshold {
    /// The threshold as a match confidence, 0..=1.
    pub confidence: f64,
    /// The lowest similarity with that confidence, -1..=1; above 1 where none has it.
    pub similarity: f64,
    /// The thresholds of built-in profiles that it is.
    pub used_as: Vec<String>,
    /// The false match rate of comparisons within each group.
    pub false_match_rate: RateByGroup,
    /// The false match rate of comparisons of images of two groups.
    pub false_match_rate_across: Option<Estimate>,
    /// Where no false match was observed across groups, the upper 95 % confidence bound, if the comparisons were independent.
    pub false_match_rate_across_at_most: Option<f64>,
    /// The false non-match rate of comparisons within each group.
    pub false_non_match_rate: RateByGroup,
}

/// The error rates of matching by group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MatchGroups {
    /// The groups in the order in which they first appear.
    pub groups: Vec<MatchGroup>,
    /// The failure to acquire rate (FTA).
    pub failure_to_acquire_rate: RateByGroup,
    /// Number of impostor comparisons with a score of images of two groups.
    pub impostor_comparisons_across: u64,
    /// Error rates at the thresholds of the built-in profiles; empty without a match calibration.
    pub at_thresholds: Vec<GroupsAtThreshold>,
}

/// The comparisons within a group.
pub(crate) struct GroupScores {
    /// Of people that are numbered as those of all comparisons.
    pub(crate) scores: MatchScores,
    /// Numbers of genuine and of impostor comparisons without a score.
    pub(crate) without_score: (u64, u64),
}

/// Returns the rate of the comparisons that are within no group, from the rates and totals of all and of each group.
fn across(all: (Option<f64>, u64), within: impl Iterator<Item = (Option<f64>, u64)>) -> Option<f64> {
    let errors = |(rate, total): (Option<f64>, u64)| match total {
        0 => Some(0.0),
        _ => rate.map(|rate| (rate * total as f64).round()),
    };
    let (mut remaining, mut total) = (errors(all)?, all.1);
    for one in within {
        remaining -= errors(one)?;
        total = total.saturating_sub(one.1);
    }
    (total > 0).then(|| (remaining / total as f64).clamp(0.0, 1.0))
}

/// Returns the error rates by group at thresholds, from all comparisons and those within each group.
pub(crate) fn match_groups(
    threads: NonZero<usize>,
    (people, groups): (&People, &Groups),
    outcomes: &[Status],
    (all, within): (&MatchScores, &[GroupScores]),
    thresholds: Vec<ProfileThreshold>,
) -> MatchGroups {
    let names = groups.names.as_slice();
    let acquired = Acquired::new(groups, &people.person_of, outcomes);
    let counted = |count: fn(&MatchScores) -> u64| {
        let trials = within.iter().map(|one| count(&one.scores));
        Kind {
            names,
            trials: trials.collect(),
        }
    };
    let fta = Kind {
        names,
        trials: acquired.trials(),
    };
    let (fmr, fnmr) = (
        counted(MatchScores::impostor_count),
        counted(MatchScores::genuine_count),
    );
    // The figures with an interval, in the order in which `next` is called below.
    let mut intervals = Bootstrap::new(threads)
        .intervals(all.people, |weights| {
            let draws = |person: u32| weights.get(person as usize).map_or(0, |&draws| u64::from(draws));
            let mut figures = fta.figures(acquired.rates(draws));
            let (_, all) = all.weighted(weights);
            let within: Vec<_> = within.iter().map(|one| one.scores.weighted(weights)).collect();
            for &(_, similarity, _) in &thresholds {
                let rate = |impostor: &Ranked<'_>| impostor.share_at_or_above(similarity);
                figures.extend(fmr.figures(within.iter().map(|one| rate(&one.1)).collect()));
                let parts = within.iter().map(|one| (rate(&one.1), one.1.total()));
                figures.push(across((rate(&all), all.total()), parts));
                let rates = within.iter().map(|one| one.0.share_below(similarity));
                figures.extend(fnmr.figures(rates.collect()));
            }
            figures
        })
        .into_iter();
    let mut next = || intervals.next().flatten();

    let failure_to_acquire_rate = fta.report(&acquired.rates(|_| 1), &mut next);
    let impostors = within.iter().map(|one| one.scores.impostor_count());
    let impostor_comparisons_across = all.impostor_count().saturating_sub(impostors.sum());
    let at_threshold = |(confidence, similarity, used_as): ProfileThreshold| {
        let rate = |scores: &MatchScores| scores.false_match_rate(similarity);
        let rates: Vec<_> = within.iter().map(|one| rate(&one.scores)).collect();
        let false_match_rate = fmr.report(&rates, &mut next);
        let parts = rates.into_iter().zip(fmr.trials.iter().copied());
        let across = across((rate(all), all.impostor_count()), parts);
        let false_match_rate_across = Estimate::of_rate(across, next());
        let rates = within
            .iter()
            .map(|one| one.scores.genuine().share_below(similarity));
        GroupsAtThreshold {
            confidence,
            similarity,
            used_as,
            false_match_rate,
            false_match_rate_across,
            false_match_rate_across_at_most: (across == Some(0.0))
                .then(|| upper_bound_without_errors(impostor_comparisons_across)),
            false_non_match_rate: fnmr.report(&rates.collect::<Vec<_>>(), &mut next),
        }
    };
    let at_thresholds = thresholds.into_iter().map(at_threshold).collect();
    let group = |((group, name), one): ((u32, &String), &GroupScores)| {
        let mut of: Vec<u32> = groups.of_group(group, &people.person_of).copied().collect();
        let images = of.len() as u64;
        of.sort_unstable();
        of.dedup();
        MatchGroup {
            group: name.clone(),
            images,
            people: of.len(),
            comparisons: ComparisonCounts {
                genuine: one.scores.genuine_count(),
                impostor: one.scores.impostor_count(),
                genuine_without_score: one.without_score.0,
                impostor_without_score: one.without_score.1,
            },
        }
    };
    MatchGroups {
        groups: groups.each().zip(within).map(group).collect(),
        failure_to_acquire_rate,
        impostor_comparisons_across,
        at_thresholds,
    }
}

impl MatchGroups {
    pub(crate) fn describe(&self, document: &mut Document) {
        document.heading("Groups");
        let row = |(index, one): (usize, &MatchGroup)| {
            let counts = one.comparisons;
            vec![
                one.group.clone(),
                grouped(one.images),
                grouped(one.people as u64),
                grouped(counts.genuine),
                grouped(counts.impostor),
                self.failure_to_acquire_rate.cell(index),
            ]
        };
        let rows: Vec<_> = self.groups.iter().enumerate().map(row).collect();
        document.table(
            "group | images | people | genuine | impostor | FTA (95 % interval)",
            &rows,
        );
        document.text(&format!(
            "impostor comparisons across groups: {}",
            grouped(self.impostor_comparisons_across)
        ));
        if self.at_thresholds.is_empty() {
            return;
        }
        let mut rows = Vec::new();
        for at in &self.at_thresholds {
            let kinds = [("FMR", &at.false_match_rate), ("FNMR", &at.false_non_match_rate)];
            for (kind, rates) in kinds {
                let across = match kind {
                    "FMR" => estimate(at.false_match_rate_across, at.false_match_rate_across_at_most),
                    _ => String::new(),
                };
                let mut row = vec![at.confidence.to_string(), kind.to_owned()];
                row.extend(rates.summary());
                row.push(across);
                rows.push(row);
            }
        }
        let header = format!("confidence | rate | {} | across groups", RateByGroup::SUMMARY);
        document.table(&header, &rows);
        for at in &self.at_thresholds {
            let threshold = format!("confidence {} ({})", at.confidence, at.used_as.join(", "));
            document.heading(&format!("Groups at {threshold}"));
            let row = |(index, one): (usize, &MatchGroup)| {
                let cells = [&at.false_match_rate, &at.false_non_match_rate].map(|rates| rates.cell(index));
                [one.group.clone()].into_iter().chain(cells).collect()
            };
            let rows: Vec<_> = self.groups.iter().enumerate().map(row).collect();
            document.table("group | FMR (95 % interval) | FNMR (95 % interval)", &rows);
            document.page(&at.false_match_rate.plot("false match rate", &threshold));
            document.page(&at.false_non_match_rate.plot("false non-match rate", &threshold));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::all_pairs::{AllPairs, all_pairs};
    use crate::lists::KnownFrom;

    fn threads() -> NonZero<usize> {
        NonZero::new(2).unwrap()
    }

    /// Returns people with two images each, whose groups are `names` in turn.
    fn people(names: &[&str], images: usize) -> People {
        People {
            files: (0..images).map(|image| image.to_string()).collect(),
            person_of: (0..images).map(|image| image as u32 / 2).collect(),
            known_from: KnownFrom::Folders,
            groups: Some(Groups::new((0..images).map(|image| names[image % names.len()]))),
        }
    }

    /// Returns the comparisons of all pairs of images, with a "similarity" that is a function of the two.
    fn comparisons(people: &People) -> Vec<(f32, usize, usize)> {
        let images = people.files.len();
        let pairs = (0..images).flat_map(|i| (i + 1..images).map(move |j| (i, j)));
        pairs
            .map(|(i, j)| (((i * 7 + j * 13) % 16) as f32 / 16.0, i, j))
            .collect()
    }

    fn scores(people: &People, comparisons: impl Iterator<Item = (f32, usize, usize)>) -> MatchScores {
        let (mut genuine, mut impostor) = (Vec::new(), Vec::new());
        for (score, i, j) in comparisons {
            match (people.person(i), people.person(j)) {
                (a, b) if a == b => genuine.push((score, a)),
                of => impostor.push((score, of)),
            }
        }
        MatchScores::listed(people.count(), genuine, impostor)
    }

    fn found(people: &People, outcomes: &[Status], threshold: f64) -> MatchGroups {
        let groups = people.groups.as_ref().unwrap();
        let all = comparisons(people);
        let within = groups.each().map(|(group, _)| {
            let all = all.iter().copied();
            let within = all.filter(|&(_, i, j)| groups.group(i) == group && groups.group(j) == group);
            GroupScores {
                scores: scores(people, within),
                without_score: (0, 0),
            }
        });
        let within: Vec<_> = within.collect();
        let thresholds = vec![(0.5, threshold, vec!["p reject_below".to_owned()])];
        let all = scores(people, all.into_iter());
        match_groups(threads(), (people, groups), outcomes, (&all, &within), thresholds)
    }

    #[test]
    fn worked_by_hand() {
        // Images 0, 2, 4 .. are of one group and 1, 3, 5 .. of the other: no genuine pair is within one.
        let people = people(&["even", "odd"], 40);
        let mut outcomes = vec![Status::Ok; 40];
        outcomes[0] = Status::NoFace;
        let found = found(&people, &outcomes, 0.5);
        let counts = found.groups[0].comparisons;
        assert_eq!((counts.genuine, counts.impostor), (0, 190));
        assert_eq!((found.groups[0].images, found.groups[0].people), (20, 20));
        // 20 x 20 pairs across, less the 20 genuine ones.
        assert_eq!(found.impostor_comparisons_across, 380);
        let at = &found.at_thresholds[0];
        assert_eq!(at.false_non_match_rate.mean, None);
        assert_eq!(at.false_non_match_rate.cell(0), "insufficient data: 0 of 30");
        let mut matches = [0.0; 3];
        for (score, i, j) in comparisons(&people)
            .into_iter()
            .filter(|(_, i, j)| i / 2 != j / 2)
        {
            let kind = if i % 2 == j % 2 { i % 2 } else { 2 };
            matches[kind] += f64::from(u8::from(score >= 0.5));
        }
        for (group, matches) in matches.iter().take(2).enumerate() {
            let rate = at.false_match_rate.groups[group].rate.unwrap();
            assert_eq!(rate.value, matches / 190.0);
            let interval = rate.interval.unwrap();
            assert!(interval.low <= rate.value && rate.value <= interval.high);
        }
        assert_eq!(at.false_match_rate_across.unwrap().value, matches[2] / 380.0);
        // 20 images are too few for a rate.
        assert_eq!(
            found.failure_to_acquire_rate.cell(0),
            "insufficient data: 20 of 30"
        );
        let mut document = Document::default();
        found.describe(&mut document);
        for part in [
            "even",
            "insufficient data: 0 of 30",
            "impostor comparisons across groups: 380",
        ] {
            assert!(document.summary.contains(part), "{}", document.summary);
        }
        assert_eq!(document.html("t").matches("<svg").count(), 1);
    }

    #[test]
    fn the_images_of_a_group_are_compared_as_among_all() {
        let mut images = AllPairs::new(3);
        for (person, vector) in
            (0..).zip([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.0, 1.0, 0.0], [0.0, 0.6, 0.8]])
        {
            images.push(&vector, person);
        }
        images.levels = vec![0.125, 0.25, 0.5, 0.0];
        let mut among_all = Vec::new();
        images.for_each(|scored, _| among_all.push(scored));
        let some = images.some(&[1, 3]);
        let mut found = Vec::new();
        some.for_each(|scored, _| found.push(scored.0));
        let expected = among_all.iter().find(|scored| scored.1 == (1, 3)).unwrap();
        assert_eq!(found, [expected.0]);
        // People keep their numbers, so that draws of all people weigh them.
        let scores = all_pairs(&some, 10, threads());
        assert_eq!(scores.weighted(&[0, 2, 0, 3]).1.total(), 6);
        assert_eq!(scores.weighted(&[5, 2, 5, 0]).1.total(), 0);
    }

    proptest! {
        #[test]
        fn errors_within_and_across_are_all_errors(
            groups in 1usize..4,
            images in 20usize..40,
            threshold in 0.0f64..1.0,
        ) {
            let people = people(&["a", "b", "c"][..groups], images);
            let found = found(&people, &vec![Status::Ok; images], threshold);
            let at = &found.at_thresholds[0];
            let all = scores(&people, comparisons(&people).into_iter());
            let errors = |rate: Option<f64>, total: u64| rate.unwrap_or(0.0) * total as f64;
            let within = at.false_match_rate.groups.iter();
            prop_assume!(within.clone().all(|group| group.sufficient_data));
            let within: f64 = within.map(|group| errors(group.rate.map(|rate| rate.value), group.trials)).sum();
            let across = errors(at.false_match_rate_across.map(|rate| rate.value), found.impostor_comparisons_across);
            let expected = errors(all.false_match_rate(threshold), all.impostor_count());
            prop_assert!((within + across - expected).abs() < 1e-6);
            prop_assert_eq!(at.false_match_rate_across.is_some(), groups > 1);
        }
    }

    #[test]
    fn what_is_in_no_group_is_across() {
        // Of 100 comparisons 10 match; within groups 4 of 20 and 1 of 30.
        let within = [(Some(0.2), 20), (Some(1.0 / 30.0), 30), (None, 0)];
        assert_eq!(across((Some(0.1), 100), within.into_iter()), Some(0.1));
        // All are within a group, or the rate of one is not known.
        assert_eq!(across((Some(0.1), 20), [(Some(0.1), 20)].into_iter()), None);
        assert_eq!(across((Some(0.1), 20), [(None, 10)].into_iter()), None);
    }
}
