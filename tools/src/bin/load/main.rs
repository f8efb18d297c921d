//! Load on a running service: so many clients, each asking again as soon as it is answered (closed loop), or so many requests
//! a second whatever comes back (open loop). Bounded in time and number. Prints one line of JSON.
//!
//! ```text
//! LIKENESS_APP_KEY=… load --address 127.0.0.1:8080 --app-id acme --selfie a.jpg --photo b.jpg --clients 8 --seconds 10
//! ```

#![allow(clippy::print_stdout)]

mod call;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use call::{Caller, request};
use clap::Parser;
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Most requests of one run, whatever else is asked for.
const MAX_COUNT: usize = 200_000;

#[derive(Debug, Parser)]
struct Arguments {
    /// The service, without TLS.
    #[arg(long)]
    address: SocketAddr,
    #[arg(long)]
    app_id: String,
    /// The key of the app.
    #[arg(long, env = "LIKENESS_APP_KEY", hide_env_values = true)]
    app_key: String,
    #[arg(long)]
    selfie: PathBuf,
    #[arg(long)]
    photo: PathBuf,
    /// Connections at the same time, 1 to 1,024.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1024))]
    clients: u16,
    /// Requests a second that are begun by all clients together, as long as one of them is free. Without it each asks again
    /// as soon as it is answered.
    #[arg(long)]
    rate: Option<f64>,
    /// How long, at most 600 s.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
}

/// One answer.
struct Sample {
    status: u16,
    took: Duration,
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let request = request(&arguments)?;
    let (samples, received) = channel();
    let begun = Instant::now();
    let until = begun + Duration::from_secs(arguments.seconds);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..arguments.clients {
            let samples = samples.clone();
            let (arguments, request, next) = (&arguments, &request, &next);
            scope.spawn(move || client(arguments, request, next, begun, until, &samples));
        }
    });
    drop(samples);
    let elapsed = begun.elapsed();
    println!("{}", report(received.into_iter().collect(), elapsed));
    Ok(())
}

fn client(
    arguments: &Arguments,
    request: &[u8],
    next: &AtomicUsize,
    begun: Instant,
    until: Instant,
    samples: &Sender<Sample>,
) {
    let mut caller = Caller::new(arguments.address);
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        // When the request should go out: late ones count from then, or a slow service would look fast.
        let due = match arguments.rate {
            Some(rate) => begun + Duration::from_secs_f64(number as f64 / rate),
            None => Instant::now(),
        };
        if number >= MAX_COUNT || due >= until {
            return;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let status = caller.call(request).unwrap_or(0);
        let sample = Sample {
            status,
            took: due.elapsed(),
        };
        if samples.send(sample).is_err() {
            return;
        }
    }
}

/// By status: how many, and after how many milliseconds. Status 0 stands for connections that broke.
fn report(samples: Vec<Sample>, elapsed: Duration) -> Value {
    let mut by_status: BTreeMap<u16, Vec<f64>> = BTreeMap::new();
    for sample in samples {
        by_status
            .entry(sample.status)
            .or_default()
            .push(sample.took.as_secs_f64() * 1e3);
    }
    let statuses: BTreeMap<String, Value> = by_status
        .into_iter()
        .map(|(status, mut times)| {
            times.sort_by(f64::total_cmp);
            let at = |share: f64| {
                let index = (times.len() as f64 * share) as usize;
                let time = times.get(index.min(times.len() - 1)).copied().unwrap_or_default();
                (time * 10.0).round() / 10.0
            };
            let row = json!({
                "count": times.len(),
                "per_second": (times.len() as f64 / elapsed.as_secs_f64() * 10.0).round() / 10.0,
                "p50_ms": at(0.5), "p95_ms": at(0.95), "p99_ms": at(0.99),
            });
            (status.to_string(), row)
        })
        .collect();
    json!({ "seconds": (elapsed.as_secs_f64() * 10.0).round() / 10.0, "by_status": statuses })
}
