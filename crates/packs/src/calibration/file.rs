//! Calibrations in files of their own, bound to the pack that they were measured with.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{LivenessCalibration, MatchCalibration};
use likeness_onnx::quote;

use crate::{Manifest, PackError};

/// The format of calibration files that this version reads and writes.
const FORMAT: u32 = 1;

/// Largest calibration file in bytes. One has a few dozen lines.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// What a calibration file holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Calibration {
    /// Of the match confidence.
    Match(MatchCalibration),
    /// Of the liveness.
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
    /// A calibration of this pack's scores.
    ///
    /// # Errors
    /// [`PackError::Calibration`] where the calibration is none.
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

    /// Reads a file and checks it.
    ///
    /// # Errors
    /// [`PackError::Unreadable`], or [`PackError::Calibration`] naming the key. Unknown keys are errors.
    pub fn read(path: &Path) -> Result<Self, PackError> {
        let place = path.display().to_string();
        let unreadable = |source| PackError::Unreadable {
            path: path.to_owned(),
            source,
        };
        // Not a pipe, which might never end; and no more of it than a calibration can have.
        if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(fault(&place, "it is no file".to_owned()));
        }
        let bytes = crate::store::read(path, MAX_FILE_BYTES + 1)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(fault(
                &place,
                format!("more than {MAX_FILE_BYTES} bytes are too many for a calibration"),
            ));
        }
        let text = String::from_utf8(bytes).map_err(|_| fault(&place, "it is not UTF-8".to_owned()))?;
        Self::parse(&place, &text)
    }

    /// Reads the text of a file; `place` is what errors call it.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(place: &str, text: &str) -> Result<Self, PackError> {
        let file: Self =
            toml::from_str(text).map_err(|error| fault(place, quote::message(&error.to_string())))?;
        file.check(place)?;
        Ok(file)
    }

    /// The text of a file.
    ///
    /// # Errors
    /// None that is known of: every calibration can be written as TOML.
    pub fn to_toml(&self) -> Result<String, PackError> {
        toml::to_string(self).map_err(|error| fault("the calibration", error.to_string()))
    }

    /// Whether the calibration may be used with a pack.
    ///
    /// # Errors
    /// [`PackError::Calibration`] where it was measured with another one.
    pub fn check_pack(&self, place: &str, manifest: &Manifest) -> Result<(), PackError> {
        let found = (
            self.pack.as_str(),
            self.pack_version.as_str(),
            self.pack_digest.as_str(),
        );
        if found == (&manifest.name, &manifest.version, &manifest.digest) {
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
        let wrong = if self.format == FORMAT {
            match &self.calibration {
                Calibration::Match(calibration) => calibration.fault(),
                Calibration::Liveness(calibration) => calibration.fault(),
            }
        } else {
            Some(format!("format {} is not supported, only {FORMAT}", self.format))
        };
        wrong.map_or(Ok(()), |reason| Err(fault(place, reason)))
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
    use super::super::tests::{of_liveness, of_match};
    use super::*;

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
    fn a_file_that_is_none_is_not_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.toml");
        std::fs::write(&path, vec![b'#'; 70_000]).unwrap();
        let error = CalibrationFile::read(&path).unwrap_err().to_string();
        assert!(error.contains("more than 65536 bytes are too many"), "{error}");
        let absent = CalibrationFile::read(&folder.path().join("absent.toml"));
        assert!(matches!(absent, Err(PackError::Unreadable { .. })));
        let error = CalibrationFile::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("it is no file"), "{error}");
    }
}
