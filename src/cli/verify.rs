//! `likeness verify` and `likeness liveness`.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;
use jiff::Timestamp;
use likeness::api::{
    ApiError, Meta, ResponseCodes, biometric_response, error_response, liveness_response, template_response,
};
use likeness::decision::{Decision, Detail, Profile, Score};
use likeness::embedding::{FaceTemplate, MAX_TEMPLATE_BYTES, Similarity};
use likeness::{Engine, EngineError, ImageReport, LivenessOptions, VerifyOptions};
use serde::Serialize;

use super::annotate::{self, Panel};
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
    /// Draw boxes, landmarks, liveness crops and the result into both images, side by side (PNG)
    #[arg(long, value_name = "FILE")]
    annotate: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineArguments,
}

impl VerifyArguments {
    pub(crate) fn run(&self) -> Result<u8, Failure> {
        if let Some(target) = &self.annotate {
            let read = [Some(&self.selfie), self.photo.as_ref(), self.template.as_ref()];
            let read = Vec::from_iter(read.into_iter().flatten().map(PathBuf::as_path));
            annotate::check_target(target, &read)?;
        }
        let meta = Meta::now();
        let config = self.engine.load_for_engine()?;
        let engine = config.engine_builder().workers(1).build()?;
        let codes = config.api.response_codes;
        let profile = Profile::builtin(&self.profile).ok_or("no such profile")?;
        let options = VerifyOptions::default()
            .with_profile(profile)
            .with_photo_multiface(self.multiface);
        match (&self.photo, &self.template) {
            (Some(photo), _) => self.against_photo(photo, &engine, &meta, codes, &options),
            (None, Some(template)) => self.against_template(template, &engine, &meta, codes, &options),
            // The arguments require one of them.
            (None, None) => Err("a photo or --template is required".into()),
        }
    }

    fn against_photo(
        &self,
        photo: &Path,
        engine: &Engine,
        meta: &Meta,
        codes: ResponseCodes,
        options: &VerifyOptions,
    ) -> Result<u8, Failure> {
        let selfie = read_image(&self.selfie, engine)?;
        let image = read_image(photo, engine)?;
        let verification = match engine.verify(&selfie, &image, options) {
            Ok(verification) => verification,
            Err(error) => return failed(meta, error, self.json),
        };
        let shown = Shown {
            selfie: (&selfie, &verification.selfie),
            face_match: verification.face_match,
            similarity: verification.similarity,
            liveness: verification.liveness,
            decision: &verification.decision,
        };
        let matched = verification.matched_face.unwrap_or_default();
        let panel = || Panel::draw((photo, &image), engine, &verification.photo, matched, &[]).map(Some);
        let body = |ended| biometric_response(meta, ended, &verification, codes);
        self.show(engine, &shown, panel, body)
    }

    fn against_template(
        &self,
        template: &Path,
        engine: &Engine,
        meta: &Meta,
        codes: ResponseCodes,
        options: &VerifyOptions,
    ) -> Result<u8, Failure> {
        let template = read_template(template)?;
        let selfie = read_image(&self.selfie, engine)?;
        let verification = match engine.verify_against(&template, &selfie, options) {
            Ok(verification) => verification,
            Err(error) => return failed(meta, error, self.json),
        };
        let shown = Shown {
            selfie: (&selfie, &verification.selfie),
            face_match: verification.face_match,
            similarity: verification.similarity,
            liveness: verification.liveness,
            decision: &verification.decision,
        };
        let body = |ended| template_response(meta, ended, &verification, codes);
        self.show(engine, &shown, || Ok(None), body)
    }

    /// Draws the result where that is wanted, prints the body or the result, and returns the exit code. `panel` draws what the
    /// selfie was compared with, if that is an image.
    fn show<T: Serialize>(
        &self,
        engine: &Engine,
        shown: &Shown<'_>,
        panel: impl FnOnce() -> Result<Option<Panel>, Failure>,
        body: impl FnOnce(Timestamp) -> T,
    ) -> Result<u8, Failure> {
        let (result, details) = (shown.result(&self.profile), &shown.decision.details);
        if let Some(target) = &self.annotate {
            let (selfie, report) = shown.selfie;
            let crops = engine.liveness_crops(report)?;
            let drawn = Panel::draw((&self.selfie, selfie), engine, report, 0, &crops)?;
            let panels: Vec<_> = std::iter::once(drawn).chain(panel()?).collect();
            annotate::write_sheet(
                target,
                &panels,
                result.clone(),
                details.iter().map(reason).collect(),
            )?;
        }
        if self.json {
            print_json(&body(Meta::now().requested_at))?;
        } else {
            say(result)?;
            print_lines(details)?;
        }
        Ok(exit::of(shown.decision.outcome()))
    }
}

/// What is shown of a verification, against a photo or a template.
struct Shown<'a> {
    selfie: (&'a [u8], &'a ImageReport),
    face_match: Option<Score>,
    similarity: Option<Similarity>,
    liveness: Option<Score>,
    decision: &'a Decision,
}

impl Shown<'_> {
    /// Returns outcome and scores, match and liveness, as one line.
    fn result(&self, profile: &str) -> String {
        let similarity = self.similarity.map(|similarity| {
            let kind = similarity.normalised.map_or("", |_| "normalised ");
            format!(" ({kind}similarity {:.4})", similarity.value())
        });
        format!(
            "{}  match {}{}, liveness {}, profile {profile}",
            self.decision.outcome().as_str().to_uppercase(),
            self.face_match.unwrap_or(Score::ZERO),
            similarity.unwrap_or_default(),
            self.liveness.unwrap_or(Score::ZERO),
        )
    }
}

/// Reads a template's file.
fn read_template(path: &Path) -> Result<FaceTemplate, Failure> {
    let bytes = read_limited(path, MAX_TEMPLATE_BYTES as u64)?;
    let template = FaceTemplate::parse(&bytes);
    Ok(template.map_err(|error| format!("{}: {error}", path.display()))?)
}

/// Returns a line of a decision, or a finding.
fn reason(line: &Detail) -> String {
    let (verdict, code) = (line.verdict.as_str(), line.code.as_str());
    format!("  {verdict:8}{code}: {}", line.description)
}

pub(crate) fn print_lines(lines: &[Detail]) -> Result<(), Failure> {
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
