//! Embedders that take one aligned square crop of a face.

use likeness_face::{Landmarks, similarity_transform, write_input};
use likeness_imaging::{Affine, Image, warp_affine, warp_affine_averaged};
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
    let transform = transform(landmarks, template, size)?;
    Ok(warp_affine(image, &transform, size, size))
}

/// Cuts a face out as an embedder of a pack takes it: as [`align`], of means of areas where the manifest says so and the
/// transform's scale is one half or less ([`warp_affine_averaged`]).
///
/// # Errors
/// As [`align`].
pub fn align_for(
    model: &EmbedderModel,
    image: &Image,
    landmarks: &Landmarks,
) -> Result<Image, EmbeddingError> {
    let (template, size) = (model.template.points(), model.size);
    if !model.area_averaging {
        return align(image, landmarks, &template, size);
    }
    let transform = transform(landmarks, &template, size)?;
    Ok(warp_affine_averaged(image, &transform, size, size))
}

fn transform(landmarks: &Landmarks, template: &Template, size: u32) -> Result<Affine, EmbeddingError> {
    let from = landmarks.map(<[f64; 2]>::from);
    let to = template.map(|point| point.map(|value| value * f64::from(size)));
    similarity_transform(&from, &to).ok_or(EmbeddingError::Landmarks)
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
        let model = &self.model;
        let side = model.size as usize;
        let numbers = 3 * side * side;
        self.input.resize(numbers * faces.len(), 0.0);
        for (face, planes) in faces.iter().zip(self.input.chunks_exact_mut(numbers)) {
            let crop = align_for(model, face.image, face.landmarks)?;
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

#[cfg(test)]
mod tests {
    use likeness_face::Point;
    use likeness_packs::Manifest;

    use super::*;

    /// Stripes of one pixel, black and white, and landmarks that the crop shows this many times smaller.
    fn striped(model: &EmbedderModel, times: f64) -> (Image, Landmarks) {
        let side = (f64::from(model.size) * times) as usize;
        let stripe = |index: usize| if index.is_multiple_of(2) { [0; 3] } else { [255; 3] };
        let pixels = (0..side * side).flat_map(|index| stripe(index % side)).collect();
        let points = model.template.points();
        let landmarks = points.map(|[x, y]| Point {
            x: (x * side as f64) as f32,
            y: (y * side as f64) as f32,
        });
        (
            Image::from_rgb8(side as u32, side as u32, pixels).unwrap(),
            landmarks,
        )
    }

    #[test]
    fn a_large_face_is_averaged_where_the_manifest_says_so_and_no_other() {
        let model = &Manifest::builtin("edge-1").unwrap().unwrap().embedders[1];
        let mut sampled = model.clone();
        sampled.area_averaging = false;
        for (times, is_averaged) in [(4.25, true), (2.25, true), (1.5, false), (1.0, false)] {
            let (image, landmarks) = striped(model, times);
            let plain = align(&image, &landmarks, &model.template.points(), model.size).unwrap();
            assert_eq!(align_for(&sampled, &image, &landmarks).unwrap(), plain, "{times}");
            let crop = align_for(model, &image, &landmarks).unwrap();
            assert_eq!(crop == plain, !is_averaged, "{times}");
            // Well inside, as many black pixels as white ones.
            let middle = crop.as_rgb8()[(model.size * model.size / 2 + model.size / 2) as usize * 3];
            assert!(!is_averaged || middle.abs_diff(128) <= 1, "{times}: {middle}");
        }
        let same = [Point { x: 5.0, y: 5.0 }; 5];
        let (image, _) = striped(model, 1.0);
        assert!(matches!(
            align_for(model, &image, &same),
            Err(EmbeddingError::Landmarks)
        ));
    }
}
