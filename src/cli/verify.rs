//! `likeness verify` and `likeness liveness`.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;
use likeness::api::{
    ApiError, Meta, biometric_response, error_response, liveness_response, template_response,
};
use likeness::decision::{Decision, Detail, Profile, Score};
use likeness::embedding::{FaceTemplate, MAX_TEMPLATE_BYTES, Similarity};
use likeness::{Engine, EngineError, LivenessOptions, VerifyOptions};
use serde::Serialize;

use super::{EngineArguments, Failure, exit, read_limited, say};

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// Image to score for liveness and to match
    selfie: PathBuf,
    /// Image to match against
    #[arg(required_unless_present = "template")]
    photo: Option<PathBuf>,
    /// Template of `likeness embed` to match against instead of a photo
    #[arg(long, value_name = "FILE", conflicts_with_all = ["photo", "multiface"])]
    template: Option<PathBuf>,
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
    pub(crate) fn run(&self) -> Result<u8, Failure> {
        let meta = Meta::now();
        let engine = self.engine.builder()?.workers(1).build()?;
        let profile = Profile::builtin(&self.profile).ok_or("no such profile")?;
        let photo = match (&self.photo, &self.template) {
            (Some(photo), _) => photo,
            (None, Some(template)) => {
                return verify_against(template, &self.selfie, profile, (&engine, &meta, self.json));
            }
            // The arguments require one of them.
            (None, None) => return Err("a photo or --template is required".into()),
        };
        let selfie = read_image(&self.selfie, &engine)?;
        let photo = read_image(photo, &engine)?;
        let options = VerifyOptions::default()
            .with_profile(profile)
            .with_photo_multiface(self.multiface);
        let verification = match engine.verify(&selfie, &photo, &options) {
            Ok(verification) => verification,
            Err(error) => return failed(&meta, error, self.json),
        };
        if self.json {
            let ended = Meta::now().requested_at;
            print_json(&biometric_response(&meta, ended, &verification))?;
        } else {
            let scores = (verification.face_match, verification.liveness);
            print_scores(
                &self.profile,
                scores,
                verification.similarity,
                &verification.decision,
            )?;
        }
        Ok(exit::of(verification.decision.outcome()))
    }
}

/// Verifies a selfie against a template and prints the result.
fn verify_against(
    template: &Path,
    selfie: &Path,
    profile: Profile,
    (engine, meta, json): (&Engine, &Meta, bool),
) -> Result<u8, Failure> {
    let template = read_template(template)?;
    let selfie = read_image(selfie, engine)?;
    let name = profile.name().to_owned();
    let options = VerifyOptions::default().with_profile(profile);
    let verification = match engine.verify_against(&template, &selfie, &options) {
        Ok(verification) => verification,
        Err(error) => return failed(meta, error, json),
    };
    let decision = &verification.decision;
    if json {
        print_json(&template_response(meta, Meta::now().requested_at, &verification))?;
    } else {
        let scores = (verification.face_match, verification.liveness);
        print_scores(&name, scores, verification.similarity, decision)?;
    }
    Ok(exit::of(decision.outcome()))
}

fn read_template(path: &Path) -> Result<FaceTemplate, Failure> {
    let bytes = read_limited(path, MAX_TEMPLATE_BYTES as u64)?;
    let template = FaceTemplate::parse(&bytes);
    Ok(template.map_err(|error| format!("{}: {error}", path.display()))?)
}

/// Prints the scores, match and liveness, and the lines of a decision.
fn print_scores(
    profile: &str,
    (face_match, liveness): (Option<Score>, Option<Score>),
    similarity: Option<Similarity>,
    decision: &Decision,
) -> Result<(), Failure> {
    let similarity = similarity.map(|similarity| {
        let kind = similarity.normalised.map_or("", |_| "normalised ");
        format!(" ({kind}similarity {:.4})", similarity.value())
    });
    let similarity = similarity.unwrap_or_default();
    say(format_args!(
        "{}  match {}{similarity}, liveness {}, profile {profile}",
        decision.outcome().as_str().to_uppercase(),
        face_match.unwrap_or(Score::ZERO),
        liveness.unwrap_or(Score::ZERO),
    ))?;
    print_lines(&decision.details)
}

pub(crate) fn print_lines(lines: &[Detail]) -> Result<(), Failure> {
    for line in lines {
        let (verdict, code) = (line.verdict.as_str(), line.code.as_str());
        say(format_args!("  {verdict:8}{code}: {}", line.description))?;
    }
    Ok(())
}

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
    pub(crate) fn run(&self) -> Result<u8, Failure> {
        let meta = Meta::now();
        // No face is compared with another here.
        let engine = self.engine.builder()?.uncalibrated(true).workers(1).build()?;
        let selfie = read_image(&self.selfie, &engine)?;
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
            print_lines(&check.findings)?;
        }
        Ok(if check.live { exit::PASS } else { exit::REJECT })
    }
}

/// Reads an image's file; one byte beyond the limit is enough for the engine to reject it.
pub(crate) fn read_image(path: &Path, engine: &Engine) -> Result<Vec<u8>, Failure> {
    read_limited(path, engine.limits().max_bytes as u64)
}

/// Prints a body as the HTTP service would send it, indented.
fn print_json(body: &impl Serialize) -> Result<(), Failure> {
    say(serde_json::to_string_pretty(body)?)
}

/// Ends with an error, as a body of the HTTP service where that is wanted.
fn failed(meta: &Meta, error: EngineError, json: bool) -> Result<u8, Failure> {
    if !json {
        return Err(error.into());
    }
    let ended = Meta::now().requested_at;
    print_json(&error_response(meta, ended, &ApiError::from(error)))?;
    Ok(exit::ERROR)
}
