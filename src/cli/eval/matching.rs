//! `likeness eval match`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use clap::builder::PossibleValuesParser;
use likeness::Engine;
use likeness::decision::Profile;
use likeness_evaluation::{MatchOptions, MatchReport, PairList, People, evaluate_all_pairs, evaluate_pairs};

use super::{Bar, Face, Output, threads};
use crate::cli::{EngineArguments, Failure, say};

#[derive(Debug, Args)]
pub(crate) struct MatchArguments {
    /// CSV file with the columns left, right and label (1 = same person, 0 = not); optionally fold, or left_person and
    /// right_person.
    #[arg(
        long,
        value_name = "CSV",
        required_unless_present = "people",
        conflicts_with = "people"
    )]
    pairs: Option<PathBuf>,
    /// A folder with a folder of pictures for each person: every picture is compared with every other.
    #[arg(long, value_name = "DIR")]
    people: Option<PathBuf>,
    /// Where the paths in the CSV files begin [default: the folder of the file].
    #[arg(long, value_name = "DIR", conflicts_with = "people")]
    root: Option<PathBuf>,
    /// Write scores.csv, report.json and report.html to this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Whose thresholds make the decisions in scores.csv.
    #[arg(long, value_name = "NAME", default_value = "optimal-v0", value_parser = PossibleValuesParser::new(Profile::BUILTIN_NAMES))]
    profile: String,
    /// Which face of a picture counts.
    #[arg(long, value_enum, default_value_t = Face::Largest)]
    face: Face,
    /// Accuracy as LFW reports it: over so many blocks in the list's order, each judged at the threshold that is best on
    /// the others. A column fold goes before it.
    #[arg(long, value_name = "N", conflicts_with = "people", value_parser = clap::value_parser!(u32).range(2..))]
    folds: Option<u32>,
    /// Accuracy at the threshold that is best on these pairs of other people.
    #[arg(long, value_name = "CSV", conflicts_with_all = ["people", "all_pairs"])]
    train: Option<PathBuf>,
    /// Compare every picture of the pairs with every other instead of the pairs alone.
    #[arg(long, conflicts_with_all = ["people", "folds"])]
    all_pairs: bool,
    /// Write every comparison to scores.csv where all pictures are compared: n (n - 1) / 2 lines.
    #[arg(long, requires = "out")]
    write_pairs: bool,
}

impl MatchArguments {
    pub(crate) fn run(&self, engine: &EngineArguments) -> Result<ExitCode, Failure> {
        let output = Output::create(self.out.as_deref())?;
        let (report, scores) = match (&self.people, &self.pairs) {
            (Some(people), _) => {
                let engine = engine.builder().build()?;
                let report = self.all(&engine, &People::read(people)?, people, people, &output)?;
                (report, None)
            }
            (None, Some(pairs)) => {
                // Lists are read before the models are loaded: what is wrong with them is told at once.
                let list = PairList::read(pairs)?;
                let root = match &self.root {
                    Some(root) => root.clone(),
                    None => pairs.parent().unwrap_or(Path::new("")).to_owned(),
                };
                if self.all_pairs {
                    let people = People::of_list(list)?;
                    let engine = engine.builder().build()?;
                    (self.all(&engine, &people, &root, pairs, &output)?, None)
                } else {
                    let train = self.train.as_deref().map(PairList::read).transpose()?;
                    let engine = engine.builder().build()?;
                    let options = self.options(&engine, pairs)?;
                    let bar = Bar::new();
                    let training = match &train {
                        Some(train) => {
                            Some(evaluate_pairs(&engine, train, &root, None, &unfolded(&options), &bar)?.1)
                        }
                        None => None,
                    };
                    let (report, scores) =
                        evaluate_pairs(&engine, &list, &root, training.as_ref(), &options, &bar)?;
                    (report, Some(scores))
                }
            }
            // The arguments ask for one of the two.
            (None, None) => return Err("--pairs or --people is needed".into()),
        };
        if let Some(scores) = scores
            && let Some(mut file) = output.open("scores.csv")?
        {
            scores.write_csv(&mut file)?;
            file.flush()?;
        }
        output.json("report.json", &report)?;
        output.text("report.html", &report.html())?;
        say(report.summary().trim_end())?;
        Ok(ExitCode::SUCCESS)
    }

    fn all(
        &self,
        engine: &Engine,
        people: &People,
        root: &Path,
        source: &Path,
        output: &Output,
    ) -> Result<MatchReport, Failure> {
        let options = self.options(engine, source)?;
        let bar = Bar::new();
        let mut file = if self.write_pairs {
            output.open("scores.csv")?
        } else {
            None
        };
        let pairs = file.as_mut().map(|file| file as &mut dyn Write);
        let report = evaluate_all_pairs(engine, people, root, pairs, &options, &bar)?;
        if let Some(mut file) = file {
            file.flush()?;
        }
        Ok(report)
    }

    fn options(&self, engine: &Engine, source: &Path) -> Result<MatchOptions, Failure> {
        Ok(MatchOptions {
            face: self.face.choice(),
            profile: Profile::builtin(&self.profile).ok_or("there is no such profile")?,
            folds: self.folds.map(|folds| folds as usize),
            data: self
                .face
                .describe(source, self.people.is_some() || self.all_pairs),
            threads: threads(engine),
        })
    }
}

/// The training pairs are only asked for their best threshold.
fn unfolded(options: &MatchOptions) -> MatchOptions {
    MatchOptions {
        folds: None,
        ..options.clone()
    }
}
