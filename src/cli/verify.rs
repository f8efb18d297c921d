//! `likeness verify` and what it shares with `likeness liveness`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::builder::PossibleValuesParser;
use likeness::api::{ApiError, Meta, biometric_response, error_response};
use likeness::decision::{Profile, Score};
use likeness::{EngineError, Verification, VerifyOptions};
use serde::Serialize;

use super::{EngineArguments, Failure, exit, read_image, say};

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// Image to score for liveness and to match
    selfie: PathBuf,
    /// Image to match against
    photo: PathBuf,
    /// Match the best of all faces in the photo
    #[arg(long)]
    multiface: bool,
    /// Decision profile
    #[arg(long, value_name = "NAME", default_value_t = Profile::default().name().to_owned(), value_parser = PossibleValuesParser::new(Profile::BUILTIN_NAMES))]
    profile: String,
    /// Print the JSON body of the HTTP API
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineArguments,
}

impl VerifyArguments {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        let meta = Meta::now();
        let engine = self.engine.builder()?.workers(1).build()?;
        let profile = Profile::builtin(&self.profile).ok_or("no such profile")?;
        let selfie = read_image(&self.selfie, engine.limits())?;
        let photo = read_image(&self.photo, engine.limits())?;
        let options = VerifyOptions::default()
            .with_profile(profile)
            .with_photo_multiface(self.multiface);
        let verification = match engine.verify(&selfie, &photo, &options) {
            Ok(verification) => verification,
            Err(error) => return failed(&meta, error, self.json),
        };
        if self.json {
            print_json(&biometric_response(
                &meta,
                Meta::now().requested_at,
                &verification,
            ))?;
        } else {
            print_readable(&self.profile, &verification)?;
        }
        Ok(exit::of(verification.decision.outcome()).into())
    }
}

fn print_readable(profile: &str, verification: &Verification) -> Result<(), Failure> {
    let similarity = verification.similarity.map_or_else(String::new, |similarity| {
        let kind = if similarity.normalised.is_some() {
            "normalised "
        } else {
            ""
        };
        format!(" ({kind}similarity {:.4})", similarity.value())
    });
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
pub(super) fn print_json(body: &impl Serialize) -> Result<(), Failure> {
    say(serde_json::to_string_pretty(body)?)
}

/// Ends with an error, as a body of the HTTP service where that is wanted.
pub(super) fn failed(meta: &Meta, error: EngineError, json: bool) -> Result<ExitCode, Failure> {
    if !json {
        return Err(error.into());
    }
    print_json(&error_response(
        meta,
        Meta::now().requested_at,
        &ApiError::from(error),
    ))?;
    Ok(exit::ERROR.into())
}
