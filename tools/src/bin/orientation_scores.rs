//! What the detector's first pass makes of images that lie on their side: `orientation_scores [DATA [PACK]]` prints, for the
//! development images in folders of `../shared/data` and the default pack or another, the lowest score of an upright primary face,
//! the highest of each turned one, how many turned ones score hardly less than upright, and for bounds of `upright_score` how many
//! images would be looked at in vain and how many would not be looked at although
//! they are turned.

#![allow(clippy::print_stdout)]

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use likeness_engine::detection::{Detectors, FIRST_PASS_SIDE};
use likeness_engine::imaging::{Image, ImageLimits, Interrupt, Rotation, decode, rotate, shrink_area};
use likeness_engine::packs::{DEFAULT_PACK, StoreSearch};
use likeness_engine::runtime::{LibrarySearch, Provider, Runtime};

type Failure = Box<dyn std::error::Error>;

const SETS: [&str; 3] = ["faces", "lfw-dev/images", "liveness/nuaa/live"];

/// By how much less a turned face scores than the upright one.
const MARGINS: [f32; 4] = [0.005, 0.01, 0.015, 0.02];

const BOUNDS: [f32; 10] = [
    0.850, 0.860, 0.870, 0.880, 0.890, 0.900, 0.905, 0.910, 0.912, 0.920,
];

fn main() -> Result<(), Failure> {
    let data = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "../shared/data".to_owned());
    let pack = std::env::args().nth(2).unwrap_or_else(|| DEFAULT_PACK.to_owned());
    let runtime = Runtime::load(&LibrarySearch::new(), Provider::Cpu)?;
    let pack = StoreSearch::new().find()?.load(&pack)?;
    let mut detector = Detectors::open(&runtime, &pack, None)?;
    let mut score = |image: &Image| {
        let faces = detector.detect_at(image, FIRST_PASS_SIDE)?;
        Ok::<_, Failure>(faces.first().map_or(0.0, |face| face.score))
    };
    for folder in SETS {
        // The scores as it is, and turned by 90, 180 and 270 degrees.
        let mut scores: Vec<[f32; 4]> = Vec::new();
        for path in images(&Path::new(&data).join(folder))? {
            let image = decode(&std::fs::read(&path)?, &ImageLimits::default())?;
            let longest = image.width().max(image.height());
            let shrunk = |side: u32| (side * FIRST_PASS_SIDE).div_ceil(longest).clamp(1, side);
            let small = shrink_area(&image, shrunk(image.width()), shrunk(image.height()));
            let mut of_image = [score(&small)?, 0.0, 0.0, 0.0];
            for (rotation, found) in Rotation::ALL.into_iter().zip(&mut of_image[1..]) {
                *found = score(&rotate(Cow::Borrowed(&small), rotation, Interrupt::NEVER)?)?;
            }
            scores.push(of_image);
        }
        let count = |which: &dyn Fn(&[f32; 4]) -> bool| scores.iter().filter(|scores| which(scores)).count();
        let highest = |index: usize| scores.iter().map(|scores| scores[index]).fold(0.0, f32::max);
        let lowest = scores.iter().map(|scores| scores[0]).fold(1.0, f32::min);
        println!(
            "{folder}: {} images; lowest upright {lowest:.3}; highest by 90 {:.3}, 180 {:.3}, 270 {:.3}; upright not best {}",
            scores.len(),
            highest(1),
            highest(2),
            highest(3),
            count(&|scores| scores[1..].iter().any(|score| *score > scores[0])),
        );
        for margin in MARGINS {
            let less = |index: usize| count(&|scores| scores[0] - scores[index] < margin);
            println!(
                "  less than {margin:.3} below upright turned by 90 {}, 180 {}, 270 {}",
                less(1),
                less(2),
                less(3),
            );
        }
        for bound in BOUNDS {
            println!(
                "  {bound:.3}: upright below {}; at or above turned by 90 {}, 180 {}, 270 {}",
                count(&|scores| scores[0] < bound),
                count(&|scores| scores[1] >= bound),
                count(&|scores| scores[2] >= bound),
                count(&|scores| scores[3] >= bound),
            );
        }
    }
    Ok(())
}

/// The images of a folder and its folders, by name.
fn images(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(images(&path)?);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "jpg" || extension == "png")
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
