//! Faces that fill their image, and images without a face.

use std::path::Path;

use likeness_engine::detection::{BoundingBox, Detectors, FaceDetector, Search};
use likeness_engine::embedding::Embedding;
use likeness_engine::imaging::{Image, Interrupt};
use likeness_engine::packs::{DEFAULT_PACK, StoreSearch};
use likeness_engine::runtime::{LibrarySearch, Provider, Runtime};
use likeness_engine::{EmbedOptions, Engine};

use crate::{Failure, cut, face_with_margin, images, name, quantile, read};

/// Folders that are cropped, and each how many-th image of them.
const CROPPED: [(&str, usize); 2] = [("lfw-dev/images", 1), ("faces", 1)];

/// Margins around the face, in percent of it; below zero the face itself is cut.
const MARGINS: [i8; 6] = [0, -10, -15, -20, -25, -30];

/// Parts of the photograph of dogs in either direction, and their sides in units of the photograph's.
const TILES: u8 = 6;
const TILE_SIDES: [f32; 2] = [0.5, 0.33];

/// An image beside a face has at least so many pixels a side.
const LEAST: f32 = 40.0;

pub(crate) fn print(data: &Path) -> Result<(), Failure> {
    let runtime = Runtime::load(&LibrarySearch::new(), Provider::Cpu)?;
    let pack = StoreSearch::new().find()?.load(DEFAULT_PACK)?;
    let mut detector = Detectors::open(&runtime, &pack, None)?;
    let engine = Engine::builder().workers(1).build()?;
    println!(
        "| crops of | margin | crops | without a face | of those found with a border | their median, lowest cosine with the whole image |"
    );
    println!("|---|---:|---:|---:|---:|---:|");
    let mut beside = Looked::default();
    for (folder, step) in CROPPED {
        let mut rows: Vec<Row> = MARGINS.iter().map(|_| Row::default()).collect();
        for path in images(&data.join(folder), step)? {
            let image = read(&path)?;
            let Some(face) = found(&mut detector, &image)?.first().copied() else {
                continue;
            };
            for (margin, row) in MARGINS.iter().zip(&mut rows) {
                let crop = face_with_margin(&image, &face, f32::from(*margin) / 100.0);
                let crop = crop.ok_or("an empty crop")?;
                row.crops += 1;
                if !found(&mut detector, &crop)?.is_empty() {
                    continue;
                }
                row.missed += 1;
                if detector.filling_face(&crop, Interrupt::NEVER)?.is_some() {
                    let (whole, part) = (embedded(&engine, &image)?, embedded(&engine, &crop)?);
                    if let (Some(whole), Some(part)) = (whole, part) {
                        row.cosines.push(f64::from(whole.similarity(&part)?));
                    }
                }
            }
            for sides in sides_beside(&image, &face) {
                if let Some(part) = cut(&image, sides) {
                    beside.look(&mut detector, &part, &name(&path))?;
                }
            }
        }
        for (margin, mut row) in MARGINS.iter().zip(rows) {
            println!(
                "| {folder} | {margin} % | {} | {} | {} | {:.2}, {:.2} |",
                row.crops,
                row.missed,
                row.cosines.len(),
                quantile(&mut row.cosines, 0.5),
                quantile(&mut row.cosines, 0.0)
            );
        }
    }
    beside.print("beside the faces of these images");
    let dogs = read(&data.join("groups/dogs.jpg"))?;
    println!("groups/dogs.jpg: {} faces", found(&mut detector, &dogs)?.len());
    let mut tiles = Looked::default();
    for (row, column) in (0..TILES * TILES).map(|tile| (tile / TILES, tile % TILES)) {
        for side in TILE_SIDES {
            let (width, height) = (dogs.width() as f32, dogs.height() as f32);
            let place = |index: u8, length: f32| f32::from(index) / f32::from(TILES) * length;
            let (left, top) = (place(column, width), place(row, height));
            if let Some(tile) = cut(&dogs, [left, top, left + side * width, top + side * height]) {
                tiles.look(&mut detector, &tile, &format!("{column} {row} {side}"))?;
            }
        }
    }
    tiles.print("parts of groups/dogs.jpg");
    let mut others = Looked::default();
    for path in images(&data.join("awkward"), 1)? {
        // Some are damaged on purpose.
        if let Ok(image) = read(&path) {
            others.look(&mut detector, &image, &name(&path))?;
        }
    }
    others.print("awkward");
    Ok(())
}

#[derive(Default)]
struct Row {
    crops: usize,
    missed: usize,
    cosines: Vec<f64>,
}

/// Images of which those without a face were looked at again.
#[derive(Default)]
struct Looked {
    images: usize,
    without: usize,
    found: Vec<String>,
}

impl Looked {
    fn look(&mut self, detector: &mut Detectors, image: &Image, what: &str) -> Result<(), Failure> {
        self.images += 1;
        if found(detector, image)?.is_empty() {
            self.without += 1;
            if let Some(face) = detector.filling_face(image, Interrupt::NEVER)? {
                self.found.push(format!("{what} ({:.2})", face.score));
            }
        }
        Ok(())
    }

    fn print(&self, what: &str) {
        println!(
            "{what}: {} images, {} without a face, of those found with a border {}: {}",
            self.images,
            self.without,
            self.found.len(),
            self.found.join(", ")
        );
    }
}

fn found(detector: &mut Detectors, image: &Image) -> Result<Vec<BoundingBox>, Failure> {
    let faces = detector.detect(image, Search::Primary, Interrupt::NEVER)?;
    Ok(faces.iter().map(|face| face.bounding_box).collect())
}

fn embedded(engine: &Engine, image: &Image) -> Result<Option<Embedding>, Failure> {
    let faces = engine.embed(image, &EmbedOptions::default())?;
    Ok(faces.into_iter().next().map(|face| face.embedding))
}

/// What is to the left and right of a face, and below it.
fn sides_beside(image: &Image, face: &BoundingBox) -> impl Iterator<Item = [f32; 4]> {
    let (width, height) = (image.width() as f32, image.height() as f32);
    let (right, bottom) = (face.x + face.width, face.y + face.height);
    let parts = [
        [0.0, 0.0, face.x, height],
        [right, 0.0, width, height],
        [0.0, bottom, width, height],
    ];
    parts
        .into_iter()
        .filter(|[left, top, right, bottom]| right - left >= LEAST && bottom - top >= LEAST)
}
