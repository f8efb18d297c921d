//! `pack.toml`: what a pack is made of and how its models are fed.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::store::short_digest;
use crate::{MatchCalibration, ModelsError};

/// The manifest format that this version reads.
const FORMAT: u32 = 1;

/// Manifests that are part of the crate, so that the checksums of the default pack are those of the binary.
const BUILTIN: &[(&str, &str)] = &[("open-1", include_str!("../packs/open-1.toml"))];

/// A model pack: files and, for each role, the adapter that knows the model's family and the numbers it needs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Manifest {
    /// Version of the manifest's own format; 1.
    pub format: u32,
    /// Name of the pack; also the name of its folder in a store.
    pub name: String,
    /// Version of the pack, shown by `/info`.
    pub version: String,
    /// The first digits of the SHA-256 of the manifest's own text, which has the checksum of every file: two packs of one
    /// name and version that are made otherwise have different ones.
    #[serde(skip)]
    pub digest: String,
    /// The files by name.
    pub files: BTreeMap<String, FileEntry>,
    /// Finds faces and landmarks.
    pub detector: DetectorModel,
    /// Turns an aligned face into an embedding.
    pub embedder: EmbedderModel,
    /// Liveness models; the score is the mean of their live probabilities.
    pub liveness: Vec<LivenessModelEntry>,
}

/// One file of a pack.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FileEntry {
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of the bytes, 64 hexadecimal digits in lower case.
    pub sha256: String,
    /// SPDX identifier of the licence.
    pub license: String,
    /// Who made it.
    pub attribution: String,
}

/// Order in which a model wants the colours of a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelOrder {
    /// Red first.
    Rgb,
    /// Blue first.
    Bgr,
}

/// Families of detectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DetectorAdapter {
    /// YuNet: outputs `cls_S`, `obj_S`, `bbox_S`, `kps_S` for strides 8, 16, 32; input a multiple of 32, pixels 0..255.
    Yunet,
}

/// The detector of a pack.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DetectorModel {
    /// Its family.
    pub adapter: DetectorAdapter,
    /// Name of its ONNX file.
    pub file: String,
    /// Order of the input's planes.
    pub channels: ChannelOrder,
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
    /// One square crop, aligned by five landmarks to template points, pixels 0..255.
    AlignedCrop,
}

/// The embedder of a pack.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct EmbedderModel {
    /// Its family.
    pub adapter: EmbedderAdapter,
    /// Name of its ONNX file.
    pub file: String,
    /// Order of the input's planes.
    pub channels: ChannelOrder,
    /// Side of the square crop in pixels.
    pub size: u32,
    /// Numbers in an embedding.
    pub dimensions: usize,
    /// Where the landmarks (right eye, left eye, nose tip, right and left mouth corner) go, in units of `size`.
    pub template: [[f64; 2]; 5],
    /// From cosine similarity to match confidence.
    pub calibration: MatchCalibration,
    /// What the model answers to the self-test's input.
    pub self_test: Option<SelfTestVector>,
}

/// Families of liveness models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LivenessAdapter {
    /// A square picture of the face box times `crop_scale`, class logits out, pixels 0..255.
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

/// A liveness model of a pack.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LivenessModelEntry {
    /// Its family.
    pub adapter: LivenessAdapter,
    /// Name of its ONNX file.
    pub file: String,
    /// Order of the input's planes.
    pub channels: ChannelOrder,
    /// Side of the square input in pixels.
    pub size: u32,
    /// Side of the crop in units of the face box.
    pub crop_scale: f64,
    /// What to cut out where the picture does not hold that much.
    #[serde(default)]
    pub crop_fit: CropFit,
    /// Which of the classes means live.
    pub live_class: usize,
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

impl Manifest {
    /// Reads a manifest and checks it.
    ///
    /// # Errors
    /// [`ModelsError::Manifest`] naming the key. Unknown keys are errors.
    pub fn parse(text: &str) -> Result<Self, ModelsError> {
        let mut manifest: Self = toml::from_str(text).map_err(|error| ModelsError::Manifest {
            pack: "pack.toml".to_owned(),
            reason: error.to_string(),
        })?;
        manifest.digest = short_digest(text);
        match manifest.fault() {
            None => Ok(manifest),
            Some(reason) => Err(ModelsError::Manifest {
                pack: manifest.name,
                reason,
            }),
        }
    }

    /// Names of the packs whose manifests are part of this crate.
    pub fn builtin_names() -> impl Iterator<Item = &'static str> {
        BUILTIN.iter().map(|(name, _)| *name)
    }

    /// The manifest of a pack that is part of this crate, if it is one.
    ///
    /// # Errors
    /// None for the manifests that the crate is published with.
    pub fn builtin(name: &str) -> Option<Result<Self, ModelsError>> {
        BUILTIN
            .iter()
            .find(|(builtin, _)| *builtin == name)
            .map(|(_, text)| Self::parse(text))
    }

    fn fault(&self) -> Option<String> {
        if self.format != FORMAT {
            return Some(format!("format {} is not supported, only {FORMAT}", self.format));
        }
        if !is_plain_name(&self.name) {
            return Some(format!("name {:?} is not a plain file name", self.name));
        }
        for (name, file) in &self.files {
            if !is_plain_name(name) {
                return Some(format!("files: {name:?} is not a plain file name"));
            }
            let digits = file
                .sha256
                .bytes()
                .filter(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
                .count();
            if digits != 64 || file.sha256.len() != 64 {
                return Some(format!(
                    "files.{name:?}.sha256 is not 64 hexadecimal digits in lower case"
                ));
            }
        }
        let used = [
            ("detector.file", &self.detector.file),
            ("embedder.file", &self.embedder.file),
        ];
        let liveness = self.liveness.iter().map(|model| ("liveness.file", &model.file));
        for (key, file) in used.into_iter().chain(liveness) {
            if !self.files.contains_key(file) {
                return Some(format!("{key} {file:?} is not among the files"));
            }
        }
        let unit = 0.0..=1.0;
        if !unit.contains(&self.detector.score_threshold) || !unit.contains(&self.detector.nms_iou) {
            return Some("detector: score_threshold and nms_iou must be 0..=1".to_owned());
        }
        if !(1..=1024).contains(&self.embedder.size) || !(1..=65_536).contains(&self.embedder.dimensions) {
            return Some("embedder: size must be 1..=1024 and dimensions 1..=65536".to_owned());
        }
        let template = self.embedder.template;
        if !template
            .iter()
            .flatten()
            .all(|value| (-1.0..=2.0).contains(value))
        {
            return Some("embedder.template: points are in units of size, between -1 and 2".to_owned());
        }
        if template.iter().all(|point| *point == template[0]) {
            return Some("embedder.template: the points are all in one place".to_owned());
        }
        if self.liveness.is_empty() {
            return Some("liveness: at least one model is needed".to_owned());
        }
        for model in &self.liveness {
            let usable_scale = model.crop_scale > 0.0 && model.crop_scale.is_finite();
            if !(1..=1024).contains(&model.size) || !usable_scale {
                return Some("liveness: size must be 1..=1024 and crop_scale above 0".to_owned());
            }
        }
        self.embedder
            .calibration
            .fault()
            .map(|fault| format!("embedder.calibration: {fault}"))
    }
}

/// A name that cannot lead out of its folder.
pub(crate) fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> String {
        BUILTIN[0].1.to_owned()
    }

    #[test]
    fn the_builtin_manifests_are_sound_and_bear_their_names() {
        for name in Manifest::builtin_names() {
            assert_eq!(Manifest::builtin(name).unwrap().unwrap().name, name);
        }
        assert!(Manifest::builtin("no-such-pack").is_none());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            ("format = 1", "format = 2", "format 2 is not supported"),
            (
                "name = \"open-1\"",
                "name = \"../open-1\"",
                "is not a plain file name",
            ),
            ("sha256 = \"104e", "sha256 = \"104E", "64 hexadecimal digits"),
            (
                "file = \"minifasnet_v2.onnx\"",
                "file = \"gone.onnx\"",
                "liveness.file \"gone.onnx\" is not among",
            ),
            (
                "nms_iou = 0.3",
                "nms_iou = 1.3",
                "score_threshold and nms_iou must be 0..=1",
            ),
            (
                "nms_iou = 0.3",
                "nms_iou = nan",
                "score_threshold and nms_iou must be 0..=1",
            ),
            ("confidence = 0.40", "confidence = 0.60", "must ascend"),
            (
                "nms_iou = 0.3",
                "nms_iou = 0.3\ncolour = 1",
                "unknown field `colour`",
            ),
            ("crop_scale = 4.0", "crop_scale = 0.0", "crop_scale above 0"),
            (
                "dimensions = 256",
                "dimensions = 99999999",
                "dimensions 1..=65536",
            ),
            (
                "[0.31556875, 0.46157411]",
                "[nan, 0.46157411]",
                "embedder.template",
            ),
        ];
        for (from, to, expected) in cases {
            assert!(text().contains(from), "{from}");
            let error = Manifest::parse(&text().replace(from, to))
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{to}: {error}");
        }
    }
}
