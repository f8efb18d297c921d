//! `likeness eval match`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::builder::PossibleValuesParser;
use likeness::Engine;
use likeness::decision::Profile;
use likeness_evaluation::{
    JournalContent, MatchOptions, PairList, PairScores, evaluate_all_pairs, evaluate_pairs,
};

use super::source::{Comparisons, MatchSource, MatchWork};
use super::{Bar, Output, threads};
use crate::cli::{EngineArguments, Failure, say};

#[derive(Debug, Args)]
pub(crate) struct MatchArguments {
    #[command(flatten)]
    source: MatchSource,
    /// Write scores.csv, report.json and report.html to this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Whose thresholds make the decisions in scores.csv.
    #[arg(long, value_name = "NAME", default_value = "optimal-v0", value_parser = PossibleValuesParser::new(Profile::BUILTIN_NAMES))]
    profile: String,
    /// Accuracy as LFW reports it: over so many blocks in the list's order, each judged at the threshold that is best on
    /// the others. A column fold goes before it.
    #[arg(long, value_name = "N", conflicts_with_all = ["people", "all_pairs"], value_parser = clap::value_parser!(u32).range(2..))]
    folds: Option<u32>,
    /// Accuracy at the threshold that is best on these pairs of other people.
    #[arg(long, value_name = "CSV", conflicts_with_all = ["people", "all_pairs"])]
    train: Option<PathBuf>,
    /// Write every comparison to scores.csv where all pictures are compared: n (n - 1) / 2 lines.
    #[arg(long, requires = "out")]
    write_pairs: bool,
    /// Keep each embedding in the folder of the results, readable by nobody else, until all are there, and go on where a
    /// run that was killed has stopped.
    #[arg(long, requires = "out")]
    resume: bool,
}

impl MatchArguments {
    pub(crate) fn run(&self, engine: &EngineArguments) -> Result<ExitCode, Failure> {
        let output = Output::create(self.out.as_deref())?;
        // Lists are read before the models are loaded: what is wrong with them is told at once.
        let work = self.source.read()?;
        let train = self.train.as_deref().map(PairList::read).transpose()?;
        let engine = engine.builder()?.uncalibrated(true).build()?;
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
            Comparisons::Pairs(list) => {
                let evaluate = |list, training: Option<&PairScores>, options| {
                    evaluate_pairs(&engine, list, &work.root, training, options, kept, &bar)
                };
                let without_folds = unfolded(&options);
                let training = match &train {
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

    fn options(&self, engine: &Engine, work: &MatchWork) -> Result<MatchOptions, Failure> {
        Ok(MatchOptions {
            face: work.face,
            profile: Profile::builtin(&self.profile).ok_or("there is no such profile")?,
            folds: self.folds.map(|folds| folds as usize),
            data: work.data.clone(),
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
