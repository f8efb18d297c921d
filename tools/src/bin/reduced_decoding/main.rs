//! What decoding JPEGs at a part of their size does to the scores: the tables "Decoding at reduced size" of
//! `docs/accuracy.md`. `reduced_decoding [DATA]` enlarges the images of LFW's test pairs, the portraits and the webcam
//! frames below `../shared/data`, encodes them again, and judges each file twice: decoded at its own size, and at the part of
//! it that the service decodes it at.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::collections::BTreeSet;
use std::num::NonZero;
use std::path::Path;

use image::imageops::{FilterType, resize};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use likeness_engine::imaging::{Image, ImageLimits, decode};
use likeness_engine::runtime::available_workers;
use likeness_engine::{EmbedOptions, EmbeddedFace, Engine, LivenessOptions};
use likeness_evaluation::{HELD_IMPOSTORS, all_pairs};

use likeness_tools::{Failure, by_person, each};

/// How many times as wide and as high the images are made; those of LFW are 250x250.
const ENLARGED: [u32; 4] = [1, 2, 4, 8];

/// Nothing is made larger than that: images that would be are left out.
const LONGEST_SIDE: u32 = 6_000;

/// JPEG quality of what is encoded again.
const QUALITY: u8 = 90;

/// The review bound of `optimal-v0`.
const PASSES: f64 = 0.6;

/// The reject and the review bound of `optimal-v0` in false match rates.
const RATES: [f64; 2] = [1e-3, 1e-4];

fn main() -> Result<(), Failure> {
    let data = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "../shared/data".to_owned());
    let data = Path::new(&data);
    let engine = Engine::builder().build()?;
    matching(&engine, data)?;
    println!();
    liveness(&engine, data)
}

/// A file at one of the sizes: as it is, or enlarged and encoded again.
fn enlarged(path: &Path, times: u32) -> Result<Option<(Vec<u8>, Image)>, Failure> {
    let bytes = std::fs::read(path)?;
    let whole = decode(&bytes, &ImageLimits::default())?;
    if times == 1 {
        return Ok(Some((bytes, whole)));
    }
    if whole.width().max(whole.height()) * times > LONGEST_SIDE {
        return Ok(None);
    }
    let (width, height) = (whole.width() * times, whole.height() * times);
    let pixels =
        image::RgbImage::from_raw(whole.width(), whole.height(), whole.into_rgb8()).ok_or("no pixels")?;
    let large = resize(&pixels, width, height, FilterType::CatmullRom);
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, QUALITY);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.encode(
        &large,
        u16::try_from(width)?,
        u16::try_from(height)?,
        ColorType::Rgb,
    )?;
    let whole = decode(&bytes, &ImageLimits::default())?;
    Ok(Some((bytes, whole)))
}

/// The largest face of one file, decoded whole and at a part of its size; `None` where none was found.
type Both = [Option<EmbeddedFace>; 2];

/// A similarity to the face of the whole below which the image is named: another face, or nearly.
const OTHER_FACE: f64 = 0.5;

fn embeddings(engine: &Engine, path: &Path, times: u32) -> Result<Option<Both>, Failure> {
    let Some((bytes, whole)) = enlarged(path, times)? else {
        return Ok(None);
    };
    let options = EmbedOptions::default();
    let first = |faces: Vec<EmbeddedFace>| faces.into_iter().next();
    Ok(Some([
        first(engine.embed(&whole, &options)?),
        first(engine.embed(&bytes, &options)?),
    ]))
}

fn matching(engine: &Engine, data: &Path) -> Result<(), Failure> {
    println!(
        "| images | enlarged | decoded | no face | FNMR at FMR 1e-3 | 1e-4 | similarity to whole, lowest | mean |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (name, list, root) in [
        ("LFW test", "lfw-dev/pairs-test.csv", "lfw-dev/images"),
        ("portraits", "faces/pairs.csv", "faces"),
    ] {
        let text = std::fs::read_to_string(data.join(list))?;
        let names: BTreeSet<String> = text
            .lines()
            .skip(1)
            .flat_map(|line| line.split(',').take(2).map(ToOwned::to_owned))
            .collect();
        let names: Vec<String> = names.into_iter().collect();
        let root = data.join(root);
        for times in ENLARGED {
            let found = each(
                &names,
                || Ok(()),
                |(), name| embeddings(engine, &root.join(name), times),
            )?;
            let (names, found): (Vec<&String>, Vec<Both>) = names
                .iter()
                .zip(found)
                .filter_map(|(name, both)| Some((name, both?)))
                .unzip();
            if found.is_empty() {
                continue;
            }
            let mut alike = Vec::new();
            for (name, both) in names.iter().zip(&found) {
                let [Some(whole), Some(reduced)] = both else {
                    continue;
                };
                let similarity = f64::from(whole.embedding.similarity(&reduced.embedding)?);
                if similarity < OTHER_FACE {
                    let [whole, reduced] = [whole, reduced].map(|face| face.face.bounding_box);
                    eprintln!(
                        "{name} at {times}x: similarity {similarity:.4}; whole {whole:?}, at a part {reduced:?}"
                    );
                }
                alike.push(similarity);
            }
            for (way, decoded) in ["whole", "at a part"].into_iter().enumerate() {
                let missing = found.iter().filter(|both| both[way].is_none()).count();
                print!("| {name} | {times}x | {decoded} | {missing} of {} |", names.len());
                for rate in RATES {
                    // The portraits' files do not tell who is on them.
                    if root.ends_with("faces") {
                        print!(" |");
                        continue;
                    }
                    let missed = false_non_match_rate(&names, &found, way, rate)?;
                    print!(" {:.2} % |", 100.0 * missed);
                }
                if way == 0 {
                    println!(" | |");
                } else {
                    let lowest = alike.iter().copied().fold(f64::INFINITY, f64::min);
                    let mean = alike.iter().sum::<f64>() / alike.len() as f64;
                    println!(" {lowest:.4} | {mean:.4} |");
                }
            }
        }
    }
    Ok(())
}

fn false_non_match_rate(names: &[&String], found: &[Both], way: usize, rate: f64) -> Result<f64, Failure> {
    let images = || {
        let found = names.iter().copied().zip(found);
        found.filter_map(|(name, both)| Some((name, &both[way].as_ref()?.embedding)))
    };
    let (_, first) = images().next().ok_or("no face")?;
    let matrix = by_person(first.values().len(), images())?;
    let threads = NonZero::new(available_workers()).ok_or("no processor")?;
    let scores = all_pairs(&matrix, HELD_IMPOSTORS, threads);
    scores
        .threshold_at(rate)
        .and_then(|threshold| scores.genuine().share_below(threshold))
        .ok_or_else(|| "too few comparisons".into())
}

fn liveness(engine: &Engine, data: &Path) -> Result<(), Failure> {
    let text = std::fs::read_to_string(data.join("liveness/labels.csv"))?;
    let mut files: Vec<(String, &str)> = text
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(','))
        .filter(|(file, _)| file.starts_with("nuaa/"))
        .map(|(file, species)| {
            let kind = if species == "live" { "live" } else { "print" };
            (format!("liveness/{file}"), kind)
        })
        .collect();
    for entry in std::fs::read_dir(data.join("faces"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".jpg") {
            files.push((format!("faces/{name}"), "portrait"));
        }
    }
    files.sort();
    let names: Vec<String> = files.iter().map(|(name, _)| name.clone()).collect();
    println!(
        "| enlarged | decoded | live below 0.6 | portraits below 0.6 | prints at 0.6 or above | highest print | change, mean \
         | largest |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for times in ENLARGED {
        let scores = each(
            &names,
            || Ok(()),
            |(), name| {
                let Some((bytes, whole)) = enlarged(&data.join(name), times)? else {
                    return Ok(None);
                };
                let options = LivenessOptions::default();
                Ok(Some([
                    engine
                        .liveness(&whole, &options)?
                        .liveness
                        .ok_or("no face")?
                        .value(),
                    engine
                        .liveness(&bytes, &options)?
                        .liveness
                        .ok_or("no face")?
                        .value(),
                ]))
            },
        )?;
        let changes: Vec<f64> = scores
            .iter()
            .flatten()
            .map(|[whole, reduced]| (whole - reduced).abs())
            .collect();
        for (way, decoded) in ["whole", "at a part"].into_iter().enumerate() {
            let of = |wanted: &str| -> Vec<f64> {
                files
                    .iter()
                    .zip(&scores)
                    .filter(|((_, kind), _)| *kind == wanted)
                    .filter_map(|(_, scores)| scores.map(|scores| scores[way]))
                    .collect()
            };
            let below = |scores: &[f64]| {
                let failed = scores.iter().filter(|score| **score < PASSES).count();
                format!("{failed} of {}", scores.len())
            };
            let prints = of("print");
            let passed = prints.iter().filter(|score| **score >= PASSES).count();
            print!(
                "| {times}x | {decoded} | {} | {} | {passed} of {} | {:.4} |",
                below(&of("live")),
                below(&of("portrait")),
                prints.len(),
                prints.iter().copied().fold(0.0, f64::max)
            );
            if way == 0 {
                println!(" | |");
            } else {
                println!(
                    " {:.4} | {:.4} |",
                    changes.iter().sum::<f64>() / changes.len() as f64,
                    changes.iter().copied().fold(0.0, f64::max)
                );
            }
        }
    }
    Ok(())
}
