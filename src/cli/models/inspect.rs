//! `likeness models inspect`.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use likeness::packs::MAX_FILE_BYTES;
use likeness_onnx::inspect::{Assumptions, inspect_with};

use crate::cli::{Failure, exit, say};

#[derive(Debug, Args)]
pub(crate) struct InspectArguments {
    /// An ONNX file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What a free first dimension, the batch, counts as.
    #[arg(long, value_name = "N", default_value_t = Assumptions::default().batch, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch: u32,
    /// What every other free dimension counts as: height and width in pixels, mostly.
    #[arg(long, value_name = "PIXELS", default_value_t = Assumptions::default().side, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    side: u32,
}

impl InspectArguments {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        let place = self.file.display();
        let mut onnx = Vec::new();
        // One byte more than a file may have, so that a longer one is not taken for its beginning.
        File::open(&self.file)
            .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut onnx))
            .map_err(|error| format!("cannot read {place}: {error}"))?;
        if onnx.len() as u64 > MAX_FILE_BYTES {
            return Err(format!("{place} has more than {MAX_FILE_BYTES} bytes").into());
        }
        let assumptions = Assumptions {
            batch: self.batch,
            side: self.side,
        };
        let inspection = inspect_with(&onnx, assumptions).map_err(|error| format!("{place}: {error}"))?;
        say(inspection.to_string().trim_end())?;
        Ok(exit::PASS.into())
    }
}
