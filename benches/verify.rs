//! How long does a whole verification take, and what part of it is the bare models?

#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::Criterion;
use likeness_engine::{Engine, LivenessOptions, VerifyOptions};

mod support;

use support::BareModels;

fn main() {
    support::run(benches);
}

fn benches(criterion: &mut Criterion) {
    let engine = Engine::builder()
        .provider(support::provider())
        .workers(1)
        .build()
        .unwrap();
    let (selfie, photo) = (support::bytes(support::SELFIE), support::bytes(support::PHOTO));
    let mut group = criterion.benchmark_group("verify");
    for (name, multiface) in [
        ("selfie 1536x1152, photo 600x800", false),
        ("the same, image_multiface", true),
    ] {
        let options = VerifyOptions::default().with_photo_multiface(multiface);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                engine
                    .verify(black_box(&selfie), black_box(&photo), &options)
                    .unwrap()
            });
        });
    }
    group.bench_function("liveness alone, selfie 1536x1152", |bencher| {
        bencher.iter(|| {
            engine
                .liveness(black_box(&selfie), &LivenessOptions::default())
                .unwrap()
        });
    });

    let mut models = BareModels::open();
    group.bench_function("the bare model calls of one verification", |bencher| {
        bencher.iter(|| models.verification());
    });
    group.finish();
}
