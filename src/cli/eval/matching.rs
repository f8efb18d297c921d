//! `likeness eval match`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use likeness::Engine;
use likeness::decision::Profile;
use likeness_evaluation::{
    FaceChoice, JournalContent, MatchOptions, PairList, PairScores, People, evaluate_all_pairs,
    evaluate_pairs,
};

use super::{Bar, Output, threads};
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
    /// Keep each embedding in the folder of the results, readable by nobody else, until all are there, and go on where a
    /// run that was killed has stopped.
    #[arg(long, requires = "out")]
    resume: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Face {
    /// The largest, as the engine judges.
    Largest,
    /// The one nearest the picture's centre, as LFW has it.
    Centre,
}

impl MatchArguments {
    pub(crate) fn run(&self, engine: &EngineArguments) -> Result<ExitCode, Failure> {
        let output = Output::create(self.out.as_deref())?;
        // Lists are read before the models are loaded: what is wrong with them is told at once.
        let work = self.work()?;
        let engine = engine.builder().build()?;
        let options = self.options(&engine, &work)?;
        let journal = output.journal(self.resume, JournalContent::Embeddings(options.face), &engine)?;
        let (kept, bar) = (journal.as_ref(), Bar::new());
        let report = match &work.comparisons {
            Comparisons::All(people) => {
                let mut file = if self.write_pairs {
                    output.open("scores.csv")?
                } else {
                    None
                };
                let pairs = file.as_mut().map(|file| file as &mut dyn Write);
                let report = evaluate_all_pairs(&engine, people, &work.root, pairs, &options, kept, &bar)?;
                if let Some(mut file) = file {
                    file.flush()?;
                }
                report
            }
            Comparisons::Pairs { list, train } => {
                let evaluate = |list, training: Option<&PairScores>, options| {
                    evaluate_pairs(&engine, list, &work.root, training, options, kept, &bar)
                };
                let without_folds = unfolded(&options);
                let training = match train {
                    Some(train) => Some(evaluate(train, None, &without_folds)?.1),
                    None => None,
                };
                let (report, scores) = evaluate(list, training.as_ref(), &options)?;
                if let Some(mut file) = output.open("scores.csv")? {
                    scores.write_csv(&mut file)?;
                    file.flush()?;
                }
                report
            }
        };
        output.json("report.json", &report)?;
        output.text("report.html", &report.html())?;
        if let Some(journal) = journal {
            journal.delete()?;
        }
        say(report.summary().trim_end())?;
        Ok(ExitCode::SUCCESS)
    }

    fn work(&self) -> Result<Work, Failure> {
        let (source, root, comparisons) = match (&self.people, &self.pairs) {
            (Some(people), _) => (people, people.clone(), Comparisons::All(People::read(people)?)),
            (None, Some(pairs)) => {
                let list = PairList::read(pairs)?;
                let root = match &self.root {
                    Some(root) => root.clone(),
                    None => pairs.parent().unwrap_or(Path::new("")).to_owned(),
                };
                let comparisons = if self.all_pairs {
                    Comparisons::All(People::of_list(list)?)
                } else {
                    let train = self.train.as_deref().map(PairList::read).transpose()?;
                    Comparisons::Pairs { list, train }
                };
                (pairs, root, comparisons)
            }
            // The arguments ask for one of the two.
            (None, None) => return Err("--pairs or --people is needed".into()),
        };
        Ok(Work {
            name: source
                .file_name()
                .unwrap_or(source.as_os_str())
                .to_string_lossy()
                .into_owned(),
            root,
            comparisons,
        })
    }

    fn options(&self, engine: &Engine, work: &Work) -> Result<MatchOptions, Failure> {
        let name = &work.name;
        Ok(MatchOptions {
            face: match self.face {
                Face::Largest => FaceChoice::Largest,
                Face::Centre => FaceChoice::Centre,
            },
            profile: Profile::builtin(&self.profile).ok_or("there is no such profile")?,
            folds: self.folds.map(|folds| folds as usize),
            data: match (&work.comparisons, self.face) {
                (Comparisons::Pairs { .. }, Face::Largest) => format!("the pairs of {name}, largest face"),
                (Comparisons::Pairs { .. }, Face::Centre) => {
                    format!("the pairs of {name}, face nearest the centre")
                }
                (Comparisons::All(_), Face::Largest) => {
                    format!("all pairs of the pictures of {name}, largest face")
                }
                (Comparisons::All(_), Face::Centre) => {
                    format!("all pairs of the pictures of {name}, face nearest the centre")
                }
            },
            threads: threads(engine),
        })
    }
}

/// What is to be compared.
struct Work {
    /// What the report calls it.
    name: String,
    /// Where its paths begin.
    root: PathBuf,
    comparisons: Comparisons,
}

enum Comparisons {
    All(People),
    Pairs { list: PairList, train: Option<PairList> },
}

/// The training pairs are only asked for their best threshold.
fn unfolded(options: &MatchOptions) -> MatchOptions {
    MatchOptions {
        folds: None,
        ..options.clone()
    }
}
