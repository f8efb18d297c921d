//! Embedders that take one aligned square crop of a face.

use likeness_face::{Landmarks, similarity_transform, write_input};
use likeness_imaging::{Image, warp_affine};
use likeness_packs::{EmbedderModel, Pack, Preprocessing};
use likeness_runtime::{Adapter, ModelSession, Runtime};

use crate::{Embedding, EmbeddingError, FaceEmbedder, FaceInImage};

/// Faces in one run of the model: bounds the memory that a group photograph takes.
const MAX_BATCH: usize = 4;

const ADAPTER: Adapter = Adapter {
    role: "embedder",
    name: "aligned-crop",
};

/// Where the five landmarks (right eye, left eye, nose tip, right and left mouth corner) go, in units of the side of
/// the square crop.
pub type Template = [[f64; 2]; 5];

/// Cuts a face out so that its landmarks lie on the template: a square RGB image of `size` pixels a side, bilinear, black
/// where the image ends.
///
/// # Errors
/// [`EmbeddingError::Landmarks`] where the landmarks are all in one place.
pub fn align(
    image: &Image,
    landmarks: &Landmarks,
    template: &Template,
    size: u32,
) -> Result<Image, EmbeddingError> {
    let from = landmarks.map(<[f64; 2]>::from);
    let to = template.map(|point| point.map(|value| value * f64::from(size)));
    let transform = similarity_transform(&from, &to).ok_or(EmbeddingError::Landmarks)?;
    Ok(warp_affine(image, &transform, size, size))
}

/// An embedder on one session: input `[N,3,size,size]` or `[1,3,size,size]`, pixels as the manifest scales them, output
/// `[N,dimensions]`, also with more dimensions of 1.
#[derive(Debug)]
pub struct AlignedCropEmbedder {
    session: ModelSession,
    preprocessing: Preprocessing,
    size: u32,
    dimensions: usize,
    template: Template,
    /// Faces in one run of the model.
    batch: usize,
    output: String,
    input: Vec<f32>,
}

impl AlignedCropEmbedder {
    /// Opens the first embedder of a pack.
    ///
    /// # Errors
    /// A pack without one, a model that ONNX Runtime refuses, or one that does not fit the adapter.
    pub fn open(runtime: &Runtime, pack: &Pack) -> Result<Self, EmbeddingError> {
        let model = pack.manifest().embedders.first().ok_or(EmbeddingError::NoModel)?;
        Self::open_model(runtime, pack, model)
    }

    /// Opens this embedder of a pack.
    ///
    /// # Errors
    /// A model that the pack does not have, that ONNX Runtime refuses, or whose declared input and outputs are not those
    /// that the manifest announces.
    pub fn open_model(runtime: &Runtime, pack: &Pack, model: &EmbedderModel) -> Result<Self, EmbeddingError> {
        let session = runtime.open(&model.model, pack.model(&model.model)?)?;
        let (input, output) = session
            .image_input(Some(model.size))
            .and_then(|input| Ok((input, session.vector_output(model.dimensions)?)))
            .map_err(|misfit| ADAPTER.misfit(session.name(), misfit))?;
        Ok(Self {
            session,
            preprocessing: model.input,
            size: model.size,
            dimensions: model.dimensions,
            template: model.template.points(),
            batch: if input.is_single || output.is_single {
                1
            } else {
                MAX_BATCH
            },
            output: output.name,
            input: Vec::new(),
        })
    }

    fn embed_batch(&mut self, faces: &[FaceInImage<'_>]) -> Result<Vec<Embedding>, EmbeddingError> {
        let side = self.size as usize;
        let numbers = 3 * side * side;
        self.input.resize(numbers * faces.len(), 0.0);
        for (face, planes) in faces.iter().zip(self.input.chunks_exact_mut(numbers)) {
            let crop = align(face.image, face.landmarks, &self.template, self.size)?;
            write_input(&crop, &self.preprocessing, planes);
        }
        let outputs = self.session.run([faces.len(), 3, side, side], &self.input)?;
        let values = outputs.vectors(ADAPTER, &self.output, faces.len(), self.dimensions)?;
        values
            .chunks_exact(self.dimensions)
            .map(|vector| Embedding::new(vector.to_vec()))
            .collect()
    }
}

impl FaceEmbedder for AlignedCropEmbedder {
    fn embed(&mut self, faces: &[FaceInImage<'_>]) -> Result<Vec<Embedding>, EmbeddingError> {
        let mut embeddings = Vec::with_capacity(faces.len());
        for batch in faces.chunks(self.batch) {
            embeddings.extend(self.embed_batch(batch)?);
        }
        Ok(embeddings)
    }
}
