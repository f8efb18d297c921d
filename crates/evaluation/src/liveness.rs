//! Evaluations of liveness: from images to liveness scores, `scores.csv` and the report in the terms of ISO/IEC 30107-3.

use std::io::Write;

use indexmap::IndexMap;
use likeness_engine::decision::{Profile, Score, Verdict};
use likeness_engine::{Engine, EngineError, LivenessOptions};
use maud::html;
use serde::Serialize;

use crate::acquisition::Evaluation;
use crate::chart::{Chart, Mark};
use crate::document::Document;
use crate::error::{Result, Status};
use crate::gallery::Gallery;
use crate::groups::outcomes;
use crate::journal::Measured;
use crate::lists::{LIVE, LabelList};
use crate::liveness_groups::{LivenessGroups, liveness_groups};
use crate::report::{
    AcquisitionReport, DET_STEP, Estimate, Setup, describe_intervals, estimate, grouped, is_tenth, or_dash,
    percent, steps_and_thresholds,
};
use crate::statistics::{
    Bootstrap, EqualErrorRate, Histogram, LivenessScores, NonResponse, OperatingPoint, Species, det_points,
    equal_error_rate, upper_bound_without_errors,
};

/// The scores of the presentations of a list, in its order.
#[derive(Debug, Clone, PartialEq)]
pub struct PresentationScores<'a> {
    /// The list.
    pub list: &'a LabelList,
    /// The liveness score of each presentation, or the outcome of an image without one.
    pub liveness: Vec<Result<Score, Status>>,
}

impl PresentationScores<'_> {
    /// Returns the scores by species, in the order of first appearance. A missing file is not a presentation.
    #[must_use]
    pub fn by_species(&self) -> LivenessScores {
        self.by_species_of(|_| true)
    }

    /// Returns the scores of some presentations, by index. A species is named even where it has none of them.
    fn by_species_of(&self, is_of: impl Fn(usize) -> bool) -> LivenessScores {
        let mut found: IndexMap<&str, Vec<_>> = IndexMap::new();
        let listed = self.list.species.iter().zip(&self.list.subjects);
        for (index, ((species, &subject), liveness)) in listed.zip(&self.liveness).enumerate() {
            let responses = found.entry(species).or_default();
            match liveness {
                _ if !is_of(index) => {}
                Ok(score) => responses.push((Some(score.value()), subject)),
                Err(status) if status.is_failure_to_acquire() => responses.push((None, subject)),
                Err(_) => {}
            }
        }
        let live = found.shift_remove(LIVE).unwrap_or_default();
        let attacks = found.iter();
        LivenessScores {
            bona_fide: Species::new(LIVE, &live),
            attacks: attacks.map(|(name, all)| Species::new(name, all)).collect(),
        }
    }

    /// Writes `scores.csv`: file, species, liveness, status.
    pub fn write_csv(&self, to: impl Write) -> std::io::Result<()> {
        let mut writer = csv::Writer::from_writer(to);
        writer.write_record(["file", "species", "liveness", "status"])?;
        let listed = self.list.files.iter().zip(&self.list.species);
        for ((file, species), result) in listed.zip(&self.liveness) {
            let liveness = result.ok().map(|score| score.to_string());
            let status = result.err().unwrap_or(Status::Ok);
            writer.serialize((file, species, liveness, status))?;
        }
        writer.flush()
    }
}

impl Evaluation<'_> {
    /// Scores the presentations of a list.
    pub fn liveness<'a>(&self, list: &'a LabelList) -> Result<(LivenessReport, PresentationScores<'a>)> {
        let liveness = self.measure(
            &list.files,
            |bytes| score(self.engine, bytes),
            |_, values| {
                let value = values.first().copied().unwrap_or(f32::NAN);
                Score::new(f64::from(value)).map_err(|error| EngineError::Inference(error.into()))
            },
        )?;
        let acquisition = AcquisitionReport::of(&liveness);
        let scores = PresentationScores { list, liveness };
        let mut report = report(self, list, &scores.by_species(), acquisition);
        if let Some(groups) = &list.groups {
            let of_group = |(group, _)| scores.by_species_of(|index| groups.group(index) == group);
            let within: Vec<_> = groups.each().map(of_group).collect();
            let thresholds = report.at_thresholds.iter();
            let thresholds = thresholds.map(|row| (row.threshold, row.used_as.clone()));
            report.groups = Some(liveness_groups(
                self.threads(),
                (list, groups),
                &outcomes(&scores.liveness),
                &within,
                thresholds.collect(),
            ));
        }
        if self.gallery > 0 {
            report.gallery = Some(self.liveness_gallery(&scores));
        }
        Ok((report, scores))
    }

    /// Shows the worst presentations, the worst first.
    fn liveness_gallery(&self, scores: &PresentationScores<'_>) -> Gallery {
        let list = scores.list;
        let (mut attacks, mut live) = (self.highest(), self.highest());
        for (index, (species, score)) in list.species.iter().zip(&scores.liveness).enumerate() {
            // The four decimals of a score survive single precision.
            let Ok(score) = score.map(|score| score.value() as f32) else {
                continue;
            };
            if species == LIVE {
                live.add(-score, index);
            } else {
                attacks.add(score, index);
            }
        }
        let mut gallery = Gallery::default();
        for (title, worst) in [
            (
                "Attacks, highest liveness first: accepted wrongly where they pass",
                attacks,
            ),
            (
                "Live presentations, lowest liveness first: rejected wrongly where they do not pass",
                live,
            ),
        ] {
            let entry = |(_, index): (f32, usize)| {
                let (file, species) = (list.files.get(index)?, list.species.get(index)?);
                let score = scores.liveness.get(index)?.ok()?;
                let verdict = Profile::default().liveness().verdict(score);
                let verdict = verdict.map_or("pass", Verdict::as_str);
                Some((
                    vec![file.as_str()],
                    format!("{species}, liveness {score}: {verdict}"),
                ))
            };
            gallery.add(self, title, worst.into_sorted().into_iter().filter_map(entry));
        }
        gallery
    }
}

/// Scores an image. The four decimals of a score survive single precision.
fn score(engine: &Engine, bytes: &[u8]) -> Result<Measured, EngineError> {
    match engine.liveness(bytes, &LivenessOptions::default()) {
        Ok(check) => {
            let score = check.liveness.map(|score| vec![score.value() as f32]);
            Ok(score.ok_or(Status::NoFace))
        }
        Err(EngineError::Image { .. }) => Ok(Err(Status::BadImage)),
        Err(error) => Err(error),
    }
}

/// Steps of the histograms of a report, over 0..=1.
const SHOWN_STEPS: usize = 50;

/// The APCERs, 1 in so many, at which the BPCER is reported: BPCER10, BPCER20 and BPCER100.
const APCER_ONE_IN: [u64; 3] = [10, 20, 100];

/// The BPCER at an APCER of a species.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BpcerAt {
    /// 10, 20 or 100: the APCER is at most 1 in so many.
    pub apcer_one_in: u64,
    /// The number of attack presentations with a score that this APCER needs to be observable.
    pub presentations_needed: u64,
    /// Whether there are as many. If not, the other figures are `None`: insufficient data.
    pub sufficient_data: bool,
    /// The lowest threshold with this APCER, a liveness score of 0..=1.
    pub threshold: Option<f64>,
    /// The BPCER at that threshold, 0..=1.
    pub bpcer: Option<Estimate>,
}

/// The figures of one attack species.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpeciesReport {
    /// Name of the species.
    pub species: String,
    /// Attacks without a score (APNRR).
    pub non_response: Option<NonResponse>,
    /// BPCER10, BPCER20 and BPCER100.
    pub bpcer_at: Vec<BpcerAt>,
    /// The operating point where APCER and BPCER are equal.
    pub equal_error_rate: Option<EqualErrorRate>,
    /// The DET curve: APCER as `false_positive`, BPCER as `false_negative`.
    pub det: Vec<OperatingPoint>,
    /// Histogram of its scores.
    pub histogram: Histogram,
}

/// The APCER of a species at a threshold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Apcer {
    /// Name of the species.
    pub species: String,
    /// The share of its presentations that pass as live, 0..=1; `None` where none has a score.
    pub apcer: Option<Estimate>,
    /// Where none passes, the upper 95 % confidence bound of the rate, if the presentations were independent.
    pub apcer_at_most: Option<f64>,
}

/// The error rates at a threshold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AtThreshold {
    /// The liveness score, 0..=1, from which on presentations pass as live.
    pub threshold: f64,
    /// The thresholds of built-in profiles that it is.
    pub used_as: Vec<String>,
    /// The headline figure: the highest APCER of a species, 0..=1.
    pub apcer: Option<f64>,
    /// The first species with that APCER.
    pub worst_species: Option<String>,
    /// The APCER of each species.
    pub apcer_by_species: Vec<Apcer>,
    /// The share of bona fide presentations that do not pass, 0..=1.
    pub bpcer: Option<Estimate>,
    /// The mean of APCER and BPCER, 0..=1, for comparison with papers only.
    pub acer_for_comparison_only: Option<f64>,
}

/// The report of an evaluation of liveness.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LivenessReport {
    /// The engine.
    pub setup: Setup,
    /// Description of the data.
    pub data: String,
    /// Outcomes of the images.
    pub acquisition: AcquisitionReport,
    /// Bona fide presentations without a score (BPNRR).
    pub bona_fide_non_response: Option<NonResponse>,
    /// How the intervals were computed.
    pub intervals: String,
    /// Error rates at the thresholds of the built-in profiles.
    pub at_thresholds: Vec<AtThreshold>,
    /// Error rates at those thresholds and in steps of 0.05.
    pub what_if: Vec<AtThreshold>,
    /// Each attack species.
    pub species: Vec<SpeciesReport>,
    /// Histogram of the scores of bona fide presentations.
    pub bona_fide_histogram: Histogram,
    /// Error rates by group, where the presentations have groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<LivenessGroups>,
    /// The images of the worst presentations, for the page only; `None` unless [`Evaluation::gallery`] asks for them.
    #[serde(skip)]
    pub gallery: Option<Gallery>,
}

/// Returns the report of scores.
fn report(
    evaluation: &Evaluation<'_>,
    list: &LabelList,
    scores: &LivenessScores,
    acquisition: AcquisitionReport,
) -> LivenessReport {
    let thresholds = steps_and_thresholds(Profile::liveness);
    let bootstrap = Bootstrap::new(evaluation.threads());
    let subjects = list.subjects.iter().max().map_or(0, |last| *last as usize + 1);
    // The figures with an interval, in the order in which `next` is called below.
    let mut intervals = bootstrap
        .intervals(subjects, |weights| {
            let live = scores.bona_fide.weighted(weights);
            let attacks = scores.attacks.iter().map(|species| species.weighted(weights));
            let attacks: Vec<_> = attacks.collect();
            let mut figures = Vec::new();
            for (threshold, _) in &thresholds {
                figures.extend(attacks.iter().map(|attack| attack.share_at_or_above(*threshold)));
                figures.push(live.share_below(*threshold));
            }
            for attack in &attacks {
                for one_in in APCER_ONE_IN {
                    let threshold = attack.threshold_at(1.0 / one_in as f64);
                    figures.push(threshold.and_then(|threshold| live.share_below(threshold)));
                }
            }
            figures
        })
        .into_iter();
    let mut next = || intervals.next().flatten();

    let mut what_if = Vec::new();
    for (threshold, used_as) in thresholds {
        let mut apcer_by_species = Vec::new();
        for species in &scores.attacks {
            let apcer = species.ranked().share_at_or_above(threshold);
            apcer_by_species.push(Apcer {
                species: species.name.clone(),
                apcer: Estimate::of_rate(apcer, next()),
                apcer_at_most: (apcer == Some(0.0)).then(|| upper_bound_without_errors(species.responses())),
            });
        }
        let worst = scores.worst_apcer(threshold);
        what_if.push(AtThreshold {
            threshold,
            used_as,
            apcer: worst.map(|(rate, _)| rate),
            worst_species: worst.map(|(_, name)| name.to_owned()),
            apcer_by_species,
            bpcer: Estimate::of_rate(scores.bpcer(threshold), next()),
            acer_for_comparison_only: scores.acer(threshold),
        });
    }
    let live = scores.bona_fide.ranked();
    let mut species_reports = Vec::new();
    for species in &scores.attacks {
        let attack = species.ranked();
        let bpcer_at = APCER_ONE_IN.map(|one_in| {
            let sufficient_data = species.responses() >= one_in;
            let threshold = attack.threshold_at(1.0 / one_in as f64);
            let threshold = threshold.filter(|_| sufficient_data);
            let bpcer = threshold.and_then(|threshold| scores.bpcer(threshold));
            BpcerAt {
                apcer_one_in: one_in,
                presentations_needed: one_in,
                sufficient_data,
                threshold,
                bpcer: Estimate::of_rate(bpcer, next()),
            }
        });
        species_reports.push(SpeciesReport {
            species: species.name.clone(),
            non_response: species.non_response(),
            bpcer_at: bpcer_at.into(),
            equal_error_rate: equal_error_rate(&live, &attack),
            det: det_points(&live, &attack, DET_STEP),
            histogram: species.histogram(SHOWN_STEPS),
        });
    }
    let over = match list.has_people {
        true => "people",
        false => "images (the list has no column person): too narrow where several show the same person",
    };
    let at_thresholds = what_if.iter().filter(|row| !row.used_as.is_empty());
    LivenessReport {
        setup: Setup::of(evaluation.engine),
        data: evaluation.data.to_owned(),
        acquisition,
        bona_fide_non_response: scores.bona_fide.non_response(),
        intervals: describe_intervals(&bootstrap, over),
        at_thresholds: at_thresholds.cloned().collect(),
        what_if,
        species: species_reports,
        bona_fide_histogram: scores.bona_fide.histogram(SHOWN_STEPS),
        groups: None,
        gallery: None,
    }
}

impl LivenessReport {
    /// Returns the report as text for a terminal.
    #[must_use]
    pub fn summary(&self) -> String {
        self.document().summary
    }

    /// Returns the report as an HTML page.
    #[must_use]
    pub fn html(&self) -> String {
        self.document().html("Liveness error rates")
    }

    fn document(&self) -> Document {
        let mut document = Document::default();
        let images = grouped(self.acquisition.images);
        document.text(&format!("{}: {images} images", self.data));
        document.page(&html! { p { (self.setup.describe()) } });
        document.heading("Error rates at the thresholds of the profiles");
        let rows: Vec<_> = self.at_thresholds.iter().map(AtThreshold::row).collect();
        document.table(AtThreshold::HEADER, &rows);

        let species = || self.species.iter();
        let curves = species().map(|one| (one.species.as_str(), one.det.as_slice()));
        let curves: Vec<_> = curves.collect();
        let mut kinds = vec![(LIVE, &self.bona_fide_histogram)];
        kinds.extend(species().map(|one| (one.species.as_str(), &one.histogram)));
        document.page(&html! {
            h2 { "DET curves" }
            (Chart::det(&curves, "APCER", "BPCER", self.marks(AtThreshold::rates)))
            h2 { "Scores" }
            (Chart::histograms(&kinds, "liveness score", self.marks(|at| at.threshold)))
        });
        if let Some(gallery) = &self.gallery {
            gallery.describe(&mut document);
        }

        document.heading("Attack species");
        let rows: Vec<_> = species().map(SpeciesReport::row).collect();
        document.table("species | BPCER10 | BPCER20 | BPCER100 | equal error rate", &rows);
        document.heading("What if the threshold were another");
        let row = |row: &AtThreshold| (is_tenth(row.threshold), row.row());
        document.shortened(AtThreshold::HEADER, self.what_if.iter().map(row).collect());

        if let Some(groups) = &self.groups {
            groups.describe(&mut document);
        }
        document.heading("Presentations without a score");
        let row = |name: &str, found: Option<NonResponse>| {
            let number = |number: fn(NonResponse) -> u64| or_dash(found, |found| grouped(number(found)));
            vec![
                name.to_owned(),
                number(|found| found.presentations),
                number(|found| found.count),
                or_dash(found, |found| percent(found.rate)),
            ]
        };
        let mut rows = vec![row("bona fide", self.bona_fide_non_response)];
        rows.extend(species().map(|one| row(&one.species, one.non_response)));
        document.table("species | presentations | without a score | rate", &rows);
        document.table("image | count", &self.acquisition.rows());
        document.text(&format!("Intervals: {}", self.intervals));
        document
    }
}

impl LivenessReport {
    /// Returns the thresholds of the default profile with the rates there.
    fn marks<P>(&self, at: fn(&AtThreshold) -> P) -> Vec<Mark<P>> {
        let profile = Profile::default();
        let profile = profile.name();
        let mark = |name: &str| {
            let used_as = format!("{profile} {name}_below");
            let row = self
                .at_thresholds
                .iter()
                .find(|row| row.used_as.contains(&used_as))?;
            let (threshold, bpcer) = (row.threshold, estimate(row.bpcer, None));
            let apcer = row.by_species();
            let caption = format!("{profile}, {name} below {threshold}: BPCER {bpcer}, APCER {apcer}");
            Some(Mark { at: at(row), caption })
        };
        ["reject", "review"].into_iter().filter_map(mark).collect()
    }
}

impl SpeciesReport {
    fn row(&self) -> Vec<String> {
        let bpcer = |at: &BpcerAt| match at.threshold {
            Some(threshold) => format!("{} at {threshold:.4}", estimate(at.bpcer, None)),
            None => {
                let needed = grouped(at.presentations_needed);
                format!("insufficient data: {needed} attack presentations needed")
            }
        };
        let equal = or_dash(self.equal_error_rate, |equal| {
            format!("{} at {:.4}", percent(equal.rate), equal.threshold)
        });
        let mut row = vec![self.species.clone()];
        row.extend(self.bpcer_at.iter().map(bpcer).chain([equal]));
        row
    }
}

impl AtThreshold {
    const HEADER: &'static str = "threshold | APCER, worst species | BPCER (95 % interval) | ACER, for comparison only | \
                                  used as | APCER by species";

    fn row(&self) -> Vec<String> {
        let apcer = match (self.apcer, &self.worst_species) {
            (Some(rate), Some(species)) => format!("{} ({species})", percent(rate)),
            _ => "-".to_owned(),
        };
        vec![
            self.threshold.to_string(),
            apcer,
            estimate(self.bpcer, None),
            or_dash(self.acer_for_comparison_only, percent),
            self.used_as.join(", "),
            self.by_species(),
        ]
    }

    fn by_species(&self) -> String {
        let of_species = |one: &Apcer| format!("{}: {}", one.species, estimate(one.apcer, one.apcer_at_most));
        let by_species: Vec<String> = self.apcer_by_species.iter().map(of_species).collect();
        by_species.join("; ")
    }

    /// Returns the APCER of each species with the BPCER, where they are known.
    fn rates(&self) -> Vec<(f64, f64)> {
        let apcers = self.apcer_by_species.iter().filter_map(|one| one.apcer);
        let rates = apcers.filter_map(|apcer| Some((apcer.value, self.bpcer?.value)));
        rates.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_survives_single_precision() {
        for step in 0..=10_000 {
            let score = Score::new(f64::from(step) / 10_000.0).unwrap();
            assert_eq!(Score::new(f64::from(score.value() as f32)), Ok(score));
        }
    }
}
