//! `likeness verify`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::builder::PossibleValuesParser;
use likeness::api::{ApiError, Meta, biometric_response, error_response};
use likeness::decision::{Profile, Score};
use likeness::{Verification, VerifyOptions};
use serde::Serialize;

use super::{EngineArguments, Failure, exit, read_picture, say};

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// The picture that is judged for liveness.
    selfie: PathBuf,
    /// The picture to compare with.
    photo: PathBuf,
    /// Search the photo for several faces and take the best match.
    #[arg(long)]
    multiface: bool,
    /// Whose thresholds decide.
    #[arg(long, value_name = "NAME", default_value = "optimal-v0", value_parser = PossibleValuesParser::new(Profile::BUILTIN_NAMES))]
    profile: String,
    /// Print the body that the HTTP service would answer with.
    #[arg(long)]
    json: bool,
}

impl VerifyArguments {
    pub(crate) fn run(&self, engine: &EngineArguments) -> Result<ExitCode, Failure> {
        let meta = Meta::now();
        let engine = engine.single()?;
        let profile = Profile::builtin(&self.profile).ok_or("there is no such profile")?;
        let selfie = read_picture(&self.selfie, engine.limits())?;
        let photo = read_picture(&self.photo, engine.limits())?;
        let options = VerifyOptions::default()
            .with_profile(profile)
            .with_photo_multiface(self.multiface);
        match engine.verify(&selfie, &photo, &options) {
            Ok(verification) => {
                if self.json {
                    print_json(&biometric_response(
                        &meta,
                        Meta::now().requested_at,
                        &verification,
                    ))?;
                } else {
                    print_readable(&self.profile, &verification)?;
                }
                Ok(exit::Code::from(verification.decision.outcome()).into())
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

fn print_readable(profile: &str, verification: &Verification) -> Result<(), Failure> {
    let similarity = verification
        .similarity
        .map_or_else(String::new, |similarity| format!(" (similarity {similarity:.4})"));
    say(format_args!(
        "{}  match {}{similarity}, liveness {}, profile {profile}",
        verification.decision.outcome().as_str().to_uppercase(),
        verification.face_match.unwrap_or(Score::ZERO),
        verification.liveness.unwrap_or(Score::ZERO),
    ))?;
    for line in &verification.decision.details {
        say(format_args!(
            "  {:8}{}: {}",
            line.verdict.as_str(),
            line.code.as_str(),
            line.description
        ))?;
    }
    Ok(())
}

/// Prints a body as the HTTP service would send it, indented.
pub(crate) fn print_json(body: &impl Serialize) -> Result<(), Failure> {
    say(serde_json::to_string_pretty(body)?)
}
