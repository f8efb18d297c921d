//! Does this machine compute what the models should?

use std::time::{Duration, Instant};

use likeness_models::{Pack, SelfTestVector};
use likeness_runtime::Runtime;
use ndarray::Array4;

/// Side of the detector's test input in pixels, a multiple of 32.
const DETECTOR_SIDE: usize = 160;

/// What the self-test of one model found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SelfTest {
    /// File name of the model.
    pub model: String,
    /// How long the run took, or what is wrong.
    pub outcome: Result<Duration, String>,
}

/// Runs every model of a pack that comes with a test vector on a fixed input, and compares what it answers with the
/// vector.
#[must_use]
pub fn self_test(runtime: &Runtime, pack: &Pack) -> Vec<SelfTest> {
    let manifest = pack.manifest();
    let detector = (
        &manifest.detectors[0].model,
        DETECTOR_SIDE,
        &manifest.detectors[0].self_test,
    );
    let embedder = (
        &manifest.embedders[0].model,
        manifest.embedders[0].size as usize,
        &manifest.embedders[0].self_test,
    );
    let liveness = manifest
        .liveness
        .iter()
        .map(|model| (&model.model, model.size as usize, &model.self_test));
    [detector, embedder]
        .into_iter()
        .chain(liveness)
        .filter_map(|(file, side, vector)| {
            let outcome = test(runtime, pack, file, side, vector.as_ref()?);
            Some(SelfTest {
                model: file.clone(),
                outcome,
            })
        })
        .collect()
}

/// A pattern without symmetry, pixels 0..=255.
fn pattern(side: usize) -> Array4<f32> {
    Array4::from_shape_fn((1, 3, side, side), |(_, c, y, x)| {
        ((x * 7 + y * 13 + c * 29 + x * y / 16) % 256) as f32
    })
}

fn test(
    runtime: &Runtime,
    pack: &Pack,
    file: &str,
    side: usize,
    vector: &SelfTestVector,
) -> Result<Duration, String> {
    let bytes = pack.model(file).map_err(|error| error.to_string())?;
    let mut session = runtime.open(file, bytes).map_err(|error| error.to_string())?;
    let input = pattern(side);
    let begin = Instant::now();
    let outputs = session.run(&input.view()).map_err(|error| error.to_string())?;
    let took = begin.elapsed();
    let output = outputs.get(&vector.output).map_err(|error| error.to_string())?;
    for (index, expected) in vector.values.iter().enumerate() {
        let found = output.iter().nth(index).copied().unwrap_or(f32::NAN);
        let off = (found - expected).abs();
        if off.is_nan() || off > vector.tolerance {
            return Err(format!(
                "number {index} of output '{}' is {found} instead of {expected}",
                vector.output
            ));
        }
    }
    Ok(took)
}
