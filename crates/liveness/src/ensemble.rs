//! The liveness models of a pack, which look at an image of the face and its surroundings.

use likeness_face::{BoundingBox, write_input};
use likeness_imaging::{Image, PixelRect, crop_resize_bilinear};
use likeness_packs::{
    ClassOutput, CropFit, LivenessAdapter, LivenessFusion, LivenessModelEntry, Pack, Preprocessing,
};
use likeness_runtime::{Adapter, ModelSession, Runtime};

use crate::fusion::{Vote, fuse};
use crate::square_crop::square;
use crate::{LivenessError, LivenessModel, crop_rect, square_crop};

/// By how much probabilities may lie outside of 0..=1, and their sum from 1: half-precision ones are off by less.
const PROBABILITY_TOLERANCE: f64 = 1e-2;

/// The liveness models of a pack; its fusion makes one probability of theirs.
#[derive(Debug)]
pub struct LivenessEnsemble {
    parts: Vec<Part>,
    fusion: LivenessFusion,
    inputs: Inputs,
}

/// One model: input `[N,3,size,size]` or `[1,3,size,size]`, pixels as the manifest scales them, output `[N,classes]`.
#[derive(Debug)]
struct Part {
    session: ModelSession,
    adapter: Adapter,
    entry: LivenessModelEntry,
    output: String,
}

impl LivenessEnsemble {
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
            fusion: pack.manifest().fusion,
            inputs: Inputs::default(),
        })
    }

    /// The same models with another way to cut where the image ends; squares are cut as they are.
    #[must_use]
    pub fn with_crop_fit(mut self, fit: CropFit) -> Self {
        for part in &mut self.parts {
            part.entry.crop_fit = fit;
        }
        self
    }
}

impl LivenessModel for LivenessEnsemble {
    fn score(&mut self, image: &Image, face: &BoundingBox) -> Result<f64, LivenessError> {
        self.inputs.forget();
        let mut votes = Vec::with_capacity(self.parts.len());
        for part in &mut self.parts {
            let input = self.inputs.of(&part.entry, image, face);
            votes.push(part.vote(input)?);
        }
        Ok(fuse(self.fusion, &votes))
    }

    fn crops(&self, width: u32, height: u32, face: &BoundingBox) -> Vec<BoundingBox> {
        let mut crops = Vec::new();
        for part in &self.parts {
            let crop = match Crop::of(&part.entry, (width, height), face) {
                Crop::Scaled(rect) => BoundingBox {
                    x: rect.left as f32,
                    y: rect.top as f32,
                    width: rect.width as f32,
                    height: rect.height as f32,
                },
                Crop::Square(scale) => {
                    let (left, top, side) = square(face, scale);
                    BoundingBox {
                        x: left as f32,
                        y: top as f32,
                        width: side as f32,
                        height: side as f32,
                    }
                }
            };
            if !crops.contains(&crop) {
                crops.push(crop);
            }
        }
        crops
    }
}

/// Inputs of one image, so that models that look at the same crop share it. The buffers are kept for the next image.
#[derive(Debug, Default)]
struct Inputs {
    made: Vec<(InputKey, Vec<f32>)>,
    unused: Vec<Vec<f32>>,
}

/// What makes two inputs of one image the same.
#[derive(Debug, Clone, Copy, PartialEq)]
struct InputKey {
    crop: Crop,
    size: u32,
    preprocessing: Preprocessing,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Crop {
    Scaled(PixelRect),
    /// By its scale.
    Square(f64),
}

impl Crop {
    fn of(entry: &LivenessModelEntry, (width, height): (u32, u32), face: &BoundingBox) -> Self {
        let scale = entry.crop_scale;
        match entry.adapter {
            LivenessAdapter::SquareCrop => Self::Square(scale),
            _ => Self::Scaled(crop_rect(width, height, face, scale, entry.crop_fit)),
        }
    }
}

impl Inputs {
    fn forget(&mut self) {
        self.unused.extend(self.made.drain(..).map(|(_, buffer)| buffer));
    }

    /// Returns the input of a model, `[3,size,size]`.
    fn of(&mut self, entry: &LivenessModelEntry, image: &Image, face: &BoundingBox) -> &[f32] {
        let size = entry.size;
        let crop = Crop::of(entry, (image.width(), image.height()), face);
        let key = InputKey {
            crop,
            size,
            preprocessing: entry.input,
        };
        let place = match self.made.iter().position(|(made, _)| *made == key) {
            Some(place) => place,
            None => {
                let crop = match crop {
                    Crop::Scaled(rect) => crop_resize_bilinear(image, rect, size, size),
                    Crop::Square(scale) => square_crop(image, face, scale, size),
                };
                let mut input = self.unused.pop().unwrap_or_default();
                input.resize(crop.as_rgb8().len(), 0.0);
                write_input(&crop, &entry.input, &mut input);
                self.made.push((key, input));
                self.made.len() - 1
            }
        };
        self.made
            .get(place)
            .map(|(_, input)| input.as_slice())
            .unwrap_or_default()
    }
}

impl Part {
    fn open(runtime: &Runtime, pack: &Pack, model: &LivenessModelEntry) -> Result<Self, LivenessError> {
        let name = match model.adapter {
            LivenessAdapter::ScaledCrop => "scaled-crop",
            LivenessAdapter::SquareCrop => "square-crop",
            other => return Err(LivenessError::Unsupported(other)),
        };
        let adapter = Adapter {
            role: "liveness model",
            name,
        };
        let session = runtime.open(&model.model, pack.model(&model.model)?)?;
        let output = session
            .image_input(Some(model.size))
            .and_then(|_| session.vector_output(model.classes))
            .map_err(|misfit| adapter.misfit(session.name(), misfit))?;
        Ok(Self {
            session,
            adapter,
            entry: model.clone(),
            output: output.name,
        })
    }

    fn vote(&mut self, input: &[f32]) -> Result<Vote, LivenessError> {
        let (side, live, weight) = (self.entry.size as usize, self.entry.live_class, self.entry.weight);
        let outputs = self.session.run([1, 3, side, side], input)?;
        let numbers = outputs.vectors(self.adapter, &self.output, 1, self.entry.classes)?;
        match self.entry.output {
            ClassOutput::Logits => softmax(&numbers, live).map(|(probability, log_odds)| Vote {
                probability,
                log_odds,
                weight,
            }),
            ClassOutput::Probabilities => {
                probability(&numbers, live).map(|probability| Vote::of_probability(probability, weight))
            }
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

/// Softmax probability of one class, and its log-odds: its logit less the logarithm of the others' summed exponentials.
fn softmax(logits: &[f32], class: usize) -> Result<(f64, f64), LivenessError> {
    let wanted = f64::from(class_of(logits, class)?);
    let above = logits.iter().map(|&logit| f64::from(logit) - wanted);
    let sum: f64 = above.clone().map(f64::exp).sum();
    let others = above
        .enumerate()
        .filter(|&(at, _)| at != class)
        .map(|(_, above)| above);
    let highest = others.clone().fold(f64::NEG_INFINITY, f64::max);
    let of_others: f64 = others.map(|above| (above - highest).exp()).sum();
    Ok((1.0 / sum, -highest - of_others.ln()))
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
        let (probability, log_odds) = softmax(&logits, 1).unwrap();
        assert!((probability - 0.25).abs() < 1e-6);
        assert!((log_odds + 3.0_f64.ln()).abs() < 1e-6);
        // Far apart: no overflow, no NaN.
        assert_eq!(softmax(&[1e4, -1e4, 0.0], 1).unwrap(), (0.0, -2e4));
        assert_eq!(softmax(&[-1e4, 1e4, 0.0], 1).unwrap(), (1.0, 1e4));
    }

    #[test]
    fn probabilities_are_taken_as_they_are() {
        assert_eq!(probability(&[0.25, 0.75], 1).unwrap(), 0.75);
        // Rounded by half precision.
        assert_eq!(probability(&[1.0005, -0.0002], 0).unwrap(), 1.0);
    }

    #[test]
    fn what_is_no_probability_is_an_error() {
        let softmax = |numbers: &[f32], class| softmax(numbers, class).map(|(probability, _)| probability);
        for of in [&softmax as &dyn Fn(&[f32], usize) -> _, &probability] {
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
