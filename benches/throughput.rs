//! Do two workers do twice as much as one, at the same cost? Five loops in turn in one run: the bare model calls and bare
//! decoding of a verification on one thread, two independent copies of that on two threads, the engine with one worker
//! and one caller, and with two workers and two callers. And what does one caller gain by the second worker? Medians of the
//! rounds.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use likeness_engine::{Engine, VerifyOptions};

mod support;

use support::{BareModels, bare_decode, median, portrait};

/// Images of the size that upload forms ask for, and the eighths of selfie and photo that suffice.
const SIZE: (u32, u32) = (1080, 1440);
const EIGHTHS: [u8; 2] = [8, 4];

const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_secs(1);

fn main() {
    support::run(|_| measure());
}

/// What one loop did in one round.
#[derive(Default)]
struct Rounds {
    per_second: Vec<f64>,
    /// Processor time of one verification, in milliseconds.
    cost: Vec<f64>,
}

fn measure() {
    let selfie = portrait(support::SELFIE, SIZE.0, SIZE.1);
    let photo = portrait(support::PHOTO, SIZE.0, SIZE.1);
    let bare = |models: &mut BareModels| {
        for (bytes, eighths) in [&selfie, &photo].into_iter().zip(EIGHTHS) {
            black_box(bare_decode(black_box(bytes), eighths));
        }
        models.verification();
    };
    let (mut first, mut second) = (BareModels::open(), BareModels::open());
    let [one, two] = [1, 2].map(|workers| {
        Engine::builder()
            .provider(support::provider())
            .workers(workers)
            .build()
            .unwrap()
    });
    let options = VerifyOptions::default();
    let verify = |engine: &Engine| {
        engine
            .verify(black_box(&selfie), black_box(&photo), &options)
            .unwrap();
    };
    verify(&one);
    verify(&two);
    let mut loops: [Rounds; 5] = Default::default();
    for _ in 0..ROUNDS {
        let [bare_one, bare_two, engine_one, engine_two, engine_side] = &mut loops;
        bare_one.time(vec![Box::new(|| bare(&mut first))]);
        bare_two.time(vec![
            Box::new(|| bare(&mut first)),
            Box::new(|| bare(&mut second)),
        ]);
        engine_one.time(vec![Box::new(|| verify(&one))]);
        engine_two.time(vec![Box::new(|| verify(&two)), Box::new(|| verify(&two))]);
        engine_side.time(vec![Box::new(|| verify(&two))]);
    }
    println!();
    println!("| loop | verifications/s | of one | processor time of each |");
    println!("|---|---|---|---|");
    let names = [
        ("bare calls, one thread", 0),
        ("bare calls, two threads", 0),
        ("engine, one worker, one caller", 2),
        ("engine, two workers, two callers", 2),
        ("engine, two workers, one caller", 2),
    ];
    for ((name, one), rounds) in names.into_iter().zip(&loops) {
        println!(
            "| {name} | {:.1} | {:.2} | {:.2} ms |",
            median(&rounds.per_second),
            median(&rounds.per_second) / median(&loops[one].per_second),
            median(&rounds.cost),
        );
    }
    let [bare_one, bare_two, engine_one, engine_two, _] = &loops;
    let gain = |two: &[f64], one: &[f64]| median(two) / median(one);
    println!();
    println!(
        "The engine's gain is {:.1} % of that of the bare calls; its cost rises by {:.1} %, theirs by {:.1} %.",
        100.0 * gain(&engine_two.per_second, &engine_one.per_second)
            / gain(&bare_two.per_second, &bare_one.per_second),
        100.0 * (gain(&engine_two.cost, &engine_one.cost) - 1.0),
        100.0 * (gain(&bare_two.cost, &bare_one.cost) - 1.0),
    );
}

impl Rounds {
    /// Runs each task again and again, on a thread each, for a round.
    fn time(&mut self, tasks: Vec<Box<dyn FnMut() + Send + '_>>) {
        let ended = AtomicBool::new(false);
        let (begin, spent) = (Instant::now(), processor_time());
        let done: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = tasks
                .into_iter()
                .map(|mut task| {
                    let ended = &ended;
                    scope.spawn(move || {
                        let mut done = 0;
                        while !ended.load(Ordering::Relaxed) {
                            task();
                            done += 1;
                        }
                        done
                    })
                })
                .collect();
            std::thread::sleep(ROUND);
            ended.store(true, Ordering::Relaxed);
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        let seconds = begin.elapsed().as_secs_f64();
        let spent = processor_time() - spent;
        self.per_second.push(done as f64 / seconds);
        self.cost.push(1e3 * spent.as_secs_f64() / done as f64);
    }
}

/// Of all threads of this process, as Linux counts it: in hundredths of a second.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(10 * ticks)
}
