//! Does this machine compute what the models should?

use std::time::{Duration, Instant};

use likeness_packs::{Pack, SelfTestVector};
use likeness_runtime::{Misfit, ModelSession, Outputs, Runtime};
use ndarray::Array4;

use crate::check::Entry;

/// Side of the test input in pixels for a model that takes any size, a multiple of 32.
const FREE_SIDE: usize = 160;

/// What the self-test of one model found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SelfTest {
    /// Name of the model.
    pub model: String,
    /// How long the run took, or what is wrong.
    pub outcome: Result<Duration, String>,
}

/// Runs every model of a pack that comes with a test vector on a fixed input, and compares what it answers with the
/// vector.
#[must_use]
pub fn self_test(runtime: &Runtime, pack: &Pack) -> Vec<SelfTest> {
    Entry::all(pack.manifest())
        .into_iter()
        .filter_map(|entry| {
            let vector = entry.vector()?;
            Some(SelfTest {
                model: entry.model().to_owned(),
                outcome: test(runtime, pack, &entry, vector),
            })
        })
        .collect()
}

/// The fixed input of a model: a pattern without symmetry, pixels 0..=255, of the model's own size, else of the adapter's,
/// else 160 pixels a side.
pub(crate) fn pattern(session: &ModelSession, size: Option<u32>) -> Result<Array4<f32>, Misfit> {
    let input = session.image_input(size)?;
    let side = |own: Option<usize>| own.or(size.map(|size| size as usize)).unwrap_or(FREE_SIDE);
    Ok(Array4::from_shape_fn(
        (1, 3, side(input.height), side(input.width)),
        |(_, c, y, x)| ((x * 7 + y * 13 + c * 29 + x * y / 16) % 256) as f32,
    ))
}

/// Compares an answer to [`pattern`] with what it should be.
pub(crate) fn compare(outputs: &Outputs<'_>, vector: &SelfTestVector) -> Result<(), String> {
    let output = outputs.get(&vector.output).map_err(|error| error.to_string())?;
    let found = output.iter().copied().chain(std::iter::repeat(f32::NAN));
    for (index, (expected, found)) in vector.values.iter().zip(found).enumerate() {
        let off = (found - expected).abs();
        if off.is_nan() || off > vector.tolerance {
            return Err(format!(
                "number {index} of output '{}' is {found} instead of {expected}",
                vector.output
            ));
        }
    }
    Ok(())
}

fn test(
    runtime: &Runtime,
    pack: &Pack,
    entry: &Entry<'_>,
    vector: &SelfTestVector,
) -> Result<Duration, String> {
    let bytes = pack.model(entry.model()).map_err(|error| error.to_string())?;
    let mut session = runtime
        .open(entry.model(), bytes)
        .map_err(|error| error.to_string())?;
    let input = pattern(&session, entry.size()).map_err(|misfit| format!("the adapter {misfit}"))?;
    let begin = Instant::now();
    let outputs = session.run(&input.view()).map_err(|error| error.to_string())?;
    let took = begin.elapsed();
    compare(&outputs, vector).map(|()| took)
}
