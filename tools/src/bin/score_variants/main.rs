//! Ways to get better scores from the same models, each measured on the development images: the tables "Rejected variants"
//! of `docs/accuracy.md`. `score_variants [DATA]` looks at LFW's development view, the portraits and the webcam frames
//! below `../shared/data`.
//!
//! Whatever is chosen, is chosen on LFW's training people and on the subjects of odd rank of the webcam frames; the other
//! columns are for reporting.

#![allow(clippy::print_stdout)]

mod liveness;
mod matching;
use std::path::Path;

use likeness_engine::imaging::Image;
use likeness_engine::packs::{Passes, StoreSearch};
use likeness_engine::runtime::{LibrarySearch, Provider, Runtime};

use likeness_tools::{Failure, by_person, each};

/// The pack whose models they are of: the choices were made with these.
const PACK: &str = "open-1";

fn main() -> Result<(), Failure> {
    let data = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "../shared/data".to_owned());
    let data = Path::new(&data);
    let runtime = Runtime::load(&LibrarySearch::new(), Provider::Cpu)?;
    let pack = StoreSearch::new().find()?.load(PACK)?.optimized(&Passes::all());
    matching::print(&runtime, &pack, data)?;
    println!();
    liveness::print(&runtime, &pack, data)
}

fn mirror(image: &Image) -> Result<Image, Failure> {
    let pixels = image
        .as_rgb8()
        .chunks_exact(3 * image.width() as usize)
        .flat_map(|row| row.chunks_exact(3).rev().flatten().copied())
        .collect();
    Ok(Image::from_rgb8(image.width(), image.height(), pixels)?)
}
