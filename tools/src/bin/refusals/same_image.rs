//! Copies of an image, and other images of the same face.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jpeg_encoder::{ColorType, Encoder};
use likeness_engine::detection::Face;
use likeness_engine::embedding::{FaceInImage, image_agreement};
use likeness_engine::imaging::{Image, ImageLimits, decode};
use likeness_engine::{Engine, VerifyOptions};

use crate::{Failure, face_with_margin, images, name, read, scaled};

/// Folders whose images are copied, and each how many-th image of them.
const COPIED: [(&str, usize); 3] = [("faces", 2), ("liveness/nuaa/live", 6), ("lfw-dev/images", 100)];

/// Longest side of an image that is copied.
const LONGEST: u32 = 1200;

/// The engine looks only at pairs with this cosine or a higher one.
const COMPARED: f32 = 0.75;

/// How many pairs are named.
const NAMED: usize = 8;

/// A copy: the margin that is left around the face, the scale, and the quality of JPEG.
struct Copy {
    margin: Option<f32>,
    scale: f64,
    quality: u8,
}

const fn copy(margin: Option<f32>, scale: f64, quality: u8) -> Copy {
    Copy {
        margin,
        scale,
        quality,
    }
}

const COPIES: [Copy; 15] = [
    copy(None, 1.0, 95),
    copy(None, 1.0, 70),
    copy(None, 1.0, 50),
    copy(None, 1.0, 30),
    copy(None, 0.5, 90),
    copy(None, 0.75, 90),
    copy(None, 1.25, 90),
    copy(None, 1.5, 90),
    copy(None, 0.5, 30),
    copy(Some(1.0), 1.0, 90),
    copy(Some(0.5), 1.0, 90),
    copy(Some(0.3), 1.0, 90),
    copy(Some(0.1), 1.0, 90),
    copy(Some(0.3), 0.7, 50),
    copy(Some(0.1), 0.5, 30),
];

/// What is found of two images.
struct Pair {
    took: Duration,
    agreement: f64,
    cosine: f32,
    same_image: bool,
    what: String,
}

pub(crate) fn print(data: &Path) -> Result<(), Failure> {
    let engine = Engine::builder().workers(1).build()?;
    let mut rows: Vec<Vec<Pair>> = COPIES.iter().map(|_| Vec::new()).collect();
    for (folder, step) in COPIED {
        for path in images(&data.join(folder), step)? {
            let image = read(&path)?;
            let longest = image.width().max(image.height());
            let image = scaled(&image, (f64::from(LONGEST) / f64::from(longest)).min(1.0));
            let found = engine.liveness(&image, &likeness_engine::LivenessOptions::default())?;
            let Some(face) = found.selfie.faces.first() else {
                continue;
            };
            for (way, row) in COPIES.iter().zip(&mut rows) {
                row.extend(pair(&engine, &image, &copied(&image, face, way)?, name(&path))?);
            }
        }
    }
    println!("copies of {COPIED:?}:");
    println!(
        "| margin | scale | quality | copies | lowest agreement | lowest cosine | flagged |\n|---|---|---|---:|---:|---:|---:|"
    );
    for (copy, row) in COPIES.iter().zip(&rows) {
        let margin = copy
            .margin
            .map_or("whole".to_owned(), |margin| margin.to_string());
        summary(&format!("| {margin} | {} | {} |", copy.scale, copy.quality), row);
    }
    println!("copies that are not flagged:");
    for pair in rows.iter().flatten().filter(|pair| !pair.same_image) {
        println!(
            "  {}: agreement {:.3}, cosine {:.3}",
            pair.what, pair.agreement, pair.cosine
        );
    }
    for (folder, lists, base) in [
        ("lfw-dev", &["pairs-train.csv", "pairs-test.csv"][..], "images"),
        ("faces", &["pairs.csv"][..], ""),
    ] {
        let folder = data.join(folder);
        let mut pairs = Vec::new();
        for list in lists {
            for (left, right) in genuine(&folder.join(list))? {
                let (left, right) = (folder.join(base).join(left), folder.join(base).join(right));
                let what = format!("{} and {}", name(&left), name(&right));
                pairs.extend(pair(&engine, &read(&left)?, &read(&right)?, what)?);
            }
        }
        others(&format!("genuine pairs of {}", folder.display()), pairs);
    }
    let frames = images(&data.join("liveness/nuaa/live"), 1)?;
    let mut pairs = Vec::new();
    for two in frames.windows(2) {
        if let [left, right] = two {
            let what = format!("{} and {}", name(left), name(right));
            pairs.extend(pair(&engine, &read(left)?, &read(right)?, what)?);
        }
    }
    others(
        "webcam frames and the next in the list, most of the same video",
        pairs,
    );
    Ok(())
}

fn pair(engine: &Engine, selfie: &Image, photo: &Image, what: String) -> Result<Option<Pair>, Failure> {
    let found = engine.verify(selfie, photo, &VerifyOptions::default())?;
    let (Some(of_selfie), Some(of_photo), Some(similarity)) = (
        found.selfie.faces.first(),
        found.photo.faces.first(),
        found.similarity,
    ) else {
        return Ok(None);
    };
    let face = |image, face: &'_ Face| (image, face.landmarks);
    let ((selfie, one), (photo, other)) = (face(selfie, of_selfie), face(photo, of_photo));
    let in_image = |image, landmarks| FaceInImage { image, landmarks };
    let begin = Instant::now();
    let agreement = image_agreement(in_image(selfie, &one), in_image(photo, &other));
    Ok(Some(Pair {
        took: begin.elapsed(),
        agreement,
        cosine: similarity.cosine,
        same_image: found.same_image,
        what,
    }))
}

fn copied(image: &Image, face: &Face, way: &Copy) -> Result<Image, Failure> {
    let cropped = way
        .margin
        .and_then(|margin| face_with_margin(image, &face.bounding_box, margin));
    let copy = scaled(cropped.as_ref().unwrap_or(image), way.scale);
    let (width, height) = (u16::try_from(copy.width())?, u16::try_from(copy.height())?);
    let mut file = Vec::new();
    Encoder::new(&mut file, way.quality).encode(copy.as_rgb8(), width, height, ColorType::Rgb)?;
    Ok(decode(&file, &ImageLimits::default())?)
}

fn genuine(list: &Path) -> Result<Vec<(PathBuf, PathBuf)>, Failure> {
    let text = std::fs::read_to_string(list)?;
    let pairs = text.lines().skip(1).filter_map(|line| {
        let mut fields = line.split(',').map(str::trim);
        let (left, right, label) = (fields.next()?, fields.next()?, fields.next()?);
        (label == "1").then(|| (PathBuf::from(left), PathBuf::from(right)))
    });
    Ok(pairs.collect())
}

fn summary(what: &str, pairs: &[Pair]) {
    let agreement = pairs.iter().map(|pair| pair.agreement).fold(1.0, f64::min);
    let cosine = pairs.iter().map(|pair| pair.cosine).fold(1.0, f32::min);
    let flagged = pairs.iter().filter(|pair| pair.same_image).count();
    println!(
        "{what} {} | {agreement:.3} | {cosine:.3} | {flagged} |",
        pairs.len()
    );
}

fn others(what: &str, mut pairs: Vec<Pair>) {
    pairs.sort_by(|a, b| b.agreement.total_cmp(&a.agreement));
    let flagged = pairs.iter().filter(|pair| pair.same_image).count();
    let took: Duration = pairs.iter().map(|pair| pair.took).sum();
    println!(
        "{what}: {} pairs, {} with a cosine of {COMPARED} or more, flagged {flagged}; {:.1} ms a comparison; those that agree most:",
        pairs.len(),
        pairs.iter().filter(|pair| pair.cosine >= COMPARED).count(),
        took.as_secs_f64() * 1e3 / pairs.len().max(1) as f64
    );
    for pair in pairs.iter().take(NAMED) {
        println!(
            "  {}: agreement {:.3}, cosine {:.3}",
            pair.what, pair.agreement, pair.cosine
        );
    }
}
