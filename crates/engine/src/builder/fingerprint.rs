//! Whether an engine that is built now would be another one than before.

use likeness_packs::{Calibration, CalibrationFile};

use super::{BuildError, EngineBuilder};

/// What an engine without a pack is told by.
const CUSTOM: &str = "custom models";

impl EngineBuilder {
    /// Identifies the pack and the calibration files as they are in this moment: the pack's name, version and digest, and
    /// a digest of each calibration. It changes when [`build`](Self::build) would build another engine, and is readable,
    /// for logs. It costs little: of the pack only the manifest is read, which pins the files, and no model is looked at.
    /// So it says nothing of whether the files are there and right; `build` does.
    ///
    /// # Errors
    /// [`BuildError::Models`] where the manifest or a calibration is missing or wrong.
    pub fn fingerprint(&self) -> Result<String, BuildError> {
        let mut parts = Vec::new();
        if self.needs_pack() {
            let manifest = self.model_store()?.manifest(&self.pack)?;
            parts.push(format!(
                "{} {} ({})",
                manifest.name, manifest.version, manifest.digest
            ));
        } else {
            parts.push(CUSTOM.to_owned());
        }
        for path in &self.calibrations {
            let file = CalibrationFile::read(path)?;
            let (role, calibration) = match &file.calibration {
                Calibration::Match(calibration) => ("match", calibration.describe()),
                Calibration::Liveness(calibration) => ("liveness", calibration.describe()),
            };
            // The pack that it is for decides whether it may be used at all.
            parts.push(format!(
                "{role} calibration {calibration} for {} {} ({})",
                file.pack, file.pack_version, file.pack_digest
            ));
        }
        Ok(parts.join(", "))
    }
}
