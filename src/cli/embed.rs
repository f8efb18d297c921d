//! `likeness embed`.

use std::path::PathBuf;

use clap::Args;
use likeness::EnrolOptions;

use super::out_file::{OutFile, out_file};
use super::verify::{print_lines, read_image};
use super::{EngineArguments, Failure};

#[derive(Debug, Args)]
pub(crate) struct EmbedArguments {
    /// Image to enrol: the template is of its largest face
    image: PathBuf,
    /// Template to write, readable by its owner only
    #[arg(long, value_name = "FILE", value_parser = out_file)]
    out: OutFile,
    #[command(flatten)]
    engine: EngineArguments,
}

impl EmbedArguments {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        self.out.check_folder()?;
        // No face is compared with another here.
        let engine = self.engine.builder()?.uncalibrated(true).workers(1).build()?;
        let image = read_image(&self.image, &engine)?;
        let enrolment = engine.enrol(&image, &EnrolOptions::default())?;
        let Some(template) = enrolment.template else {
            return Err(format!("{}: no face detected, no template written", self.image.display()).into());
        };
        self.out.write_private(template.as_bytes())?;
        print_lines(&enrolment.findings)
    }
}
