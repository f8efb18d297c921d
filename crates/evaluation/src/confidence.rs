//! What the engine makes of a similarity, without the pictures.

use likeness_engine::decision::Score;
use likeness_engine::embedding::Embedding;
use likeness_engine::{Comparison, Engine, EngineError};

/// The calibrated confidence of a cosine similarity, -1..=1: asked of the engine with two directions at that angle, so
/// that it is the curve that decides and no copy of it.
pub(crate) fn confidence(engine: &Engine, similarity: f64) -> Result<Score, EngineError> {
    Ok(compare_at(engine, similarity)?.confidence)
}

fn compare_at(engine: &Engine, similarity: f64) -> Result<Comparison, EngineError> {
    let cosine = similarity.clamp(-1.0, 1.0);
    let direction = |x: f64, y: f64| {
        Embedding::new(vec![x as f32, y as f32]).map_err(|error| EngineError::Inference(error.into()))
    };
    engine.compare(
        &direction(1.0, 0.0)?,
        &direction(cosine, (1.0 - cosine * cosine).max(0.0).sqrt())?,
    )
}

/// The lowest similarity whose confidence reaches a bound, to within 1e-6; above 1 where none does.
pub(crate) fn similarity_reaching(engine: &Engine, bound: f64) -> Result<f64, EngineError> {
    let reaches = |similarity: f64| -> Result<Option<f64>, EngineError> {
        let comparison = compare_at(engine, similarity)?;
        Ok((comparison.confidence.value() >= bound).then(|| f64::from(comparison.similarity)))
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
