//! Error rates by group: each group's rate with its interval, their mean, and the worst beside the best.

use maud::{Markup, html};
use serde::Serialize;

use crate::chart::Chart;
use crate::error::{Result, Status};
use crate::lists::Groups;
use crate::report::{Estimate, estimate, grouped, or_dash};
use crate::statistics::{ERRORS_NEEDED, Interval, upper_bound_without_errors};

/// The rate of a kind of error in a group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupRate {
    /// Name of the group.
    pub group: String,
    /// The number of comparisons, presentations or images that the rate is a share of.
    pub trials: u64,
    /// Whether there are at least 30. If not, the rate is `None`: insufficient data.
    pub sufficient_data: bool,
    /// The rate, 0..=1.
    pub rate: Option<Estimate>,
    /// Where no error was observed, the upper 95 % confidence bound of the rate, if the trials were independent.
    pub at_most: Option<f64>,
}

/// A group and its rate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NamedRate {
    /// Name of the group.
    pub group: String,
    /// The rate, 0..=1.
    pub rate: Estimate,
}

/// The rate of a kind of error by group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RateByGroup {
    /// Each group, in the order of the report's groups.
    pub groups: Vec<GroupRate>,
    /// The mean over the groups with sufficient data, in which each group weighs the same.
    pub mean: Option<Estimate>,
    /// The first group with the highest rate.
    pub worst: Option<NamedRate>,
    /// The first group with the lowest rate.
    pub best: Option<NamedRate>,
    /// The highest rate over the lowest; `None` where the lowest is 0.
    pub worst_over_best: Option<f64>,
}

/// A kind of error: the names of the groups, and the number of trials in each.
pub(crate) struct Kind<'a> {
    pub(crate) names: &'a [String],
    pub(crate) trials: Vec<u64>,
}

impl Kind<'_> {
    fn is_sufficient(&self, group: usize) -> bool {
        self.trials
            .get(group)
            .is_some_and(|&trials| trials >= ERRORS_NEEDED)
    }

    /// Returns the mean of the groups with sufficient data; `None` where there is none, or the rate of one is undefined.
    fn mean(&self, rates: &[Option<f64>]) -> Option<f64> {
        let rates = rates.iter().enumerate();
        let rates = rates.filter(|&(group, _)| self.is_sufficient(group));
        let rates: Vec<f64> = rates.map(|(_, rate)| *rate).collect::<Option<_>>()?;
        (!rates.is_empty()).then(|| rates.iter().sum::<f64>() / rates.len() as f64)
    }

    /// Returns the figures that [`report`](Self::report) takes the intervals of, in its order.
    pub(crate) fn figures(&self, rates: Vec<Option<f64>>) -> Vec<Option<f64>> {
        let mean = self.mean(&rates);
        rates.into_iter().chain([mean]).collect()
    }

    /// Returns the report of observed rates, with the next intervals.
    pub(crate) fn report(
        &self,
        rates: &[Option<f64>],
        next: &mut impl FnMut() -> Option<Interval>,
    ) -> RateByGroup {
        let mut groups = Vec::new();
        for (index, (name, &trials)) in self.names.iter().zip(&self.trials).enumerate() {
            let (sufficient_data, interval) = (self.is_sufficient(index), next());
            let rate = rates.get(index).copied().flatten().filter(|_| sufficient_data);
            groups.push(GroupRate {
                group: name.clone(),
                trials,
                sufficient_data,
                rate: Estimate::of_rate(rate, interval),
                at_most: (rate == Some(0.0)).then(|| upper_bound_without_errors(trials)),
            });
        }
        let mean = Estimate::of_rate(self.mean(rates), next());
        let extreme = |is_beyond: fn(f64, f64) -> bool| {
            let known = groups.iter().filter_map(|group| {
                let group = (group.rate?, &group.group);
                Some(group)
            });
            let found = known.reduce(|found, one| match is_beyond(one.0.value, found.0.value) {
                true => one,
                false => found,
            });
            found.map(|(rate, group)| NamedRate {
                group: group.clone(),
                rate,
            })
        };
        let (worst, best) = (
            extreme(|one, found| one > found),
            extreme(|one, found| one < found),
        );
        let ratio = worst.as_ref().zip(best.as_ref());
        let ratio = ratio.map(|(worst, best)| worst.rate.value / best.rate.value);
        RateByGroup {
            groups,
            mean,
            worst_over_best: ratio.filter(|ratio| ratio.is_finite()),
            worst,
            best,
        }
    }
}

impl RateByGroup {
    /// Columns of [`summary`](Self::summary).
    pub(crate) const SUMMARY: &'static str = "mean | worst | best | worst over best";

    /// Returns the mean, the worst and the best group as cells of a table.
    pub(crate) fn summary(&self) -> [String; 4] {
        let named = |named: &Option<NamedRate>| {
            or_dash(named.as_ref(), |named| {
                format!("{} {}", named.group, estimate(Some(named.rate), None))
            })
        };
        [
            estimate(self.mean, None),
            named(&self.worst),
            named(&self.best),
            or_dash(self.worst_over_best, |ratio| format!("{ratio:.1}")),
        ]
    }

    /// Returns the rate of a group as a cell of a table.
    pub(crate) fn cell(&self, group: usize) -> String {
        match self.groups.get(group) {
            Some(one) if one.sufficient_data => estimate(one.rate, one.at_most),
            Some(one) => format!("insufficient data: {} of {ERRORS_NEEDED}", grouped(one.trials)),
            None => "-".to_owned(),
        }
    }

    /// Returns the plot; nothing where no group has sufficient data.
    pub(crate) fn plot(&self, name: &str, threshold: &str) -> Markup {
        let rates = self.groups.iter();
        let rates: Vec<_> = rates.map(|one| (one.group.as_str(), one.rate)).collect();
        let title = format!("{name} by group at {threshold}");
        html! {
            @if self.worst.is_some() {
                h2 { (title) }
                (Chart::by_group(&rates, self.mean, name, title.clone()))
            }
        }
    }
}

/// The images that were read, for the failure to acquire rate by group.
pub(crate) struct Acquired {
    /// The person of each image of a group and whether it could not be acquired.
    of: Vec<Vec<(u32, bool)>>,
}

impl Acquired {
    /// Takes the person and the outcome of each image.
    pub(crate) fn new(groups: &Groups, people: &[u32], outcomes: &[Status]) -> Self {
        let of = groups.each().map(|(group, _)| {
            let images = groups
                .of_group(group, people)
                .zip(groups.of_group(group, outcomes));
            let read = images.filter(|(_, status)| **status == Status::Ok || status.is_failure_to_acquire());
            read.map(|(&person, status)| (person, status.is_failure_to_acquire()))
                .collect()
        });
        Self { of: of.collect() }
    }

    pub(crate) fn trials(&self) -> Vec<u64> {
        self.of.iter().map(|images| images.len() as u64).collect()
    }

    /// Returns the failure to acquire rates, in which an image weighs as often as its person was drawn.
    pub(crate) fn rates(&self, draws: impl Fn(u32) -> u64) -> Vec<Option<f64>> {
        let rate = |images: &Vec<(u32, bool)>| {
            let (mut failed, mut all) = (0, 0);
            for &(person, is_failed) in images {
                all += draws(person);
                failed += draws(person) * u64::from(is_failed);
            }
            (all > 0).then(|| failed as f64 / all as f64)
        };
        self.of.iter().map(rate).collect()
    }
}

/// Returns the outcome of each image.
pub(crate) fn outcomes<T>(results: &[Result<T, Status>]) -> Vec<Status> {
    let outcomes = results.iter();
    outcomes
        .map(|result| result.as_ref().err().copied().unwrap_or(Status::Ok))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn reported(names: &[String], trials: Vec<u64>, rates: &[Option<f64>]) -> RateByGroup {
        Kind { names, trials }.report(rates, &mut || Some(Interval { low: 0.0, high: 1.0 }))
    }

    #[test]
    fn worked_by_hand() {
        let found = reported(
            &names(&["a", "few", "b", "c", "none"]),
            vec![100, 29, 200, 30, 0],
            &[Some(0.25), Some(0.75), Some(0.125), Some(0.0), None],
        );
        assert_eq!(found.mean.map(|mean| mean.value), Some(0.125));
        let of = |named: &Option<NamedRate>| {
            let named = named.as_ref().unwrap();
            (named.group.clone(), named.rate.value)
        };
        assert_eq!(of(&found.worst), ("a".to_owned(), 0.25));
        // Without an error, with its upper bound.
        assert_eq!(of(&found.best), ("c".to_owned(), 0.0));
        assert_eq!(found.groups[3].at_most, Some(upper_bound_without_errors(30)));
        assert_eq!(found.worst_over_best, None);
        assert_eq!(
            (found.groups[1].rate, found.groups[1].sufficient_data),
            (None, false)
        );
        assert_eq!(found.cell(1), "insufficient data: 29 of 30");
        assert_eq!(found.summary()[3], "-");
        let found = reported(&names(&["a", "b"]), vec![30, 30], &[Some(0.5), Some(0.125)]);
        assert_eq!(found.worst_over_best, Some(4.0));
    }

    #[test]
    fn without_sufficient_data_there_is_no_rate() {
        let found = reported(&names(&["a"]), vec![29], &[Some(0.5)]);
        assert_eq!((found.mean, &found.worst, &found.best), (None, &None, &None));
        assert_eq!(found.plot("FMR", "x").into_string(), "");
    }

    #[test]
    fn an_image_weighs_as_often_as_its_person_and_a_missing_file_not_at_all() {
        let groups = Groups::new(["a", "b", "a", "a", "b"]);
        let outcomes = [
            Status::Ok,
            Status::BadImage,
            Status::NoFace,
            Status::Missing,
            Status::Ok,
        ];
        let acquired = Acquired::new(&groups, &[0, 0, 1, 2, 2], &outcomes);
        assert_eq!(acquired.trials(), [2, 2]);
        assert_eq!(acquired.rates(|_| 1), [Some(0.5), Some(0.5)]);
        let drawn = acquired.rates(|person| [3, 1, 0][person as usize]);
        assert_eq!(drawn, [Some(0.25), Some(1.0)]);
    }

    proptest! {
        #[test]
        fn the_mean_lies_between_best_and_worst(rates in prop::collection::vec((0u64..60, 0.0f64..1.0), 1..8)) {
            let labels: Vec<String> = (0..rates.len()).map(|group| group.to_string()).collect();
            let (trials, rates): (Vec<u64>, Vec<_>) = rates.into_iter().map(|(n, rate)| (n, Some(rate))).unzip();
            let sufficient = trials.iter().any(|&trials| trials >= ERRORS_NEEDED);
            let found = reported(&labels, trials, &rates);
            prop_assert_eq!(found.mean.is_some(), sufficient);
            if let (Some(mean), Some(worst), Some(best)) = (found.mean, found.worst, found.best) {
                prop_assert!(best.rate.value <= mean.value + 1e-12 && mean.value <= worst.rate.value + 1e-12);
                prop_assert!(found.worst_over_best.is_none_or(|ratio| ratio >= 1.0));
            }
        }
    }
}
