//! Liveness of selfies without colour.

use std::path::Path;

use likeness_engine::Engine;
use likeness_engine::decision::Code;
use likeness_engine::imaging::Image;

use crate::{Failure, PASSED, flagged, images, live, name, percent, quantile, read, scaled, score};

/// Folders whose images are changed, and each how many-th image of them.
const CHANGED: [(&str, usize); 2] = [("faces", 1), ("liveness/nuaa/live", 2)];

/// Folders whose images are looked at as they are.
const AS_THEY_ARE: [&str; 4] = ["faces", "groups", "liveness/nuaa/live", "lfw-dev/images"];

/// Longest side of an image that is changed.
const LONGEST: u32 = 1200;

/// How an image is changed: what is left of its colour, a tint, and what is left of its light.
struct Change {
    what: &'static str,
    colour: f32,
    tint: f32,
    light: f32,
}

const fn change(what: &'static str, colour: f32, tint: f32, light: f32) -> Change {
    Change {
        what,
        colour,
        tint,
        light,
    }
}

const CHANGES: [Change; 15] = [
    change("as it is", 1.0, 0.0, 1.0),
    change("grey", 0.0, 0.0, 1.0),
    change("grey, warm tint of 5 %", 0.0, 0.05, 1.0),
    change("grey, warm tint of 10 %", 0.0, 0.1, 1.0),
    change("grey, warm tint of 20 %", 0.0, 0.2, 1.0),
    change("grey, cold tint of 5 %", 0.0, -0.05, 1.0),
    change("grey, cold tint of 10 %", 0.0, -0.1, 1.0),
    change("grey, cold tint of 20 %", 0.0, -0.2, 1.0),
    change("grey, half of the light", 0.0, 0.0, 0.5),
    change("a tenth of the colour", 0.1, 0.0, 1.0),
    change("a fifth of the colour", 0.2, 0.0, 1.0),
    change("two fifths of the colour", 0.4, 0.0, 1.0),
    change("in colour, half of the light", 1.0, 0.0, 0.5),
    change("in colour, a fifth of the light", 1.0, 0.0, 0.2),
    change("in colour, a tenth of the light", 1.0, 0.0, 0.1),
];

pub(crate) fn print(data: &Path) -> Result<(), Failure> {
    let engine = Engine::builder().workers(1).build()?;
    for (folder, step) in CHANGED {
        let mut rows: Vec<Vec<(f64, f64, bool)>> = CHANGES.iter().map(|_| Vec::new()).collect();
        for path in images(&data.join(folder), step)? {
            let image = read(&path)?;
            let longest = image.width().max(image.height());
            let image = scaled(&image, (f64::from(LONGEST) / f64::from(longest)).min(1.0));
            if score(&live(&engine, &image)?) < PASSED {
                continue;
            }
            for (change, row) in CHANGES.iter().zip(&mut rows) {
                let check = live(&engine, &changed(&image, change)?)?;
                if let Some(face) = check.selfie.measured_face() {
                    row.push((score(&check), face.colour, flagged(&face, Code::GreySelfie)?));
                }
            }
        }
        println!("{folder}, each {step}th image that passes liveness:");
        println!(
            "| change | faces | median liveness | below {PASSED} | lowest, median, highest colour | flagged |"
        );
        println!("|---|---:|---:|---:|---:|---:|");
        for (change, row) in CHANGES.iter().zip(rows) {
            let mut scores: Vec<f64> = row.iter().map(|row| row.0).collect();
            let mut colours: Vec<f64> = row.iter().map(|row| row.1).collect();
            println!(
                "| {} | {} | {:.2} | {} | {:.3}, {:.3}, {:.3} | {} |",
                change.what,
                row.len(),
                quantile(&mut scores, 0.5),
                percent(scores.iter().filter(|score| **score < PASSED).count(), row.len()),
                quantile(&mut colours, 0.0),
                quantile(&mut colours, 0.5),
                quantile(&mut colours, 1.0),
                percent(row.iter().filter(|row| row.2).count(), row.len()),
            );
        }
    }
    for folder in AS_THEY_ARE {
        let (mut colours, mut found) = (Vec::new(), Vec::new());
        for path in images(&data.join(folder), 1)? {
            let check = live(&engine, &read(&path)?)?;
            let Some(face) = check.selfie.measured_face() else {
                continue;
            };
            if flagged(&face, Code::GreySelfie)? {
                let (colour, score) = (face.colour, score(&check));
                found.push(format!("{} (colour {colour:.3}, liveness {score})", name(&path)));
            } else {
                colours.push(face.colour);
            }
        }
        println!(
            "{folder}: {} images with a face, lowest colour that is not flagged {:.3}, flagged {}: {}",
            colours.len() + found.len(),
            quantile(&mut colours, 0.0),
            found.len(),
            found.join(", ")
        );
    }
    Ok(())
}

fn changed(image: &Image, change: &Change) -> Result<Image, Failure> {
    let (pixels, _) = image.as_rgb8().as_chunks::<3>();
    let pixels = pixels.iter().flat_map(|pixel| {
        let pixel = pixel.map(f32::from);
        let grey = 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2];
        let tinted = [
            grey * (1.0 + change.tint / 2.0),
            grey,
            grey * (1.0 - change.tint / 2.0),
        ];
        std::array::from_fn::<u8, 3, _>(|channel| {
            let coloured = tinted[channel] + change.colour * (pixel[channel] - grey);
            (coloured * change.light).round() as u8
        })
    });
    Ok(Image::from_rgb8(image.width(), image.height(), pixels.collect())?)
}
