//! `likeness liveness`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use likeness::LivenessOptions;
use likeness::api::{ApiError, Meta, error_response, liveness_response};
use likeness::decision::Score;

use super::verify::print_json;
use super::{EngineArguments, Failure, exit, read_picture, say};

#[derive(Debug, Args)]
pub(crate) struct LivenessArguments {
    /// The picture that is judged.
    selfie: PathBuf,
    /// From this score on the face counts as live, 0 to 1 [default: 0.6, where optimal-v0 stops asking for review].
    #[arg(long, value_name = "T", allow_negative_numbers = true, value_parser = parse_threshold)]
    threshold: Option<f64>,
    /// Print the body that the HTTP service would answer with.
    #[arg(long)]
    json: bool,
}

fn parse_threshold(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(threshold) if (0.0..=1.0).contains(&threshold) => Ok(threshold),
        _ => Err("a number between 0 and 1 is needed".to_owned()),
    }
}

impl LivenessArguments {
    pub(crate) fn run(&self, engine: &EngineArguments) -> Result<ExitCode, Failure> {
        let meta = Meta::now();
        // No face is compared with another here.
        let engine = engine.builder()?.uncalibrated(true).workers(1).build()?;
        let selfie = read_picture(&self.selfie, engine.limits())?;
        let mut options = LivenessOptions::default();
        if let Some(threshold) = self.threshold {
            options = options.with_threshold(threshold);
        }
        match engine.liveness(&selfie, &options) {
            Ok(check) => {
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
            Err(error) if self.json => {
                let error = ApiError::from(error);
                print_json(&error_response(&meta, Meta::now().requested_at, &error))?;
                Ok(exit::ERROR.into())
            }
            Err(error) => Err(error.into()),
        }
    }
}
