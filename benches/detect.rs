//! How long does it take to find faces, at which scale and how thoroughly?

#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::Criterion;
use likeness_engine::detection::{Detectors, FaceDetector, Search};
use likeness_engine::imaging::{Interrupt, shrink_area};

mod support;

fn main() {
    support::run(benches);
}

fn benches(criterion: &mut Criterion) {
    let (runtime, pack) = support::parts();
    let mut detector = Detectors::open(&runtime, &pack, None).unwrap();
    let mut group = criterion.benchmark_group("detect");
    let selfie = support::picture(support::SELFIE);
    for side in [160, 320, 640] {
        group.bench_function(format!("one pass at {side} of 1536x1152"), |bencher| {
            bencher.iter(|| detector.detect_at(black_box(&selfie), side).unwrap());
        });
    }
    group.bench_function("of which shrinking 1536x1152 to 320", |bencher| {
        bencher.iter(|| shrink_area(black_box(&selfie), 320, 240));
    });
    for (name, file) in [("1536x1152", support::SELFIE), ("600x800", support::PHOTO)] {
        let image = support::picture(file);
        group.bench_function(format!("primary search of {name}"), |bencher| {
            bencher.iter(|| {
                detector
                    .detect(black_box(&image), Search::Primary, Interrupt::NEVER)
                    .unwrap()
            });
        });
    }
    let group_photo = support::picture("groups/bald_guys.jpg");
    group.bench_function("thorough search of 1986x1545", |bencher| {
        bencher.iter(|| {
            detector
                .detect(black_box(&group_photo), Search::Thorough, Interrupt::NEVER)
                .unwrap()
        });
    });
    group.finish();
}
