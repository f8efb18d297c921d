//! How many images of the development data the quality checks of the default profile flag: the table of
//! `docs/accuracy.md`. `quality_shares [DATA]` looks at every image of the folders of `../shared/data`, and prints for
//! each check the share of faces that it flags and, below, how the measured numbers are distributed; then what spoilt copies
//! of the live webcam frames measure.

#![allow(clippy::print_stdout)]

use std::path::{Path, PathBuf};

use likeness_engine::decision::{Code, MeasuredFace, QualityChecks, selfie_findings};
use likeness_engine::detection::Face;
use likeness_engine::imaging::{
    Affine, Image, PixelRect, crop_resize_bilinear, decode, shrink_area, warp_affine,
};
use likeness_engine::{Engine, EngineError, LivenessOptions};

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

    let codes = Code::ALL.iter().filter(|code| {
        code.as_str().contains("_FACE_IN_SELFIE")
            || matches!(code, Code::NoSurroundingsInSelfie | Code::GreySelfie)
    });
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
    spoilt(&engine, &Path::new(&data).join("liveness/nuaa/live"))
}

/// Of so many webcam frames every other is spoilt: that keeps the command quick.
const SPOILT_STEP: usize = 2;

/// A way to spoil an image with this face in it.
type Spoil = fn(&Image, &Face, &MeasuredFace) -> Result<Image, Failure>;

/// What spoilt copies measure: each way, with the number that should tell it and the check that should flag it.
fn spoilt(engine: &Engine, folder: &Path) -> Result<(), Failure> {
    let ways: [(&str, Spoil, Measure, &str); 10] = [
        (
            "blurred, 2 % of the eyes' distance",
            |p, _, m| blurred(p, m, 0.02),
            MEASURES[4],
            "BLURRED",
        ),
        (
            "blurred, 3 %",
            |p, _, m| blurred(p, m, 0.03),
            MEASURES[4],
            "BLURRED",
        ),
        (
            "blurred, 4 %",
            |p, _, m| blurred(p, m, 0.04),
            MEASURES[4],
            "BLURRED",
        ),
        (
            "blurred, 5 %",
            |p, _, m| blurred(p, m, 0.05),
            MEASURES[4],
            "BLURRED",
        ),
        (
            "enlarged from 12 px between the eyes",
            |p, _, m| enlarged(p, m, 12.0),
            MEASURES[4],
            "BLURRED",
        ),
        (
            "enlarged from 20 px",
            |p, _, m| enlarged(p, m, 20.0),
            MEASURES[4],
            "BLURRED",
        ),
        (
            "turned by 30 degrees",
            |p, _, _| turned(p, 30.0),
            MEASURES[3],
            "TURNED",
        ),
        (
            "turned by 35 degrees",
            |p, _, _| turned(p, 35.0),
            MEASURES[3],
            "TURNED",
        ),
        (
            "four times as bright",
            |p, _, _| brighter(p, 4),
            MEASURES[6],
            "OVEREXPOSED",
        ),
        (
            "a third of the face cut off",
            |p, f, _| cut(p, f, 1.0 / 3.0),
            MEASURES[7],
            "CUT",
        ),
    ];
    println!("\nspoilt webcam frames: measure, minimum, median, maximum, percent of faces flagged");
    let files = images(folder)?;
    for (name, spoil, (measure, value), code) in ways {
        let (mut values, mut found) = (Vec::new(), Vec::new());
        for file in files.iter().step_by(SPOILT_STEP) {
            let image = decode(&std::fs::read(file)?, engine.limits())?;
            let before = engine.liveness(&image, &LivenessOptions::default())?.selfie;
            let (Some(face), Some(measured)) = (before.faces.first(), before.measured_face()) else {
                continue;
            };
            let copy = spoil(&image, face, &measured)?;
            let after = engine.liveness(&copy, &LivenessOptions::default())?.selfie;
            // What is no face any more is told by another code.
            if let Some(measured) = after.measured_face() {
                values.push(value(&measured));
                found.push(flagged(&measured)?);
            }
        }
        values.sort_by(f64::total_cmp);
        let at = |rank: usize| values.get(rank).copied().unwrap_or(f64::NAN);
        println!(
            "  {name:<38} {measure:<17} {:>7.3} {:>7.3} {:>7.3} {:>7} of {}",
            at(0),
            at(values.len() / 2),
            at(values.len().saturating_sub(1)),
            percent(&found, |found| found
                .iter()
                .any(|found| found.as_str().starts_with(code))),
            values.len()
        );
    }
    Ok(())
}

fn blurred(image: &Image, measured: &MeasuredFace, share: f64) -> Result<Image, Failure> {
    let pixels = image::RgbImage::from_raw(image.width(), image.height(), image.as_rgb8().to_vec())
        .ok_or("an image without all its pixels")?;
    let blurred = image::imageops::blur(&pixels, (share * measured.inter_eye_distance) as f32);
    Ok(Image::from_rgb8(
        image.width(),
        image.height(),
        blurred.into_raw(),
    )?)
}

fn enlarged(image: &Image, measured: &MeasuredFace, eyes: f64) -> Result<Image, Failure> {
    let (width, height) = (image.width(), image.height());
    let part = (eyes / measured.inter_eye_distance).min(1.0);
    let small = |side: u32| ((f64::from(side) * part).round() as u32).max(1);
    let small = shrink_area(image, small(width), small(height));
    let whole = PixelRect {
        left: 0,
        top: 0,
        width: small.width(),
        height: small.height(),
    };
    Ok(crop_resize_bilinear(&small, whole, width, height))
}

fn turned(image: &Image, degrees: f64) -> Result<Image, Failure> {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (x, y) = (f64::from(image.width()) / 2.0, f64::from(image.height()) / 2.0);
    let about_middle = Affine::new(cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y);
    Ok(warp_affine(image, &about_middle, image.width(), image.height()))
}

fn brighter(image: &Image, times: u8) -> Result<Image, Failure> {
    let pixels = image.as_rgb8().iter().map(|value| value.saturating_mul(times));
    Ok(Image::from_rgb8(image.width(), image.height(), pixels.collect())?)
}

/// Without what lies to the right of the rest of the face.
fn cut(image: &Image, face: &Face, share: f32) -> Result<Image, Failure> {
    let bounds = face.bounding_box;
    let width = ((bounds.x + (1.0 - share) * bounds.width) as u32).clamp(1, image.width());
    let rect = PixelRect {
        left: 0,
        top: 0,
        width,
        height: image.height(),
    };
    Ok(crop_resize_bilinear(image, rect, width, image.height()))
}

/// A number of a face, and how it is read.
type Measure = (&'static str, fn(&MeasuredFace) -> f64);

const MEASURES: [Measure; 11] = [
    ("inter-eye distance", |face| face.inter_eye_distance),
    ("yaw", |face| face.yaw.abs()),
    ("pitch", |face| face.pitch.abs()),
    ("roll", |face| face.roll.abs()),
    ("sharpness", |face| face.sharpness),
    ("brightness", |face| face.brightness),
    ("overexposed share", |face| face.overexposed_share),
    ("visible share", |face| face.visible_share),
    ("off centre", |face| face.off_centre),
    ("surroundings", |face| face.surroundings),
    ("colour", |face| face.colour),
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
    let found = selfie_findings(&QualityChecks::default(), face, 0)?;
    Ok(found.iter().map(|line| line.code).collect())
}

/// The largest face of every image of a folder and its folders.
fn faces(engine: &Engine, folder: &Path) -> Result<Vec<MeasuredFace>, Failure> {
    let mut measured = Vec::new();
    for path in images(folder)? {
        let bytes = std::fs::read(&path)?;
        let answer = match engine.liveness(&bytes, &LivenessOptions::default()) {
            Err(EngineError::Image { .. }) => continue,
            answer => answer?,
        };
        measured.extend(answer.selfie.measured_face());
    }
    Ok(measured)
}

fn images(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(images(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "jpg") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
