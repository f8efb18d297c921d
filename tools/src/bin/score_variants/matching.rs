//! Ways to embed a face.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use likeness_engine::detection::{Detectors, Face, FaceDetector, Landmarks, Point, Search};
use likeness_engine::embedding::{self, Embedding, FaceEmbedder, FaceInImage, Template, align};
use likeness_engine::imaging::{
    Image, ImageLimits, Interrupt, PixelRect, crop_resize_bilinear, decode, shrink_area,
};
use likeness_engine::packs::Pack;
use likeness_engine::runtime::{Runtime, available_workers};
use likeness_evaluation::statistics::{Judged, accuracy_at, best_threshold};
use likeness_evaluation::{HELD_IMPOSTORS, all_pairs};

use crate::{Failure, by_person, each, mirror};

/// Ways to embed a face, with what each costs.
const EMBEDDINGS: [(&str, &str); 6] = [
    ("as shipped", "1 embedding"),
    ("averaged with its mirror image", "2 embeddings"),
    (
        "landmarks of a second detector pass on the face",
        "1 embedding, 1 pass at 256 px",
    ),
    (
        "landmarks averaged over both passes",
        "1 embedding, 1 pass at 256 px",
    ),
    (
        "embeddings averaged over both passes",
        "2 embeddings, 1 pass at 256 px",
    ),
    ("aligned at twice the size, then averaged down", "1 embedding"),
];

/// False match rates of the match table.
const RATES: [f64; 3] = [1e-3, 1e-4, 1e-5];

/// A pair of a list: its images and whether they show one person.
type Pair = (String, String, bool);

fn pairs(list: &Path) -> Result<Vec<Pair>, Failure> {
    let text = std::fs::read_to_string(list)?;
    text.lines()
        .skip(1)
        .map(|line| match line.split(',').collect::<Vec<_>>().as_slice() {
            [left, right, label] => Ok(((*left).to_owned(), (*right).to_owned(), *label == "1")),
            _ => Err(format!("{}: {line}", list.display()).into()),
        })
        .collect()
}

fn images(pairs: &[Pair]) -> Vec<String> {
    let names: BTreeSet<&String> = pairs.iter().flat_map(|(left, right, _)| [left, right]).collect();
    names.into_iter().cloned().collect()
}

pub(crate) fn print(runtime: &Runtime, pack: &Pack, data: &Path) -> Result<(), Failure> {
    let lfw = data.join("lfw-dev");
    let (train, test) = (
        pairs(&lfw.join("pairs-train.csv"))?,
        pairs(&lfw.join("pairs-test.csv"))?,
    );
    let portraits = pairs(&data.join("faces/pairs.csv"))?;
    let embed = |root: PathBuf, pairs: &[Pair]| -> Result<_, Failure> {
        let names = images(pairs);
        let vectors = each(
            &names,
            || Embedders::open(runtime, pack),
            |models, name| models.embed(&root.join(name)),
        )?;
        Ok((names, vectors))
    };
    let (train_names, train_vectors) = embed(lfw.join("images"), &train)?;
    let (test_names, test_vectors) = embed(lfw.join("images"), &test)?;
    let (portrait_names, portrait_vectors) = embed(data.join("faces"), &portraits)?;

    println!(
        "| embedding | cost a face | FNMR at FMR 1e-3 | 1e-4 | 1e-5 | accuracy on test pairs | lowest genuine, highest \
         impostor portrait |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (index, (name, cost)) in EMBEDDINGS.into_iter().enumerate() {
        let vectors = train_vectors.iter().map(|vectors| &vectors[index]);
        let dimensions = pack.manifest().embedders[0].dimensions;
        let matrix = by_person(dimensions, train_names.iter().zip(vectors))?;
        let threads = NonZero::new(available_workers()).ok_or("no processor")?;
        let scores = all_pairs(&matrix, HELD_IMPOSTORS, threads);
        print!("| {name} | {cost} |");
        for rate in RATES {
            let missed = scores
                .threshold_at(rate)
                .and_then(|threshold| scores.genuine().share_below(threshold))
                .ok_or("too few comparisons")?;
            print!(" {:.2} % |", 100.0 * missed);
        }
        let judged =
            |pairs: &[Pair], names: &[String], vectors: &[Vec<Embedding>]| -> Result<Vec<Judged>, Failure> {
                let vector = |name: &String| -> Result<&Embedding, Failure> {
                    let at = names.binary_search(name).map_err(|_| "an unknown image")?;
                    Ok(&vectors[at][index])
                };
                pairs
                    .iter()
                    .map(|(left, right, same)| {
                        Ok((Some(f64::from(vector(left)?.similarity(vector(right)?)?)), *same))
                    })
                    .collect()
            };
        let training = judged(&train, &train_names, &train_vectors)?;
        let testing = judged(&test, &test_names, &test_vectors)?;
        let accuracy = best_threshold(&training)
            .and_then(|threshold| accuracy_at(&testing, threshold))
            .ok_or("no pairs")?;
        let snapshots = judged(&portraits, &portrait_names, &portrait_vectors)?;
        let of = |wanted: bool| {
            snapshots
                .iter()
                .filter(move |(_, same)| *same == wanted)
                .filter_map(|(score, _)| *score)
        };
        println!(
            " {accuracy:.4} | {:.4}, {:.4} |",
            of(true).fold(f64::INFINITY, f64::min),
            of(false).fold(f64::NEG_INFINITY, f64::max)
        );
    }
    Ok(())
}

struct Embedders {
    detector: Detectors,
    embedder: Box<dyn FaceEmbedder>,
    template: Template,
    size: u32,
}

impl Embedders {
    fn open(runtime: &Runtime, pack: &Pack) -> Result<Self, Failure> {
        let model = &pack.manifest().embedders[0];
        Ok(Self {
            detector: Detectors::open(runtime, pack, None)?,
            embedder: embedding::open(runtime, pack)?,
            template: model.template.points(),
            size: model.size,
        })
    }

    /// Every one of [`EMBEDDINGS`] of the face nearest the image's centre.
    fn embed(&mut self, path: &Path) -> Result<Vec<Embedding>, Failure> {
        let image = decode(&std::fs::read(path)?, &ImageLimits::default())?;
        let faces = self.detector.detect(&image, Search::Primary, Interrupt::NEVER)?;
        let face = nearest(&faces, image.width() as f32 / 2.0, image.height() as f32 / 2.0)
            .ok_or_else(|| format!("no face in {}", path.display()))?;
        let second = self.second_pass(&image, &face)?;
        let both: Landmarks = std::array::from_fn(|index| Point {
            x: f32::midpoint(face.landmarks[index].x, second[index].x),
            y: f32::midpoint(face.landmarks[index].y, second[index].y),
        });
        let plain = self.one(&image, &face.landmarks)?;
        let of_second = self.one(&image, &second)?;
        Ok(vec![
            plain.clone(),
            sum(&plain, &self.mirrored(&image, &face.landmarks)?)?,
            of_second.clone(),
            self.one(&image, &both)?,
            sum(&plain, &of_second)?,
            self.averaged_down(&image, &face.landmarks)?,
        ])
    }

    fn one(&mut self, image: &Image, landmarks: &Landmarks) -> Result<Embedding, Failure> {
        let face = FaceInImage { image, landmarks };
        let embeddings = self.embedder.embed(&[face])?;
        Ok(embeddings.into_iter().next().ok_or("no embedding")?)
    }

    /// The landmarks that the detector sees when the face is about 128 px high in its input.
    fn second_pass(&mut self, image: &Image, face: &Face) -> Result<Landmarks, Failure> {
        const SIDE: u32 = 256;
        let bounds = face.bounding_box;
        let side = 2.0 * bounds.width.max(bounds.height);
        let (middle_x, middle_y) = (bounds.x + bounds.width / 2.0, bounds.y + bounds.height / 2.0);
        let clip = |from: f32, limit: u32| (from.max(0.0) as u32).min(limit.saturating_sub(1));
        let (left, top) = (
            clip(middle_x - side / 2.0, image.width()),
            clip(middle_y - side / 2.0, image.height()),
        );
        let rect = PixelRect {
            left,
            top,
            width: (side as u32).clamp(1, image.width() - left),
            height: (side as u32).clamp(1, image.height() - top),
        };
        let longest = rect.width.max(rect.height);
        let scaled = |side: u32| (side * SIDE / longest).max(1);
        let (width, height) = (scaled(rect.width), scaled(rect.height));
        // Averaged where it shrinks, interpolated where it grows.
        let crop = if longest > SIDE {
            let exact = crop_resize_bilinear(image, rect, rect.width, rect.height);
            shrink_area(&exact, width, height)
        } else {
            crop_resize_bilinear(image, rect, width, height)
        };
        let faces = self.detector.detect_at(&crop, SIDE)?;
        let (scale_x, scale_y) = (
            rect.width as f32 / width as f32,
            rect.height as f32 / height as f32,
        );
        let middle = (
            (middle_x - left as f32) / scale_x,
            (middle_y - top as f32) / scale_y,
        );
        let found = nearest(&faces, middle.0, middle.1).map_or(face.landmarks, |found| {
            found.landmarks.map(|Point { x, y }| Point {
                x: x * scale_x + left as f32,
                y: y * scale_y + top as f32,
            })
        });
        Ok(found)
    }

    fn mirrored(&mut self, image: &Image, landmarks: &Landmarks) -> Result<Embedding, Failure> {
        let mirror = mirror(image)?;
        // What was the right eye is now the left one, and the mouth's corners likewise.
        let [right_eye, left_eye, nose, right_mouth, left_mouth] = landmarks.map(|Point { x, y }| Point {
            x: image.width() as f32 - x,
            y,
        });
        self.one(&mirror, &[left_eye, right_eye, nose, left_mouth, right_mouth])
    }

    fn averaged_down(&mut self, image: &Image, landmarks: &Landmarks) -> Result<Embedding, Failure> {
        let large = align(image, landmarks, &self.template, 2 * self.size)?;
        let small = shrink_area(&large, self.size, self.size);
        let side = self.size as f32;
        let aligned = self.template.map(|[x, y]| Point {
            x: x as f32 * side,
            y: y as f32 * side,
        });
        self.one(&small, &aligned)
    }
}

fn nearest(faces: &[Face], x: f32, y: f32) -> Option<Face> {
    let distance = |face: &Face| {
        let bounds = face.bounding_box;
        (bounds.x + bounds.width / 2.0 - x).hypot(bounds.y + bounds.height / 2.0 - y)
    };
    faces
        .iter()
        .min_by(|a, b| distance(a).total_cmp(&distance(b)))
        .copied()
}

fn sum(a: &Embedding, b: &Embedding) -> Result<Embedding, Failure> {
    let values = a.values().iter().zip(b.values()).map(|(a, b)| a + b).collect();
    Ok(Embedding::new(values)?)
}
