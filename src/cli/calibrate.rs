//! `likeness calibrate`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use likeness::Engine;
use likeness::decision::Profile;
use likeness::packs::{Calibration, CalibrationFile};
use likeness_evaluation::{
    LivenessTargets, MATCH_ANCHORS, MatchAnchor, MatchOptions, calibrate_liveness, calibrate_match,
    evaluate_all_pairs, evaluate_liveness, evaluate_pairs,
};

use super::eval::{Bar, Comparisons, LivenessSource, MatchSource, threads};
use super::{EngineArguments, Failure, say};

#[derive(Debug, Subcommand)]
pub(crate) enum CalibrateCommand {
    /// Give match confidences false match rates, measured on pictures of people whose names are known.
    Match(MatchArguments),
    /// Give liveness scores error rates, measured on live people and attacks.
    Liveness(LivenessArguments),
}

/// Where a calibration goes and what it is called.
#[derive(Debug, Args)]
struct File {
    /// The file to write (TOML), for `--calibration` or the service's `calibration_files`.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What `/info` and reports will call it [default: the name of the list or folder].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The day that the file will bear, YYYY-MM-DD [default: today, in UTC].
    #[arg(long, value_name = "DATE", value_parser = parse_date)]
    date: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct MatchArguments {
    #[command(flatten)]
    source: MatchSource,
    /// A match confidence and the false match rate that it shall stand for; give at least two [default: 0.40=1e-3,
    /// 0.56=1e-4 and 0.70=1e-5].
    #[arg(long = "at", value_name = "CONFIDENCE=FMR", value_parser = parse_anchor)]
    anchors: Vec<MatchAnchor>,
    #[command(flatten)]
    file: File,
}

#[derive(Debug, Args)]
pub(crate) struct LivenessArguments {
    #[command(flatten)]
    source: LivenessSource,
    /// At liveness 0.60 at most this share of any attack species passes.
    #[arg(long, value_name = "RATE", default_value_t = LivenessTargets::default().apcer_at_review)]
    apcer: f64,
    /// Below liveness 0.40 there is at most this share of the live people.
    #[arg(long, value_name = "RATE", default_value_t = LivenessTargets::default().bpcer_at_reject)]
    bpcer: f64,
    /// Let a liveness stand for less than the models' own where these attacks allow it. Attacks that are not among them, and
    /// harder, then pass more often.
    #[arg(long)]
    allow_easier: bool,
    #[command(flatten)]
    file: File,
}

fn parse_anchor(text: &str) -> Result<MatchAnchor, String> {
    let (confidence, rate) = text
        .split_once('=')
        .ok_or("must be CONFIDENCE=FMR, such as 0.40=1e-3")?;
    let number = |text: &str| {
        text.trim()
            .parse::<f64>()
            .ok()
            .filter(|value| *value > 0.0 && *value < 1.0)
            .ok_or_else(|| format!("{text:?} is no number between 0 and 1"))
    };
    Ok(MatchAnchor {
        confidence: number(confidence)?,
        false_match_rate: number(rate)?,
    })
}

fn parse_date(text: &str) -> Result<String, String> {
    match text.parse::<jiff::civil::Date>() {
        Ok(date) => Ok(date.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

impl CalibrateCommand {
    pub(crate) fn run(&self, engine: &EngineArguments) -> Result<ExitCode, Failure> {
        if !engine.calibrations().is_empty() {
            return Err(
                "--calibration cannot be used here: a calibration is fitted to uncalibrated scores".into(),
            );
        }
        match self {
            Self::Match(arguments) => arguments.run(engine),
            Self::Liveness(arguments) => arguments.run(engine),
        }
    }
}

impl File {
    fn name<'a>(&'a self, source: &'a str) -> &'a str {
        self.name.as_deref().unwrap_or(source)
    }

    fn date(&self) -> String {
        let today = || {
            jiff::tz::TimeZone::UTC
                .to_datetime(jiff::Timestamp::now())
                .date()
                .to_string()
        };
        self.date.clone().unwrap_or_else(today)
    }

    /// Before the work begins, which may take hours.
    fn check_folder(&self) -> Result<(), Failure> {
        let folder = self.folder();
        if self.out.is_dir() {
            Err(format!("cannot write {}: it is a folder", self.out.display()).into())
        } else if folder.is_dir() {
            Ok(())
        } else {
            Err(format!(
                "cannot write {}: there is no folder {}",
                self.out.display(),
                folder.display()
            )
            .into())
        }
    }

    fn folder(&self) -> &Path {
        match self.out.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    /// The file is there whole or as it was before.
    fn write(&self, engine: &Engine, calibration: Calibration) -> Result<(), Failure> {
        let info = engine.labels();
        let text = CalibrationFile::new(&info.pack, &info.pack_version, &info.pack_digest, calibration)?
            .to_toml()?;
        let failed = |error: std::io::Error| format!("cannot write {}: {error}", self.out.display());
        let mut name = std::ffi::OsString::from(".");
        name.push(self.out.file_name().ok_or("--out names no file")?);
        name.push(".new");
        let new = self.folder().join(name);
        std::fs::File::create(&new)
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| std::fs::rename(&new, &self.out))
            .map_err(failed)?;
        Ok(())
    }
}

impl MatchArguments {
    fn run(&self, engine: &EngineArguments) -> Result<ExitCode, Failure> {
        self.file.check_folder()?;
        let work = self.source.read()?;
        let engine = engine.builder()?.raw_scores(true).build()?;
        let options = MatchOptions {
            face: work.face,
            profile: Profile::default(),
            folds: None,
            data: work.data,
            threads: threads(&engine),
        };
        let bar = Bar::new();
        let report = match &work.comparisons {
            Comparisons::All(people) => {
                evaluate_all_pairs(&engine, people, &work.root, None, &options, None, &bar)?
            }
            Comparisons::Pairs(list) => {
                evaluate_pairs(&engine, list, &work.root, None, &options, None, &bar)?.0
            }
        };
        let anchors = if self.anchors.is_empty() {
            &MATCH_ANCHORS[..]
        } else {
            &self.anchors
        };
        let fit = calibrate_match(&report, anchors, self.file.name(&work.name), &self.file.date())?;
        for (anchor, needed) in &fit.left_out {
            say(format_args!(
                "confidence {} is left out: a false match rate of {:e} needs {needed} impostor comparisons, there are {}",
                anchor.confidence, anchor.false_match_rate, report.comparisons.impostor
            ))?;
        }
        for point in &fit.calibration.points {
            say(format_args!(
                "confidence {}: similarity {}, false match rate {:e}, false non-match rate {}",
                point.confidence,
                point.similarity,
                point.false_match_rate,
                point
                    .false_non_match_rate
                    .map_or_else(|| "unknown".to_owned(), |rate| rate.to_string())
            ))?;
        }
        self.file.write(&engine, Calibration::Match(fit.calibration))?;
        say(format_args!("written to {}", self.file.out.display()))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl LivenessArguments {
    fn run(&self, engine: &EngineArguments) -> Result<ExitCode, Failure> {
        self.file.check_folder()?;
        let targets = LivenessTargets {
            apcer_at_review: self.apcer,
            bpcer_at_reject: self.bpcer,
            allow_easier: self.allow_easier,
        };
        targets.check()?;
        let work = self.source.read()?;
        let engine = engine.builder()?.raw_scores(true).build()?;
        let threads = threads(&engine);
        let (_, scores) = evaluate_liveness(
            &engine,
            &work.list,
            work.root,
            &work.data,
            threads,
            None,
            &Bar::new(),
        )?;
        let calibration = calibrate_liveness(
            &scores,
            &targets,
            self.file.name(&work.name),
            &work.data,
            &self.file.date(),
        )?;
        for point in &calibration.points {
            say(format_args!(
                "liveness {}: probability {}, APCER of the worst species {}, BPCER {}",
                point.liveness, point.probability, point.apcer, point.bpcer
            ))?;
        }
        let species = calibration.presentations.len().saturating_sub(1);
        if species < 2 {
            say("fitted to one species of attack: what it says of others is not measured")?;
        }
        self.file.write(&engine, Calibration::Liveness(calibration))?;
        say(format_args!("written to {}", self.file.out.display()))?;
        Ok(ExitCode::SUCCESS)
    }
}
