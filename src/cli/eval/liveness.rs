//! `likeness eval liveness`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use likeness_evaluation::{JournalContent, LabelList, evaluate_liveness};

use super::{Bar, Output, threads};
use crate::cli::{EngineArguments, Failure, say};

#[derive(Debug, Args)]
pub(crate) struct LivenessArguments {
    /// CSV file with the columns file and species (live for bona fide, any other word names the attack species);
    /// optionally person.
    #[arg(long, value_name = "CSV")]
    labels: PathBuf,
    /// Where the paths in the CSV file begin [default: the folder of the file].
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
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
        let list = LabelList::read(&self.labels)?;
        let root = match &self.root {
            Some(root) => root,
            None => self.labels.parent().unwrap_or(Path::new("")),
        };
        let engine = engine.builder().build()?;
        let name = self.labels.file_name().unwrap_or_default().to_string_lossy();
        let data = format!("the presentations of {name}");
        let journal = output.journal(self.resume, JournalContent::Scores, &engine)?;
        let (report, scores) = evaluate_liveness(
            &engine,
            &list,
            root,
            &data,
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
