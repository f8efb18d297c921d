//! An engine for unit tests: it finds no face, and needs neither ONNX Runtime nor a model.

#![cfg(test)]

use likeness_engine::Engine;
use likeness_engine::detection::{BoundingBox, DetectionError, Face, FaceDetector, Search};
use likeness_engine::embedding::{Embedding, EmbeddingError, FaceEmbedder, FaceInImage};
use likeness_engine::imaging::{Image, Interrupt};
use likeness_engine::liveness::{LivenessError, LivenessModel};
use likeness_engine::packs::ScoreCurve;

struct Plain;

impl FaceDetector for Plain {
    fn detect(&mut self, _: &Image, _: Search, _: Interrupt<'_>) -> Result<Vec<Face>, DetectionError> {
        Ok(Vec::new())
    }
}

impl FaceEmbedder for Plain {
    fn embed(&mut self, faces: &[FaceInImage<'_>]) -> Result<Vec<Embedding>, EmbeddingError> {
        faces.iter().map(|_| Embedding::new(vec![1.0])).collect()
    }
}

impl LivenessModel for Plain {
    fn score(&mut self, _: &Image, _: &BoundingBox) -> Result<f64, LivenessError> {
        Ok(0.5)
    }
}

/// Returns an engine with one worker.
pub(crate) fn engine() -> Engine {
    Engine::builder()
        .workers(1)
        .detector(|| Ok(Plain))
        .embedder(ScoreCurve::through(&[(0.0, 0.1), (1.0, 0.9)]).unwrap(), || {
            Ok(Plain)
        })
        .liveness(|| Ok(Plain))
        .build()
        .unwrap()
}
