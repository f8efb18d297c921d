//! What the benches share: development pictures, and the models of the default pack.

// Each bench uses a part of it.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

use std::path::PathBuf;

use criterion::Criterion;
use likeness_engine::imaging::{Limits, Picture, decode};
use likeness_engine::models::rewrite::Passes;
use likeness_engine::models::{Pack, StoreSearch};
use likeness_engine::runtime::{LibrarySearch, Provider, Runtime};

/// A selfie-like portrait of 1536x1152 (progressive JPEG) and a photo of 600x800 (baseline) of the same person.
pub(crate) const SELFIE: &str = "faces/img2.jpg";
pub(crate) const PHOTO: &str = "faces/img11.jpg";

/// Runs benches, or says why not.
pub(crate) fn run(benches: impl FnOnce(&mut Criterion)) {
    if likeness_testing::shared().is_none() || !likeness_testing::has_models() {
        eprintln!("skipped: needs ../shared and models/store");
        return;
    }
    let mut criterion = Criterion::default().configure_from_args();
    benches(&mut criterion);
    criterion.final_summary();
}

/// The bytes of a development picture.
pub(crate) fn bytes(name: &str) -> Vec<u8> {
    let data: PathBuf = likeness_testing::shared().unwrap().join("data");
    std::fs::read(data.join(name)).unwrap()
}

/// A development picture, decoded.
pub(crate) fn picture(name: &str) -> Picture {
    decode(&bytes(name), &Limits::default()).unwrap()
}

/// What the models are opened from.
pub(crate) fn parts() -> (Runtime, Pack) {
    let runtime = Runtime::load(&LibrarySearch::new(), Provider::Cpu).unwrap();
    let pack = StoreSearch::new().find().unwrap().load("open-1").unwrap();
    let pack = pack.rewritten(&Passes::all());
    (runtime, pack)
}
