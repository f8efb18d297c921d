//! Embedders that take one aligned square crop of a face.

use likeness_face::{Landmarks, similarity_transform, write_input};
use likeness_imaging::{Image, warp_affine};
use likeness_packs::{EmbedderModel, Pack};
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
pub(crate) struct AlignedCropEmbedder {
    session: ModelSession,
    model: EmbedderModel,
    /// Faces in one run of the model.
    batch: usize,
    output: String,
    input: Vec<f32>,
}

impl AlignedCropEmbedder {
    /// Opens an embedder of a pack.
    pub(crate) fn open(
        runtime: &Runtime,
        pack: &Pack,
        model: &EmbedderModel,
    ) -> Result<Self, EmbeddingError> {
        let session = runtime.open(&model.model, pack.model(&model.model)?)?;
        let (input, output) = session
            .image_input(Some(model.size))
            .and_then(|input| Ok((input, session.vector_output(model.dimensions)?)))
            .map_err(|misfit| ADAPTER.misfit(session.name(), misfit))?;
        let single = input.is_single || output.is_single;
        Ok(Self {
            session,
            model: model.clone(),
            batch: if single { 1 } else { MAX_BATCH },
            output: output.name,
            input: Vec::new(),
        })
    }

    fn embed_batch(&mut self, faces: &[FaceInImage<'_>]) -> Result<Vec<Embedding>, EmbeddingError> {
        let (model, template) = (&self.model, self.model.template.points());
        let side = model.size as usize;
        let numbers = 3 * side * side;
        self.input.resize(numbers * faces.len(), 0.0);
        for (face, planes) in faces.iter().zip(self.input.chunks_exact_mut(numbers)) {
            let crop = align(face.image, face.landmarks, &template, model.size)?;
            write_input(&crop, &model.input, planes);
        }
        let shape = [faces.len(), 3, side, side];
        let outputs = self.session.run(shape, &self.input)?;
        let values = outputs.vectors(ADAPTER, &self.output, faces.len(), model.dimensions)?;
        values
            .chunks_exact(model.dimensions)
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
