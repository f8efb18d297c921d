//! What an embedding is bound to.

use likeness_packs::{ChannelOrder, Manifest};
use sha2::{Digest, Sha256};

/// What embeddings depend on besides the image: cohorts and face templates go with embeddings of one binding only. The detector,
/// whose landmarks align a face, is not part of it, nor is the execution provider: they change embeddings by little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmbeddingBinding {
    /// SHA-256 over the embedders: model files, preprocessing, dimensions and weights.
    pub embedder: [u8; 32],
    /// SHA-256 over the sizes and templates of the aligned crops, and whether they are averaged.
    pub alignment: [u8; 32],
}

impl EmbeddingBinding {
    /// Returns the binding of a pack's embedders.
    #[must_use]
    pub fn of(manifest: &Manifest) -> Self {
        let (mut embedder, mut alignment) = (Sha256::new(), Sha256::new());
        let total: f64 = manifest.embedders.iter().map(|model| model.weight).sum();
        for model in &manifest.embedders {
            // Numbers enter with all their bits, texts with their length: no two packs read the same.
            let sha256 = manifest.model_sha256(&model.model).unwrap_or_default();
            embedder.update((sha256.len() as u64).to_le_bytes());
            embedder.update(sha256);
            embedder.update([u8::from(model.input.channels == ChannelOrder::Bgr)]);
            for value in model.input.mean.iter().chain(&model.input.std) {
                embedder.update(value.to_le_bytes());
            }
            embedder.update((model.dimensions as u64).to_le_bytes());
            embedder.update((model.weight / total).to_le_bytes());
            alignment.update(model.size.to_le_bytes());
            for value in model.template.points().iter().flatten() {
                alignment.update(value.to_le_bytes());
            }
            // Nothing where there is none: cohorts of before it was a choice stay valid.
            if model.area_averaging {
                alignment.update(b"area averaging");
            }
        }
        Self {
            embedder: embedder.finalize().into(),
            alignment: alignment.finalize().into(),
        }
    }

    /// Returns the names of the built-in packs whose embeddings are of the same embedder, whatever their alignment.
    pub(crate) fn builtin_packs(&self) -> Vec<&'static str> {
        let is_same = |name: &&'static str| {
            let manifest = Manifest::builtin(name).and_then(Result::ok);
            manifest.is_some_and(|manifest| Self::of(&manifest).embedder == self.embedder)
        };
        Manifest::builtin_names().filter(is_same).collect()
    }
}
