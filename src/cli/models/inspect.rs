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
    /// ONNX file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Size to assume for a free first dimension, the batch.
    #[arg(long, value_name = "N", default_value_t = Assumptions::default().batch, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch: u32,
    /// Size to assume for every other free dimension, such as height and width in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = Assumptions::default().side, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    side: u32,
}

impl InspectArguments {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        let place = self.file.display();
        let mut onnx = Vec::new();
        // One byte more than allowed, so that a longer file is not taken for its beginning.
        File::open(&self.file)
            .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut onnx))
            .map_err(|error| format!("cannot read {place}: {error}"))?;
        if onnx.len() as u64 > MAX_FILE_BYTES {
            return Err(format!("{place} has more than {MAX_FILE_BYTES} bytes").into());
        }
        let mut assumptions = Assumptions::default();
        (assumptions.batch, assumptions.side) = (self.batch, self.side);
        let inspection = inspect_with(&onnx, assumptions).map_err(|error| format!("{place}: {error}"))?;
        say(inspection.to_string().trim_end())?;
        Ok(exit::PASS.into())
    }
}
