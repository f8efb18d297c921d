//! The embedders of a pack, several as one.

use likeness_packs::{EmbedderAdapter, EmbedderModel, Pack};
use likeness_runtime::Runtime;

use crate::aligned_crop::AlignedCropEmbedder;
use crate::{Embedding, EmbeddingError, FaceEmbedder, FaceInImage};

/// Opens all embedders of a pack. Of several, the embedding is [`Embedding::joined`]: its cosine similarity is the mean of
/// theirs, by weight.
///
/// # Errors
/// A model that the pack does not have, that ONNX Runtime refuses, or that does not fit its adapter.
pub fn open(runtime: &Runtime, pack: &Pack) -> Result<Box<dyn FaceEmbedder>, EmbeddingError> {
    match pack.manifest().embedders.as_slice() {
        [] => Err(EmbeddingError::NoModel),
        [only] => open_model(runtime, pack, only),
        several => {
            let members = several
                .iter()
                .map(|model| Ok((model.weight, open_model(runtime, pack, model)?)))
                .collect::<Result<_, EmbeddingError>>()?;
            Ok(Box::new(EmbedderEnsemble { members }))
        }
    }
}

/// Opens one embedder of a pack, whatever its family.
///
/// # Errors
/// As [`open`].
pub fn open_model(
    runtime: &Runtime,
    pack: &Pack,
    model: &EmbedderModel,
) -> Result<Box<dyn FaceEmbedder>, EmbeddingError> {
    match model.adapter {
        EmbedderAdapter::AlignedCrop => Ok(Box::new(AlignedCropEmbedder::open(runtime, pack, model)?)),
        other => Err(EmbeddingError::Unsupported(other)),
    }
}

/// Embedders with their weights.
struct EmbedderEnsemble {
    members: Vec<(f64, Box<dyn FaceEmbedder>)>,
}

impl FaceEmbedder for EmbedderEnsemble {
    fn embed(&mut self, faces: &[FaceInImage<'_>]) -> Result<Vec<Embedding>, EmbeddingError> {
        let mut parts: Vec<Vec<(f64, Embedding)>> = vec![Vec::new(); faces.len()];
        for (weight, embedder) in &mut self.members {
            for (parts, embedding) in parts.iter_mut().zip(embedder.embed(faces)?) {
                parts.push((*weight, embedding));
            }
        }
        parts.iter().map(|parts| Embedding::joined(parts)).collect()
    }
}
