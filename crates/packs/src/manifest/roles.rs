//! The models of a pack by what they do, and how each is fed.

use serde::Deserialize;

/// Order in which a model wants the colours of a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelOrder {
    /// Red first.
    Rgb,
    /// Blue first.
    Bgr,
}

/// What becomes of pixels before a model sees them: `(value - mean) / std` of values 0..=255.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Preprocessing {
    /// Order of the input's planes.
    pub channels: ChannelOrder,
    /// Subtracted, for each plane in the order of `channels`.
    #[serde(default)]
    pub mean: [f32; 3],
    /// Divided by, likewise; never 0.
    #[serde(default = "ones")]
    pub std: [f32; 3],
}

fn ones() -> [f32; 3] {
    [1.0; 3]
}

fn one() -> f64 {
    1.0
}

/// Families of detectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DetectorAdapter {
    /// YuNet: outputs `cls_S`, `obj_S`, `bbox_S`, `kps_S` for strides 8, 16, 32; input a multiple of 32.
    Yunet,
    /// SCRFD with landmarks: scores, distances and landmarks for strides 8, 16, 32, two anchors a cell.
    Scrfd,
}

/// A detector of a pack.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DetectorModel {
    /// Its family.
    pub adapter: DetectorAdapter,
    /// Name of its model.
    pub model: String,
    /// Its share among several detectors, in any unit; 1e-6 to 1e6.
    #[serde(default = "one")]
    pub weight: f64,
    /// What becomes of pixels.
    pub input: Preprocessing,
    /// Detections below this score are dropped, 0..=1.
    pub score_threshold: f32,
    /// Of two boxes that overlap by more than this intersection over union the weaker is dropped, 0..=1.
    pub nms_iou: f32,
    /// What the model answers to the self-test's input.
    pub self_test: Option<SelfTestVector>,
}

/// Families of embedders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EmbedderAdapter {
    /// One square crop, aligned by five landmarks to template points: ArcFace and its relatives, SFace, and others.
    AlignedCrop,
}

/// An embedder of a pack. Where there are several, the similarity is the mean of theirs, by weight.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct EmbedderModel {
    /// Its family.
    pub adapter: EmbedderAdapter,
    /// Name of its model.
    pub model: String,
    /// Its share among several embedders, in any unit; 1e-6 to 1e6.
    #[serde(default = "one")]
    pub weight: f64,
    /// What becomes of pixels.
    pub input: Preprocessing,
    /// Side of the square crop in pixels.
    pub size: u32,
    /// Numbers in an embedding.
    pub dimensions: usize,
    /// Where the landmarks go.
    pub template: Template,
    /// What the model answers to the self-test's input.
    pub self_test: Option<SelfTestVector>,
}

/// Where the landmarks of a face go in an aligned crop.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Template {
    /// One that is known by its name.
    Named(NamedTemplate),
    /// Right eye, left eye, nose tip, right and left mouth corner, in units of the crop's side.
    Points([[f64; 2]; 5]),
}

/// Templates that are known by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NamedTemplate {
    /// That of ArcFace (InsightFace), for crops of 112 pixels.
    Arcface,
}

/// InsightFace's `arcface_dst`, pixels of a crop of 112.
const ARCFACE_112: [[f64; 2]; 5] = [
    [38.2946, 51.6963],
    [73.5318, 51.5014],
    [56.0252, 71.7366],
    [41.5493, 92.3655],
    [70.7299, 92.2041],
];

impl Template {
    /// The five points in units of the crop's side.
    #[must_use]
    pub fn points(&self) -> [[f64; 2]; 5] {
        match self {
            Self::Named(NamedTemplate::Arcface) => ARCFACE_112.map(|point| point.map(|value| value / 112.0)),
            Self::Points(points) => *points,
        }
    }
}

/// Families of liveness models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LivenessAdapter {
    /// A square picture of the face box times `crop_scale` in, classes out.
    ScaledCrop,
}

/// What to cut out for a liveness model where the picture does not hold `crop_scale` times the face box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CropFit {
    /// The largest crop of the face box's proportions that the picture holds.
    #[default]
    Shrink,
    /// That crop, made wider or higher towards a square as far as the picture and the intended area allow.
    Widen,
}

/// What the numbers are that a liveness model answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ClassOutput {
    /// Any numbers; their softmax is the probability.
    #[default]
    Logits,
    /// Probabilities already.
    Probabilities,
}

/// A liveness model of a pack. Where there are several, the probability is the mean of theirs, by weight.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LivenessModelEntry {
    /// Its family.
    pub adapter: LivenessAdapter,
    /// Name of its model.
    pub model: String,
    /// Its share among several models, in any unit; 1e-6 to 1e6.
    #[serde(default = "one")]
    pub weight: f64,
    /// What becomes of pixels.
    pub input: Preprocessing,
    /// Side of the square input in pixels.
    pub size: u32,
    /// Side of the crop in units of the face box.
    pub crop_scale: f64,
    /// What to cut out where the picture does not hold that much.
    #[serde(default)]
    pub crop_fit: CropFit,
    /// Number of classes.
    pub classes: usize,
    /// Which of the classes means live, from 0.
    pub live_class: usize,
    /// What the numbers are.
    #[serde(default)]
    pub output: ClassOutput,
    /// What the model answers to the self-test's input.
    pub self_test: Option<SelfTestVector>,
}

/// What a model answers to a fixed input, so that a machine that computes something else is found out.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SelfTestVector {
    /// Name of the output.
    pub output: String,
    /// Its first numbers.
    pub values: Vec<f32>,
    /// How far a number may be off.
    pub tolerance: f32,
}
