//! Liveness models that look at a square image of the face and its surroundings.

use likeness_face::{BoundingBox, write_input};
use likeness_imaging::{Image, crop_resize_bilinear};
use likeness_packs::{ClassOutput, CropFit, LivenessAdapter, LivenessModelEntry, Pack};
use likeness_runtime::{Adapter, ModelSession, Runtime};

use crate::{LivenessError, LivenessModel, crop_rect};

const ADAPTER: Adapter = Adapter {
    role: "liveness model",
    name: "scaled-crop",
};

/// By how much probabilities may lie outside of 0..=1, and their sum from 1: half-precision ones are off by less.
const PROBABILITY_TOLERANCE: f64 = 1e-2;

/// The liveness models of a pack; the score is the mean of their live probabilities, by weight.
#[derive(Debug)]
pub struct ScaledCropLiveness {
    parts: Vec<Part>,
    input: Vec<f32>,
}

/// One model: input `[N,3,size,size]` or `[1,3,size,size]`, pixels as the manifest scales them, output `[N,classes]`.
#[derive(Debug)]
struct Part {
    session: ModelSession,
    model: LivenessModelEntry,
    output: String,
}

impl ScaledCropLiveness {
    /// Opens the liveness models of a pack.
    ///
    /// # Errors
    /// A pack without any, a model that ONNX Runtime refuses, or one that does not fit the adapter.
    pub fn open(runtime: &Runtime, pack: &Pack) -> Result<Self, LivenessError> {
        Self::open_models(runtime, pack, &pack.manifest().liveness)
    }

    /// Opens these liveness models of a pack.
    ///
    /// # Errors
    /// No model at all, one that the pack does not have, that ONNX Runtime refuses, or whose declared input and outputs are
    /// not those that the manifest announces.
    pub fn open_models(
        runtime: &Runtime,
        pack: &Pack,
        models: &[LivenessModelEntry],
    ) -> Result<Self, LivenessError> {
        if models.is_empty() {
            return Err(LivenessError::NoModel);
        }
        let parts = models
            .iter()
            .map(|model| Part::open(runtime, pack, model))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            parts,
            input: Vec::new(),
        })
    }

    /// The same models with another way to cut where the image ends.
    #[must_use]
    pub fn with_crop_fit(mut self, fit: CropFit) -> Self {
        for part in &mut self.parts {
            part.model.crop_fit = fit;
        }
        self
    }
}

impl LivenessModel for ScaledCropLiveness {
    fn score(&mut self, image: &Image, face: &BoundingBox) -> Result<f64, LivenessError> {
        let (mut sum, mut weights) = (0.0, 0.0);
        for part in &mut self.parts {
            sum += part.model.weight * part.score(image, face, &mut self.input)?;
            weights += part.model.weight;
        }
        Ok(sum / weights)
    }
}

impl Part {
    fn open(runtime: &Runtime, pack: &Pack, model: &LivenessModelEntry) -> Result<Self, LivenessError> {
        if model.adapter != LivenessAdapter::ScaledCrop {
            return Err(LivenessError::Unsupported(model.adapter));
        }
        let session = runtime.open(&model.model, pack.model(&model.model)?)?;
        let output = session
            .image_input(Some(model.size))
            .and_then(|_| session.vector_output(model.classes))
            .map_err(|misfit| ADAPTER.misfit(session.name(), misfit))?;
        Ok(Self {
            session,
            model: model.clone(),
            output: output.name,
        })
    }

    fn score(
        &mut self,
        image: &Image,
        face: &BoundingBox,
        input: &mut Vec<f32>,
    ) -> Result<f64, LivenessError> {
        let model = &self.model;
        let (width, height) = (image.width(), image.height());
        let rect = crop_rect(width, height, face, model.crop_scale, model.crop_fit);
        let crop = crop_resize_bilinear(image, rect, model.size, model.size);
        input.resize(crop.as_rgb8().len(), 0.0);
        write_input(&crop, &model.input, input);
        let side = model.size as usize;
        let outputs = self.session.run([1, 3, side, side], input)?;
        let numbers = outputs.vectors(ADAPTER, &self.output, 1, model.classes)?;
        match model.output {
            ClassOutput::Logits => softmax(&numbers, model.live_class),
            ClassOutput::Probabilities => probability(&numbers, model.live_class),
            other => {
                let reason = format!("class output {other:?} is not supported");
                Err(LivenessError::Other(reason.into()))
            }
        }
    }
}

/// The number of a class, where all are finite.
fn class_of(numbers: &[f32], class: usize) -> Result<f32, LivenessError> {
    if !numbers.iter().all(|number| number.is_finite()) {
        return Err(LivenessError::NotFinite);
    }
    numbers.get(class).copied().ok_or(LivenessError::Classes {
        live_class: class,
        found: numbers.len(),
    })
}

/// Softmax probability of one class.
fn softmax(logits: &[f32], class: usize) -> Result<f64, LivenessError> {
    let wanted = f64::from(class_of(logits, class)?);
    let shares = logits.iter().map(|&logit| (f64::from(logit) - wanted).exp());
    Ok(1.0 / shares.sum::<f64>())
}

/// One of numbers that are probabilities already.
fn probability(probabilities: &[f32], class: usize) -> Result<f64, LivenessError> {
    let wanted = class_of(probabilities, class)?;
    let allowed = -PROBABILITY_TOLERANCE..=1.0 + PROBABILITY_TOLERANCE;
    let mut values = probabilities.iter().map(|&value| f64::from(value));
    let sum: f64 = values.clone().sum();
    if !values.all(|value| allowed.contains(&value)) || (sum - 1.0).abs() > PROBABILITY_TOLERANCE {
        return Err(LivenessError::NoProbabilities { sum });
    }
    Ok(f64::from(wanted).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_worked_by_hand() {
        let ln = |v: f64| v.ln() as f32;
        let logits = [ln(1.0), ln(2.0), ln(5.0)];
        assert!((softmax(&logits, 1).unwrap() - 0.25).abs() < 1e-6);
        // Far apart: no overflow, no NaN.
        assert_eq!(softmax(&[1e4, -1e4, 0.0], 1).unwrap(), 0.0);
        assert_eq!(softmax(&[-1e4, 1e4, 0.0], 1).unwrap(), 1.0);
    }

    #[test]
    fn probabilities_are_taken_as_they_are() {
        assert_eq!(probability(&[0.25, 0.75], 1).unwrap(), 0.75);
        // Rounded by half precision.
        assert_eq!(probability(&[1.0005, -0.0002], 0).unwrap(), 1.0);
    }

    #[test]
    fn what_is_no_probability_is_an_error() {
        for of in [softmax, probability] {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                assert!(matches!(of(&[0.0, 1.0, bad], 1), Err(LivenessError::NotFinite)));
            }
            assert!(matches!(
                of(&[1.0], 1),
                Err(LivenessError::Classes {
                    live_class: 1,
                    found: 1
                })
            ));
        }
        // Logits that the manifest calls probabilities.
        for logits in [[3.1, -3.0], [0.9, 0.9], [0.2, 0.1], [-0.5, 1.5]] {
            assert!(matches!(
                probability(&logits, 1),
                Err(LivenessError::NoProbabilities { .. })
            ));
        }
    }
}
