//! How long does it take to measure how a face was photographed?

#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::Criterion;
use likeness_engine::detection::{Detectors, FaceDetector, Search};
use likeness_engine::imaging::{Interrupt, PixelRect, crop_resize_bilinear};
use likeness_engine::quality::FaceQuality;

mod support;

fn main() {
    support::run(benches);
}

fn benches(criterion: &mut Criterion) {
    let (runtime, pack) = support::parts();
    let mut detector = Detectors::open(&runtime, &pack, None).unwrap();
    let portrait = support::picture(support::SELFIE);
    let phone = crop_resize_bilinear(&portrait, PixelRect::of(&portrait), 4_000, 3_000);
    let mut group = criterion.benchmark_group("quality");
    for (name, image) in [("a face in 1536x1152", portrait), ("a face in 4000x3000", phone)] {
        let face = detector
            .detect(&image, Search::Primary, Interrupt::NEVER)
            .unwrap()[0];
        group.bench_function(name, |bencher| {
            bencher.iter(|| FaceQuality::measure(black_box(&image), &face).unwrap());
        });
    }
    group.finish();
}
