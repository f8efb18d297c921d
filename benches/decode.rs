//! How long does it take to turn a file into an upright image?

#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use likeness_engine::imaging::{Limits, decode, probe};

mod support;

fn main() {
    support::run(benches);
}

fn benches(criterion: &mut Criterion) {
    let limits = Limits::default();
    let mut group = criterion.benchmark_group("decode");
    for (name, file) in [
        ("jpeg baseline 600x800", support::PHOTO),
        ("jpeg progressive 1536x1152", support::SELFIE),
        ("jpeg baseline 1536x2048", "faces/img3.jpg"),
        ("jpeg rotated by EXIF 600x800", "awkward-faces/exif6.jpg"),
        ("webp 1350x1800", "faces/img47.jpg"),
        ("png 600x800", "awkward-faces/rgb.png"),
    ] {
        let bytes = support::bytes(file);
        let header = probe(&bytes, &limits).unwrap();
        group.throughput(Throughput::Elements(
            u64::from(header.width) * u64::from(header.height),
        ));
        group.bench_function(name, |bencher| {
            bencher.iter(|| decode(black_box(&bytes), &limits).unwrap());
        });
    }
    group.finish();
    let bytes = support::bytes(support::SELFIE);
    criterion.bench_function("probe jpeg 1536x1152", |bencher| {
        bencher.iter(|| probe(black_box(&bytes), &limits).unwrap());
    });
}
