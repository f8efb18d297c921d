//! How long does it take to align and embed faces, one and two at a time?

#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::Criterion;
use likeness_engine::detection::{Detectors, FaceDetector, Search};
use likeness_engine::embedding::{self, FaceInImage, align_for};
use likeness_engine::imaging::Interrupt;

mod support;

fn main() {
    support::run(benches);
}

fn benches(criterion: &mut Criterion) {
    let (runtime, pack) = support::parts();
    let mut detector = Detectors::open(&runtime, &pack, None).unwrap();
    let mut embedder = embedding::open(&runtime, &pack).unwrap();
    let images = [
        support::picture(support::SELFIE),
        support::picture(support::PHOTO),
    ];
    let landmarks = images
        .each_ref()
        .map(|image| detector.detect(image, Search::Primary, Interrupt::NEVER).unwrap()[0].landmarks);
    let faces: Vec<FaceInImage<'_>> = images
        .iter()
        .zip(&landmarks)
        .map(|(image, landmarks)| FaceInImage { image, landmarks })
        .collect();
    let mut group = criterion.benchmark_group("embed");
    let model = &pack.manifest().embedders[0];
    group.bench_function("align one face", |bencher| {
        bencher.iter(|| align_for(model, black_box(&images[0]), &landmarks[0]).unwrap());
    });
    for count in [1, 2] {
        group.bench_function(format!("align and embed a batch of {count}"), |bencher| {
            bencher.iter(|| embedder.embed(black_box(&faces[..count])).unwrap());
        });
    }
    let embeddings = embedder.embed(&faces).unwrap();
    group.bench_function("similarity of two embeddings", |bencher| {
        bencher.iter(|| {
            black_box(&embeddings[0])
                .similarity(black_box(&embeddings[1]))
                .unwrap()
        });
    });
    group.finish();
}
