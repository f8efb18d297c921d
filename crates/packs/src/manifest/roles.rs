//! The roles of a pack's models, and the parameters of each model.

use serde::Deserialize;

/// Order of the colour channels of a model's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelOrder {
    /// Red first.
    Rgb,
    /// Blue first.
    Bgr,
}

/// Preprocessing of an image: `(value - mean) / std` of values 0..=255.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Preprocessing {
    /// Order of the input's channels.
    pub channels: ChannelOrder,
    /// Subtracted, for each channel in the order of `channels`.
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
    /// CenterFace: scores, sides, offsets and landmarks as planes of one grid of stride 4; input a multiple of 32.
    Centerface,
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
    /// Preprocessing of the input.
    pub input: Preprocessing,
    /// Detections below this score are dropped, 0..=1.
    pub score_threshold: f32,
    /// Score of the primary face from which on an image is upright, 0..=1; below, the other three orientations are looked at.
    /// Of several detectors the first one's counts. `None`: images are taken as they are.
    pub upright_score: Option<f32>,
    /// Non-maximum suppression: of two boxes with a larger intersection over union, the weaker is dropped, 0..=1.
    pub nms_iou: f32,
    /// Output for the self-test's input.
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
    /// Preprocessing of the input.
    pub input: Preprocessing,
    /// Side of the square crop in pixels.
    pub size: u32,
    /// Length of an embedding.
    pub dimensions: usize,
    /// Position of the landmarks in the crop.
    pub template: Template,
    /// Whether a face of which the crop shows two pixels or more in one is averaged over areas before it is cut out, and not only
    /// sampled.
    #[serde(default)]
    pub area_averaging: bool,
    /// Output for the self-test's input.
    pub self_test: Option<SelfTestVector>,
}

/// Position of a face's landmarks in an aligned crop.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Template {
    /// That of ArcFace (InsightFace), for crops of 112 pixels.
    Arcface,
    /// Right eye, left eye, nose tip, right and left mouth corner, in units of the crop's side.
    #[serde(untagged)]
    Points([[f64; 2]; 5]),
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
    /// Returns the five points in units of the crop's side.
    #[must_use]
    pub fn points(&self) -> [[f64; 2]; 5] {
        match self {
            Self::Arcface => ARCFACE_112.map(|point| point.map(|value| value / 112.0)),
            Self::Points(points) => *points,
        }
    }
}

/// Families of liveness models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LivenessAdapter {
    /// From the face box times `crop_scale`, moved into the image and resized to a square, to classes.
    ScaledCrop,
    /// From a square of `crop_scale` times the longer side of the face box, mirrored where the image ends, to classes.
    SquareCrop,
}

/// How the outputs of several liveness models become one score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LivenessFusion {
    /// The mean of the live probabilities, by weight.
    #[default]
    MeanProbability,
    /// The mean of the log-odds of live, each limited to -10..=10, by weight, and the probability that has them.
    MeanLogOdds,
}

/// Crop for a liveness model where `crop_scale` times the face box goes beyond the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CropFit {
    /// The largest crop of the face box's proportions within the image.
    #[default]
    Shrink,
    /// That crop, made wider or higher towards a square as far as the image and the intended area allow.
    Widen,
}

/// Kind of a liveness model's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ClassOutput {
    /// Logits; their softmax is the probability.
    #[default]
    Logits,
    /// Probabilities.
    Probabilities,
}

/// A liveness model of a pack. Where there are several, [`LivenessFusion`] makes one score of theirs.
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
    /// Preprocessing of the input.
    pub input: Preprocessing,
    /// Side of the square input in pixels.
    pub size: u32,
    /// Side of the crop in units of the face box; of its longer side where the crop is a square.
    pub crop_scale: f64,
    /// Crop where that goes beyond the image; a square is mirrored there.
    #[serde(default)]
    pub crop_fit: CropFit,
    /// Number of classes.
    pub classes: usize,
    /// Index of the live class, from 0.
    pub live_class: usize,
    /// Kind of the output.
    #[serde(default)]
    pub output: ClassOutput,
    /// Output for the self-test's input.
    pub self_test: Option<SelfTestVector>,
}

/// A model's output for a fixed input: detects a machine that computes wrong results.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SelfTestVector {
    /// Name of the output.
    pub output: String,
    /// Its first numbers.
    pub values: Vec<f32>,
    /// Largest accepted difference of a number.
    pub tolerance: f32,
}
