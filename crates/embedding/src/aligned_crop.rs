//! Embedders that take one aligned square crop of a face.

use likeness_detection::channel_order;
use likeness_imaging as imaging;
use likeness_models::{EmbedderModel, Pack};
use likeness_runtime::{ModelSession, Runtime};
use ndarray::ArrayView4;

use crate::{Embedding, EmbeddingError, FaceEmbedder, FaceInPicture, Template, align};

/// Faces in one call of the model: bounds the memory that a group photograph takes.
const MAX_BATCH: usize = 4;

/// An embedder on one session: input `[N, 3, size, size]`, pixels 0..255, output `N` times `dimensions` numbers.
#[derive(Debug)]
pub struct AlignedCropEmbedder {
    session: ModelSession,
    channels: imaging::ChannelOrder,
    size: u32,
    dimensions: usize,
    template: Template,
    input: Vec<f32>,
}

impl AlignedCropEmbedder {
    /// Opens the first embedder of a pack.
    ///
    /// # Errors
    /// A pack without one, or a model that ONNX Runtime refuses.
    pub fn open(runtime: &Runtime, pack: &Pack) -> Result<Self, EmbeddingError> {
        let model = pack.manifest().embedders.first().ok_or(EmbeddingError::NoModel)?;
        Self::open_model(runtime, pack, model)
    }

    /// Opens this embedder of a pack.
    ///
    /// # Errors
    /// A model that the pack does not have, or that ONNX Runtime refuses.
    pub fn open_model(runtime: &Runtime, pack: &Pack, model: &EmbedderModel) -> Result<Self, EmbeddingError> {
        Ok(Self {
            session: runtime.open(&model.model, pack.model(&model.model)?)?,
            channels: channel_order(model.input.channels),
            size: model.size,
            dimensions: model.dimensions,
            template: model.template.points(),
            input: Vec::new(),
        })
    }

    fn embed_batch(&mut self, faces: &[FaceInPicture<'_>]) -> Result<Vec<Embedding>, EmbeddingError> {
        let side = self.size as usize;
        let numbers = 3 * side * side;
        self.input.resize(numbers * faces.len(), 0.0);
        for (face, planes) in faces.iter().zip(self.input.chunks_exact_mut(numbers)) {
            let crop = align(face.picture, face.landmarks, &self.template, self.size)?;
            imaging::write_planar(&crop, self.channels, [0.0; 3], [1.0; 3], planes);
        }
        let input = ArrayView4::from_shape((faces.len(), 3, side, side), &self.input)
            .map_err(|error| EmbeddingError::Other(error.into()))?;
        let outputs = self.session.run(&input)?;
        let values: Vec<f32> = outputs.first()?.iter().copied().collect();
        if values.len() != faces.len() * self.dimensions {
            return Err(EmbeddingError::OutputShape {
                faces: faces.len(),
                expected: self.dimensions,
                found: values.len(),
            });
        }
        values
            .chunks_exact(self.dimensions)
            .map(|vector| Embedding::new(vector.to_vec()))
            .collect()
    }
}

impl FaceEmbedder for AlignedCropEmbedder {
    fn embed(&mut self, faces: &[FaceInPicture<'_>]) -> Result<Vec<Embedding>, EmbeddingError> {
        let mut embeddings = Vec::with_capacity(faces.len());
        for batch in faces.chunks(MAX_BATCH) {
            embeddings.extend(self.embed_batch(batch)?);
        }
        Ok(embeddings)
    }
}
