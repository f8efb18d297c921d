//! Error rates of the default pack on LFW's development view, by the product's own detection and embedding:
//! `make lfw-error-rates`. All pairs of the training images are compared; the subject of an LFW
//! picture is the face nearest its centre.

#![allow(clippy::print_stdout)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use likeness::detection::{Face, FaceDetector, Search, YuNet};
use likeness::embedding::{AlignedCropEmbedder, Embedding, FaceEmbedder, FaceInPicture};
use likeness::imaging::{Limits, Picture, decode};
use likeness::models::{Pack, StoreSearch};
use likeness::runtime::{LibrarySearch, Provider, Runtime, available_workers};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let root = likeness_testing::shared()
        .ok_or("needs ../shared")?
        .join("data/lfw-dev");
    let names = training_images(&root)?;
    let runtime = Runtime::load(&LibrarySearch::new(), Provider::Cpu)?;
    let pack = StoreSearch::new().find()?.load("open-1")?;
    let embeddings = embed_all(&runtime, &pack, &root, &names)?;
    let missing = embeddings.iter().filter(|embedding| embedding.is_none()).count();

    let (mut genuine, mut impostor) = (Vec::new(), Vec::new());
    for (index, (name, embedding)) in names.iter().zip(&embeddings).enumerate() {
        for (other_name, other) in names.iter().zip(&embeddings).skip(index + 1) {
            let (Some(a), Some(b)) = (embedding, other) else {
                continue;
            };
            let similarity = a.similarity(b)?;
            let same = Path::new(name).parent() == Path::new(other_name).parent();
            if same { &mut genuine } else { &mut impostor }.push(similarity);
        }
    }
    genuine.sort_unstable_by(f32::total_cmp);
    impostor.sort_unstable_by(f32::total_cmp);
    println!("{} pictures, {missing} without a face", names.len());
    println!(
        "{} genuine and {} impostor comparisons",
        genuine.len(),
        impostor.len()
    );
    println!("false match rate   similarity   false non-match rate");
    for rate in [1e-2, 1e-3, 1e-4, 1e-5] {
        let at_or_above = (impostor.len() as f64 * rate) as usize;
        let Some(&threshold) = impostor.iter().rev().nth(at_or_above) else {
            continue;
        };
        println!(
            "{rate:<16e}   {threshold:.4}       {:.2} %",
            100.0 * share_below(&genuine, threshold)
        );
    }
    for point in &pack.manifest().embedder.calibration.points {
        let rate = 1.0 - share_below(&impostor, point.similarity as f32);
        println!(
            "confidence {:.2}: false match rate {rate:.3e}, calibrated as {:e}",
            point.confidence, point.false_match_rate
        );
    }
    Ok(())
}

fn share_below(sorted: &[f32], threshold: f32) -> f64 {
    sorted.partition_point(|&similarity| similarity < threshold) as f64 / sorted.len() as f64
}

fn training_images(root: &Path) -> Result<Vec<String>, Failure> {
    let text = std::fs::read_to_string(root.join("pairs-train.csv"))?;
    let names: BTreeSet<&str> = text
        .lines()
        .skip(1)
        .flat_map(|line| line.split(',').take(2))
        .collect();
    Ok(names.into_iter().map(str::to_owned).collect())
}

fn embed_all(
    runtime: &Runtime,
    pack: &Pack,
    root: &Path,
    names: &[String],
) -> Result<Vec<Option<Embedding>>, Failure> {
    let share = names.len().div_ceil(available_workers());
    let parts: Vec<Result<Vec<_>, Failure>> = std::thread::scope(|scope| {
        let threads: Vec<_> = names
            .chunks(share)
            .map(|names| scope.spawn(|| embed_some(runtime, pack, root, names)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a thread panicked".into())))
            .collect()
    });
    Ok(parts.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
}

fn embed_some(
    runtime: &Runtime,
    pack: &Pack,
    root: &Path,
    names: &[String],
) -> Result<Vec<Option<Embedding>>, Failure> {
    let mut detector = YuNet::open(runtime, pack)?;
    let mut embedder = AlignedCropEmbedder::open(runtime, pack)?;
    let mut embeddings = Vec::with_capacity(names.len());
    for name in names {
        let path: PathBuf = root.join("images").join(name);
        let picture = decode(&std::fs::read(path)?, &Limits::default())?;
        let faces = detector.detect(&picture, Search::Primary)?;
        let subject = faces
            .iter()
            .min_by(|a, b| from_centre(&picture, a).total_cmp(&from_centre(&picture, b)));
        embeddings.push(match subject {
            Some(Face { landmarks, .. }) => embedder
                .embed(&[FaceInPicture {
                    picture: &picture,
                    landmarks,
                }])?
                .into_iter()
                .next(),
            None => None,
        });
    }
    Ok(embeddings)
}

fn from_centre(picture: &Picture, face: &Face) -> f32 {
    let bounds = face.bounding_box;
    let x = bounds.x + bounds.width / 2.0 - picture.width() as f32 / 2.0;
    let y = bounds.y + bounds.height / 2.0 - picture.height() as f32 / 2.0;
    x.hypot(y)
}
