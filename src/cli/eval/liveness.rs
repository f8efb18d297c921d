//! `likeness eval liveness`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use likeness_evaluation::{LabelList, evaluate_liveness};

use super::{Bar, Output, describe_labels, threads};
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
        let data = describe_labels(&self.labels);
        let (report, scores) = evaluate_liveness(&engine, &list, root, &data, threads(&engine), &Bar::new())?;
        if let Some(mut file) = output.open("scores.csv")? {
            scores.write_csv(&mut file)?;
            file.flush()?;
        }
        output.json("report.json", &report)?;
        output.text("report.html", &report.html())?;
        say(report.summary().trim_end())?;
        Ok(ExitCode::SUCCESS)
    }
}
