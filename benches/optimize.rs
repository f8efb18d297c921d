//! How much faster are optimized models? Each model as published and optimized, in turn on one thread in the same run; the
//! ratios are of the shortest of many runs each.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::Criterion;
use likeness_engine::runtime::{LibrarySearch, ModelSession, Provider, Runtime};
use likeness_onnx::optimize::{Pass, Passes, optimize_bytes};
use ndarray::Array4;

mod support;

/// Model of the default pack, and height and width of its input.
const MODELS: [(&str, (usize, usize)); 7] = [
    ("face-reidentification-retail-0095", (128, 128)),
    ("minifasnet_v2", (80, 80)),
    ("minifasnet_v1se", (80, 80)),
    ("zalo_minifasnet_v2", (80, 80)),
    ("zalo_minifasnet_v1se", (80, 80)),
    ("facenox_9820", (128, 128)),
    ("yunet_n", (256, 320)),
];

/// Passes that make a difference of their own.
const TELLING: [Pass; 3] = [Pass::Prelu, Pass::PadChannels, Pass::Gates];

/// Calls in turn, of which the shortest counts: what else the machine does only ever adds.
const ROUNDS: usize = 500;

fn main() {
    support::run(benches);
}

fn benches(criterion: &mut Criterion) {
    let shared = likeness_testing::shared().unwrap();
    let runtime = Runtime::load(&LibrarySearch::new(), Provider::Cpu).unwrap();
    let mut group = criterion.benchmark_group("optimize");
    let mut table = Vec::new();
    for (name, (height, width)) in MODELS {
        let published = likeness_testing::published(&shared, name).unwrap();
        let optimized = |passes: &Passes| optimize_bytes(&published, passes).unwrap();
        println!("{name}: {}", optimized(&Passes::all()).1);
        let input = support::pixels(1, height, width);
        let open = |onnx: &[u8]| runtime.open(name, onnx).unwrap();
        let mut sessions = vec![open(&published), open(&optimized(&Passes::all()).0)];
        sessions.extend(TELLING.map(|pass| open(&optimized(&Passes::all().without(pass)).0)));
        let mut shortest = vec![Duration::MAX; sessions.len()];
        for _ in 0..ROUNDS {
            for (session, shortest) in sessions.iter_mut().zip(&mut shortest) {
                *shortest = (*shortest).min(time(session, &input));
            }
        }
        table.push((name, shortest));
        for (what, session) in ["as published", "optimized"].iter().zip(&mut sessions) {
            group.bench_function(format!("{name}, {what}"), |bencher| {
                bencher.iter(|| support::infer(session, black_box(&input)).all().len());
            });
        }
    }
    group.finish();
    let without = TELLING.map(|pass| format!(" without {pass} |"));
    println!("| model | as published | optimized | ratio |{}", without.concat());
    println!("|---|---|---|---|---|---|---|");
    for (name, shortest) in table {
        let ratio = |time: &Duration| shortest[0].as_secs_f64() / time.as_secs_f64();
        let without: String = shortest[2..]
            .iter()
            .map(|time| format!(" {:.2} |", ratio(time)))
            .collect();
        let (before, after) = (shortest[0], shortest[1]);
        println!(
            "| {name} | {before:.2?} | {after:.2?} | {:.2} |{without}",
            ratio(&after)
        );
    }
}

fn time(session: &mut ModelSession, input: &Array4<f32>) -> Duration {
    let start = Instant::now();
    support::infer(session, black_box(input));
    start.elapsed()
}
