//! `likeness eval`: error rates on your own images.

mod output;
mod source;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use likeness::decision::Profile;
use likeness_evaluation::{Evaluation, JournalContent, MatchOptions, PairList};

pub(crate) use self::output::Bar;
use self::output::Output;
pub(crate) use self::source::{Comparisons, Face, LivenessSource, MatchSource, root};
use super::{EngineArguments, Failure, say};

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
    /// Folder for scores.csv, report.json and report.html.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Decision profile of scores.csv.
    #[arg(long, value_name = "NAME", default_value = "optimal-v0", value_parser = PossibleValuesParser::new(Profile::BUILTIN_NAMES))]
    profile: String,
    /// Accuracy by LFW's protocol over N blocks of the list; a column `fold` takes precedence.
    #[arg(long, value_name = "N", conflicts_with_all = ["people", "all_pairs"], value_parser = clap::value_parser!(u32).range(2..))]
    folds: Option<u32>,
    /// Accuracy at the best threshold of these pairs of other people.
    #[arg(long, value_name = "CSV", conflicts_with_all = ["people", "all_pairs"])]
    train: Option<PathBuf>,
    /// Write every comparison of all pairs to scores.csv: n (n - 1) / 2 rows.
    #[arg(long, requires = "out")]
    write_pairs: bool,
    /// Resume an interrupted run; until the end, embeddings are kept in a private file in --out.
    #[arg(long, requires = "out")]
    resume: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LivenessArguments {
    #[command(flatten)]
    source: LivenessSource,
    /// Folder for scores.csv, report.json and report.html.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Resume an interrupted run; until the end, scores are kept in a file in --out.
    #[arg(long, requires = "out")]
    resume: bool,
}

impl EvalCommand {
    pub(crate) fn run(&self, engine: &EngineArguments) -> Result<ExitCode, Failure> {
        match self {
            Self::Match(arguments) => arguments.run(engine),
            Self::Liveness(arguments) => arguments.run(engine),
        }
    }
}

impl MatchArguments {
    fn run(&self, engine: &EngineArguments) -> Result<ExitCode, Failure> {
        let output = Output::create(self.out.as_deref())?;
        // Before the models are loaded, so that errors in the lists are reported at once.
        let work = self.source.read()?;
        let train = self.train.as_deref().map(PairList::read).transpose()?;
        let engine = engine.builder()?.uncalibrated(true).build()?;
        let options = MatchOptions::default()
            .with_face(work.face)
            .with_profile(Profile::builtin(&self.profile).ok_or("unknown profile")?);
        let journal = output.journal(self.resume, JournalContent::Embeddings(work.face), &engine)?;
        let bar = Bar::new();
        let evaluation = Evaluation::new(&engine, &work.root)
            .with_data(&work.data)
            .with_journal(journal.as_ref())
            .with_progress(&bar);
        let report = match &work.comparisons {
            Comparisons::All(people) => {
                let mut file = None;
                if self.write_pairs {
                    file = output.open("scores.csv")?;
                }
                let pairs = file.as_mut().map(|file| file as &mut dyn Write);
                evaluation.all_pairs(people, pairs, &options)?
            }
            Comparisons::Pairs(list) => {
                let training = match &train {
                    Some(train) => Some(evaluation.pairs(train, None, &options)?.1),
                    None => None,
                };
                let options = options.with_folds(self.folds.map(|folds| folds as usize));
                let (report, scores) = evaluation.pairs(list, training.as_ref(), &options)?;
                if let Some(file) = output.open("scores.csv")? {
                    scores.write_csv(file)?;
                }
                report
            }
        };
        output.finish(&report, &report.html(), journal)?;
        say(report.summary().trim_end())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl LivenessArguments {
    fn run(&self, engine: &EngineArguments) -> Result<ExitCode, Failure> {
        let output = Output::create(self.out.as_deref())?;
        let work = self.source.read()?;
        let engine = engine.builder()?.uncalibrated(true).build()?;
        let journal = output.journal(self.resume, JournalContent::Scores, &engine)?;
        let bar = Bar::new();
        let evaluation = Evaluation::new(&engine, work.root)
            .with_data(&work.data)
            .with_journal(journal.as_ref())
            .with_progress(&bar);
        let (report, scores) = evaluation.liveness(&work.list)?;
        if let Some(file) = output.open("scores.csv")? {
            scores.write_csv(file)?;
        }
        output.finish(&report, &report.html(), journal)?;
        say(report.summary().trim_end())?;
        Ok(ExitCode::SUCCESS)
    }
}
