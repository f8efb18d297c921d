//! How many pictures of the development data the quality checks of the default profile flag: the table of
//! `docs/quality.md`. `quality_shares [DATA]` looks at every picture of the folders of `../shared/data`, and prints for
//! each check the share of faces that it flags and, below, how the measured numbers are distributed.

#![allow(clippy::print_stdout)]

use std::path::{Path, PathBuf};

use likeness::decision::{Code, Evidence, MeasuredFace, Profile, Score, decide};
use likeness::{Engine, EngineError, LivenessOptions};

type Failure = Box<dyn std::error::Error>;

/// Folders and what they hold.
const SETS: [(&str, &str); 5] = [
    ("faces", "portraits"),
    ("liveness/nuaa/live", "webcam, live"),
    ("liveness/nuaa/print", "webcam, prints"),
    ("lfw-dev/images", "LFW (dev)"),
    ("groups", "groups"),
];

/// Shares of the faces below which the printed numbers lie.
const QUANTILES: [f64; 7] = [0.0, 0.01, 0.05, 0.5, 0.95, 0.99, 1.0];

fn main() -> Result<(), Failure> {
    let data = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "../shared/data".to_owned());
    let engine = Engine::builder().workers(1).build()?;
    let sets = SETS
        .into_iter()
        .map(|(folder, name)| Ok((name, faces(&engine, &Path::new(&data).join(folder))?)))
        .collect::<Result<Vec<_>, Failure>>()?;

    let codes = Code::ALL
        .iter()
        .filter(|code| code.as_str().contains("_FACE_IN_SELFIE"));
    print!("| percent of faces flagged |");
    for (name, faces) in &sets {
        print!(" {name} ({}) |", faces.len());
    }
    println!("\n|---|{}", "---:|".repeat(sets.len()));
    let findings = sets
        .iter()
        .map(|(_, faces)| faces.iter().map(flagged).collect::<Result<Vec<_>, _>>())
        .collect::<Result<Vec<_>, _>>()?;
    for code in codes.filter(|code| **code != Code::NoFaceInSelfie) {
        print!("| `{}` |", code.as_str().trim_end_matches("_IN_SELFIE"));
        for findings in &findings {
            print!(" {} |", percent(findings, |found| found.contains(code)));
        }
        println!();
    }
    print!("| any, in a selfie |");
    for findings in &findings {
        print!(" {} |", percent(findings, |found| !found.is_empty()));
    }
    println!();

    for (name, faces) in &sets {
        println!("\n{name}: minimum, 1 %, 5 %, median, 95 %, 99 %, maximum");
        for (measure, value) in MEASURES {
            let mut values: Vec<f64> = faces.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            print!("  {measure:<20}");
            for quantile in QUANTILES {
                let rank = (values.len().saturating_sub(1) as f64 * quantile).round() as usize;
                print!(" {:>8.3}", values.get(rank).copied().unwrap_or(f64::NAN));
            }
            println!();
        }
    }
    Ok(())
}

/// A number of a face, and how it is read.
type Measure = (&'static str, fn(&MeasuredFace) -> f64);

const MEASURES: [Measure; 9] = [
    ("inter-eye distance", |face| face.inter_eye_distance),
    ("yaw", |face| face.yaw.abs()),
    ("pitch", |face| face.pitch.abs()),
    ("roll", |face| face.roll.abs()),
    ("sharpness", |face| face.sharpness),
    ("brightness", |face| face.brightness),
    ("overexposed share", |face| face.overexposed_share),
    ("visible share", |face| face.visible_share),
    ("off centre", |face| face.off_centre),
];

fn percent(findings: &[Vec<Code>], flagged: impl Fn(&Vec<Code>) -> bool) -> String {
    let count = findings.iter().filter(|found| flagged(found)).count();
    if count == 0 {
        return "0".to_owned();
    }
    format!("{:.2}", 100.0 * count as f64 / findings.len() as f64)
}

/// What the default profile finds wrong with a face, were it a selfie's.
fn flagged(face: &MeasuredFace) -> Result<Vec<Code>, Failure> {
    let evidence = Evidence {
        selfie_face_areas: &[1.0],
        photo_face_areas: &[1.0],
        photo_multiface: false,
        face_match: Some(Score::ONE),
        liveness: Some(Score::ONE),
        selfie_quality: Some(*face),
        photo_quality: None,
    };
    let decision = decide(&Profile::default(), &evidence)?;
    Ok(decision.details.iter().map(|line| line.code).collect())
}

/// The largest face of every picture of a folder and its folders.
fn faces(engine: &Engine, folder: &Path) -> Result<Vec<MeasuredFace>, Failure> {
    let mut measured = Vec::new();
    for path in pictures(folder)? {
        let bytes = std::fs::read(&path)?;
        let answer = match engine.liveness(&bytes, &LivenessOptions::default()) {
            Err(EngineError::Picture { .. }) => continue,
            answer => answer?,
        };
        measured.extend(answer.selfie.measured_face());
    }
    Ok(measured)
}

fn pictures(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(pictures(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "jpg") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
