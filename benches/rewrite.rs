//! How much faster do the models run once they are rewritten? Each one as it was published and rewritten, in turn on one
//! thread in the same run; the ratios are of the shortest of many calls each.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use criterion::Criterion;
use likeness_engine::models::rewrite::{Passes, rewrite_bytes};
use likeness_engine::runtime::{LibrarySearch, ModelSession, Provider, Runtime};
use ndarray::Array4;

mod support;

/// File, and height and width of its input.
const MODELS: [(&str, (usize, usize)); 5] = [
    ("models/face-reidentification-retail-0095.onnx", (128, 128)),
    ("models/minifasnet_v2.onnx", (80, 80)),
    ("models/minifasnet_v1se.onnx", (80, 80)),
    ("models/yunet_n_dynamic.onnx", (256, 320)),
    ("upstream/yunet_s_dynamic.onnx", (256, 320)),
];

/// Calls in turn, of which the shortest counts: what else the machine does only ever adds.
const ROUNDS: usize = 500;

fn main() {
    support::run(benches);
}

fn benches(criterion: &mut Criterion) {
    let shared = likeness_testing::shared().unwrap();
    let runtime = Runtime::load(&LibrarySearch::new(), Provider::Cpu).unwrap();
    let mut group = criterion.benchmark_group("rewrite");
    let mut table = Vec::new();
    for (file, (height, width)) in MODELS {
        let name = Path::new(file).file_stem().unwrap().to_str().unwrap();
        let published = std::fs::read(shared.join(file)).unwrap();
        let (rewritten, report) = rewrite_bytes(&published, &Passes::all()).unwrap();
        println!("{name}: {report}");
        let input = noise(height, width);
        let mut published = runtime.open(name, &published).unwrap();
        let mut rewritten = runtime.open(name, &rewritten).unwrap();
        let (mut before, mut after) = (Duration::MAX, Duration::MAX);
        for _ in 0..ROUNDS {
            before = before.min(time(&mut published, &input));
            after = after.min(time(&mut rewritten, &input));
        }
        table.push((name, before, after));
        for (what, session) in [("as published", &mut published), ("rewritten", &mut rewritten)] {
            group.bench_function(format!("{name}, {what}"), |bencher| {
                bencher.iter(|| {
                    session
                        .run(black_box(&input.view()))
                        .unwrap()
                        .first()
                        .unwrap()
                        .len()
                });
            });
        }
    }
    group.finish();
    println!("| model | as published | rewritten | ratio |\n|---|---|---|---|");
    for (name, before, after) in table {
        let ratio = before.as_secs_f64() / after.as_secs_f64();
        println!("| {name} | {before:.2?} | {after:.2?} | {ratio:.2} |");
    }
}

fn time(session: &mut ModelSession, input: &Array4<f32>) -> Duration {
    let start = Instant::now();
    session.run(black_box(&input.view())).unwrap();
    start.elapsed()
}

/// Pixels of 0 to 255 that are the same in every run. On zeros the models take less time than on pictures.
fn noise(height: usize, width: usize) -> Array4<f32> {
    let mut state = 1u32;
    Array4::from_shape_simple_fn((1, 3, height, width), || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as f32
    })
}
