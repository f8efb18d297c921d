//! Ways to score liveness.

use std::collections::BTreeSet;
use std::path::Path;

use likeness_engine::detection::{Detectors, FaceDetector, Search};
use likeness_engine::imaging::{ImageLimits, Interrupt, decode, shrink_area};
use likeness_engine::liveness::{LivenessEnsemble, LivenessModel};
use likeness_engine::packs::{CropFit, Pack};
use likeness_engine::runtime::Runtime;

use crate::{Failure, each, mirror};

/// The review bound of `optimal-v0`.
const PASSES: f64 = 0.6;

/// Ways to score, each with how much the image is shrunk first.
const LIVENESS: [(&str, CropFit, bool, u32); 7] = [
    ("crop shrunk, as the makers cut it", CropFit::Shrink, false, 1),
    ("crop widened, as shipped", CropFit::Widen, false, 1),
    (
        "crop widened, averaged with its mirror image",
        CropFit::Widen,
        true,
        1,
    ),
    ("crop shrunk, image at a half", CropFit::Shrink, false, 2),
    ("crop widened, image at a half", CropFit::Widen, false, 2),
    ("crop shrunk, image at a quarter", CropFit::Shrink, false, 4),
    ("crop widened, image at a quarter", CropFit::Widen, false, 4),
];

/// What an image shows.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// A live person whose subject's number has an odd rank.
    Development,
    /// A live person of even rank.
    HeldOut,
    Print,
    /// A portrait or snapshot of `faces/`: not presented to a camera, but an image of a real person.
    Portrait,
}

pub(crate) fn print(runtime: &Runtime, pack: &Pack, data: &Path) -> Result<(), Failure> {
    let root = data.join("liveness");
    let text = std::fs::read_to_string(root.join("labels.csv"))?;
    let mut files: Vec<(String, String)> = text
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(','))
        .filter(|(file, _)| file.starts_with("nuaa/"))
        .map(|(file, species)| (file.to_owned(), species.to_owned()))
        .collect();
    let subject = |file: &str| -> String {
        let name = file.rsplit('/').next().unwrap_or_default();
        name.chars().take(4).collect()
    };
    let subjects: BTreeSet<String> = files.iter().map(|(file, _)| subject(file)).collect();
    let mut portraits = Vec::new();
    for entry in std::fs::read_dir(data.join("faces"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".jpg") {
            portraits.push((format!("../faces/{name}"), "portrait".to_owned()));
        }
    }
    portraits.sort();
    files.extend(portraits);
    let subjects: Vec<String> = subjects.into_iter().collect();
    let names: Vec<String> = files.iter().map(|(file, _)| file.clone()).collect();
    let scores = each(
        &names,
        || {
            Ok((
                Detectors::open(runtime, pack, None)?,
                LivenessEnsemble::open(runtime, pack)?.with_crop_fit(CropFit::Shrink),
                LivenessEnsemble::open(runtime, pack)?.with_crop_fit(CropFit::Widen),
            ))
        },
        |(detector, shrink, widen), name| score(detector, shrink, widen, &root.join(name)),
    )?;
    let kinds: Vec<Kind> = files
        .iter()
        .map(|(file, species)| {
            let rank = subjects.binary_search(&subject(file)).unwrap_or_default() + 1;
            match (species.as_str(), rank % 2) {
                ("live", 1) => Kind::Development,
                ("live", _) => Kind::HeldOut,
                ("portrait", _) => Kind::Portrait,
                _ => Kind::Print,
            }
        })
        .collect();
    println!(
        "| score | live below 0.6, development half | held-out half | portraits below 0.6 | prints at 0.6 or above | highest \
         print |"
    );
    println!("|---|---|---|---|---|---|");
    for (index, (name, ..)) in LIVENESS.into_iter().enumerate() {
        let of = |wanted: Kind| -> Vec<f64> {
            kinds
                .iter()
                .zip(&scores)
                .filter(|(kind, _)| **kind == wanted)
                .filter_map(|(_, scores)| scores[index])
                .collect()
        };
        let (development, held_out, prints) = (of(Kind::Development), of(Kind::HeldOut), of(Kind::Print));
        let portraits = of(Kind::Portrait);
        let below = |scores: &[f64]| {
            let failed = scores.iter().filter(|score| **score < PASSES).count();
            format!("{failed} of {}", scores.len())
        };
        let passed = prints.iter().filter(|score| **score >= PASSES).count();
        println!(
            "| {name} | {} | {} | {} | {passed} of {} | {:.4} |",
            below(&development),
            below(&held_out),
            below(&portraits),
            prints.len(),
            prints.iter().copied().fold(0.0, f64::max)
        );
    }
    Ok(())
}

/// Every one of [`LIVENESS`] of the largest face; `None` where there is none.
fn score(
    detector: &mut Detectors,
    shrink: &mut LivenessEnsemble,
    widen: &mut LivenessEnsemble,
    path: &Path,
) -> Result<Vec<Option<f64>>, Failure> {
    let whole = decode(&std::fs::read(path)?, &ImageLimits::default())?;
    LIVENESS
        .into_iter()
        .map(|(_, fit, with_mirror, part)| {
            let image = shrink_area(&whole, whole.width() / part, whole.height() / part);
            let faces = detector.detect(&image, Search::Primary, Interrupt::NEVER)?;
            let Some(face) = faces.first().map(|face| face.bounding_box) else {
                return Ok(None);
            };
            let model = if fit == CropFit::Widen {
                &mut *widen
            } else {
                &mut *shrink
            };
            let mut probability = model.score(&image, &face)?;
            if with_mirror {
                let mut mirrored = face;
                mirrored.x = image.width() as f32 - face.x - face.width;
                probability = f64::midpoint(probability, model.score(&mirror(&image)?, &mirrored)?);
            }
            Ok(Some(probability))
        })
        .collect()
}
