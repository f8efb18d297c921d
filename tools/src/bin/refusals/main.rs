//! What the findings about a selfie that cannot be judged, and about a photo that it was taken from, rest on:
//! `refusals surroundings|colour|same-image|tight-crops|explained [DATA]` prints the tables of `docs/accuracy.md`, of the development images
//! in the folder of `../shared/data`.

#![allow(clippy::print_stdout)]

mod colour;
mod explained;
mod same_image;
mod surroundings;
mod tight_crops;

use std::path::{Path, PathBuf};

use likeness_engine::decision::{Code, MeasuredFace, QualityChecks, Score, selfie_findings};
use likeness_engine::detection::BoundingBox;
use likeness_engine::imaging::{Image, ImageLimits, PixelRect, crop_resize_bilinear, decode, shrink_area};
use likeness_engine::{Engine, LivenessCheck, LivenessOptions};

type Failure = Box<dyn std::error::Error>;

/// A selfie below this liveness is not passed by the default profile.
const PASSED: f64 = 0.6;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let data = PathBuf::from(arguments.next().unwrap_or_else(|| "../shared/data".to_owned()));
    match what.as_str() {
        "surroundings" => surroundings::print(&data),
        "colour" => colour::print(&data),
        "same-image" => same_image::print(&data),
        "tight-crops" => tight_crops::print(&data),
        "explained" => explained::print(&data),
        _ => Err("usage: refusals surroundings|colour|same-image|tight-crops|explained [DATA]".into()),
    }
}

/// The images of a folder and its folders, by name, each `step`-th.
fn images(folder: &Path, step: usize) -> Result<Vec<PathBuf>, Failure> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                collect(&path, found)?;
            } else if path
                .extension()
                .is_some_and(|ending| ending == "jpg" || ending == "png")
            {
                found.push(path);
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    collect(folder, &mut found)?;
    found.sort();
    Ok(found.into_iter().step_by(step).collect())
}

fn read(path: &Path) -> Result<Image, Failure> {
    Ok(decode(&std::fs::read(path)?, &ImageLimits::default())?)
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn live(engine: &Engine, image: &Image) -> Result<LivenessCheck, Failure> {
    Ok(engine.liveness(image, &LivenessOptions::default())?)
}

fn score(check: &LivenessCheck) -> f64 {
    check.liveness.map_or(0.0, Score::value)
}

/// Whether the default profile finds this about a selfie with such a face.
fn flagged(face: &MeasuredFace, code: Code) -> Result<bool, Failure> {
    let found = selfie_findings(&QualityChecks::default(), face, 0)?;
    Ok(found.iter().any(|line| line.code == code))
}

/// The part of an image within these sides, as far as there is one.
fn cut(image: &Image, [left, top, right, bottom]: [f32; 4]) -> Option<Image> {
    let within = |value: f32, side: u32| value.round().clamp(0.0, side as f32) as u32;
    let (left, right) = (within(left, image.width()), within(right, image.width()));
    let (top, bottom) = (within(top, image.height()), within(bottom, image.height()));
    let (width, height) = (right.checked_sub(left)?, bottom.checked_sub(top)?);
    let rect = PixelRect {
        left,
        top,
        width,
        height,
    };
    (width > 0 && height > 0).then(|| crop_resize_bilinear(image, rect, width, height))
}

/// The face of an image with so much around it, in units of its box.
fn face_with_margin(image: &Image, face: &BoundingBox, margin: f32) -> Option<Image> {
    let BoundingBox { x, y, width, height } = face;
    let (across, down) = (margin * width, margin * height);
    cut(
        image,
        [x - across, y - down, x + width + across, y + height + down],
    )
}

fn scaled(image: &Image, scale: f64) -> Image {
    let side = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
    let (width, height) = (side(image.width()), side(image.height()));
    if scale < 1.0 {
        return shrink_area(image, width, height);
    }
    let whole = PixelRect {
        left: 0,
        top: 0,
        width: image.width(),
        height: image.height(),
    };
    crop_resize_bilinear(image, whole, width, height)
}

/// A number of so large a share of the numbers, which are sorted.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len().saturating_sub(1) as f64 * share).round() as usize;
    values.get(rank).copied().unwrap_or(f64::NAN)
}

fn percent(count: usize, of: usize) -> String {
    format!("{:.0} %", 100.0 * count as f64 / of.max(1) as f64)
}
