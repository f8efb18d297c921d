//! Liveness of faces with little around them.

use std::path::Path;

use likeness_engine::Engine;
use likeness_engine::decision::Code;

use crate::{Failure, PASSED, face_with_margin, flagged, images, live, name, percent, quantile, read, score};

/// Folders that are cropped, and each how many-th image of them.
const CROPPED: [(&str, usize); 3] = [("faces", 1), ("liveness/nuaa/live", 1), ("lfw-dev/images", 20)];

/// Folders whose whole images are counted.
const WHOLE: [&str; 5] = [
    "faces",
    "groups",
    "liveness/nuaa/live",
    "liveness/nuaa/print",
    "lfw-dev/images",
];

/// Margins that are cut, in percent of the face.
const MARGINS: [u8; 11] = [0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50];

/// Width of the rows by the measured margin.
const BIN: f64 = 0.05;

struct Crop {
    margin: u8,
    surroundings: f64,
    liveness: f64,
    flagged: bool,
}

pub(crate) fn print(data: &Path) -> Result<(), Failure> {
    let engine = Engine::builder().workers(1).build()?;
    let mut all = Vec::new();
    for (folder, step) in CROPPED {
        let crops = crops(&engine, &data.join(folder), step)?;
        println!("{folder}, each {step}th image that passes liveness whole, cut to its face:");
        println!(
            "| margin | crops | median liveness | below {PASSED} | flagged |\n|---|---:|---:|---:|---:|"
        );
        for margin in MARGINS {
            row(
                &format!("{margin} %"),
                crops.iter().filter(|crop| crop.margin == margin),
            );
        }
        all.extend(crops);
    }
    println!("all of them, by the measured margin:");
    println!("| from | crops | median liveness | below {PASSED} | flagged |\n|---|---:|---:|---:|---:|");
    for bin in 0..12 {
        let from = f64::from(bin) * BIN;
        let within = |crop: &&Crop| (from..from + BIN).contains(&crop.surroundings);
        row(&format!("{from:.2}"), all.iter().filter(within));
    }
    for folder in WHOLE {
        let (mut faces, mut found, mut lowest) = (0, Vec::new(), f64::INFINITY);
        for path in images(&data.join(folder), 1)? {
            let check = live(&engine, &read(&path)?)?;
            let Some(face) = check.selfie.measured_face() else {
                continue;
            };
            faces += 1;
            lowest = lowest.min(face.surroundings);
            if flagged(&face, Code::NoSurroundingsInSelfie)? {
                let (margin, score) = (face.surroundings, score(&check));
                found.push(format!("{} (margin {margin:.3}, liveness {score})", name(&path)));
            }
        }
        println!(
            "{folder}: {faces} whole images with a face, lowest margin {lowest:.3}, flagged {}: {}",
            found.len(),
            found.join(", ")
        );
    }
    Ok(())
}

fn crops(engine: &Engine, folder: &Path, step: usize) -> Result<Vec<Crop>, Failure> {
    let mut crops = Vec::new();
    for path in images(folder, step)? {
        let image = read(&path)?;
        let whole = live(engine, &image)?;
        let Some(face) = whole.selfie.faces.first().filter(|_| score(&whole) >= PASSED) else {
            continue;
        };
        for margin in MARGINS {
            let crop = face_with_margin(&image, &face.bounding_box, f32::from(margin) / 100.0);
            let check = live(engine, &crop.ok_or("an empty crop")?)?;
            if let Some(measured) = check.selfie.measured_face() {
                crops.push(Crop {
                    margin,
                    surroundings: measured.surroundings,
                    liveness: score(&check),
                    flagged: flagged(&measured, Code::NoSurroundingsInSelfie)?,
                });
            }
        }
    }
    Ok(crops)
}

fn row<'a>(what: &str, crops: impl Iterator<Item = &'a Crop>) {
    let crops: Vec<&Crop> = crops.collect();
    let mut scores: Vec<f64> = crops.iter().map(|crop| crop.liveness).collect();
    println!(
        "| {what} | {} | {:.2} | {} | {} |",
        crops.len(),
        quantile(&mut scores, 0.5),
        percent(
            scores.iter().filter(|score| **score < PASSED).count(),
            crops.len()
        ),
        percent(crops.iter().filter(|crop| crop.flagged).count(), crops.len()),
    );
}
