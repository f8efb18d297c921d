//! The rules that a manifest must keep.

use super::{
    CropFit, FORMAT, LivenessAdapter, MAX_FILE_BYTES, Manifest, Preprocessing, Recipe, SelfTestVector,
};
use crate::digest::is_sha256;

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

fn require(holds: bool, fault: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(fault()) }
}

/// Some texts are shown on a terminal before the licence is accepted.
fn printable(key: &str, text: &str) -> Check {
    require(!text.chars().any(char::is_control), || {
        format!("{key} must have no control characters")
    })
}

fn plain_name(key: &str, name: &str) -> Check {
    require(is_plain_name(name), || {
        format!("{key} {name:?} is not a plain file name")
    })
}

fn checksum(key: &str, text: &str) -> Check {
    require(is_sha256(text), || {
        format!("{key}.sha256 is not 64 hexadecimal digits in lower case")
    })
}

fn size(key: &str, size: Option<u64>) -> Check {
    require(size <= Some(MAX_FILE_BYTES), || {
        format!("{key}.size is above {MAX_FILE_BYTES}")
    })
}

impl Manifest {
    /// Checks the whole manifest.
    pub(super) fn check(&self) -> Check {
        require(self.format == FORMAT, || {
            format!("format {} is not supported, only {FORMAT}", self.format)
        })?;
        plain_name("name", &self.name)?;
        require((1..=64).contains(&self.version.len()), || {
            "version must have 1 to 64 characters".to_owned()
        })?;
        printable("version", &self.version)?;
        printable("description", &self.description)?;
        self.check_sources()?;
        self.check_models()?;
        self.check_detectors()?;
        self.check_embedders()?;
        self.check_liveness()?;
        if let Some(calibration) = &self.calibration.of_match {
            calibration
                .check()
                .map_err(|fault| format!("calibration.match: {fault}"))?;
        }
        if let Some(calibration) = &self.calibration.of_liveness {
            calibration
                .check()
                .map_err(|fault| format!("calibration.liveness: {fault}"))?;
        }
        Ok(())
    }

    fn check_sources(&self) -> Check {
        for (name, source) in &self.sources {
            plain_name("sources:", name)?;
            let key = format!("sources.{name:?}");
            checksum(&key, &source.sha256)?;
            size(&key, source.size)?;
            printable(&format!("{key}.license"), &source.license)?;
            printable(&format!("{key}.attribution"), &source.attribution)?;
            for url in &source.urls {
                let is_web = url.starts_with("https://") || url.starts_with("http://");
                require(is_web && !url.chars().any(char::is_control), || {
                    format!("{key}.urls: {url:?} is not an http(s) address")
                })?;
            }
        }
        Ok(())
    }

    fn check_models(&self) -> Check {
        for (name, model) in &self.models {
            plain_name("models:", name)?;
            let key = format!("models.{name:?}");
            size(&key, model.size)?;
            for source in model.import.sources() {
                require(self.sources.contains_key(source), || {
                    format!("{key}.import: {source:?} is not among the sources")
                })?;
            }
            if let Recipe::Pytorch { classes, .. } = model.import {
                require(classes.is_none_or(|classes| CLASSES.contains(&classes)), || {
                    format!("{key}.import: classes must be 2..=1024")
                })?;
            }
            let of_source = self.plain_source(model).map(|source| &source.sha256);
            match &model.sha256 {
                None => require(of_source.is_some(), || {
                    format!("{key}.sha256 is missing: it pins the imported model")
                })?,
                Some(sha256) => {
                    checksum(&key, sha256)?;
                    require(of_source.is_none_or(|source| source == sha256), || {
                        format!("{key}.sha256 is not that of its source")
                    })?;
                }
            }
        }
        let used = (self.detectors.iter().map(|m| ("detector", &m.model)))
            .chain(self.embedders.iter().map(|m| ("embedder", &m.model)))
            .chain(self.liveness.iter().map(|m| ("liveness", &m.model)));
        for (role, model) in used {
            require(self.models.contains_key(model), || {
                format!("{role}.model {model:?} is not among the models")
            })?;
        }
        Ok(())
    }

    fn check_detectors(&self) -> Check {
        count("detector", self.detectors.len())?;
        let unit = 0.0..=1.0;
        for model in &self.detectors {
            require(
                unit.contains(&model.score_threshold) && unit.contains(&model.nms_iou),
                || "detector: score_threshold and nms_iou must be 0..=1".to_owned(),
            )?;
            common("detector", model.weight, &model.input, model.self_test.as_ref())?;
        }
        Ok(())
    }

    fn check_embedders(&self) -> Check {
        count("embedder", self.embedders.len())?;
        for model in &self.embedders {
            require(
                (1..=1024).contains(&model.size) && (1..=65_536).contains(&model.dimensions),
                || "embedder: size must be 1..=1024 and dimensions 1..=65536".to_owned(),
            )?;
            let points = model.template.points();
            require(
                points.iter().flatten().all(|value| (-1.0..=2.0).contains(value)),
                || "embedder.template: points are in units of size, between -1 and 2".to_owned(),
            )?;
            require(points.iter().any(|point| *point != points[0]), || {
                "embedder.template: all points are the same".to_owned()
            })?;
            common("embedder", model.weight, &model.input, model.self_test.as_ref())?;
        }
        Ok(())
    }

    fn check_liveness(&self) -> Check {
        count("liveness", self.liveness.len())?;
        for model in &self.liveness {
            require(
                (1..=1024).contains(&model.size) && model.crop_scale > 0.0 && model.crop_scale.is_finite(),
                || "liveness: size must be 1..=1024 and crop_scale above 0".to_owned(),
            )?;
            require(
                CLASSES.contains(&model.classes) && model.live_class < model.classes,
                || "liveness: classes must be 2..=1024 and live_class one of them, from 0".to_owned(),
            )?;
            let is_scaled = model.adapter == LivenessAdapter::ScaledCrop;
            require(is_scaled || model.crop_fit == CropFit::default(), || {
                "liveness.crop_fit is for the adapter scaled-crop".to_owned()
            })?;
            common("liveness", model.weight, &model.input, model.self_test.as_ref())?;
        }
        Ok(())
    }
}

fn count(role: &str, models: usize) -> Check {
    require((1..=MAX_MODELS).contains(&models), || {
        format!("{role}: a pack has 1 to {MAX_MODELS} of them, as [[{role}]], not {models}")
    })
}

/// Checks what the entries of all roles have.
fn common(role: &str, weight: f64, input: &Preprocessing, self_test: Option<&SelfTestVector>) -> Check {
    require(WEIGHTS.contains(&weight), || {
        format!(
            "{role}.weight must be from {} to {}",
            WEIGHTS.start(),
            WEIGHTS.end()
        )
    })?;
    let divides = |std: &f32| std.is_finite() && *std != 0.0;
    require(
        input.mean.iter().all(|mean| mean.is_finite()) && input.std.iter().all(divides),
        || format!("{role}.input: mean must be finite, std finite and not 0"),
    )?;
    let Some(SelfTestVector {
        output,
        values,
        tolerance,
    }) = self_test
    else {
        return Ok(());
    };
    require(
        !values.is_empty()
            && values.iter().all(|value| value.is_finite())
            && *tolerance > 0.0
            && tolerance.is_finite(),
        || format!("{role}.self_test: needs finite values and a tolerance above 0"),
    )?;
    printable(&format!("{role}.self_test.output"), output)
}
