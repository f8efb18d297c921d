//! Times bare calls of the default pack's models on the execution provider that the environment names
//! (`LIKENESS__ENGINE__PROVIDER` and its options), with one session each: `time_models [CALLS [BATCH...]]` prints the shortest
//! call in milliseconds of each model by itself and of the embedder with batches of these sizes. Noise of 0 to 255 as pixels.

#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use likeness::server::{Config, Overrides};
use likeness_engine::default_passes;
use likeness_engine::packs::{DEFAULT_PACK, StoreSearch};
use likeness_engine::runtime::{LibrarySearch, ModelSession, Runtime};
use likeness_testing::noise;

/// Models of the default pack, and height and width of their inputs: of the detector a portrait at its first pass.
const MODELS: [(&str, [usize; 2]); 7] = [
    ("yunet_n", [320, 256]),
    (EMBEDDER, [128, 128]),
    ("minifasnet_v2", [80, 80]),
    ("minifasnet_v1se", [80, 80]),
    ("zalo_minifasnet_v2", [80, 80]),
    ("zalo_minifasnet_v1se", [80, 80]),
    ("facenox_9820", [128, 128]),
];

const EMBEDDER: &str = "face-reidentification-retail-0095";

/// Calls before the first that counts: they compile, and find the fastest kernels.
const WARM_UP: usize = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let numbers: Vec<usize> = std::env::args()
        .skip(1)
        .map(|number| number.parse())
        .collect::<Result<_, _>>()?;
    let (calls, batches) = match numbers.split_first() {
        Some((&calls, batches)) => (calls, batches),
        None => (200, [].as_slice()),
    };
    let execution = Config::load(None, &Overrides::default())?.engine.execution();
    let runtime = Runtime::load(&LibrarySearch::new(), execution)?;
    let pack = StoreSearch::new()
        .find()?
        .load(DEFAULT_PACK)?
        .optimized(&default_passes(runtime.provider()));
    for (name, [height, width]) in MODELS {
        let mut session = runtime.open(name, pack.model(name)?)?;
        let own: &[usize] = if name == EMBEDDER { batches } else { &[] };
        for &batch in std::iter::once(&1).chain(own.iter().filter(|&&batch| batch != 1)) {
            let time = shortest(&mut session, calls, [batch, 3, height, width])?;
            println!(
                "{:<40} {:8.3} ms",
                format!("{name}/{batch}"),
                time.as_secs_f64() * 1e3
            );
        }
    }
    Ok(())
}

fn shortest(
    session: &mut ModelSession,
    calls: usize,
    shape: [usize; 4],
) -> Result<Duration, Box<dyn std::error::Error>> {
    let input: Vec<f32> = std::iter::repeat_with(noise())
        .take(shape.iter().product())
        .collect();
    let mut shortest = Duration::MAX;
    for call in 0..WARM_UP + calls {
        let begin = Instant::now();
        // A run ends with the outputs in this program's memory.
        session.run(shape, &input)?;
        if call >= WARM_UP {
            shortest = shortest.min(begin.elapsed());
        }
    }
    Ok(shortest)
}
