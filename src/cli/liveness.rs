//! `likeness liveness`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use likeness::LivenessOptions;
use likeness::api::{Meta, liveness_response};
use likeness::decision::Score;

use super::verify::{failed, print_json};
use super::{EngineArguments, Failure, exit, read_image, say};

#[derive(Debug, Args)]
pub(crate) struct LivenessArguments {
    /// Image to score
    selfie: PathBuf,
    /// Lowest score of a live face, 0 to 1
    #[arg(long, value_name = "T", allow_negative_numbers = true, default_value_t = LivenessOptions::default().threshold, value_parser = parse_threshold)]
    threshold: f64,
    /// Print the JSON body of the HTTP API
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineArguments,
}

fn parse_threshold(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(threshold) if (0.0..=1.0).contains(&threshold) => Ok(threshold),
        _ => Err("must be a number from 0 to 1".to_owned()),
    }
}

impl LivenessArguments {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        let meta = Meta::now();
        // No face is compared with another here.
        let engine = self.engine.builder()?.uncalibrated(true).workers(1).build()?;
        let selfie = read_image(&self.selfie, engine.limits())?;
        let options = LivenessOptions::default().with_threshold(self.threshold);
        let check = match engine.liveness(&selfie, &options) {
            Ok(check) => check,
            Err(error) => return failed(&meta, error, self.json),
        };
        if self.json {
            print_json(&liveness_response(&meta, Meta::now().requested_at, &check))?;
        } else {
            let verdict = match (check.live, check.selfie.faces.is_empty()) {
                (true, _) => "LIVE",
                (false, false) => "NOT LIVE",
                (false, true) => "NO FACE",
            };
            say(format_args!(
                "{verdict}  liveness {}, threshold {}",
                check.liveness.unwrap_or(Score::ZERO),
                check.threshold
            ))?;
        }
        Ok(if check.live { exit::PASS } else { exit::REJECT }.into())
    }
}
