//! `likeness eval`: error rates on your own images.

mod output;
mod source;

use std::io::Write;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use likeness::decision::Profile;
use likeness_evaluation::{Evaluation, JournalContent, MAX_GALLERY, MatchOptions, PairList};

pub(crate) use self::output::Bar;
use self::output::Output;
use self::source::GroupSource;
pub(crate) use self::source::{Comparisons, Face, LivenessSource, MatchSource, root};
use super::{EngineArguments, Failure, say, warn};

#[derive(Debug, Subcommand)]
pub(crate) enum EvalCommand {
    /// False match and false non-match rates (ISO/IEC 19795-1).
    Match(Box<MatchArguments>),
    /// Attack and bona fide presentation classification error rates (ISO/IEC 30107-3).
    Liveness(LivenessArguments),
}

#[derive(Debug, Args)]
pub(crate) struct MatchArguments {
    #[command(flatten)]
    source: MatchSource,
    #[command(flatten)]
    groups: GroupSource,
    /// Folder for scores.csv, report.json and report.html.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Decision profile of scores.csv.
    #[arg(long, value_name = "NAME", default_value = "optimal-v0", value_parser = PossibleValuesParser::new(Profile::BUILTIN_NAMES))]
    profile: String,
    /// Accuracy by LFW's protocol over N blocks of the list; a column `fold` takes precedence.
    #[arg(long, value_name = "N", conflicts_with_all = ["people", "list", "images", "all_pairs"], value_parser = clap::value_parser!(u32).range(2..))]
    folds: Option<u32>,
    /// Accuracy at the best threshold of these pairs of other people.
    #[arg(long, value_name = "CSV", conflicts_with_all = ["people", "list", "images", "all_pairs"])]
    train: Option<PathBuf>,
    /// Write every comparison of all pairs to scores.csv: n (n - 1) / 2 rows.
    #[arg(long, requires = "out")]
    write_pairs: bool,
    /// Show the N worst errors of each kind as images in report.html, which then holds faces; at most 200.
    #[arg(long, value_name = "N", requires = "out", value_parser = parse_gallery)]
    gallery: Option<usize>,
    /// Resume an interrupted run; until the end, embeddings are kept in a private file in --out.
    #[arg(long, requires = "out")]
    resume: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LivenessArguments {
    #[command(flatten)]
    source: LivenessSource,
    #[command(flatten)]
    groups: GroupSource,
    /// Folder for scores.csv, report.json and report.html.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Show the N worst errors of each kind as images in report.html, which then holds faces; at most 200.
    #[arg(long, value_name = "N", requires = "out", value_parser = parse_gallery)]
    gallery: Option<usize>,
    /// Resume an interrupted run; until the end, scores are kept in a file in --out.
    #[arg(long, requires = "out")]
    resume: bool,
}

fn parse_gallery(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (1..=MAX_GALLERY).contains(&number) => Ok(number),
        _ => Err(format!("must be a number from 1 to {MAX_GALLERY}")),
    }
}

/// Returns the size of the gallery, and warns of what the report then holds.
fn gallery(wanted: Option<usize>) -> usize {
    if wanted.is_some() {
        warn("report.html will show faces: protect it like the images themselves");
    }
    wanted.unwrap_or_default()
}

impl EvalCommand {
    pub(crate) fn run(&self, engine: &EngineArguments) -> Result<(), Failure> {
        match self {
            Self::Match(arguments) => eval_match(arguments, engine),
            Self::Liveness(arguments) => eval_liveness(arguments, engine),
        }
    }
}

fn eval_match(arguments: &MatchArguments, engine: &EngineArguments) -> Result<(), Failure> {
    let output = Output::create(arguments.out.as_deref())?;
    // Before the models are loaded, so that errors in the lists are reported at once.
    let mut work = arguments.source.read()?;
    arguments.groups.add_to_match(&mut work)?;
    let train = arguments.train.as_deref().map(PairList::read).transpose()?;
    let engine = engine.builder()?.uncalibrated(true).build()?;
    let face = arguments.source.face();
    let mut options = MatchOptions {
        face,
        profile: Profile::builtin(&arguments.profile).ok_or("unknown profile")?,
        folds: None,
    };
    let journal = output.journal(arguments.resume, JournalContent::Embeddings(face), &engine)?;
    let bar = Bar::new();
    let evaluation = Evaluation {
        data: &work.data,
        journal: journal.as_ref(),
        progress: &bar,
        gallery: gallery(arguments.gallery),
        ..Evaluation::new(&engine, work.root)
    };
    let report = match &work.list {
        Comparisons::All(people) => {
            let mut file = None;
            if arguments.write_pairs {
                file = output.open("scores.csv")?;
            }
            let pairs = file.as_mut().map(|file| file as &mut dyn Write);
            evaluation.all_pairs(people, pairs, &options)?
        }
        Comparisons::Pairs(list) => {
            // Their images are in no report.
            let of_training = Evaluation {
                gallery: 0,
                ..evaluation
            };
            let training = train
                .as_ref()
                .map(|train| of_training.pairs(train, None, &options));
            let training = training.transpose()?.map(|(_, scores)| scores);
            options.folds = arguments.folds.map(|folds| folds as usize);
            let (report, scores) = evaluation.pairs(list, training.as_ref(), &options)?;
            if let Some(file) = output.open("scores.csv")? {
                scores.write_csv(file)?;
            }
            report
        }
    };
    output.finish(&report, &report.html(), journal)?;
    say(report.summary().trim_end())
}

fn eval_liveness(arguments: &LivenessArguments, engine: &EngineArguments) -> Result<(), Failure> {
    let output = Output::create(arguments.out.as_deref())?;
    let mut work = arguments.source.read()?;
    arguments.groups.add_to_liveness(&mut work)?;
    let engine = engine.builder()?.uncalibrated(true).build()?;
    let journal = output.journal(arguments.resume, JournalContent::Scores, &engine)?;
    let bar = Bar::new();
    let evaluation = Evaluation {
        data: &work.data,
        journal: journal.as_ref(),
        progress: &bar,
        gallery: gallery(arguments.gallery),
        ..Evaluation::new(&engine, work.root)
    };
    let (report, scores) = evaluation.liveness(&work.list)?;
    if let Some(file) = output.open("scores.csv")? {
        scores.write_csv(file)?;
    }
    output.finish(&report, &report.html(), journal)?;
    say(report.summary().trim_end())
}
