//! Error rates of presentation attack detection by group.

use std::num::NonZero;

use serde::Serialize;

use crate::document::Document;
use crate::error::Status;
use crate::groups::{Acquired, Kind, RateByGroup};
use crate::lists::{Groups, LabelList};
use crate::report::grouped;
use crate::statistics::{Bootstrap, LivenessScores, Ranked, Species};

/// The presentations of a group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LivenessGroup {
    /// Name of the group.
    pub group: String,
    /// Number of bona fide presentations with a score.
    pub bona_fide: u64,
    /// Number of attacks with a score.
    pub attacks: u64,
}

/// The APCER of a species by group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpeciesByGroup {
    /// Name of the species.
    pub species: String,
    /// The share of its presentations that pass as live.
    pub apcer: RateByGroup,
}

/// The error rates at a threshold by group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LivenessGroupsAt {
    /// The liveness score, 0..=1, from which on presentations pass as live.
    pub threshold: f64,
    /// The thresholds of built-in profiles that it is.
    pub used_as: Vec<String>,
    /// The share of bona fide presentations that do not pass.
    pub bpcer: RateByGroup,
    /// The APCER of each species.
    pub apcer_by_species: Vec<SpeciesByGroup>,
}

/// The error rates of presentation attack detection by group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LivenessGroups {
    /// The groups in the order in which they first appear.
    pub groups: Vec<LivenessGroup>,
    /// The share of presentations, bona fide ones and attacks, without a score (FTA).
    pub failure_to_acquire_rate: RateByGroup,
    /// Error rates at the thresholds of the built-in profiles.
    pub at_thresholds: Vec<LivenessGroupsAt>,
}

/// Returns the error rates by group at thresholds, from the scores of each group, all with the same species.
pub(crate) fn liveness_groups(
    threads: NonZero<usize>,
    (list, groups): (&LabelList, &Groups),
    outcomes: &[Status],
    within: &[LivenessScores],
    thresholds: Vec<(f64, Vec<String>)>,
) -> LivenessGroups {
    let names = groups.names.as_slice();
    let acquired = Acquired::new(groups, &list.subjects, outcomes);
    let fta = Kind {
        names,
        trials: acquired.trials(),
    };
    let counted = |species: &[&Species]| {
        let trials = species.iter().map(|species| species.responses());
        Kind {
            names,
            trials: trials.collect(),
        }
    };
    let live: Vec<&Species> = within.iter().map(|scores| &scores.bona_fide).collect();
    let species = within.first().map_or(0, |scores| scores.attacks.len());
    // Each species, with the presentations of each group.
    let attacks = (0..species).map(|index| {
        within
            .iter()
            .filter_map(|scores| scores.attacks.get(index))
            .collect()
    });
    let attacks: Vec<Vec<&Species>> = attacks.collect();
    let bona_fide = counted(&live);
    let kinds: Vec<Kind<'_>> = attacks.iter().map(|of| counted(of)).collect();
    let subjects = list.subjects.iter().max().map_or(0, |last| *last as usize + 1);
    // The figures with an interval, in the order in which `next` is called below.
    let mut intervals = Bootstrap::new(threads)
        .intervals(subjects, |weights| {
            let draws = |person: u32| weights.get(person as usize).map_or(0, |&draws| u64::from(draws));
            let mut figures = fta.figures(acquired.rates(draws));
            let live: Vec<Ranked<'_>> = live.iter().map(|one| one.weighted(weights)).collect();
            let attacks = attacks.iter();
            let attacks = attacks.map(|of| of.iter().map(|one| one.weighted(weights)).collect());
            let attacks: Vec<Vec<Ranked<'_>>> = attacks.collect();
            for &(threshold, _) in &thresholds {
                let rates = live.iter().map(|one| one.share_below(threshold));
                figures.extend(bona_fide.figures(rates.collect()));
                for (kind, of) in kinds.iter().zip(&attacks) {
                    let rates = of.iter().map(|one| one.share_at_or_above(threshold));
                    figures.extend(kind.figures(rates.collect()));
                }
            }
            figures
        })
        .into_iter();
    let mut next = || intervals.next().flatten();

    let failure_to_acquire_rate = fta.report(&acquired.rates(|_| 1), &mut next);
    let mut at_thresholds = Vec::new();
    for (threshold, used_as) in thresholds {
        let rates = live.iter().map(|one| one.ranked().share_below(threshold));
        let bpcer = bona_fide.report(&rates.collect::<Vec<_>>(), &mut next);
        let mut apcer_by_species = Vec::new();
        for (kind, of) in kinds.iter().zip(&attacks) {
            let rates = of.iter().map(|one| one.ranked().share_at_or_above(threshold));
            apcer_by_species.push(SpeciesByGroup {
                species: of.first().map(|one| one.name.clone()).unwrap_or_default(),
                apcer: kind.report(&rates.collect::<Vec<_>>(), &mut next),
            });
        }
        at_thresholds.push(LivenessGroupsAt {
            threshold,
            used_as,
            bpcer,
            apcer_by_species,
        });
    }
    let group = |((_, name), scores): ((u32, &String), &LivenessScores)| LivenessGroup {
        group: name.clone(),
        bona_fide: scores.bona_fide.responses(),
        attacks: scores.attacks.iter().map(Species::responses).sum(),
    };
    LivenessGroups {
        groups: groups.each().zip(within).map(group).collect(),
        failure_to_acquire_rate,
        at_thresholds,
    }
}

impl LivenessGroupsAt {
    /// Returns each kind of error with its name.
    fn kinds(&self) -> Vec<(String, &RateByGroup)> {
        let attacks = self.apcer_by_species.iter();
        let attacks = attacks.map(|one| (format!("APCER {}", one.species), &one.apcer));
        [("BPCER".to_owned(), &self.bpcer)]
            .into_iter()
            .chain(attacks)
            .collect()
    }
}

impl LivenessGroups {
    pub(crate) fn describe(&self, document: &mut Document) {
        document.heading("Groups");
        let row = |(index, one): (usize, &LivenessGroup)| {
            let fta = self.failure_to_acquire_rate.cell(index);
            vec![
                one.group.clone(),
                grouped(one.bona_fide),
                grouped(one.attacks),
                fta,
            ]
        };
        let rows: Vec<_> = self.groups.iter().enumerate().map(row).collect();
        document.table("group | bona fide | attacks | FTA (95 % interval)", &rows);
        let mut rows = Vec::new();
        for at in &self.at_thresholds {
            for (kind, rates) in at.kinds() {
                rows.push(
                    [at.threshold.to_string(), kind]
                        .into_iter()
                        .chain(rates.summary())
                        .collect(),
                );
            }
        }
        document.table(&format!("threshold | rate | {}", RateByGroup::SUMMARY), &rows);
        for at in &self.at_thresholds {
            let threshold = format!("liveness {} ({})", at.threshold, at.used_as.join(", "));
            document.heading(&format!("Groups at {threshold}"));
            let kinds = at.kinds();
            let row = |(index, one): (usize, &LivenessGroup)| {
                let cells = kinds.iter().map(|(_, rates)| rates.cell(index));
                [one.group.clone()].into_iter().chain(cells).collect()
            };
            let rows: Vec<_> = self.groups.iter().enumerate().map(row).collect();
            let header = kinds.iter().map(|(kind, _)| kind.replace(" | ", " "));
            document.table(
                &format!("group | {}", header.collect::<Vec<_>>().join(" | ")),
                &rows,
            );
            for (kind, rates) in &kinds {
                document.page(&rates.plot(kind, &threshold));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_by_hand() {
        // Each presentation a subject of its own. Group a: 40 live, 10 of which score 0.25; 32 prints, 8 of which pass; no
        // replay. Group b: 30 live, all of which pass; 4 prints; 30 replays, of which none passes.
        let mut subjects = 0..;
        let mut species = |name: &str, scores: &[(usize, f64)]| {
            let scores = scores
                .iter()
                .flat_map(|&(count, score)| std::iter::repeat_n(Some(score), count));
            let presentations: Vec<_> = scores.zip(&mut subjects).collect();
            Species::new(name, &presentations)
        };
        let within = [
            LivenessScores {
                bona_fide: species("live", &[(10, 0.25), (30, 0.75)]),
                attacks: vec![species("print", &[(8, 0.75), (24, 0.25)]), species("replay", &[])],
            },
            LivenessScores {
                bona_fide: species("live", &[(30, 0.75)]),
                attacks: vec![species("print", &[(4, 0.25)]), species("replay", &[(30, 0.25)])],
            },
        ];
        let list = LabelList {
            files: vec![String::new(); 136],
            species: vec![String::new(); 136],
            subjects: (0..136).collect(),
            has_people: false,
            groups: None,
        };
        let groups = Groups::new((0..136).map(|index| if index < 72 { "a" } else { "b" }));
        let threads = NonZero::new(2).unwrap();
        let mut outcomes = vec![Status::Ok; 136];
        outcomes[0] = Status::NoFace;
        let thresholds = vec![(0.5, vec!["p reject_below".to_owned()])];
        let found = liveness_groups(threads, (&list, &groups), &outcomes, &within, thresholds);
        let at = &found.at_thresholds[0];
        let values = |rates: &RateByGroup| -> Vec<_> {
            rates
                .groups
                .iter()
                .map(|group| group.rate.map(|rate| rate.value))
                .collect()
        };
        assert_eq!(values(&at.bpcer), [Some(0.25), Some(0.0)]);
        assert_eq!(at.bpcer.mean.unwrap().value, 0.125);
        let apcer = |species: usize| &at.apcer_by_species[species];
        assert_eq!(
            (apcer(0).species.as_str(), values(&apcer(0).apcer)),
            ("print", vec![Some(0.25), None])
        );
        assert_eq!(values(&apcer(1).apcer), [None, Some(0.0)]);
        assert_eq!(apcer(1).apcer.worst.as_ref().unwrap().group, "b");
        assert_eq!(
            values(&found.failure_to_acquire_rate),
            [Some(1.0 / 72.0), Some(0.0)]
        );
        assert_eq!((found.groups[0].bona_fide, found.groups[1].attacks), (40, 34));
        let mut document = Document::default();
        found.describe(&mut document);
        assert!(
            document.summary.contains("insufficient data: 4 of 30"),
            "{}",
            document.summary
        );
        assert!(document.summary.contains("APCER print"), "{}", document.summary);
    }
}
