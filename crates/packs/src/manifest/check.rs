//! The rules that a manifest must keep.

use super::{CropFit, FORMAT, LivenessAdapter, MAX_FILE_BYTES, Manifest, Recipe};
use crate::files::is_sha256;

/// Most models of one role.
const MAX_MODELS: usize = 8;

/// Classes that a liveness model may have.
const CLASSES: std::ops::RangeInclusive<usize> = 2..=1024;

/// Accepted weights: any unit will do, and sums and shares of some stay numbers.
const WEIGHTS: std::ops::RangeInclusive<f64> = 1e-6..=1e6;

/// Whether a name cannot lead out of its folder.
pub(crate) fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// A fault, with the key.
type Check = Result<(), String>;

/// Some texts are shown on a terminal before the licence is accepted.
fn printable(key: &str, text: &str) -> Check {
    if text.chars().any(char::is_control) {
        return Err(format!("{key} must have no control characters"));
    }
    Ok(())
}

fn plain_name(key: &str, name: &str) -> Check {
    if !is_plain_name(name) {
        return Err(format!("{key} {name:?} is not a plain file name"));
    }
    Ok(())
}

/// Checks what pins a file.
fn pin(key: &str, size: Option<u64>, sha256: &str) -> Check {
    if size > Some(MAX_FILE_BYTES) {
        return Err(format!("{key}.size is above {MAX_FILE_BYTES}"));
    }
    if !is_sha256(sha256) {
        return Err(format!("{key}.sha256 is not 64 hexadecimal digits in lower case"));
    }
    Ok(())
}

impl Manifest {
    /// Checks the whole manifest.
    pub(super) fn check(&self) -> Check {
        if self.format != FORMAT {
            return Err(format!("format {} is not supported, only {FORMAT}", self.format));
        }
        plain_name("name", &self.name)?;
        if !(1..=64).contains(&self.version.len()) {
            return Err("version must have 1 to 64 characters".to_owned());
        }
        printable("version", &self.version)?;
        printable("description", &self.description)?;
        for note in &self.license_notes {
            printable("license_notes", note)?;
        }
        self.check_sources()?;
        self.check_models()?;
        self.check_roles()?;
        self.check_entries()?;
        if let Some(calibration) = &self.calibration.of_match {
            let checked = calibration.check();
            checked.map_err(|fault| format!("calibration.match: {fault}"))?;
            if calibration.cohort.is_some() {
                return Err(
                    "calibration.match: a calibration with a cohort is calibration.normalised".to_owned(),
                );
            }
        }
        if let Some(calibration) = &self.calibration.normalised {
            let checked = calibration.check();
            checked.map_err(|fault| format!("calibration.normalised: {fault}"))?;
            let cohort = calibration.cohort.as_ref();
            if cohort.is_none_or(|cohort| cohort.file.is_none()) {
                return Err("calibration.normalised: cohort needs file and sha256".to_owned());
            }
        }
        if let Some(calibration) = &self.calibration.of_liveness {
            let checked = calibration.check();
            checked.map_err(|fault| format!("calibration.liveness: {fault}"))?;
        }
        Ok(())
    }

    fn check_sources(&self) -> Check {
        for (name, source) in &self.sources {
            plain_name("sources:", name)?;
            let key = format!("sources.{name:?}");
            pin(&key, source.size, &source.sha256)?;
            printable(&format!("{key}.license"), &source.license)?;
            printable(&format!("{key}.attribution"), &source.attribution)?;
            for url in &source.urls {
                let is_web = url.starts_with("https://") || url.starts_with("http://");
                if !is_web || url.chars().any(char::is_control) {
                    return Err(format!("{key}.urls: {url:?} is not an http(s) address"));
                }
            }
            for package in &source.packages {
                let checked = package.check();
                checked.map_err(|fault| format!("{key}.packages: {fault}"))?;
            }
        }
        Ok(())
    }

    fn check_models(&self) -> Check {
        for (name, model) in &self.models {
            plain_name("models:", name)?;
            let key = format!("models.{name:?}");
            for source in model.import.sources() {
                if !self.sources.contains_key(source) {
                    return Err(format!("{key}.import: {source:?} is not among the sources"));
                }
            }
            if let Recipe::Pytorch {
                classes: Some(classes),
                ..
            } = model.import
                && !CLASSES.contains(&classes)
            {
                return Err(format!("{key}.import: classes must be 2..=1024"));
            }
            let of_source = self.plain_source(model).map(|source| &source.sha256);
            let Some(sha256) = model.sha256.as_ref().or(of_source) else {
                return Err(format!("{key}.sha256 is missing: it pins the imported model"));
            };
            pin(&key, model.size, sha256)?;
            if of_source.is_some_and(|source| source != sha256) {
                return Err(format!("{key}.sha256 is not that of its source"));
            }
        }
        Ok(())
    }

    /// Checks what the entries of one role alone have.
    fn check_roles(&self) -> Check {
        let counts = [
            ("detector", self.detectors.len()),
            ("embedder", self.embedders.len()),
            ("liveness", self.liveness.len()),
        ];
        for (role, models) in counts {
            if !(1..=MAX_MODELS).contains(&models) {
                return Err(format!(
                    "{role}: a pack has 1 to {MAX_MODELS} of them, as [[{role}]], not {models}"
                ));
            }
        }
        let unit = 0.0..=1.0;
        for model in &self.detectors {
            if !(unit.contains(&model.score_threshold) && unit.contains(&model.nms_iou)) {
                return Err("detector: score_threshold and nms_iou must be 0..=1".to_owned());
            }
            if !model.upright_score.is_none_or(|score| unit.contains(&score)) {
                return Err("detector: upright_score must be 0..=1".to_owned());
            }
        }
        for model in &self.embedders {
            if !((1..=1024).contains(&model.size) && (1..=65_536).contains(&model.dimensions)) {
                return Err("embedder: size must be 1..=1024 and dimensions 1..=65536".to_owned());
            }
            let points = model.template.points();
            if !points.iter().flatten().all(|value| (-1.0..=2.0).contains(value)) {
                return Err("embedder.template: points are in units of size, between -1 and 2".to_owned());
            }
            if points.iter().all(|point| *point == points[0]) {
                return Err("embedder.template: all points are the same".to_owned());
            }
        }
        for model in &self.liveness {
            let has_scale = model.crop_scale > 0.0 && model.crop_scale.is_finite();
            if !((1..=1024).contains(&model.size) && has_scale) {
                return Err("liveness: size must be 1..=1024 and crop_scale above 0".to_owned());
            }
            if !(CLASSES.contains(&model.classes) && model.live_class < model.classes) {
                let fault = "liveness: classes must be 2..=1024 and live_class one of them, from 0";
                return Err(fault.to_owned());
            }
            if model.adapter != LivenessAdapter::ScaledCrop && model.crop_fit != CropFit::default() {
                return Err("liveness.crop_fit is for the adapter scaled-crop".to_owned());
            }
        }
        Ok(())
    }

    /// Checks what the entries of all roles have.
    fn check_entries(&self) -> Check {
        let detectors = self.detectors.iter();
        let detectors = detectors.map(|m| ("detector", &m.model, m.weight, &m.input, &m.self_test));
        let embedders = self.embedders.iter();
        let embedders = embedders.map(|m| ("embedder", &m.model, m.weight, &m.input, &m.self_test));
        let liveness = self.liveness.iter();
        let liveness = liveness.map(|m| ("liveness", &m.model, m.weight, &m.input, &m.self_test));
        let divides = |std: &f32| std.is_finite() && *std != 0.0;
        for (role, model, weight, input, self_test) in detectors.chain(embedders).chain(liveness) {
            if !self.models.contains_key(model) {
                return Err(format!("{role}.model {model:?} is not among the models"));
            }
            if !WEIGHTS.contains(&weight) {
                let (least, most) = (WEIGHTS.start(), WEIGHTS.end());
                return Err(format!("{role}.weight must be from {least} to {most}"));
            }
            if !(input.mean.iter().all(|mean| mean.is_finite()) && input.std.iter().all(divides)) {
                return Err(format!("{role}.input: mean must be finite, std finite and not 0"));
            }
            let Some(test) = self_test else { continue };
            let are_finite = !test.values.is_empty() && test.values.iter().all(|value| value.is_finite());
            if !(are_finite && test.tolerance > 0.0 && test.tolerance.is_finite()) {
                return Err(format!(
                    "{role}.self_test: needs finite values and a tolerance above 0"
                ));
            }
            printable(&format!("{role}.self_test.output"), &test.output)?;
        }
        Ok(())
    }
}
