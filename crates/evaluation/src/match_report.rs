//! The report of an evaluation of matching, in the terms of ISO/IEC 19795-1.

use likeness_engine::decision::{Profile, Score};
use likeness_engine::{Engine, EngineError};
use maud::html;
use serde::Serialize;

use crate::acquisition::Evaluation;
use crate::chart::{Chart, Mark};
use crate::document::{Document, table};
use crate::error::Result;
use crate::gallery::Gallery;
use crate::lists::{KnownFrom, People};
use crate::match_groups::{MatchGroups, ProfileThreshold};
use crate::report::{
    AcquisitionReport, ComparisonCounts, DET_STEP, Estimate, FaceChoice, Setup, describe_intervals, estimate,
    grouped, is_tenth, or_dash, percent, steps_and_thresholds,
};
use crate::statistics::{
    Accuracy, Bootstrap, EqualErrorRate, Histogram, MatchScores, OperatingPoint, Ranked, comparisons_needed,
    det_points, equal_error_rate, upper_bound_without_errors,
};

/// The false match rates of a report.
const FALSE_MATCH_RATES: [f64; 6] = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6];

/// Steps of the histograms of a report, over -1..=1.
const SHOWN_STEPS: usize = 128;

/// The operating point at a false match rate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AtFalseMatchRate {
    /// The false match rate (FMR), 0..=1.
    pub false_match_rate: f64,
    /// The number of impostor comparisons that this rate needs.
    pub impostor_comparisons_needed: u64,
    /// Whether there are as many. If not, the other figures are `None`: insufficient data.
    pub sufficient_data: bool,
    /// The lowest similarity threshold with this rate, -1..=1.
    pub threshold: Option<Estimate>,
    /// The match confidence at that threshold, 0..=1, rounded to 4 decimals; `None` also without a match calibration.
    pub confidence: Option<f64>,
    /// The false non-match rate (FNMR) at that threshold, 0..=1; its interval is for the fixed false match rate.
    pub false_non_match_rate: Option<Estimate>,
}

/// The equal error rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EqualErrorReport {
    /// The rate, 0..=1.
    pub rate: Estimate,
    /// The similarity there, -1..=1.
    pub threshold: f64,
    /// The match confidence there, 0..=1, rounded to 4 decimals; `None` without a match calibration.
    pub confidence: Option<f64>,
}

/// The shares of pass, review and reject among comparisons with a score.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Shares {
    /// At or above both thresholds, 0..=1.
    pub pass: f64,
    /// Between the thresholds, 0..=1.
    pub review: f64,
    /// Below both thresholds, 0..=1.
    pub reject: f64,
}

impl Shares {
    /// Takes the shares below the two thresholds.
    fn below(reject: Option<f64>, review: Option<f64>) -> Option<Self> {
        let (reject, review) = (reject?, review?);
        Some(Self {
            pass: 1.0 - review,
            review: review - reject,
            reject,
        })
    }

    fn text(&self) -> [String; 3] {
        [self.pass, self.review, self.reject].map(percent)
    }
}

/// The shares of pass, review and reject with a pair of thresholds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Outcomes {
    /// Of genuine comparisons.
    pub genuine: Option<Shares>,
    /// Of impostor comparisons.
    pub impostor: Option<Shares>,
}

impl Outcomes {
    fn between(reject_below: &ThresholdRates, review_below: &ThresholdRates) -> Self {
        let genuine = |at: &ThresholdRates| at.false_non_match_rate.map(|rate| rate.value);
        let impostor = |at: &ThresholdRates| at.false_match_rate.map(|rate| 1.0 - rate.value);
        Self {
            genuine: Shares::below(genuine(reject_below), genuine(review_below)),
            impostor: Shares::below(impostor(reject_below), impostor(review_below)),
        }
    }
}

/// The error rates of a threshold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ThresholdRates {
    /// The threshold as a match confidence, 0..=1.
    pub confidence: f64,
    /// The lowest similarity with that confidence, -1..=1; above 1 where none has it.
    pub similarity: f64,
    /// The false match rate, 0..=1.
    pub false_match_rate: Option<Estimate>,
    /// Where no false match was observed, the upper 95 % confidence bound of the rate, if the comparisons were independent.
    pub false_match_rate_at_most: Option<f64>,
    /// The false non-match rate, 0..=1.
    pub false_non_match_rate: Option<Estimate>,
}

impl ThresholdRates {
    /// Returns the false match rate and the false non-match rate, if both are known.
    fn rates(&self) -> Vec<(f64, f64)> {
        let both = self.false_match_rate.zip(self.false_non_match_rate);
        let rates = both.map(|(fmr, fnmr)| (fmr.value, fnmr.value));
        rates.into_iter().collect()
    }

    /// Returns the similarity and the rates as cells of a table.
    fn cells(&self) -> [String; 3] {
        [
            format!("{:.4}", self.similarity),
            estimate(self.false_match_rate, self.false_match_rate_at_most),
            estimate(self.false_non_match_rate, None),
        ]
    }
}

/// The decisions of a profile.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProfileReport {
    /// Name of the profile.
    pub profile: String,
    /// The threshold below which it rejects.
    pub reject_below: ThresholdRates,
    /// The threshold below which it asks for a review.
    pub review_below: ThresholdRates,
    /// The shares of its decisions.
    #[serde(flatten)]
    pub outcomes: Outcomes,
}

/// The decisions of a profile with one threshold moved and the other as it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MovedThresholds {
    /// Name of the profile.
    pub profile: String,
    /// With another `reject_below`; `None` where that is above `review_below`.
    pub as_reject_below: Option<Outcomes>,
    /// With another `review_below`; `None` where that is below `reject_below`.
    pub as_review_below: Option<Outcomes>,
}

/// A row of the what-if table: the effect of another threshold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WhatIf {
    /// The error rates if it were the only threshold.
    #[serde(flatten)]
    pub rates: ThresholdRates,
    /// The thresholds of built-in profiles that it is, or the false match rate that it has here.
    pub used_as: Vec<String>,
    /// The decisions of each profile with it in place of one of the profile's thresholds.
    pub profiles: Vec<MovedThresholds>,
}

/// The report of an evaluation of matching.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MatchReport {
    /// The engine.
    pub setup: Setup,
    /// Description of the data.
    pub data: String,
    /// The face of an image that counted.
    pub face: FaceChoice,
    /// The decision profile of `scores.csv`; the plots mark its thresholds if it is a built-in one.
    pub profile: String,
    /// Number of people.
    pub people: usize,
    /// How the people are known.
    pub people_known_from: KnownFrom,
    /// Outcomes of the images.
    pub acquisition: AcquisitionReport,
    /// Numbers of comparisons.
    pub comparisons: ComparisonCounts,
    /// How the intervals were computed.
    pub intervals: String,
    /// FNMR and threshold at false match rates from 1e-1 to 1e-6.
    pub at_false_match_rates: Vec<AtFalseMatchRate>,
    /// The equal error rate.
    pub equal_error_rate: Option<EqualErrorReport>,
    /// The accuracy of a list over folds.
    pub accuracy: Option<Accuracy>,
    /// The accuracy of a list at the best threshold of another list: `(accuracy, threshold)`.
    pub accuracy_at_trained_threshold: Option<(f64, f64)>,
    /// The decisions of each built-in profile; empty without a match calibration.
    pub profiles: Vec<ProfileReport>,
    /// The effect of other thresholds, by similarity: confidences in steps of 0.05, the thresholds of the profiles, and
    /// the thresholds at the false match rates that the data supports. Empty without a match calibration.
    pub what_if: Vec<WhatIf>,
    /// The DET curve: FMR as `false_positive`, FNMR as `false_negative`.
    pub det: Vec<OperatingPoint>,
    /// Histogram of the genuine similarities.
    pub genuine_histogram: Histogram,
    /// Histogram of the impostor similarities.
    pub impostor_histogram: Histogram,
    /// Error rates by group, where the images have groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<MatchGroups>,
    /// The images of the worst comparisons, for the page only; `None` unless [`Evaluation::gallery`] asks for them.
    #[serde(skip)]
    pub gallery: Option<Gallery>,
}

/// Returns the calibrated confidence of a similarity, -1..=1; `None` without a match calibration.
pub(crate) fn confidence(engine: &Engine, similarity: f64) -> Result<Option<Score>, EngineError> {
    if !engine.is_calibrated() {
        return Ok(None);
    }
    engine.confidence(similarity.clamp(-1.0, 1.0) as f32).map(Some)
}

/// Returns the lowest similarity with at least this confidence, to within 1e-6; above 1 where none has it.
fn similarity_reaching(engine: &Engine, wanted: f64) -> Result<f64, EngineError> {
    let reaches = |similarity: f64| -> Result<bool, EngineError> {
        Ok(confidence(engine, similarity)?.is_some_and(|confidence| confidence.value() >= wanted))
    };
    let (mut low, mut high) = (-1.0, 1.0);
    if !reaches(high)? {
        return Ok(f64::next_up(1.0));
    }
    if reaches(low)? {
        return Ok(low);
    }
    // 2 / 2^30 is finer than the similarities, which are single-precision numbers.
    for _ in 0..30 {
        let middle = f64::midpoint(low, high);
        if reaches(middle)? {
            high = middle;
        } else {
            low = middle;
        }
    }
    Ok(f64::from(high as f32))
}

/// Returns the thresholds of the profiles, by confidence; none without a match calibration.
pub(crate) fn profile_thresholds(engine: &Engine) -> Result<Vec<ProfileThreshold>, EngineError> {
    if !engine.is_calibrated() {
        return Ok(Vec::new());
    }
    let steps = steps_and_thresholds(Profile::face_match).into_iter();
    let thresholds = steps.filter(|(_, used_as)| !used_as.is_empty());
    thresholds
        .map(|(confidence, used_as)| Ok((confidence, similarity_reaching(engine, confidence)?, used_as)))
        .collect()
}

/// A threshold of the what-if table: confidence, similarity, and what it is used as.
type Candidate = (f64, f64, Vec<String>);

/// Returns the steps, the thresholds of the profiles, and the thresholds at the false match rates, by similarity. A false
/// match rate has a row of its own, since it fixes the similarity and not the rounded confidence.
fn candidates(engine: &Engine, scores: &MatchScores, rates: &[f64]) -> Result<Vec<Candidate>, EngineError> {
    let mut candidates = Vec::new();
    if !engine.is_calibrated() {
        return Ok(candidates);
    }
    for (confidence, used_as) in steps_and_thresholds(Profile::face_match) {
        candidates.push((confidence, similarity_reaching(engine, confidence)?, used_as));
    }
    for &rate in rates {
        if let Some(similarity) = scores.threshold_at(rate)
            && let Some(confidence) = confidence(engine, similarity)?
        {
            candidates.push((confidence.value(), similarity, vec![format!("FMR {rate:e}")]));
        }
    }
    candidates.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.total_cmp(&b.0)));
    Ok(candidates)
}

/// Returns the report of scores. `without_score` has the numbers of genuine and impostor comparisons without a score.
pub(crate) fn report(
    evaluation: &Evaluation<'_>,
    scores: &MatchScores,
    without_score: (u64, u64),
    acquisition: AcquisitionReport,
    people: &People,
    (face, profile): (FaceChoice, &Profile),
) -> Result<MatchReport> {
    let engine = evaluation.engine;
    let enough = |rate: &f64| scores.impostor_count() >= comparisons_needed(*rate);
    let rates: Vec<f64> = FALSE_MATCH_RATES.into_iter().filter(enough).collect();
    let candidates = candidates(engine, scores, &rates)?;

    // The figures with an interval, in the order in which `next` is called below.
    let figures = |genuine: &Ranked<'_>, impostor: &Ranked<'_>| {
        let mut figures = vec![equal_error_rate(genuine, impostor).map(|equal| equal.rate)];
        for &rate in &rates {
            let threshold = impostor.threshold_at(rate);
            figures.push(threshold);
            figures.push(threshold.and_then(|threshold| genuine.share_below(threshold)));
        }
        for &(_, similarity, _) in &candidates {
            figures.push(impostor.share_at_or_above(similarity));
            figures.push(genuine.share_below(similarity));
        }
        figures
    };
    let bootstrap = Bootstrap::new(evaluation.threads());
    let mut intervals = bootstrap
        .intervals(scores.people, |weights| {
            let (genuine, impostor) = scores.weighted(weights);
            figures(&genuine, &impostor)
        })
        .into_iter();
    let mut next = || intervals.next().flatten();

    let equal = equal_error_rate(&scores.genuine(), &scores.impostor());
    let rate = Estimate::of_rate(equal.map(|equal| equal.rate), next());
    let equal_error_rate = match rate.zip(equal) {
        Some((rate, EqualErrorRate { threshold, .. })) => Some(EqualErrorReport {
            rate,
            threshold,
            confidence: confidence(engine, threshold)?.map(Score::value),
        }),
        None => None,
    };
    let mut at_false_match_rates = Vec::new();
    for rate in FALSE_MATCH_RATES {
        let mut row = AtFalseMatchRate {
            false_match_rate: rate,
            impostor_comparisons_needed: comparisons_needed(rate),
            sufficient_data: rates.contains(&rate),
            threshold: None,
            confidence: None,
            false_non_match_rate: None,
        };
        if row.sufficient_data {
            let (interval, fnmr_interval) = (next(), next());
            if let Some(value) = scores.threshold_at(rate) {
                row.threshold = Some(Estimate { value, interval });
                row.confidence = confidence(engine, value)?.map(Score::value);
                row.false_non_match_rate =
                    Estimate::of_rate(scores.genuine().share_below(value), fnmr_interval);
            }
        }
        at_false_match_rates.push(row);
    }
    let rates = |(confidence, similarity, used_as): Candidate| {
        let false_match_rate = scores.false_match_rate(similarity);
        let false_non_match_rate = scores.genuine().share_below(similarity);
        let rates = ThresholdRates {
            confidence,
            similarity,
            false_match_rate: Estimate::of_rate(false_match_rate, next()),
            false_match_rate_at_most: (false_match_rate == Some(0.0))
                .then(|| upper_bound_without_errors(scores.impostor_count())),
            false_non_match_rate: Estimate::of_rate(false_non_match_rate, next()),
        };
        (rates, used_as)
    };
    let thresholds: Vec<_> = candidates.into_iter().map(rates).collect();
    let names = Profile::BUILTIN_NAMES.into_iter();
    let profiles = names.filter_map(|profile| ProfileReport::of(profile, &thresholds));
    let profiles: Vec<ProfileReport> = profiles.collect();
    let what_if = thresholds.into_iter();
    let what_if = what_if.map(|(rates, used_as)| WhatIf::of(rates, used_as, &profiles));
    let what_if = what_if.collect();
    let fine = &scores.impostor_histogram;
    Ok(MatchReport {
        setup: Setup::of(engine),
        data: evaluation.data.to_owned(),
        face,
        profile: profile.name().to_owned(),
        people: scores.people,
        people_known_from: people.known_from,
        acquisition,
        comparisons: ComparisonCounts {
            genuine: scores.genuine_count(),
            impostor: scores.impostor_count(),
            genuine_without_score: without_score.0,
            impostor_without_score: without_score.1,
        },
        intervals: describe_intervals(&bootstrap, "people"),
        at_false_match_rates,
        equal_error_rate,
        accuracy: None,
        accuracy_at_trained_threshold: None,
        what_if,
        profiles,
        det: det_points(&scores.genuine(), &scores.impostor(), DET_STEP),
        genuine_histogram: scores.genuine_histogram(SHOWN_STEPS),
        impostor_histogram: fine.coarser(fine.counts.len() / SHOWN_STEPS),
        groups: None,
        gallery: None,
    })
}

impl ProfileReport {
    /// Finds the thresholds of a profile by their names.
    fn of(profile: &str, thresholds: &[(ThresholdRates, Vec<String>)]) -> Option<Self> {
        let find = |threshold: &str| {
            let name = format!("{profile} {threshold}");
            let found = thresholds.iter().find(|(_, used_as)| used_as.contains(&name));
            found.map(|(rates, _)| rates.clone())
        };
        let (reject_below, review_below) = (find("reject_below")?, find("review_below")?);
        Some(Self {
            profile: profile.to_owned(),
            outcomes: Outcomes::between(&reject_below, &review_below),
            reject_below,
            review_below,
        })
    }
}

impl WhatIf {
    fn of(rates: ThresholdRates, used_as: Vec<String>, profiles: &[ProfileReport]) -> Self {
        let moved = |profile: &ProfileReport| {
            let (reject, review) = (&profile.reject_below, &profile.review_below);
            MovedThresholds {
                profile: profile.profile.clone(),
                as_reject_below: (rates.similarity <= review.similarity)
                    .then(|| Outcomes::between(&rates, review)),
                as_review_below: (rates.similarity >= reject.similarity)
                    .then(|| Outcomes::between(reject, &rates)),
            }
        };
        Self {
            profiles: profiles.iter().map(moved).collect(),
            rates,
            used_as,
        }
    }
}

impl MatchReport {
    /// Returns the report as text for a terminal.
    #[must_use]
    pub fn summary(&self) -> String {
        self.document().summary
    }

    /// Returns the report as an HTML page.
    #[must_use]
    pub fn html(&self) -> String {
        self.document().html("Match error rates")
    }

    fn document(&self) -> Document {
        let mut document = Document::default();
        let counts = self.comparisons;
        let known_from = match self.people_known_from {
            KnownFrom::Columns => "known from the list's columns",
            KnownFrom::Folders => "known from the folders",
            KnownFrom::GenuinePairs => "known from the genuine pairs",
            KnownFrom::Images => "each image counts as one",
        };
        document.text(&format!(
            "{}: {} images of {} people ({known_from}), {} genuine and {} impostor comparisons",
            self.data,
            grouped(self.acquisition.images),
            grouped(self.people as u64),
            grouped(counts.genuine),
            grouped(counts.impostor)
        ));
        document.page(&html! { p { (self.setup.describe()) } });
        self.describe_rates(&mut document);
        let curves = [("match", self.det.as_slice())];
        let kinds = [
            ("genuine", &self.genuine_histogram),
            ("impostor", &self.impostor_histogram),
        ];
        let rates = self.marks(ThresholdRates::rates);
        document.page(&html! {
            h2 { "DET curve" }
            (Chart::det(&curves, "false match rate", "false non-match rate", rates))
            h2 { "Scores" }
            (Chart::histograms(&kinds, "similarity", self.marks(|at| at.similarity)))
        });
        if let Some(gallery) = &self.gallery {
            gallery.describe(&mut document);
        }
        if self.profiles.is_empty() {
            document
                .text("no match calibration: confidences and the decisions of profiles are not available");
        } else {
            self.describe_profiles(&mut document);
            self.describe_what_if(&mut document);
        }
        if let Some(groups) = &self.groups {
            groups.describe(&mut document);
        }
        document.heading("Failure to acquire");
        document.text(&format!(
            "{} images ({}); without a score, and in no error rate: {} genuine and {} impostor comparisons",
            grouped(self.acquisition.failures_to_acquire),
            or_dash(self.acquisition.failure_to_acquire_rate, percent),
            grouped(counts.genuine_without_score),
            grouped(counts.impostor_without_score)
        ));
        document.table("image | count", &self.acquisition.rows());
        document.text(&format!("Intervals: {}", self.intervals));
        document
    }

    /// Returns the thresholds of the profile with the rates there; none without a match calibration.
    fn marks<P>(&self, at: fn(&ThresholdRates) -> P) -> Vec<Mark<P>> {
        let profile = self.profiles.iter().find(|one| one.profile == self.profile);
        let thresholds = profile.map(|one| [("reject", &one.reject_below), ("review", &one.review_below)]);
        let mark = |(name, rates): (&str, &ThresholdRates)| {
            let [_, fmr, fnmr] = rates.cells();
            let (profile, confidence) = (&self.profile, rates.confidence);
            Mark {
                at: at(rates),
                caption: format!("{profile}, {name} below {confidence}: FMR {fmr}, FNMR {fnmr}"),
            }
        };
        thresholds.into_iter().flatten().map(mark).collect()
    }

    fn describe_rates(&self, document: &mut Document) {
        document.heading("False non-match rate at false match rates");
        let row = |row: &AtFalseMatchRate| {
            let needed = grouped(row.impostor_comparisons_needed);
            vec![
                format!("{:e}", row.false_match_rate),
                four_decimals(row.threshold.map(|threshold| threshold.value)),
                four_decimals(row.confidence),
                match row.threshold {
                    Some(_) => estimate(row.false_non_match_rate, None),
                    None => format!("insufficient data: {needed} impostor comparisons needed"),
                },
            ]
        };
        let rows: Vec<_> = self.at_false_match_rates.iter().map(row).collect();
        document.table("FMR | similarity | confidence | FNMR (95 % interval)", &rows);
        let equal = or_dash(self.equal_error_rate, |equal| {
            format!(
                "{} at similarity {:.4} (confidence {})",
                estimate(Some(equal.rate), None),
                equal.threshold,
                four_decimals(equal.confidence)
            )
        });
        document.text(&format!("equal error rate: {equal}"));
        if let Some(accuracy) = &self.accuracy {
            document.text(&format!(
                "accuracy over {} folds: {:.4} ± {:.4} (standard error)",
                accuracy.folds.len(),
                accuracy.mean,
                accuracy.standard_error
            ));
        }
        if let Some((accuracy, threshold)) = self.accuracy_at_trained_threshold {
            document.text(&format!(
                "accuracy at the best threshold of the training pairs, {threshold:.4}: {accuracy:.4}"
            ));
        }
    }

    fn describe_profiles(&self, document: &mut Document) {
        document.heading("Profiles");
        let (mut thresholds, mut outcomes) = (Vec::new(), Vec::new());
        for profile in &self.profiles {
            let name = || profile.profile.clone();
            let (reject, review) = (&profile.reject_below, &profile.review_below);
            for (bound, at) in [("reject", reject), ("review", review)] {
                let mut row = vec![name(), format!("{bound} < {}", at.confidence)];
                row.extend(at.cells());
                thresholds.push(row);
            }
            let Outcomes { genuine, impostor } = profile.outcomes;
            for (kind, shares) in [("genuine", genuine), ("impostor", impostor)] {
                if let Some(shares) = shares {
                    let mut row = vec![name(), kind.to_owned()];
                    row.extend(shares.text());
                    outcomes.push(row);
                }
            }
        }
        let header = "profile | threshold | similarity | FMR (95 % interval) | FNMR (95 % interval)";
        document.table(header, &thresholds);
        document.table("profile | comparisons | pass | review | reject", &outcomes);
    }

    fn describe_what_if(&self, document: &mut Document) {
        document.heading("What if the threshold were another");
        let row = |row: &WhatIf| {
            let mut cells = vec![row.rates.confidence.to_string()];
            cells.extend(row.rates.cells());
            cells.push(row.used_as.join(", "));
            (is_tenth(row.rates.confidence), cells)
        };
        let header = "confidence | similarity | FMR (95 % interval) | FNMR (95 % interval) | used as";
        document.shortened(header, self.what_if.iter().map(row).collect());
        let header = "confidence | as reject_below: genuine | impostor | as review_below: genuine | impostor";
        for (index, profile) in self.profiles.iter().enumerate() {
            let row = |row: &WhatIf| {
                let moved = row.profiles.get(index)?;
                let mut cells = vec![row.rates.confidence.to_string()];
                for outcomes in [moved.as_reject_below, moved.as_review_below] {
                    let shares = outcomes.map_or([None, None], |one| [one.genuine, one.impostor]);
                    cells
                        .extend(shares.map(|one| one.map_or_else(String::new, |one| one.text().join(" / "))));
                }
                Some(cells)
            };
            let rows: Vec<_> = self.what_if.iter().filter_map(row).collect();
            document.page(&html! {
                h2 { (profile.profile) " with one threshold moved (pass / review / reject)" }
                (table(header, &rows))
            });
        }
    }
}

fn four_decimals(confidence: Option<f64>) -> String {
    or_dash(confidence, |confidence| format!("{confidence:.4}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(similarity: f64, false_match: f64, false_non_match: f64) -> ThresholdRates {
        let estimate = |value| {
            Some(Estimate {
                value,
                interval: None,
            })
        };
        ThresholdRates {
            confidence: similarity,
            similarity,
            false_match_rate: estimate(false_match),
            false_match_rate_at_most: None,
            false_non_match_rate: estimate(false_non_match),
        }
    }

    #[test]
    fn shares_add_up() {
        let found = Shares::below(Some(0.25), Some(0.375)).unwrap();
        assert_eq!((found.pass, found.review, found.reject), (0.625, 0.125, 0.25));
        assert_eq!(Shares::below(None, Some(0.5)), None);
    }

    #[test]
    fn one_threshold_is_moved_and_the_other_stays() {
        let thresholds = [
            (rates(0.25, 0.5, 0.125), vec!["p reject_below".to_owned()]),
            (
                rates(0.5, 0.25, 0.25),
                vec!["q reject_below".to_owned(), "p review_below".to_owned()],
            ),
        ];
        let profile = ProfileReport::of("p", &thresholds).unwrap();
        assert_eq!(ProfileReport::of("q", &thresholds), None);
        let of = |rates: ThresholdRates| {
            WhatIf::of(rates, vec![], std::slice::from_ref(&profile))
                .profiles
                .remove(0)
        };
        let shares = |pass, review, reject| Some(Shares { pass, review, reject });
        // Between the two it may be either.
        let between = of(rates(0.375, 0.375, 0.1875));
        let as_reject = between.as_reject_below.unwrap();
        assert_eq!(as_reject.genuine, shares(0.75, 0.0625, 0.1875));
        assert_eq!(as_reject.impostor, shares(0.25, 0.125, 0.625));
        let as_review = between.as_review_below.unwrap();
        assert_eq!(as_review.genuine, shares(0.8125, 0.0625, 0.125));
        assert_eq!(as_review.impostor, shares(0.375, 0.125, 0.5));
        // Above both it can only be the upper one, below both the lower one.
        let above = of(rates(0.75, 0.0, 0.5));
        assert_eq!(above.as_reject_below, None);
        assert_eq!(above.as_review_below.unwrap().impostor, shares(0.0, 0.5, 0.5));
        let below = of(rates(0.125, 1.0, 0.0));
        assert_eq!(below.as_review_below, None);
        assert_eq!(below.as_reject_below.unwrap().genuine, shares(0.75, 0.25, 0.0));
    }
}
