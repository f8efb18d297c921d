//! The models, rewritten, and images as the product gives them to the models.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use likeness_engine::detection::{BoundingBox, Detectors, FIRST_PASS_SIDE, Face, FaceDetector, Search};
use likeness_engine::embedding::align_for;
use likeness_engine::face::write_input;
use likeness_engine::imaging::{Image, ImageLimits, Interrupt, crop_resize_bilinear, decode, shrink_area};
use likeness_engine::liveness::crop_rect;
use likeness_engine::packs::{Pack, Preprocessing, StoreSearch};
use likeness_engine::packs::{Pass, Passes};
use likeness_engine::runtime::Runtime;

use crate::Failure;

/// Images for each model, evenly from sorted lists: what is fitted to them keeps every map of the model for each, 40 MB.
const IMAGES: usize = 100;

/// Writes models and inputs into a folder.
pub(crate) fn write(runtime: &Runtime, out: &Path, data: &Path) -> Result<(), Failure> {
    let store = StoreSearch::new().find()?;
    let load = |passes: &Passes| Ok::<_, Failure>(store.load("open-1")?.optimized(passes));
    let pack = load(&Passes::all())?;
    models(&pack, out)?;
    models(
        &load(&Passes::all().without(Pass::Gates))?,
        &out.join("int8-base"),
    )?;
    let mut detector = Detectors::open(runtime, &pack, None)?;
    let training = evenly(&training(data)?, IMAGES);
    let presented = evenly(&presented(data)?, IMAGES);
    embedder(&pack, &mut detector, out, &training)?;
    liveness(&pack, &mut detector, out, &presented)?;
    let mut scenes = evenly(&training, IMAGES / 2);
    scenes.extend(evenly(&presented, IMAGES / 2));
    scenes_for_the_detector(&pack, out, &scenes)
}

fn models(pack: &Pack, out: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(out)?;
    for name in pack.manifest().models.keys() {
        std::fs::write(out.join(format!("{name}.onnx")), pack.model(name)?)?;
    }
    Ok(())
}

/// Every image of LFW's training pairs.
fn training(data: &Path) -> Result<Vec<PathBuf>, Failure> {
    let text = std::fs::read_to_string(data.join("lfw-dev/pairs-train.csv"))?;
    let names: BTreeSet<&str> = text
        .lines()
        .skip(1)
        .flat_map(|line| line.split(',').take(2))
        .collect();
    let images = data.join("lfw-dev/images");
    Ok(names.into_iter().map(|name| images.join(name)).collect())
}

/// Live people and prints of the development half, as `docs/accuracy.md` has it: the subjects of odd rank by number.
fn presented(data: &Path) -> Result<Vec<PathBuf>, Failure> {
    let root = data.join("liveness");
    let text = std::fs::read_to_string(root.join("labels.csv"))?;
    let files: BTreeSet<&str> = text
        .lines()
        .skip(1)
        .filter_map(|line| line.split(',').next())
        .filter(|file| file.starts_with("nuaa/"))
        .collect();
    let subject = |file: &str| {
        file.rsplit('/')
            .next()
            .and_then(|name| name.get(..4))
            .map(str::to_owned)
    };
    let subjects: BTreeSet<String> = files.iter().filter_map(|file| subject(file)).collect();
    let development: BTreeSet<String> = subjects.into_iter().step_by(2).collect();
    Ok(files
        .into_iter()
        .filter(|file| subject(file).is_some_and(|subject| development.contains(&subject)))
        .map(|file| root.join(file))
        .collect())
}

/// So many of the list, or all where it has fewer.
fn evenly(list: &[PathBuf], count: usize) -> Vec<PathBuf> {
    let count = count.min(list.len());
    (0..count)
        .filter_map(|index| list.get(index * list.len() / count).cloned())
        .collect()
}

fn read(path: &Path) -> Result<Image, Failure> {
    Ok(decode(&std::fs::read(path)?, &ImageLimits::default())?)
}

/// The image with its largest face; `None` where there is none.
fn largest_face(detector: &mut Detectors, path: &Path) -> Result<Option<(Image, Face)>, Failure> {
    let image = read(path)?;
    let faces = detector.detect(&image, Search::Primary, Interrupt::NEVER)?;
    Ok(faces.into_iter().next().map(|face| (image, face)))
}

/// A file of inputs of one size.
struct Inputs<'a> {
    preprocessing: &'a Preprocessing,
    planes: Vec<f32>,
    file: BufWriter<File>,
    count: usize,
    name: String,
}

impl<'a> Inputs<'a> {
    fn create(
        out: &Path,
        model: &str,
        height: u32,
        width: u32,
        preprocessing: &'a Preprocessing,
    ) -> Result<Self, Failure> {
        let name = format!("{model}.3x{height}x{width}.f32");
        Ok(Self {
            preprocessing,
            planes: vec![0.0; 3 * height as usize * width as usize],
            file: BufWriter::new(File::create(out.join(&name))?),
            count: 0,
            name,
        })
    }

    fn push(&mut self, image: &Image) -> Result<(), Failure> {
        write_input(image, self.preprocessing, &mut self.planes);
        for number in &self.planes {
            self.file.write_all(&number.to_le_bytes())?;
        }
        self.count += 1;
        Ok(())
    }

    fn finish(mut self) -> Result<(), Failure> {
        self.file.flush()?;
        println!("{}: {} images", self.name, self.count);
        Ok(())
    }
}

fn embedder(pack: &Pack, detector: &mut Detectors, out: &Path, images: &[PathBuf]) -> Result<(), Failure> {
    for model in &pack.manifest().embedders {
        let mut inputs = Inputs::create(out, &model.model, model.size, model.size, &model.input)?;
        for path in images {
            if let Some((image, face)) = largest_face(detector, path)? {
                inputs.push(&align_for(model, &image, &face.landmarks)?)?;
            }
        }
        inputs.finish()?;
    }
    Ok(())
}

fn liveness(pack: &Pack, detector: &mut Detectors, out: &Path, images: &[PathBuf]) -> Result<(), Failure> {
    let mut found: Vec<(Image, BoundingBox)> = Vec::new();
    for path in images {
        found.extend(largest_face(detector, path)?.map(|(image, face)| (image, face.bounding_box)));
    }
    for model in &pack.manifest().liveness {
        let mut inputs = Inputs::create(out, &model.model, model.size, model.size, &model.input)?;
        for (image, face) in &found {
            let (width, height) = (image.width(), image.height());
            let rect = crop_rect(width, height, face, model.crop_scale, model.crop_fit);
            inputs.push(&crop_resize_bilinear(image, rect, model.size, model.size))?;
        }
        inputs.finish()?;
    }
    Ok(())
}

/// Images of any shape as squares with the longest side of the first pass: what the detector pads is in them, too.
fn scenes_for_the_detector(pack: &Pack, out: &Path, images: &[PathBuf]) -> Result<(), Failure> {
    for model in &pack.manifest().detectors {
        let mut inputs = Inputs::create(out, &model.model, FIRST_PASS_SIDE, FIRST_PASS_SIDE, &model.input)?;
        for path in images {
            inputs.push(&padded(&read(path)?)?)?;
        }
        inputs.finish()?;
    }
    Ok(())
}

/// Shrunk to the first pass's size, never enlarged, and padded with black on the right and at the bottom.
fn padded(image: &Image) -> Result<Image, Failure> {
    let longest = image.width().max(image.height());
    let side = |pixels: u32| (pixels * FIRST_PASS_SIDE.min(longest) / longest).max(1);
    let small = shrink_area(image, side(image.width()), side(image.height()));
    let (row, side) = (3 * small.width() as usize, FIRST_PASS_SIDE as usize);
    let mut pixels = vec![0; 3 * side * side];
    for (from, to) in small
        .as_rgb8()
        .chunks_exact(row)
        .zip(pixels.chunks_exact_mut(3 * side))
    {
        to[..row].copy_from_slice(from);
    }
    Ok(Image::from_rgb8(FIRST_PASS_SIDE, FIRST_PASS_SIDE, pixels)?)
}
