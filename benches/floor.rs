//! How near is a verification to what nobody can take away: the bare calls of the models, and the bare decoding of both
//! JPEG files at the part of their size that suffices? All three in turn on one thread in the same run, on portraits of
//! three sizes; the ratios are of medians.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::Criterion;
use likeness_engine::{Engine, Timings, VerifyOptions};

mod support;

use support::{BareModels, bare_decode, median, portrait};

/// Width and height of the images, and the eighths of the selfie and of the photo that suffice: those that leave the
/// selfie's face, a third of its height, the 256 pixels of `likeness_liveness::DETAIL`, and the photo 640 pixels on its
/// longest side.
const SIZES: [(u32, u32, [u8; 2]); 3] = [(480, 640, [8, 8]), (1080, 1440, [8, 4]), (3024, 4032, [2, 2])];

/// Rounds of which the median counts.
const ROUNDS: usize = 101;

fn main() {
    support::run(benches);
}

fn benches(criterion: &mut Criterion) {
    let engine = Engine::builder()
        .provider(support::provider())
        .workers(1)
        .build()
        .unwrap();
    let options = VerifyOptions::default();
    let mut models = BareModels::open();
    let mut table = Vec::new();
    let mut group = criterion.benchmark_group("floor");
    for (width, height, eighths) in SIZES {
        let selfie = portrait(support::SELFIE, width, height);
        let photo = portrait(support::PHOTO, width, height);
        let decode = || {
            for (bytes, eighths) in [&selfie, &photo].into_iter().zip(eighths) {
                black_box(bare_decode(black_box(bytes), eighths));
            }
        };
        let verify = || {
            engine
                .verify(black_box(&selfie), black_box(&photo), &options)
                .unwrap()
        };
        let mut times = Times::default();
        for _ in 0..ROUNDS {
            let parts = [
                time(|| models.detect()),
                time(|| models.embed()),
                time(|| models.judge()),
            ];
            times.models.push(parts.iter().sum());
            times.parts.push(parts);
            times.decode.push(time(decode));
            let begin = Instant::now();
            let answer = verify();
            times.verify.push(begin.elapsed());
            times.stages.push(answer.timings);
        }
        table.push(((width, height), times));
        group.bench_function(format!("models and decoding {width}x{height}"), |bencher| {
            bencher.iter(|| {
                models.verification();
                decode();
            });
        });
        group.bench_function(format!("verify {width}x{height}"), |bencher| bencher.iter(verify));
    }
    group.finish();
    print(&table);
}

#[derive(Default)]
struct Times {
    models: Vec<Duration>,
    /// Of which detection, embedding, liveness.
    parts: Vec<[Duration; 3]>,
    decode: Vec<Duration>,
    verify: Vec<Duration>,
    stages: Vec<Timings>,
}

fn print(table: &[((u32, u32), Times)]) {
    println!();
    println!("| images | bare models | bare decoding | verify | verify / floor |");
    println!("|---|---|---|---|---|");
    for ((width, height), times) in table {
        let (models, decode) = (median(&times.models), median(&times.decode));
        let verify = median(&times.verify);
        println!(
            "| {width}x{height} | {models:.2?} | {decode:.2?} | {verify:.2?} | {:.2} |",
            verify.as_secs_f64() / (models + decode).as_secs_f64()
        );
    }
    println!();
    println!("| images | decode | detect | embed | liveness | quality | rest |");
    println!("|---|---|---|---|---|---|---|");
    for ((width, height), times) in table {
        let stage = |of: fn(&Timings) -> Duration| median(&times.stages.iter().map(of).collect::<Vec<_>>());
        let stages = [
            stage(|timings| timings.decode),
            stage(|timings| timings.detect),
            stage(|timings| timings.embed),
            stage(|timings| timings.liveness),
            stage(|timings| timings.quality),
        ];
        let rest = median(&times.verify).saturating_sub(stages.iter().sum());
        print!("| {width}x{height} |");
        for time in stages {
            print!(" {time:.2?} |");
        }
        println!(" {rest:.2?} |");
        let [detect, embed, liveness] =
            [0, 1, 2].map(|part| median(&times.parts.iter().map(|parts| parts[part]).collect::<Vec<_>>()));
        println!(
            "| of which bare | {:.2?} | {detect:.2?} | {embed:.2?} | {liveness:.2?} | | |",
            median(&times.decode)
        );
    }
}

fn time(task: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    task();
    begin.elapsed()
}
