//! Liveness models that look at a square picture of the face and its surroundings.

use likeness_detection::{BoundingBox, channel_order};
use likeness_imaging::{self as imaging, Picture};
use likeness_models::{CropFit, LivenessModelEntry, Pack};
use likeness_runtime::{ModelSession, Runtime};
use ndarray::ArrayView4;

use crate::{LivenessError, LivenessModel, crop_rect};

/// The liveness models of a pack; the score is the mean of their live probabilities.
#[derive(Debug)]
pub struct ScaledCropLiveness {
    parts: Vec<Part>,
    input: Vec<f32>,
}

/// One model: input `[N, 3, size, size]`, pixels 0..255 (not divided by 255), output logits of the classes.
#[derive(Debug)]
struct Part {
    session: ModelSession,
    channels: imaging::ChannelOrder,
    size: u32,
    crop_scale: f64,
    crop_fit: CropFit,
    live_class: usize,
}

impl ScaledCropLiveness {
    /// Opens the liveness models of a pack.
    ///
    /// # Errors
    /// A file that the pack does not have, or that ONNX Runtime refuses.
    pub fn open(runtime: &Runtime, pack: &Pack) -> Result<Self, LivenessError> {
        let open = |model: &LivenessModelEntry| -> Result<Part, LivenessError> {
            Ok(Part {
                session: runtime.open(&model.model, pack.model(&model.model)?)?,
                channels: channel_order(model.input.channels),
                size: model.size,
                crop_scale: model.crop_scale,
                crop_fit: model.crop_fit,
                live_class: model.live_class,
            })
        };
        let parts = pack
            .manifest()
            .liveness
            .iter()
            .map(open)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            parts,
            input: Vec::new(),
        })
    }

    /// The same models with another way to cut where the picture ends.
    #[must_use]
    pub fn with_crop_fit(mut self, fit: CropFit) -> Self {
        for part in &mut self.parts {
            part.crop_fit = fit;
        }
        self
    }
}

impl LivenessModel for ScaledCropLiveness {
    fn score(&mut self, picture: &Picture, face: &BoundingBox) -> Result<f64, LivenessError> {
        let mut sum = 0.0;
        for part in &mut self.parts {
            sum += part.score(picture, face, &mut self.input)?;
        }
        Ok(sum / self.parts.len() as f64)
    }
}

impl Part {
    fn score(
        &mut self,
        picture: &Picture,
        face: &BoundingBox,
        input: &mut Vec<f32>,
    ) -> Result<f64, LivenessError> {
        let rect = crop_rect(
            picture.width(),
            picture.height(),
            face,
            self.crop_scale,
            self.crop_fit,
        );
        let crop = imaging::crop_resize_bilinear(picture, rect, self.size, self.size);
        let side = self.size as usize;
        input.resize(3 * side * side, 0.0);
        imaging::write_planar(&crop, self.channels, [0.0; 3], [1.0; 3], input);
        let view = ArrayView4::from_shape((1, 3, side, side), input)
            .map_err(|error| LivenessError::Other(error.into()))?;
        let outputs = self.session.run(&view)?;
        let logits: Vec<f32> = outputs.first()?.iter().copied().collect();
        probability(&logits, self.live_class)
    }
}

/// Softmax probability of one class.
fn probability(logits: &[f32], class: usize) -> Result<f64, LivenessError> {
    let Some(&wanted) = logits.get(class) else {
        return Err(LivenessError::Classes {
            live_class: class,
            found: logits.len(),
        });
    };
    if !logits.iter().all(|logit| logit.is_finite()) {
        return Err(LivenessError::NotFinite);
    }
    let sum: f64 = logits
        .iter()
        .map(|&logit| (f64::from(logit) - f64::from(wanted)).exp())
        .sum();
    Ok(1.0 / sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_worked_by_hand() {
        let ln = |v: f64| v.ln() as f32;
        let logits = [ln(1.0), ln(2.0), ln(5.0)];
        assert!((probability(&logits, 1).unwrap() - 0.25).abs() < 1e-6);
        // Far apart: no overflow, no NaN.
        assert_eq!(probability(&[1e4, -1e4, 0.0], 1).unwrap(), 0.0);
        assert_eq!(probability(&[-1e4, 1e4, 0.0], 1).unwrap(), 1.0);
    }

    #[test]
    fn what_is_no_probability_is_an_error() {
        assert!(matches!(
            probability(&[0.0, f32::NAN, 0.0], 1),
            Err(LivenessError::NotFinite)
        ));
        assert!(matches!(
            probability(&[0.0, 1.0, f32::INFINITY], 1),
            Err(LivenessError::NotFinite)
        ));
        assert!(matches!(
            probability(&[0.0], 1),
            Err(LivenessError::Classes {
                live_class: 1,
                found: 1
            })
        ));
    }
}
