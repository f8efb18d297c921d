//! Self-tests: whether this machine computes what the models should.

use std::time::{Duration, Instant};

use likeness_packs::{Pack, SelfTestVector};
use likeness_runtime::{Misfit, ModelSession, Outputs, Runtime, RuntimeError};

use crate::error::ModelError;
use crate::models::Entry;

/// Side of the test input in pixels for a model that takes any size, a multiple of 32.
const FREE_SIDE: usize = 160;

/// The outcome of the self-test of one model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SelfTest {
    /// Name of the model.
    pub model: String,
    /// How long the run took, or why it failed.
    pub outcome: Result<Duration, String>,
}

/// Runs every model of a pack that has a test vector on a fixed input, and compares its output with the vector.
#[must_use]
pub fn self_test(runtime: &Runtime, pack: &Pack) -> Vec<SelfTest> {
    Entry::all(pack.manifest())
        .into_iter()
        .filter_map(|entry| {
            let vector = entry.self_test()?;
            Some(SelfTest {
                model: entry.model().to_owned(),
                outcome: test(runtime, pack, &entry, vector).map_err(|error| error.to_string()),
            })
        })
        .collect()
}

/// The fixed input of a model: a pattern without symmetry, pixels 0..=255, of the model's own size, else of the adapter's,
/// else 160 pixels a side.
pub(crate) struct Pattern {
    shape: [usize; 4],
    numbers: Vec<f32>,
}

impl Pattern {
    pub(crate) fn of(session: &ModelSession, size: Option<u32>) -> Result<Self, Misfit> {
        let input = session.image_input(size)?;
        let side = |own: Option<usize>| own.or(size.map(|size| size as usize)).unwrap_or(FREE_SIDE);
        let (height, width) = (side(input.height), side(input.width));
        let mut numbers = Vec::with_capacity(3 * height * width);
        for c in 0..3 {
            for y in 0..height {
                numbers.extend((0..width).map(|x| ((x * 7 + y * 13 + c * 29 + x * y / 16) % 256) as f32));
            }
        }
        Ok(Self {
            shape: [1, 3, height, width],
            numbers,
        })
    }

    pub(crate) fn run<'s>(&self, session: &'s mut ModelSession) -> Result<Outputs<'s>, RuntimeError> {
        session.run(self.shape, &self.numbers)
    }
}

/// Compares the outputs for [`Pattern`] with what they should be.
pub(crate) fn compare(outputs: &Outputs<'_>, vector: &SelfTestVector) -> Result<(), String> {
    let output = outputs.get(&vector.output).map_err(|error| error.to_string())?;
    let found = output.numbers.iter().copied().chain(std::iter::repeat(f32::NAN));
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
) -> Result<Duration, ModelError> {
    let mut session = runtime.open(entry.model(), pack.model(entry.model())?)?;
    let pattern = Pattern::of(&session, entry.size()).map_err(|misfit| format!("the adapter {misfit}"))?;
    let begin = Instant::now();
    let outputs = pattern.run(&mut session)?;
    let took = begin.elapsed();
    compare(&outputs, vector)?;
    Ok(took)
}
