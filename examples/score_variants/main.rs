//! Ways to get better scores from the same models, each measured on the development pictures: the tables "Rejected variants"
//! of `docs/accuracy.md`. `score_variants [DATA]` looks at LFW's development view, the portraits and the webcam frames
//! below `../shared/data`.
//!
//! Whatever is chosen, is chosen on LFW's training people and on the subjects of odd rank of the webcam frames; the other
//! columns are for reporting.

#![allow(clippy::print_stdout)]

mod liveness;
mod matching;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;

use likeness::imaging::Picture;
use likeness::models::rewrite::Passes;
use likeness::models::{DEFAULT_PACK, StoreSearch};
use likeness::runtime::{LibrarySearch, Provider, Runtime};

use support::{Failure, by_person, each};

fn main() -> Result<(), Failure> {
    let data = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "../shared/data".to_owned());
    let data = Path::new(&data);
    let runtime = Runtime::load(&LibrarySearch::new(), Provider::Cpu)?;
    let pack = StoreSearch::new()
        .find()?
        .load(DEFAULT_PACK)?
        .rewritten(&Passes::all());
    matching::print(&runtime, &pack, data)?;
    println!();
    liveness::print(&runtime, &pack, data)
}

fn mirror(picture: &Picture) -> Result<Picture, Failure> {
    let pixels = picture
        .as_rgb8()
        .chunks_exact(3 * picture.width() as usize)
        .flat_map(|row| row.chunks_exact(3).rev().flatten().copied())
        .collect();
    Ok(Picture::from_rgb8(picture.width(), picture.height(), pixels)?)
}
