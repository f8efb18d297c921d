//! How long does it take to score liveness?

#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::Criterion;
use likeness_engine::detection::{Detectors, FaceDetector, Search};
use likeness_engine::imaging::{Interrupt, crop_resize_bilinear};
use likeness_engine::liveness::{LivenessEnsemble, LivenessModel, crop_rect};
use likeness_engine::packs::CropFit;

mod support;

fn main() {
    support::run(benches);
}

fn benches(criterion: &mut Criterion) {
    let (runtime, pack) = support::parts();
    let mut detector = Detectors::open(&runtime, &pack, None).unwrap();
    let mut liveness = LivenessEnsemble::open(&runtime, &pack).unwrap();
    let image = support::picture(support::SELFIE);
    let face = detector
        .detect(&image, Search::Primary, Interrupt::NEVER)
        .unwrap()[0]
        .bounding_box;
    let mut group = criterion.benchmark_group("liveness");
    group.bench_function("all models of 1536x1152", |bencher| {
        bencher.iter(|| liveness.score(black_box(&image), &face).unwrap());
    });
    let rect = crop_rect(image.width(), image.height(), &face, 2.7, CropFit::Widen);
    group.bench_function("of which one crop", |bencher| {
        bencher.iter(|| crop_resize_bilinear(black_box(&image), rect, 80, 80));
    });
    group.finish();
}
