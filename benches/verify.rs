//! How long does a whole verification take, and what part of it is the bare models?

#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::Criterion;
use likeness_engine::runtime::ModelSession;
use likeness_engine::{Engine, LivenessOptions, VerifyOptions};
use ndarray::Array4;

mod support;

fn main() {
    support::run(benches);
}

fn benches(criterion: &mut Criterion) {
    let engine = Engine::builder().workers(1).build().unwrap();
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

    // The same model calls with nothing around them: two detector passes at 320, a batch of two embeddings, two
    // liveness models.
    let (runtime, pack) = support::parts();
    let open = |file: &str| runtime.open(file, pack.model(file).unwrap()).unwrap();
    let mut detector = open("yunet_n");
    let mut embedder = open("face-reidentification-retail-0095");
    let mut liveness = [open("minifasnet_v2"), open("minifasnet_v1se")];
    // Values of pixels, as uneven as those of a picture: zeros are faster than real.
    let pixels = |count, height, width| {
        let mut state = 1u32;
        Array4::from_shape_simple_fn((count, 3, height, width), || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as f32
        })
    };
    let (landscape, portrait) = (pixels(1, 256, 320), pixels(1, 320, 256));
    let (crops, face) = (pixels(2, 128, 128), pixels(1, 80, 80));
    let call = |session: &mut ModelSession, input: &Array4<f32>| {
        session.run(&input.view()).unwrap();
    };
    group.bench_function("the bare model calls of one verification", |bencher| {
        bencher.iter(|| {
            call(&mut detector, &landscape);
            call(&mut detector, &portrait);
            call(&mut embedder, &crops);
            for model in &mut liveness {
                call(model, &face);
            }
        });
    });
    group.finish();
}
