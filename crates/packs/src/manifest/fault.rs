//! What a manifest may not say.

use super::{MAX_FILE_BYTES, Manifest, Preprocessing, SelfTestVector};

/// Most models of one role.
const MAX_MODELS: usize = 8;

/// Weights that are taken: any unit will do, and sums and shares of some stay numbers.
const WEIGHTS: std::ops::RangeInclusive<f64> = 1e-6..=1e6;

/// A name that cannot lead out of its folder.
pub(crate) fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// SHA-256 as the store writes it: 64 hexadecimal digits in lower case.
pub(crate) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether a terminal shows it as it is: some of these texts are shown before anybody has agreed to anything.
fn is_printable(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

impl Manifest {
    /// What is wrong with it, naming the key.
    pub(super) fn fault(&self) -> Option<String> {
        if self.format != super::FORMAT {
            return Some(format!(
                "format {} is not supported, only {}",
                self.format,
                super::FORMAT
            ));
        }
        if !is_plain_name(&self.name) {
            return Some(format!("name {:?} is not a plain file name", self.name));
        }
        if self.version.is_empty() || self.version.len() > 64 || self.version.chars().any(char::is_control) {
            return Some("version must have 1 to 64 characters and no control characters".to_owned());
        }
        if !is_printable(&self.description) {
            return Some("description must have no control characters".to_owned());
        }
        self.fault_of_files()
            .or_else(|| self.fault_of_detectors())
            .or_else(|| self.fault_of_embedders())
            .or_else(|| self.fault_of_liveness())
            .or_else(|| {
                let of_match = self.calibration.of_match.as_ref()?.fault()?;
                Some(format!("calibration.match: {of_match}"))
            })
            .or_else(|| {
                let of_liveness = self.calibration.of_liveness.as_ref()?.fault()?;
                Some(format!("calibration.liveness: {of_liveness}"))
            })
    }

    fn fault_of_files(&self) -> Option<String> {
        for (name, source) in &self.sources {
            if !is_plain_name(name) {
                return Some(format!("sources: {name:?} is not a plain file name"));
            }
            if !is_sha256(&source.sha256) {
                return Some(format!(
                    "sources.{name:?}.sha256 is not 64 hexadecimal digits in lower case"
                ));
            }
            if source.size > Some(MAX_FILE_BYTES) {
                return Some(format!("sources.{name:?}.size is above {MAX_FILE_BYTES}"));
            }
            for (key, text) in [("license", &source.license), ("attribution", &source.attribution)] {
                if !is_printable(text) {
                    return Some(format!("sources.{name:?}.{key} must have no control characters"));
                }
            }
            let is_web = |url: &String| {
                is_printable(url) && (url.starts_with("https://") || url.starts_with("http://"))
            };
            if let Some(url) = source.urls.iter().find(|url| !is_web(url)) {
                return Some(format!("sources.{name:?}.urls: {url:?} is no http(s) address"));
            }
        }
        for (name, model) in &self.models {
            if !is_plain_name(name) {
                return Some(format!("models: {name:?} is not a plain file name"));
            }
            if model.size > Some(MAX_FILE_BYTES) {
                return Some(format!("models.{name:?}.size is above {MAX_FILE_BYTES}"));
            }
            for source in model.import.sources() {
                if !self.sources.contains_key(source) {
                    return Some(format!(
                        "models.{name:?}.import: {source:?} is not among the sources"
                    ));
                }
            }
            let as_it_is = match &model.import {
                super::Recipe::Onnx { file } => self.sources.get(file),
                _ => None,
            };
            match (&model.sha256, as_it_is) {
                (None, None) => {
                    return Some(format!(
                        "models.{name:?}.sha256 is missing: it pins what the import makes"
                    ));
                }
                (Some(sha256), _) if !is_sha256(sha256) => {
                    return Some(format!(
                        "models.{name:?}.sha256 is not 64 hexadecimal digits in lower case"
                    ));
                }
                (Some(sha256), Some(source)) if *sha256 != source.sha256 => {
                    return Some(format!("models.{name:?}.sha256 is not that of its source"));
                }
                _ => {}
            }
        }
        let used = (self.detectors.iter().map(|m| ("detector", &m.model)))
            .chain(self.embedders.iter().map(|m| ("embedder", &m.model)))
            .chain(self.liveness.iter().map(|m| ("liveness", &m.model)));
        for (role, model) in used {
            if !self.models.contains_key(model) {
                return Some(format!("{role}.model {model:?} is not among the models"));
            }
        }
        None
    }

    fn fault_of_detectors(&self) -> Option<String> {
        if let Some(fault) = fault_of_count("detector", self.detectors.len()) {
            return Some(fault);
        }
        let unit = 0.0..=1.0;
        for model in &self.detectors {
            if !unit.contains(&model.score_threshold) || !unit.contains(&model.nms_iou) {
                return Some("detector: score_threshold and nms_iou must be 0..=1".to_owned());
            }
            let common = Common(model.weight, &model.input, model.self_test.as_ref());
            if let Some(fault) = common.fault("detector") {
                return Some(fault);
            }
        }
        None
    }

    fn fault_of_embedders(&self) -> Option<String> {
        if let Some(fault) = fault_of_count("embedder", self.embedders.len()) {
            return Some(fault);
        }
        for model in &self.embedders {
            if !(1..=1024).contains(&model.size) || !(1..=65_536).contains(&model.dimensions) {
                return Some("embedder: size must be 1..=1024 and dimensions 1..=65536".to_owned());
            }
            let points = model.template.points();
            if !points.iter().flatten().all(|value| (-1.0..=2.0).contains(value)) {
                return Some("embedder.template: points are in units of size, between -1 and 2".to_owned());
            }
            if points.iter().all(|point| *point == points[0]) {
                return Some("embedder.template: the points are all in one place".to_owned());
            }
            let common = Common(model.weight, &model.input, model.self_test.as_ref());
            if let Some(fault) = common.fault("embedder") {
                return Some(fault);
            }
        }
        None
    }

    fn fault_of_liveness(&self) -> Option<String> {
        if let Some(fault) = fault_of_count("liveness", self.liveness.len()) {
            return Some(fault);
        }
        for model in &self.liveness {
            let usable_scale = model.crop_scale > 0.0 && model.crop_scale.is_finite();
            if !(1..=1024).contains(&model.size) || !usable_scale {
                return Some("liveness: size must be 1..=1024 and crop_scale above 0".to_owned());
            }
            if !(2..=1024).contains(&model.classes) || model.live_class >= model.classes {
                return Some(
                    "liveness: classes must be 2..=1024 and live_class one of them, from 0".to_owned(),
                );
            }
            let common = Common(model.weight, &model.input, model.self_test.as_ref());
            if let Some(fault) = common.fault("liveness") {
                return Some(fault);
            }
        }
        None
    }
}

fn fault_of_count(role: &str, models: usize) -> Option<String> {
    (!(1..=MAX_MODELS).contains(&models))
        .then(|| format!("{role}: a pack has 1 to {MAX_MODELS} of them, as [[{role}]], not {models}"))
}

/// What the entries of all roles have: weight, pre-processing, self-test.
struct Common<'m>(f64, &'m Preprocessing, Option<&'m SelfTestVector>);

impl Common<'_> {
    fn fault(&self, role: &str) -> Option<String> {
        let Self(weight, input, self_test) = self;
        if !WEIGHTS.contains(weight) {
            let (least, most) = (WEIGHTS.start(), WEIGHTS.end());
            return Some(format!("{role}.weight must be from {least} to {most}"));
        }
        let divides = |std: &f32| std.is_finite() && *std != 0.0;
        if !input.mean.iter().all(|mean| mean.is_finite()) || !input.std.iter().all(divides) {
            return Some(format!("{role}.input: mean must be finite, std finite and not 0"));
        }
        let is_usable = |vector: &SelfTestVector| {
            !vector.values.is_empty()
                && vector.values.iter().all(|value| value.is_finite())
                && vector.tolerance > 0.0
                && vector.tolerance.is_finite()
        };
        if self_test.is_some_and(|vector| !is_usable(vector)) {
            return Some(format!(
                "{role}.self_test: needs finite values and a tolerance above 0"
            ));
        }
        if self_test.is_some_and(|vector| !is_printable(&vector.output)) {
            return Some(format!(
                "{role}.self_test: output must have no control characters"
            ));
        }
        None
    }
}
