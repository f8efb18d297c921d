//! `pack.toml`: what a pack is made of and how its models are fed.

mod fault;
mod files;
mod roles;

use std::collections::BTreeMap;

use likeness_onnx::quote;
use serde::Deserialize;

use crate::store::short_digest;
use crate::{LivenessCalibration, MatchCalibration, PackError};

pub(crate) use fault::{is_plain_name, is_sha256};
pub use files::{MAX_FILE_BYTES, ModelFile, Recipe, SourceFile};
pub use roles::{
    ChannelOrder, ClassOutput, CropFit, DetectorAdapter, DetectorModel, EmbedderAdapter, EmbedderModel,
    LivenessAdapter, LivenessModelEntry, NamedTemplate, Preprocessing, SelfTestVector, Template,
};

/// The manifest format that this version reads.
const FORMAT: u32 = 2;

/// Manifests that are part of the crate, so that the checksums of the default pack are those of the binary.
const BUILTIN: &[(&str, &str)] = &[
    ("open-1", include_str!("../../packs/open-1.toml")),
    ("sface-1", include_str!("../../packs/sface-1.toml")),
    (
        "insightface-r50",
        include_str!("../../packs/insightface-r50.toml"),
    ),
    ("adaface-101", include_str!("../../packs/adaface-101.toml")),
    (
        "minifasnet-onnx",
        include_str!("../../packs/minifasnet-onnx.toml"),
    ),
];

/// `packs/*.toml` are symbolic links to `models/*/pack.toml`, which `cargo package` follows; a checkout without symbolic
/// links has files with the links' targets in their place.
const _: () = {
    let mut at = 0;
    while at < BUILTIN.len() {
        assert!(
            BUILTIN[at].1.as_bytes()[0] != b'.',
            "crates/packs/packs/*.toml must be symbolic links, but this checkout has text files in their place; on \
             Windows, turn on Developer Mode and clone again with `git clone -c core.symlinks=true`"
        );
        at += 1;
    }
};

/// A model pack: where its files come from, what is made of them and, for each role, the adapters that know the models'
/// families and the numbers they need.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Manifest {
    /// Version of the manifest's own format; 2.
    pub format: u32,
    /// Name of the pack.
    pub name: String,
    /// Version of the pack, shown by `/info`.
    pub version: String,
    /// What it is, in a line.
    #[serde(default)]
    pub description: String,
    /// Whether the licences of all its files allow commercial use. Where they do not, `likeness models pull` fetches the
    /// pack only for who says that they accept its licence.
    pub commercial_use: bool,
    /// The first digits of the SHA-256 of the manifest's own text, which has the checksum of every file: two packs of one
    /// name and version that are made otherwise have different ones.
    #[serde(skip)]
    pub digest: String,
    /// Files as their publishers offer them, by name.
    pub sources: BTreeMap<String, SourceFile>,
    /// The ONNX models that are made of them, by name.
    pub models: BTreeMap<String, ModelFile>,
    /// Find faces and landmarks.
    #[serde(rename = "detector", default)]
    pub detectors: Vec<DetectorModel>,
    /// Turn an aligned face into an embedding.
    #[serde(rename = "embedder", default)]
    pub embedders: Vec<EmbedderModel>,
    /// Liveness models.
    #[serde(default)]
    pub liveness: Vec<LivenessModelEntry>,
    /// What its scores mean, where that was measured.
    #[serde(default)]
    pub calibration: PackCalibration,
}

/// What the scores of a pack mean.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PackCalibration {
    /// From cosine similarity to match confidence. A pack without one cannot verify before `likeness calibrate match`
    /// has made one.
    #[serde(rename = "match")]
    pub of_match: Option<MatchCalibration>,
    /// From the models' mean live probability to liveness; without one the probability is the score.
    #[serde(rename = "liveness")]
    pub of_liveness: Option<LivenessCalibration>,
}

impl Manifest {
    /// Reads a manifest and checks it.
    ///
    /// # Errors
    /// [`PackError::Manifest`] naming the key. Unknown keys are errors.
    pub fn parse(text: &str) -> Result<Self, PackError> {
        let mut manifest: Self = toml::from_str(text).map_err(|error| PackError::Manifest {
            pack: "pack.toml".to_owned(),
            reason: quote::message(&error.to_string()),
        })?;
        manifest.digest = short_digest(text);
        match manifest.fault() {
            None => Ok(manifest),
            Some(reason) => Err(PackError::Manifest {
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
    pub fn builtin(name: &str) -> Option<Result<Self, PackError>> {
        Self::builtin_text(name).map(Self::parse)
    }

    /// The text of that manifest.
    pub(crate) fn builtin_text(name: &str) -> Option<&'static str> {
        let found = BUILTIN.iter().find(|(builtin, _)| *builtin == name);
        found.map(|(_, text)| *text)
    }

    /// SHA-256 of a model's ONNX file; `None` where there is no such model.
    #[must_use]
    pub fn model_sha256(&self, model: &str) -> Option<&str> {
        let entry = self.models.get(model)?;
        entry.sha256.as_deref().or_else(|| match &entry.import {
            Recipe::Onnx { file } => self.sources.get(file).map(|source| source.sha256.as_str()),
            _ => None,
        })
    }

    /// The most bytes that a model's ONNX file can have.
    #[must_use]
    pub fn model_max_bytes(&self, model: &str) -> u64 {
        self.models
            .get(model)
            .and_then(|entry| {
                entry.size.or_else(|| match &entry.import {
                    Recipe::Onnx { file } => self.sources.get(file)?.size,
                    _ => None,
                })
            })
            .unwrap_or(MAX_FILE_BYTES)
    }
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
    fn what_packs_share_with_the_default_one_is_the_same_everywhere() {
        let of = |name: &str| Manifest::builtin(name).unwrap().unwrap();
        let default = of(crate::DEFAULT_PACK);
        for pack in Manifest::builtin_names().map(of) {
            for (name, source) in &pack.sources {
                assert!(
                    default.sources.get(name).is_none_or(|own| own == source),
                    "{} {name}",
                    pack.name
                );
            }
            for (name, model) in &pack.models {
                assert!(
                    default.models.get(name).is_none_or(|own| own == model),
                    "{} {name}",
                    pack.name
                );
            }
            for entry in &pack.detectors {
                let own = default.detectors.iter().find(|own| own.model == entry.model);
                assert!(
                    own.is_none_or(|own| own == entry),
                    "{} {}",
                    pack.name,
                    entry.model
                );
            }
            for entry in &pack.embedders {
                let own = default.embedders.iter().find(|own| own.model == entry.model);
                assert!(
                    own.is_none_or(|own| own == entry),
                    "{} {}",
                    pack.name,
                    entry.model
                );
            }
            for entry in &pack.liveness {
                let own = default.liveness.iter().find(|own| own.model == entry.model);
                assert!(
                    own.is_none_or(|own| own == entry),
                    "{} {}",
                    pack.name,
                    entry.model
                );
            }
            // A calibration is one of the detectors and embedders that it was measured with.
            let matches_alike = pack.detectors == default.detectors && pack.embedders == default.embedders;
            let expected = default.calibration.of_match.as_ref().filter(|_| matches_alike);
            assert_eq!(pack.calibration.of_match.as_ref(), expected, "{}", pack.name);
        }
    }

    #[test]
    fn a_pack_is_commercial_only_where_no_licence_says_otherwise() {
        for pack in Manifest::builtin_names().map(|name| Manifest::builtin(name).unwrap().unwrap()) {
            let free = pack.sources.values().all(|source| source.license == "Apache-2.0");
            assert_eq!(pack.commercial_use, free, "{}", pack.name);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            ("format = 2", "format = 1", "format 1 is not supported"),
            (
                "name = \"open-1\"",
                "name = \"../open-1\"",
                "is not a plain file name",
            ),
            ("size = 322906", "size = 2147483648", ".size is above 2147483647"),
            ("sha256 = \"104e", "sha256 = \"104E", "64 hexadecimal digits"),
            (
                "model = \"minifasnet_v2\"",
                "model = \"gone\"",
                "liveness.model \"gone\" is not among",
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
                "description = \"",
                "description = \"\\u001b[2J",
                "description must have no control characters",
            ),
            (
                "license = \"Apache-2.0\"",
                "license = \"Apache\\n2.0\"",
                ".license must have no control characters",
            ),
            (
                "attribution = \"YuNet",
                "attribution = \"\\u009bYuNet",
                ".attribution must have no control characters",
            ),
            (
                "urls = [\"https://",
                "urls = [\"https://\\u0007",
                "is no http(s) address",
            ),
            (
                "nms_iou = 0.3",
                "nms_iou = 0.3\nweight = 1e308",
                "detector.weight must be",
            ),
            (
                "nms_iou = 0.3",
                "nms_iou = 0.3\nweight = 0.0",
                "detector.weight must be",
            ),
            (
                "nms_iou = 0.3",
                "nms_iou = 0.3\nweight = nan",
                "detector.weight must be",
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
