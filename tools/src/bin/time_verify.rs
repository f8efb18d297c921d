//! Times verifications in one process, one at a time: `time_verify SELFIE PHOTO [RUNS [PACK]]` prints the medians in
//! milliseconds as `../shared/reference/reference.py` does, so that the two can be run in turn. The environment
//! names the execution provider (`LIKENESS__ENGINE__PROVIDER` and its options).

#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use likeness::server::{Config, Overrides};
use likeness_engine::VerifyOptions;
use likeness_engine::decision::Score;

/// Runs before the first that counts.
const WARM_UP: usize = 3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (Some(selfie), Some(photo)) = (arguments.first(), arguments.get(1)) else {
        return Err("usage: time_verify SELFIE PHOTO [RUNS [PACK]]".into());
    };
    let runs: usize = arguments.get(2).map_or(Ok(20), |runs| runs.parse())?;
    let config = Config::load(None, &Overrides::default())?;
    let (selfie, photo) = (std::fs::read(selfie)?, std::fs::read(photo)?);
    let mut builder = config.engine_builder().workers(1);
    if let Some(pack) = arguments.get(3) {
        builder = builder.pack(pack);
    }
    let engine = builder.build()?;
    let options = VerifyOptions::default();
    let mut stages: [(&str, Vec<Duration>); 5] =
        ["decode", "detect", "embed", "liveness", "verify"].map(|name| (name, Vec::new()));
    for run in 0..runs + WARM_UP {
        let begin = Instant::now();
        let answer = engine.verify(&selfie, &photo, &options)?;
        let whole = begin.elapsed();
        let spent = answer.timings;
        if run == 0 {
            println!(
                "similarity {:.4}  live {}",
                answer
                    .similarity
                    .map_or(f32::NAN, |similarity| similarity.value()),
                answer.liveness.unwrap_or(Score::ZERO)
            );
        }
        if run >= WARM_UP {
            let times = [spent.decode, spent.detect, spent.embed, spent.liveness, whole];
            for ((_, all), time) in stages.iter_mut().zip(times) {
                all.push(time);
            }
        }
    }
    for (name, mut times) in stages {
        times.sort_unstable();
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        println!("{name:<9} {:8.2} ms", median.as_secs_f64() * 1e3);
    }
    Ok(())
}
