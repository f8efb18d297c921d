//! The ONNX Runtime library, out of the wheel that `onnxruntime.toml` pins for this platform.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::member::read_member;
use super::packages::Packages;
use super::stop::Stop;
use super::{Event, Pull, Step, Watcher};
use crate::files::sha256;
use crate::manifest::{PackageFile, Registry};
use crate::store::{create_folder, write_atomically};
use crate::{FailureKind, FetchFailure, PackError};

const PINNED: &str = include_str!("../../onnxruntime.toml");

/// Most bytes of a file that is taken out of the wheel; the largest pinned library has 35 MB.
const MAX_BYTES: u64 = 1 << 28;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pinned {
    version: String,
    python: String,
    notices: Vec<String>,
    wheels: Vec<Wheel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wheel {
    os: String,
    arch: String,
    platform: String,
    sha256: String,
    path: String,
    library: String,
    library_sha256: String,
}

/// The notices of the wheel: name and bytes of each.
type Notices = Vec<(String, Vec<u8>)>;

/// The library that is pinned for a platform.
pub(super) struct Library {
    python: String,
    notices: Vec<String>,
    wheel: Wheel,
    package: PackageFile,
}

impl Library {
    /// Returns that of this platform.
    pub(super) fn pinned() -> Result<Self, PackError> {
        // The wheels of Linux are linked to glibc.
        let environment = if cfg!(target_env = "musl") { " (musl)" } else { "" };
        Self::pinned_for(
            &format!("{}{environment}", std::env::consts::OS),
            std::env::consts::ARCH,
        )
    }

    fn pinned_for(os: &str, arch: &str) -> Result<Self, PackError> {
        let none = || PackError::LibraryNotPinned {
            platform: format!("{os} on {arch}"),
        };
        // A test parses the file.
        let pinned: Pinned = toml::from_str(PINNED).map_err(|_| none())?;
        let mut wheels = pinned.wheels.into_iter();
        let wheel = wheels.find(|wheel| wheel.os == os && wheel.arch == arch);
        let wheel = wheel.ok_or_else(none)?;
        let package = PackageFile {
            registry: Registry::Pypi,
            name: "onnxruntime".to_owned(),
            version: pinned.version,
            sha256: wheel.sha256.clone(),
            path: wheel.path.clone(),
        };
        Ok(Self {
            python: pinned.python,
            notices: pinned.notices,
            wheel,
            package,
        })
    }

    /// Fetches it into a folder, unless it is there.
    pub(super) fn fetch(&self, pull: &Pull, folder: &Path, watch: Watcher<'_>) -> Result<PathBuf, PackError> {
        let path = folder.join(&self.wheel.library);
        if is_file(&path, &self.wheel.library_sha256) {
            return Ok(path);
        }
        let from = self.package.to_string();
        let announce = |step| {
            watch(Event::File {
                file: &self.wheel.library,
                from: &from,
                step,
            });
        };
        let not_fetched = |failure| PackError::LibraryNotFetched {
            package: from.clone(),
            failure,
        };
        announce(Step::Fetching { size: None, there: 0 });
        let (library, notices) = self.read(pull).map_err(|stop| match stop {
            Stop::Place(failure) => not_fetched(failure),
            Stop::Store(error) => error,
        })?;
        create_folder(folder)?;
        // The library last: what is there is whole.
        let notices = notices.iter().map(|(name, bytes)| (folder.join(name), bytes));
        for (path, bytes) in notices.chain([(path.clone(), &library)]) {
            write_atomically(folder, &path, |file| {
                file.write_all(bytes).map_err(PackError::unwritable(&path))
            })?;
        }
        announce(Step::Fetched(library.len() as u64));
        Ok(path)
    }

    /// Returns the bytes of the library and of its notices.
    fn read(&self, pull: &Pull) -> Result<(Vec<u8>, Notices), Stop> {
        let packages = Packages::new(pull.retry.client_timeout, &pull.cancellation);
        let (platform, python) = (&self.wheel.platform, &self.python);
        let options = [
            "--platform",
            platform,
            "--python-version",
            python,
            "--implementation",
            "cp",
        ];
        self.take(&packages.archive_for(&self.package, &options)?)
    }

    /// Takes both out of the wheel.
    fn take(&self, wheel: &Path) -> Result<(Vec<u8>, Notices), Stop> {
        let take = |member: &str| read_member(wheel, member, |_, bytes| Ok(read_all(bytes)?));
        let library = take(&self.package.path)?;
        let (expected, found) = (&self.wheel.library_sha256, sha256(&library));
        if found != *expected {
            return Err(fault(format!(
                "not the library: expected SHA-256 {expected}, found {found}"
            ))
            .into());
        }
        let named = |member: &String| {
            let name = member.rsplit('/').next().unwrap_or(member);
            Ok((name.to_owned(), take(member)?))
        };
        Ok((
            library,
            self.notices.iter().map(named).collect::<Result<_, Stop>>()?,
        ))
    }
}

fn read_all(file: &mut dyn Read) -> Result<Vec<u8>, FetchFailure> {
    let mut bytes = Vec::new();
    let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| fault(format!("its archive is damaged: {error}")))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(fault(format!("a file of more than {MAX_BYTES} bytes")));
    }
    Ok(bytes)
}

fn fault(reason: String) -> FetchFailure {
    FetchFailure::new(FailureKind::WrongFile, reason)
}

/// Whether this is a file with the SHA-256.
fn is_file(path: &Path, expected: &str) -> bool {
    let read = || {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).ok()?;
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    };
    // Not a pipe, which would block.
    path.is_file() && read().is_some_and(|bytes| sha256(&bytes) == expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_platform_has_a_library_under_the_name_that_is_searched() {
        for (os, arch, name) in [
            ("linux", "x86_64", "libonnxruntime.so"),
            ("linux", "aarch64", "libonnxruntime.so"),
            ("macos", "aarch64", "libonnxruntime.dylib"),
            ("windows", "x86_64", "onnxruntime.dll"),
        ] {
            let Library { wheel, package, .. } = Library::pinned_for(os, arch).unwrap();
            assert_eq!(wheel.library, name);
            assert!(crate::files::is_sha256(&wheel.library_sha256));
            assert!(crate::files::is_sha256(&package.sha256));
        }
    }

    #[test]
    fn another_platform_is_an_error_that_names_it() {
        let error = Library::pinned_for("linux (musl)", "x86_64").err().unwrap();
        assert_eq!(
            error.to_string(),
            "no ONNX Runtime library is pinned for linux (musl) on x86_64; install version 1.24 or newer, and name its \
             library with ORT_DYLIB_PATH=FILE"
        );
    }

    /// A library of these bytes, pinned for this platform.
    fn library(bytes: &[u8]) -> Library {
        let mut library = Library::pinned_for("linux", "x86_64").unwrap();
        library.wheel.library_sha256 = sha256(bytes);
        library
    }

    /// A wheel with these bytes as its library.
    fn wheel(folder: &Path, bytes: &[u8]) -> PathBuf {
        let path = folder.join("onnxruntime.whl");
        let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
        let options = zip::write::SimpleFileOptions::default();
        let Library { package, notices, .. } = library(bytes);
        let notices = notices.into_iter().map(|name| (name, &b"MIT License"[..]));
        for (name, bytes) in notices.chain([(package.path, bytes)]) {
            zip.start_file(name, options).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
        path
    }

    #[test]
    fn library_and_notices_are_taken_out_of_the_wheel() {
        let folder = tempfile::tempdir().unwrap();
        let wheel = wheel(folder.path(), b"machine code");
        let taken = library(b"machine code").take(&wheel).ok().unwrap();
        let notices =
            ["LICENSE", "ThirdPartyNotices.txt"].map(|name| (name.to_owned(), b"MIT License".to_vec()));
        assert_eq!(taken, (b"machine code".to_vec(), notices.to_vec()));
    }

    #[test]
    fn a_library_with_another_checksum_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let wheel = wheel(folder.path(), b"other code");
        let Err(Stop::Place(failure)) = library(b"machine code").take(&wheel) else {
            panic!("taken");
        };
        assert_eq!(failure.kind, FailureKind::WrongFile);
        assert!(
            failure.reason.starts_with("not the library: expected SHA-256"),
            "{failure}"
        );
    }

    #[test]
    fn a_library_that_is_there_is_neither_fetched_nor_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libonnxruntime.so");
        std::fs::write(&path, b"machine code").unwrap();
        // Whatever would be started ends here.
        let pull = Pull::default();
        pull.cancellation.cancel();
        let watch = |event: Event<'_>| panic!("{event:?}");
        let found = library(b"machine code")
            .fetch(&pull, folder.path(), &watch)
            .unwrap();
        assert_eq!(found, path);
        // One that is not right is not left alone.
        std::fs::write(&path, b"half of it").unwrap();
        let error = library(b"machine code")
            .fetch(&pull, folder.path(), &|_| {})
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot fetch the ONNX Runtime library: PyPI package onnxruntime 1.32.0: cancelled\npoint pip at a mirror that has \
             it, or install version 1.24 or newer and name its library with ORT_DYLIB_PATH=FILE"
        );
    }
}
