//! `likeness verify` and `likeness liveness`.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;
use likeness::api::{ApiError, Meta, biometric_response, error_response, liveness_response};
use likeness::decision::{Detail, Profile, Score};
use likeness::{Engine, EngineError, LivenessOptions, Verification, VerifyOptions};
use serde::Serialize;

use super::annotate::{self, Panel};
use super::{EngineArguments, Failure, exit, read_limited, say};

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
    /// Draw boxes, landmarks, liveness crops and the result into both images, side by side (PNG)
    #[arg(long, value_name = "FILE")]
    annotate: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineArguments,
}

impl VerifyArguments {
    pub(crate) fn run(&self) -> Result<u8, Failure> {
        if let Some(target) = &self.annotate {
            annotate::check_target(target, &[&self.selfie, &self.photo])?;
        }
        let meta = Meta::now();
        let config = self.engine.load_for_engine()?;
        let engine = config.engine_builder().workers(1).build()?;
        let profile = Profile::builtin(&self.profile).ok_or("no such profile")?;
        let selfie = read_image(&self.selfie, &engine)?;
        let photo = read_image(&self.photo, &engine)?;
        let options = VerifyOptions::default()
            .with_profile(profile)
            .with_photo_multiface(self.multiface);
        let verification = match engine.verify(&selfie, &photo, &options) {
            Ok(verification) => verification,
            Err(error) => return failed(&meta, error, self.json),
        };
        let result = result(&self.profile, &verification);
        if let Some(target) = &self.annotate {
            let crops = engine.liveness_crops(&verification.selfie)?;
            let matched = verification.matched_face.unwrap_or_default();
            let panels = [
                Panel::draw((&self.selfie, &selfie), &engine, &verification.selfie, 0, &crops)?,
                Panel::draw((&self.photo, &photo), &engine, &verification.photo, matched, &[])?,
            ];
            let reasons = verification.decision.details.iter().map(reason);
            annotate::write_sheet(target, &panels, result.clone(), reasons.collect())?;
        }
        if self.json {
            let ended = Meta::now().requested_at;
            let codes = config.api.response_codes;
            print_json(&biometric_response(&meta, ended, &verification, codes))?;
        } else {
            say(result)?;
            print_lines(&verification.decision.details)?;
        }
        Ok(exit::of(verification.decision.outcome()))
    }
}

/// Returns outcome and scores as one line.
fn result(profile: &str, verification: &Verification) -> String {
    let similarity = verification.similarity.map(|similarity| {
        let kind = similarity.normalised.map_or("", |_| "normalised ");
        format!(" ({kind}similarity {:.4})", similarity.value())
    });
    format!(
        "{}  match {}{}, liveness {}, profile {profile}",
        verification.decision.outcome().as_str().to_uppercase(),
        verification.face_match.unwrap_or(Score::ZERO),
        similarity.unwrap_or_default(),
        verification.liveness.unwrap_or(Score::ZERO),
    )
}

/// Returns a line of a decision, or a finding.
fn reason(line: &Detail) -> String {
    let (verdict, code) = (line.verdict.as_str(), line.code.as_str());
    format!("  {verdict:8}{code}: {}", line.description)
}

fn print_lines(lines: &[Detail]) -> Result<(), Failure> {
    lines.iter().try_for_each(|line| say(reason(line)))
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
    /// Draw boxes, landmarks, liveness crops and the result into the image (PNG)
    #[arg(long, value_name = "FILE")]
    annotate: Option<PathBuf>,
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
        if let Some(target) = &self.annotate {
            annotate::check_target(target, &[&self.selfie])?;
        }
        let meta = Meta::now();
        // No face is compared with another here.
        let config = self.engine.load_for_engine()?;
        let engine = config.engine_builder().uncalibrated(true).workers(1).build()?;
        let selfie = read_image(&self.selfie, &engine)?;
        let options = LivenessOptions::default().with_threshold(self.threshold);
        let check = match engine.liveness(&selfie, &options) {
            Ok(check) => check,
            Err(error) => return failed(&meta, error, self.json),
        };
        let verdict = match (check.live, check.selfie.faces.is_empty()) {
            (true, _) => "LIVE",
            (false, false) => "NOT LIVE",
            (false, true) => "NO FACE",
        };
        let score = check.liveness.unwrap_or(Score::ZERO);
        let result = format!("{verdict}  liveness {score}, threshold {}", check.threshold);
        if let Some(target) = &self.annotate {
            let crops = engine.liveness_crops(&check.selfie)?;
            let image = (self.selfie.as_path(), selfie.as_slice());
            let panel = Panel::draw(image, &engine, &check.selfie, 0, &crops)?;
            let reasons = check.findings.iter().map(reason).collect();
            annotate::write_sheet(target, &[panel], result.clone(), reasons)?;
        }
        if self.json {
            let (ended, codes) = (Meta::now().requested_at, config.api.response_codes);
            print_json(&liveness_response(&meta, ended, &check, codes))?;
        } else {
            say(result)?;
            print_lines(&check.findings)?;
        }
        Ok(if check.live { exit::PASS } else { exit::REJECT })
    }
}

/// Reads an image's file; one byte beyond the limit is enough for the engine to reject it.
fn read_image(path: &Path, engine: &Engine) -> Result<Vec<u8>, Failure> {
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
