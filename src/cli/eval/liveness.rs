//! `likeness eval liveness`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use likeness_evaluation::{JournalContent, evaluate_liveness};

use super::source::LivenessSource;
use super::{Bar, Output, threads};
use crate::cli::{EngineArguments, Failure, say};

#[derive(Debug, Args)]
pub(crate) struct LivenessArguments {
    #[command(flatten)]
    source: LivenessSource,
    /// Write scores.csv, report.json and report.html to this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Keep each score in the folder of the results until all are there, and go on where a run that was killed has
    /// stopped.
    #[arg(long, requires = "out")]
    resume: bool,
}

impl LivenessArguments {
    pub(crate) fn run(&self, engine: &EngineArguments) -> Result<ExitCode, Failure> {
        let output = Output::create(self.out.as_deref())?;
        let work = self.source.read()?;
        let engine = engine.builder()?.uncalibrated(true).build()?;
        let journal = output.journal(self.resume, JournalContent::Scores, &engine)?;
        let (report, scores) = evaluate_liveness(
            &engine,
            &work.list,
            work.root,
            &work.data,
            threads(&engine),
            journal.as_ref(),
            &Bar::new(),
        )?;
        if let Some(mut file) = output.open("scores.csv")? {
            scores.write_csv(&mut file)?;
            file.flush()?;
        }
        output.json("report.json", &report)?;
        output.text("report.html", &report.html())?;
        if let Some(journal) = journal {
            journal.delete()?;
        }
        say(report.summary().trim_end())?;
        Ok(ExitCode::SUCCESS)
    }
}
