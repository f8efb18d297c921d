//! Live people and attacks: scoring them, and reporting on it.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io::Write;
use std::num::NonZero;
use std::path::Path;

use likeness_engine::decision::{Profile, Score};
use likeness_engine::{Engine, EngineError, LivenessOptions};
use serde::Serialize;

use crate::acquisition::{Kept, for_each_file, read_file};
use crate::lists::{Names, Table};
use crate::report::{AcquisitionReport, Estimate, Setup, estimate as shown, grouped, is_tenth, percent};
use crate::statistics::{
    Bootstrap, EqualErrorRate, Histogram, LivenessScores, NonResponse, OperatingPoint, Species, det_points,
    equal_error_rate, upper_bound_without_errors,
};
use crate::what_if::steps_and_bounds;
use crate::{EvaluationError, Journal, Progress, Status};

/// The species of bona fide presentations in a list.
pub const LIVE: &str = "live";

/// Steps of the histograms in reports, over 0..=1.
const SHOWN_STEPS: usize = 50;

/// How far apart points of a DET curve are, in normal deviates.
const DET_STEP: f64 = 0.01;

/// A list of presentations, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelList {
    /// Paths as the list has them.
    pub files: Vec<String>,
    /// Of each file, an index into `species_names`.
    pub species: Vec<usize>,
    /// The species in the order in which they first appear, [`LIVE`] among them where the list has it.
    pub species_names: Vec<String>,
    /// Who or what each file shows, counted from 0: the column `person`, or each file for itself.
    pub subjects: Vec<u32>,
    /// Whether the list has a column `person`.
    pub has_people: bool,
}

impl LabelList {
    /// Reads a CSV file with the columns `file` and `species` (`live` for bona fide, any other word names the attack
    /// species), found by name, and optionally `person`.
    ///
    /// # Errors
    /// [`EvaluationError::File`] where the file cannot be read, [`EvaluationError::List`] with the line of what cannot be
    /// understood, [`EvaluationError::Input`] where there is no presentation.
    pub fn read(path: &Path) -> Result<Self, EvaluationError> {
        let mut table = Table::open(path)?;
        let (file, species) = (table.column("file")?, table.column("species")?);
        let person = table.optional_column("person");
        let mut list = Self {
            files: Vec::new(),
            species: Vec::new(),
            species_names: Vec::new(),
            subjects: Vec::new(),
            has_people: person.is_some(),
        };
        let (mut species_names, mut people) = (Names::default(), Names::default());
        let mut seen = HashMap::new();
        while let Some((place, record)) = table.next()? {
            let name = table.field(&record, place, file)?;
            let kind = table.field(&record, place, species)?;
            if seen.insert(name.to_owned(), ()).is_some() {
                return Err(table.fault(place, format!("{name} is in a line above already")));
            }
            let subject = match person {
                Some(person) => people.index(table.field(&record, place, person)?),
                None => list.files.len(),
            };
            list.files.push(name.to_owned());
            list.species.push(species_names.index(kind));
            list.subjects.push(subject as u32);
        }
        if list.files.is_empty() {
            return Err(EvaluationError::Input(format!(
                "{}: there is no presentation",
                path.display()
            )));
        }
        list.species_names = species_names.names;
        Ok(list)
    }
}

/// A presentation, as `scores.csv` has it.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredPresentation {
    /// Path as the list has it.
    pub file: String,
    /// Species as the list has it.
    pub species: String,
    /// Liveness, or what became of the picture.
    pub liveness: Result<Score, Status>,
}

/// The presentations of a list, in its order.
#[derive(Debug, Clone, PartialEq)]
pub struct PresentationScores {
    /// In the list's order.
    pub presentations: Vec<ScoredPresentation>,
}

impl PresentationScores {
    /// The scores of each species, every presentation a subject of its own.
    #[must_use]
    pub fn by_species(&self) -> LivenessScores {
        by_species((0..).zip(&self.presentations).map(|(subject, one)| Presentation {
            species: &one.species,
            result: one.liveness,
            subject,
        }))
    }

    /// Writes `scores.csv`: file, species, liveness, status.
    ///
    /// # Errors
    /// Whatever writing fails with.
    pub fn write_csv(&self, to: impl Write) -> std::io::Result<()> {
        let mut writer = csv::Writer::from_writer(to);
        writer.write_record(["file", "species", "liveness", "status"])?;
        for one in &self.presentations {
            let (liveness, status) = match one.liveness {
                Ok(score) => (score.to_string(), Status::Ok),
                Err(status) => (String::new(), status),
            };
            writer.write_record([&one.file, &one.species, liveness.as_str(), status.as_str()])?;
        }
        writer.flush()
    }
}

/// What became of a presentation, and of whom it is.
struct Presentation<'a> {
    species: &'a str,
    result: Result<Score, Status>,
    subject: u32,
}

/// The presentations of each species, in the order in which the species first appear.
fn by_species<'a>(presentations: impl Iterator<Item = Presentation<'a>>) -> LivenessScores {
    let mut names = Names::default();
    let mut found: Vec<Vec<(Option<f64>, u32)>> = Vec::new();
    for one in presentations {
        let species = names.index(one.species);
        found.resize_with(names.names.len(), Vec::new);
        let response = match one.result {
            Ok(score) => Some(score.value()),
            Err(status) if status.is_failure_to_acquire() => None,
            // A file that is not there is no presentation.
            Err(_) => continue,
        };
        if let Some(of_species) = found.get_mut(species) {
            of_species.push((response, one.subject));
        }
    }
    let mut scores = LivenessScores::default();
    for (name, presentations) in names.names.into_iter().zip(found) {
        if name == LIVE {
            scores.bona_fide = Species::new(presentations);
        } else {
            scores.attacks.push((name, Species::new(presentations)));
        }
    }
    scores
}

/// BPCER where the APCER of a species is at most 1 in `apcer_one_in`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BpcerAt {
    /// 10, 20 or 100, for BPCER10, BPCER20 and BPCER100.
    pub apcer_one_in: u64,
    /// Attack presentations with a score that it takes: with fewer, this APCER cannot even be observed.
    pub presentations_needed: u64,
    /// Whether there are as many; if not, what follows is `None`: insufficient data.
    pub sufficient_data: bool,
    /// The lowest threshold with this APCER, a liveness score.
    pub threshold: Option<f64>,
    /// BPCER at that threshold.
    pub bpcer: Option<Estimate>,
}

/// What was found for one species of attack.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpeciesReport {
    /// Its name.
    pub species: String,
    /// APNRR: attacks that gave no score.
    pub non_response: Option<NonResponse>,
    /// BPCER10, BPCER20 and BPCER100.
    pub bpcer_at: Vec<BpcerAt>,
    /// Where APCER and BPCER are equal.
    pub equal_error_rate: Option<EqualErrorRate>,
    /// The DET curve: APCER as `false_positive`, BPCER as `false_negative`.
    pub det: Vec<OperatingPoint>,
    /// Its scores.
    pub histogram: Histogram,
}

/// APCER of one species at a threshold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Apcer {
    /// The species.
    pub species: String,
    /// Share of its presentations that pass as live; `None` where none gave a score.
    pub apcer: Option<Estimate>,
    /// Where none passed: what the rate may still be, with 95 % confidence, were the presentations independent.
    pub apcer_at_most: Option<f64>,
}

/// The errors at one threshold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AtThreshold {
    /// Presentations pass as live from this score on.
    pub threshold: f64,
    /// Bounds of built-in profiles that it is.
    pub used_as: Vec<String>,
    /// The headline: APCER of the worst species.
    pub apcer: Option<f64>,
    /// Which species that is; the first of several.
    pub worst_species: Option<String>,
    /// APCER of each species.
    pub apcer_by_species: Vec<Apcer>,
    /// Share of the bona fide presentations that do not pass.
    pub bpcer: Option<Estimate>,
    /// Mean of APCER and BPCER, for comparison with papers only.
    pub acer_for_comparison_only: Option<f64>,
}

/// What an evaluation of liveness found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LivenessReport {
    /// What was measured with.
    pub setup: Setup,
    /// What was measured on, in a few words.
    pub data: String,
    /// What became of the pictures.
    pub acquisition: AcquisitionReport,
    /// BPNRR: bona fide presentations that gave no score.
    pub bona_fide_non_response: Option<NonResponse>,
    /// How the intervals were computed.
    pub intervals: String,
    /// Errors at the bounds of the built-in profiles.
    pub at_thresholds: Vec<AtThreshold>,
    /// Errors at every twentieth and at those bounds: what would be at another threshold.
    pub what_if: Vec<AtThreshold>,
    /// Each species by itself.
    pub species: Vec<SpeciesReport>,
    /// Scores of the bona fide presentations.
    pub bona_fide_histogram: Histogram,
}

/// Scores every presentation of a list whose paths begin at `root`.
///
/// # Errors
/// [`EvaluationError::Engine`] where a model fails.
pub fn evaluate_liveness(
    engine: &Engine,
    list: &LabelList,
    root: &Path,
    data: &str,
    threads: NonZero<usize>,
    journal: Option<&Journal>,
    progress: &dyn Progress,
) -> Result<(LivenessReport, PresentationScores), EvaluationError> {
    let results = for_each_file(engine, &list.files, progress, |_, file| {
        let path = root.join(file);
        let kept = Kept::of(journal, &path)?;
        match kept
            .result
            .as_ref()
            .map(|result| result.as_ref().map(|numbers| score(numbers)))
        {
            Some(Ok(Some(score))) => return Ok(Ok(score)),
            Some(Err(status)) => return Ok(Err(*status)),
            // Nothing, or no score.
            Some(Ok(None)) | None => {}
        }
        let result = score_file(engine, &path)?;
        match result {
            // Four decimals are the same again after single precision.
            Ok(score) => kept.add(Status::Ok, &[score.value() as f32])?,
            Err(status) => kept.add(status, &[])?,
        }
        Ok(result)
    })?;
    let report = report(engine, list, &results, data, threads);
    let species = |index: usize| list.species_names.get(index).cloned().unwrap_or_default();
    let presentations = list
        .files
        .iter()
        .zip(&list.species)
        .zip(results)
        .map(|((file, &kind), liveness)| ScoredPresentation {
            file: file.clone(),
            species: species(kind),
            liveness,
        })
        .collect();
    Ok((report, PresentationScores { presentations }))
}

/// What a journal has of a presentation.
fn score(numbers: &[f32]) -> Option<Score> {
    match numbers {
        [score] => Score::new(f64::from(*score)).ok(),
        _ => None,
    }
}

fn score_file(engine: &Engine, path: &Path) -> Result<Result<Score, Status>, EngineError> {
    let bytes = match read_file(path, engine.limits()) {
        Ok(bytes) => bytes,
        Err(status) => return Ok(Err(status)),
    };
    match engine.liveness(&bytes, &LivenessOptions::default()) {
        Ok(check) => Ok(check.liveness.ok_or(Status::NoFace)),
        Err(EngineError::Image { .. }) => Ok(Err(Status::BadPicture)),
        Err(error) => Err(error),
    }
}

/// Every twentieth and the bounds of the built-in profiles, each with the names of those that have it, ascending.
fn thresholds() -> Vec<(f64, Vec<String>)> {
    let profiles = Profile::BUILTIN_NAMES
        .iter()
        .filter_map(|name| Profile::builtin(name));
    let mut thresholds =
        steps_and_bounds(profiles.map(|profile| (profile.name().to_owned(), *profile.liveness())));
    thresholds.sort_by(|a, b| a.0.total_cmp(&b.0));
    thresholds
}

const APCER_ONE_IN: [u64; 3] = [10, 20, 100];

fn report(
    engine: &Engine,
    list: &LabelList,
    results: &[Result<Score, Status>],
    data: &str,
    threads: NonZero<usize>,
) -> LivenessReport {
    let mut by_status = BTreeMap::new();
    for result in results {
        let status = result.as_ref().err().copied().unwrap_or(Status::Ok);
        *by_status.entry(status).or_default() += 1;
    }
    let species = |index: usize| list.species_names.get(index).map_or("", String::as_str);
    let presentations = results.iter().zip(&list.species).zip(&list.subjects);
    let scores = by_species(presentations.map(|((&result, &kind), &subject)| Presentation {
        species: species(kind),
        result,
        subject,
    }));

    let thresholds = thresholds();
    let bootstrap = Bootstrap::new(threads);
    let subjects = list.subjects.iter().max().map_or(0, |last| *last as usize + 1);
    let mut intervals = bootstrap
        .intervals(subjects, |weights| {
            let live = scores.bona_fide.weighted(weights);
            let attacks: Vec<_> = scores
                .attacks
                .iter()
                .map(|(_, species)| species.weighted(weights))
                .collect();
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
    let mut next = move || intervals.next().flatten();

    let mut what_if = Vec::new();
    for (threshold, used_as) in &thresholds {
        let threshold = *threshold;
        let mut apcer_by_species = Vec::new();
        for (name, species) in &scores.attacks {
            let apcer = species.ranked().share_at_or_above(threshold);
            apcer_by_species.push(Apcer {
                species: name.clone(),
                apcer: Estimate::of_rate(apcer, next()),
                apcer_at_most: (apcer == Some(0.0)).then(|| upper_bound_without_errors(species.responses())),
            });
        }
        let worst = scores.worst_apcer(threshold);
        what_if.push(AtThreshold {
            threshold,
            used_as: used_as.clone(),
            apcer: worst.map(|(rate, _)| rate),
            worst_species: worst.map(|(_, name)| name.to_owned()),
            apcer_by_species,
            bpcer: Estimate::of_rate(scores.bpcer(threshold), next()),
            acer_for_comparison_only: scores.acer(threshold),
        });
    }
    let mut species_reports = Vec::new();
    for (name, species) in &scores.attacks {
        let attack = species.ranked();
        let mut bpcer_at = Vec::new();
        for one_in in APCER_ONE_IN {
            let sufficient = species.responses() >= one_in;
            let threshold = attack.threshold_at(1.0 / one_in as f64).filter(|_| sufficient);
            let interval = next();
            bpcer_at.push(BpcerAt {
                apcer_one_in: one_in,
                presentations_needed: one_in,
                sufficient_data: sufficient,
                threshold,
                bpcer: Estimate::of_rate(threshold.and_then(|threshold| scores.bpcer(threshold)), interval),
            });
        }
        let live = scores.bona_fide.ranked();
        species_reports.push(SpeciesReport {
            species: name.clone(),
            non_response: species.non_response(),
            bpcer_at,
            equal_error_rate: equal_error_rate(&live, &attack),
            det: det_points(&live, &attack, DET_STEP),
            histogram: species.histogram(SHOWN_STEPS),
        });
    }
    LivenessReport {
        setup: Setup::of(engine),
        data: data.to_owned(),
        acquisition: AcquisitionReport::of(by_status),
        bona_fide_non_response: scores.bona_fide.non_response(),
        intervals: format!(
            "{} % percentile intervals, {} replicates of a bootstrap over {}, seed {}",
            bootstrap.confidence * 100.0,
            bootstrap.replicates,
            if list.has_people {
                "people"
            } else {
                "pictures (the list has no column person): too narrow where several show the same person"
            },
            bootstrap.seed
        ),
        at_thresholds: what_if
            .iter()
            .filter(|row| !row.used_as.is_empty())
            .cloned()
            .collect(),
        what_if,
        species: species_reports,
        bona_fide_histogram: scores.bona_fide.histogram(SHOWN_STEPS),
    }
}

impl LivenessReport {
    /// The report for reading in a terminal.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write_summary(&mut text);
        text
    }

    fn write_summary(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "{}", self.data)?;
        writeln!(text, "{} pictures", grouped(self.acquisition.pictures))?;
        for (status, count) in &self.acquisition.by_status {
            if *status != Status::Ok {
                writeln!(text, "  {}: {}", status.as_str(), grouped(*count))?;
            }
        }
        let non_response = |found: Option<NonResponse>| {
            found.map_or_else(
                || "no presentation".to_owned(),
                |found| {
                    format!(
                        "{} presentations, {} without a score ({})",
                        grouped(found.presentations),
                        grouped(found.count),
                        percent(found.rate)
                    )
                },
            )
        };
        writeln!(text, "bona fide: {}", non_response(self.bona_fide_non_response))?;
        for species in &self.species {
            writeln!(
                text,
                "attack species {}: {}",
                species.species,
                non_response(species.non_response)
            )?;
        }
        writeln!(
            text,
            "\nthreshold  APCER of the worst species; BPCER (95 % interval); ACER for comparison only"
        )?;
        for row in &self.at_thresholds {
            let apcer = match (row.apcer, &row.worst_species) {
                (Some(rate), Some(species)) => format!("{} ({species})", percent(rate)),
                _ => "-".to_owned(),
            };
            let acer = row
                .acer_for_comparison_only
                .map_or_else(|| "-".to_owned(), percent);
            writeln!(
                text,
                "{:<10} {apcer}; {}; {acer}",
                row.threshold,
                shown(row.bpcer)
            )?;
            for species in &row.apcer_by_species {
                let at_most = species
                    .apcer_at_most
                    .map_or_else(String::new, |rate| format!(" (at most {})", percent(rate)));
                writeln!(
                    text,
                    "           {}: APCER {}{at_most}",
                    species.species,
                    shown(species.apcer)
                )?;
            }
        }
        writeln!(
            text,
            "\nwhat if the threshold were another (in full in report.html and report.json)\n\
             threshold  APCER of the worst species  BPCER"
        )?;
        for row in self.what_if.iter().filter(|row| is_tenth(row.threshold)) {
            writeln!(
                text,
                "{:<10} {:27} {}",
                row.threshold,
                row.apcer.map_or_else(|| "-".to_owned(), percent),
                row.bpcer
                    .map_or_else(|| "-".to_owned(), |bpcer| percent(bpcer.value))
            )?;
        }
        for species in &self.species {
            writeln!(text, "\n{}", species.species)?;
            for row in &species.bpcer_at {
                match row.threshold {
                    Some(threshold) => writeln!(
                        text,
                        "  BPCER{:<4} {} at threshold {threshold:.4}",
                        row.apcer_one_in,
                        shown(row.bpcer)
                    )?,
                    None => writeln!(
                        text,
                        "  BPCER{:<4} insufficient data: {} attack presentations needed",
                        row.apcer_one_in,
                        grouped(row.presentations_needed)
                    )?,
                }
            }
            if let Some(equal) = species.equal_error_rate {
                writeln!(
                    text,
                    "  equal error rate {} at threshold {:.4}",
                    percent(equal.rate),
                    equal.threshold
                )?;
            }
        }
        writeln!(text, "\n{}", self.intervals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<LabelList, EvaluationError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.csv");
        std::fs::write(&path, text).unwrap();
        LabelList::read(&path)
    }

    #[test]
    fn species_are_listed_as_they_appear() {
        let list = read("species,file\nprint,a\nlive,b\nprint,c\n").unwrap();
        assert_eq!(list.files, ["a", "b", "c"]);
        assert_eq!(
            (list.species, list.species_names),
            (vec![0, 1, 0], vec!["print".to_owned(), LIVE.to_owned()])
        );
        assert_eq!((list.subjects, list.has_people), (vec![0, 1, 2], false));
        let list = read("species,file,person\nprint,a,x\nlive,b,y\nprint,c,x\n").unwrap();
        assert_eq!((list.subjects, list.has_people), (vec![0, 1, 0], true));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, expected) in [
            ("file\na\n", ":1: the header has no column \"species\""),
            ("file,species\na,\n", ":2: species is empty"),
            (
                "file,species\na,live\n\na,print\n",
                ":4: a is in a line above already",
            ),
            ("file,species\n", "there is no presentation"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_score_comes_back_from_a_journal_as_it_was() {
        for step in 0..=10_000 {
            let kept = Score::new(f64::from(step) / 10_000.0).unwrap();
            assert_eq!(score(&[kept.value() as f32]), Some(kept));
        }
        assert_eq!(
            (score(&[]), score(&[0.5, 0.5]), score(&[1.5])),
            (None, None, None)
        );
    }

    #[test]
    fn the_thresholds_are_those_of_the_profiles_and_steps_between() {
        let (bounds, steps): (Vec<_>, Vec<_>) =
            thresholds().into_iter().partition(|(_, names)| !names.is_empty());
        let values: Vec<f64> = bounds.iter().map(|(value, _)| *value).collect();
        assert_eq!(values, [0.3, 0.4, 0.5, 0.6, 0.8]);
        assert_eq!(bounds[3].1, ["optimal-v0 review_below", "strict-v0 reject_below"]);
        assert_eq!(steps.len(), 14);
        assert!(thresholds().is_sorted_by(|a, b| a.0 < b.0));
    }
}
