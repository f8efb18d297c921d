//! `likeness calibrate`: calibrations fitted to your own images.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use likeness::packs::{Calibration, CalibrationFile};
use likeness::{CohortChoice, Engine};
use likeness_evaluation::{
    CohortImages, ENOUGH_IMAGES, Evaluation, LivenessTargets, MATCH_ANCHORS, MatchAnchor, MatchOptions,
    calibrate_liveness, calibrate_match,
};

use super::eval::{Bar, Comparisons, Face, LivenessSource, MatchSource, root};
use super::out_file::{OutFile, out_file};
use super::{EngineArguments, Failure, or, say, warn};

#[derive(Debug, Subcommand)]
pub(crate) enum CalibrateCommand {
    /// Calibrate match confidences to false match rates measured on images of known people.
    Match(MatchArguments),
    /// Make a cohort, which levels false match rates between groups of people, of images of many people.
    Cohort(CohortArguments),
    /// Calibrate liveness scores to APCER and BPCER measured on bona fide presentations and attacks.
    Liveness(LivenessArguments),
}

/// The calibration file and its name.
#[derive(Debug, Args)]
struct File {
    /// Calibration file to write (TOML), for --calibration and the service's `calibration_files`.
    #[arg(long, value_name = "FILE", value_parser = out_file)]
    out: OutFile,
    /// Name in `/info` and reports [default: the name of the list or folder].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Date in the file, YYYY-MM-DD [default: today, in UTC].
    #[arg(long, value_name = "DATE", value_parser = parse_date)]
    date: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct MatchArguments {
    #[command(flatten)]
    source: MatchSource,
    /// Match confidence and its false match rate, at least twice [default: 0.40=1e-3 0.56=1e-4 0.70=1e-5].
    #[arg(long = "at", value_name = "CONFIDENCE=FMR", value_parser = parse_anchor)]
    anchors: Vec<MatchAnchor>,
    #[command(flatten)]
    file: File,
}

#[derive(Debug, Args)]
pub(crate) struct LivenessArguments {
    #[command(flatten)]
    source: LivenessSource,
    /// Highest APCER of any attack species at liveness 0.60.
    #[arg(long, value_name = "RATE", default_value_t = LivenessTargets::default().apcer_at_review)]
    apcer: f64,
    /// Highest BPCER at liveness 0.40.
    #[arg(long, value_name = "RATE", default_value_t = LivenessTargets::default().bpcer_at_reject)]
    bpcer: f64,
    /// Allow scores above the models' own; attacks harder than these then pass more often.
    #[arg(long)]
    allow_easier: bool,
    #[command(flatten)]
    file: File,
}

#[derive(Debug, Args)]
pub(crate) struct CohortArguments {
    /// Folder of images, with folders in it; one person an image, identities are not needed.
    #[arg(
        long,
        value_name = "DIR",
        required_unless_present = "list",
        conflicts_with = "list"
    )]
    images: Option<PathBuf>,
    /// CSV list with a column `file`.
    #[arg(long, value_name = "CSV")]
    list: Option<PathBuf>,
    /// Root of the paths in the CSV file [default: the folder of the file].
    #[arg(long, value_name = "DIR", conflicts_with = "images")]
    root: Option<PathBuf>,
    /// Face of an image that counts.
    #[arg(long, value_enum, default_value_t = Face::Largest)]
    face: Face,
    /// Cohort file to write, for --cohort and the service's `cohort_file`.
    #[arg(long, value_name = "FILE", value_parser = out_file)]
    out: OutFile,
}

fn parse_anchor(text: &str) -> Result<MatchAnchor, String> {
    let (confidence, rate) = text
        .split_once('=')
        .ok_or("expected CONFIDENCE=FMR, such as 0.40=1e-3")?;
    let number = |text: &str| match text.trim().parse::<f64>() {
        Ok(value) if value > 0.0 && value < 1.0 => Ok(value),
        _ => Err(format!("{text:?} is not a number between 0 and 1")),
    };
    Ok(MatchAnchor {
        confidence: number(confidence)?,
        false_match_rate: number(rate)?,
    })
}

fn parse_date(text: &str) -> Result<String, String> {
    let date = text.parse::<Date>();
    date.map(|date| date.to_string())
        .map_err(|error| error.to_string())
}

impl CalibrateCommand {
    pub(crate) fn run(&self, engine: &EngineArguments) -> Result<(), Failure> {
        if engine.has_calibration() {
            let why = "a calibration is fitted to uncalibrated scores";
            return Err(format!("--calibration conflicts with `calibrate`: {why}").into());
        }
        match self {
            Self::Match(arguments) => fit_match(arguments, engine),
            Self::Cohort(arguments) => make_cohort(arguments, engine),
            Self::Liveness(arguments) => fit_liveness(arguments, engine),
        }
    }
}

impl File {
    fn date(&self) -> String {
        let now = || TimeZone::UTC.to_datetime(Timestamp::now());
        self.date.clone().unwrap_or_else(|| now().date().to_string())
    }

    fn write(&self, engine: &Engine, calibration: Calibration) -> Result<(), Failure> {
        let info = engine.labels();
        let text = CalibrationFile::new(&info.pack, &info.pack_version, &info.pack_digest, calibration)?
            .to_toml()?;
        self.out.write(text.as_bytes())
    }
}

fn fit_match(arguments: &MatchArguments, engine: &EngineArguments) -> Result<(), Failure> {
    arguments.file.out.check_folder()?;
    let work = arguments.source.read()?;
    let engine = engine.raw_builder()?.build()?;
    let bar = Bar::new();
    let evaluation = Evaluation {
        data: &work.data,
        progress: &bar,
        ..Evaluation::new(&engine, work.root)
    };
    let options = MatchOptions {
        face: arguments.source.face(),
        ..MatchOptions::default()
    };
    let report = match &work.list {
        Comparisons::All(people) => evaluation.all_pairs(people, None, &options)?,
        Comparisons::Pairs(list) => evaluation.pairs(list, None, &options)?.0,
    };
    let anchors = if arguments.anchors.is_empty() {
        &MATCH_ANCHORS[..]
    } else {
        &arguments.anchors
    };
    let fit = calibrate_match(
        &report,
        anchors,
        arguments.file.name.as_deref().unwrap_or(&work.name),
        &arguments.file.date(),
        engine.cohort_reference(),
    )?;
    for (anchor, needed) in &fit.left_out {
        say(format_args!(
            "left out confidence {}: a false match rate of {:e} needs {needed} impostor comparisons, found {}",
            anchor.confidence, anchor.false_match_rate, report.comparisons.impostor
        ))?;
    }
    for point in &fit.calibration.points {
        say(format_args!(
            "confidence {}: similarity {}, false match rate {:e}, false non-match rate {}",
            point.confidence,
            point.similarity,
            point.false_match_rate,
            or(point.false_non_match_rate, "unknown")
        ))?;
    }
    arguments.file.write(&engine, Calibration::Match(fit.calibration))
}

fn make_cohort(arguments: &CohortArguments, engine: &EngineArguments) -> Result<(), Failure> {
    arguments.out.check_folder()?;
    let (images, root) = match (&arguments.images, &arguments.list) {
        (Some(folder), _) => (CohortImages::find(folder)?, folder.as_path()),
        (None, Some(list)) => (CohortImages::read(list)?, root(arguments.root.as_deref(), list)),
        // The arguments require one of the two.
        (None, None) => return Err("--images or --list is required".into()),
    };
    let engine = engine.raw_builder()?.cohort(CohortChoice::None).build()?;
    let bar = Bar::new();
    let evaluation = Evaluation {
        progress: &bar,
        ..Evaluation::new(&engine, root)
    };
    let fit = evaluation.cohort(&images, arguments.face.choice())?;
    let without = images.len() - fit.images;
    say(format_args!(
        "{} images with a face, {without} without; {} centroids, of {} to {} images each",
        fit.images,
        fit.cohort.centroids(),
        fit.sizes.0,
        fit.sizes.1
    ))?;
    if fit.images < ENOUGH_IMAGES {
        warn(format_args!(
            "{} images are few for a cohort: with fewer than {ENOUGH_IMAGES}, levels depend on which they are",
            fit.images
        ));
    }
    say(format_args!("SHA-256 {}", fit.cohort.sha256()))?;
    arguments.out.write(&fit.file)
}

fn fit_liveness(arguments: &LivenessArguments, engine: &EngineArguments) -> Result<(), Failure> {
    arguments.file.out.check_folder()?;
    let targets = LivenessTargets::new(arguments.apcer, arguments.bpcer, arguments.allow_easier)?;
    let work = arguments.source.read()?;
    let engine = engine.raw_builder()?.build()?;
    let bar = Bar::new();
    let evaluation = Evaluation {
        progress: &bar,
        ..Evaluation::new(&engine, work.root)
    };
    let (_, scores) = evaluation.liveness(&work.list)?;
    let (name, date) = (
        arguments.file.name.as_deref().unwrap_or(&work.name),
        arguments.file.date(),
    );
    let calibration = calibrate_liveness(&scores, &targets, name, &work.data, &date)?;
    for point in &calibration.points {
        say(format_args!(
            "liveness {}: probability {}, APCER of the worst species {}, BPCER {}",
            point.liveness, point.probability, point.apcer, point.bpcer
        ))?;
    }
    let species = calibration.presentations.len().saturating_sub(1);
    if species < 2 {
        say("fitted to one attack species: error rates of others are not measured")?;
    }
    arguments.file.write(&engine, Calibration::Liveness(calibration))
}
