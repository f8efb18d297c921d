//! Calibration files, each bound to the pack that it was measured with.

use std::path::Path;

use likeness_onnx::quote;
use serde::{Deserialize, Serialize};

use crate::files::read_text;
use crate::{LivenessCalibration, Manifest, MatchCalibration, PackError};

/// The format of calibration files that this version reads and writes.
const FORMAT: u32 = 1;

/// Largest calibration file in bytes. One has a few dozen lines.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// The calibration in a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Calibration {
    /// For the match confidence.
    Match(MatchCalibration),
    /// For the liveness score.
    Liveness(LivenessCalibration),
}

/// A calibration with the pack that it was measured with, as `likeness calibrate` writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationFile {
    /// Version of the format; 1.
    format: u32,
    /// Name of the pack.
    pub pack: String,
    /// Version of the pack.
    pub pack_version: String,
    /// Digest of the pack's manifest, which pins its files: [`Manifest::digest`](crate::Manifest::digest).
    pub pack_digest: String,
    /// The calibration.
    pub calibration: Calibration,
}

impl CalibrationFile {
    /// Makes a file for a calibration of this pack's scores.
    ///
    /// # Errors
    /// [`PackError::Calibration`] if the calibration is invalid.
    pub fn new(
        pack: &str,
        pack_version: &str,
        pack_digest: &str,
        calibration: Calibration,
    ) -> Result<Self, PackError> {
        let file = Self {
            format: FORMAT,
            pack: pack.to_owned(),
            pack_version: pack_version.to_owned(),
            pack_digest: pack_digest.to_owned(),
            calibration,
        };
        file.check("the calibration")?;
        Ok(file)
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`PackError::Unreadable`], or [`PackError::Calibration`] naming the key. Unknown keys are errors.
    pub fn read(path: &Path) -> Result<Self, PackError> {
        let place = path.display().to_string();
        // Not a pipe, which might never end.
        if !std::fs::metadata(path)
            .map_err(PackError::unreadable(path))?
            .is_file()
        {
            return Err(fault(&place, "it is not a file".to_owned()));
        }
        let text = read_text(path, MAX_FILE_BYTES)?.map_err(|reason| fault(&place, reason))?;
        Self::parse(&place, &text)
    }

    /// Parses the text of a file; `place` is its name in errors.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(place: &str, text: &str) -> Result<Self, PackError> {
        let file: Self =
            toml::from_str(text).map_err(|error| fault(place, quote::message(&error.to_string())))?;
        file.check(place)?;
        Ok(file)
    }

    /// Returns the text of the file.
    ///
    /// # Errors
    /// None known: every calibration can be written as TOML.
    pub fn to_toml(&self) -> Result<String, PackError> {
        toml::to_string(self).map_err(|error| fault("the calibration", error.to_string()))
    }

    /// Checks that the calibration was measured with this pack.
    ///
    /// # Errors
    /// [`PackError::Calibration`] if it was measured with another one.
    pub fn check_pack(&self, place: &str, manifest: &Manifest) -> Result<(), PackError> {
        if (&self.pack, &self.pack_version, &self.pack_digest)
            == (&manifest.name, &manifest.version, &manifest.digest)
        {
            return Ok(());
        }
        Err(fault(
            place,
            format!(
                "it was measured with pack {} {} ({}), but pack {} {} ({}) is in use, whose scores may mean something else: \
                 calibrate again",
                self.pack,
                self.pack_version,
                self.pack_digest,
                manifest.name,
                manifest.version,
                manifest.digest
            ),
        ))
    }

    fn check(&self, place: &str) -> Result<(), PackError> {
        let checked = match &self.calibration {
            _ if self.format != FORMAT => {
                Err(format!("format {} is not supported, only {FORMAT}", self.format))
            }
            Calibration::Match(calibration) => calibration.check(),
            Calibration::Liveness(calibration) => calibration.check(),
        };
        checked.map_err(|reason| fault(place, reason))
    }
}

fn fault(place: &str, reason: String) -> PackError {
    PackError::Calibration {
        place: place.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::tests::{of_liveness, of_match};

    #[test]
    fn what_is_written_reads_back() {
        for calibration in [
            Calibration::Match(of_match()),
            Calibration::Liveness(of_liveness(&[(0.5, 0.4), (0.9, 0.6)])),
        ] {
            let file = CalibrationFile::new("open-1", "2", "0123abcd", calibration).unwrap();
            let text = file.to_toml().unwrap();
            assert_eq!(CalibrationFile::parse("x.toml", &text).unwrap(), file, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let text = CalibrationFile::new("open-1", "2", "0123abcd", Calibration::Match(of_match()))
            .unwrap()
            .to_toml()
            .unwrap();
        for (from, to, expected) in [
            ("format = 1", "format = 9", "format 9 is not supported"),
            ("confidence = 0.56", "confidence = 0.3", "must ascend"),
            (
                "similarity = 0.4",
                "similarity = 1.4",
                "similarity must be -1..=1",
            ),
            (
                "false_match_rate = 0.0001",
                "false_match_rate = 0.1",
                "false_match_rate must fall",
            ),
            ("from = 0.1", "from = 0.6", "from must be below to"),
            ("from = 0.1", "from = nan", "from must be below to"),
            ("name = \"branch\"", "name = \"\"", "name must have"),
            ("name = \"branch\"", "name = \"a\\nb\"", "name must have"),
            ("people = 10", "people = 10\ncolour = 1", "unknown field `colour`"),
            (
                "calibration.match",
                "calibration.voice",
                "unknown variant `voice`",
            ),
        ] {
            assert!(text.contains(from), "{from} in {text}");
            let error = CalibrationFile::parse("x.toml", &text.replace(from, to))
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("x.toml") && error.contains(expected),
                "{to}: {error}"
            );
        }
    }

    #[test]
    fn a_calibration_goes_with_the_pack_that_it_was_measured_with() {
        let mut manifest = Manifest::builtin("open-1").unwrap().unwrap();
        let file = |manifest: &Manifest| {
            let calibration = Calibration::Match(of_match());
            CalibrationFile::new(&manifest.name, &manifest.version, &manifest.digest, calibration).unwrap()
        };
        let measured = file(&manifest);
        assert!(measured.check_pack("x.toml", &manifest).is_ok());
        // The same name and version, but made otherwise.
        manifest.digest = "0123abcd".to_owned();
        let error = measured.check_pack("x.toml", &manifest).unwrap_err().to_string();
        assert!(error.contains("(0123abcd) is in use"), "{error}");
        manifest = Manifest::builtin("open-1").unwrap().unwrap();
        manifest.version = "0".to_owned();
        assert!(measured.check_pack("x.toml", &manifest).is_err());
    }

    #[test]
    fn an_oversized_missing_or_irregular_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.toml");
        std::fs::write(&path, vec![b'#'; 70_000]).unwrap();
        let error = CalibrationFile::read(&path).unwrap_err().to_string();
        assert!(error.contains("more than 65536 bytes are too many"), "{error}");
        let absent = CalibrationFile::read(&folder.path().join("absent.toml"));
        assert!(matches!(absent, Err(PackError::Unreadable { .. })));
        let error = CalibrationFile::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("it is not a file"), "{error}");
    }
}
