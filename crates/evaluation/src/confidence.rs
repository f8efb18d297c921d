//! What the engine makes of a similarity, without the pictures.

use likeness_engine::decision::Score;
use likeness_engine::{Engine, EngineError};

/// The calibrated confidence of a cosine similarity, -1..=1, which is a single-precision number as the engine's are; `None`
/// where the engine has no match calibration.
pub(crate) fn confidence(engine: &Engine, similarity: f64) -> Result<Option<Score>, EngineError> {
    if !engine.is_calibrated() {
        return Ok(None);
    }
    engine.confidence(similarity.clamp(-1.0, 1.0) as f32).map(Some)
}

/// The lowest similarity whose confidence reaches a bound, to within 1e-6; above 1 where none does, as without a match
/// calibration.
pub(crate) fn similarity_reaching(engine: &Engine, bound: f64) -> Result<f64, EngineError> {
    let reaches = |similarity: f64| -> Result<Option<f64>, EngineError> {
        let reached = confidence(engine, similarity)?.is_some_and(|confidence| confidence.value() >= bound);
        Ok(reached.then_some(f64::from(similarity as f32)))
    };
    if reaches(-1.0)?.is_some() {
        return Ok(-1.0);
    }
    let (mut low, mut high) = (-1.0, 1.0);
    let Some(mut lowest) = reaches(high)? else {
        return Ok(f64::next_up(1.0));
    };
    // 2 / 2^30 is finer than the similarities, which are single-precision numbers.
    for _ in 0..30 {
        let middle = f64::midpoint(low, high);
        match reaches(middle)? {
            Some(similarity) => {
                high = middle;
                lowest = lowest.min(similarity);
            }
            None => low = middle,
        }
    }
    Ok(lowest)
}
