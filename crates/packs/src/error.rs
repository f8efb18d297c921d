//! The error of this crate: what is wrong with a pack, its files, the model store or the network.

use std::path::{Path, PathBuf};

use likeness_onnx::OnnxError;

/// How to get the files of a pack; part of every message about a missing file.
const HINT: &str = "run `likeness models pull` (with --mirror or LIKENESS_MODEL_MIRROR from your own folder or server, \
                    with --from from an archive of `likeness models export`), or name a model store that has them with \
                    --models DIR or LIKENESS_MODELS=DIR";

/// Any failure of this crate, for the operator to resolve; the message says how.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum PackError {
    /// No folder is a model store: every place that was searched, with the reason why it is none.
    #[error("no model store found; searched:\n{}\n{HINT}", list(.searched))]
    NoStore { searched: Vec<String> },
    /// The pack is neither among the built-in ones nor installed, where its manifest would be.
    #[error("unknown model pack '{name}': it is not built in ({builtin}), and there is no {}", manifest.display())]
    UnknownPack {
        name: String,
        builtin: String,
        manifest: PathBuf,
    },
    /// The manifest of a pack, or that in a file, is invalid; the reason has the key.
    #[error("model pack '{pack}': {reason}")]
    Manifest { pack: String, reason: String },
    /// The calibration in a file is invalid, where the reason has the key, or belongs to another pack.
    #[error("calibration {place}: {reason}")]
    Calibration { place: String, reason: String },
    /// A model of the pack is not in the model store.
    #[error("model pack '{pack}': model '{file}' is missing (there is no {}); {HINT}", path.display())]
    MissingFile {
        pack: String,
        file: String,
        path: PathBuf,
    },
    /// The cohort of the pack is neither in the model store nor beside its manifest.
    #[error(
        "model pack '{pack}': its cohort '{file}' is missing (there is no {}); put it beside pack.toml, or {HINT}",
        path.display()
    )]
    MissingCohort {
        pack: String,
        file: String,
        path: PathBuf,
    },
    /// A file of the pack has another SHA-256, or is larger, than the manifest says.
    #[error(
        "model pack '{pack}': {} is not the file of this pack: expected SHA-256 {expected}, found {found}; delete it \
         and {HINT}", path.display()
    )]
    WrongFile {
        pack: String,
        path: PathBuf,
        expected: String,
        found: String,
    },
    /// A file exists but cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    /// A file or folder cannot be written.
    #[error("{}", unwritable(path, source))]
    Unwritable { path: PathBuf, source: std::io::Error },
    /// Another process is writing to the model store and holds its lock.
    #[error(
        "another process is pulling into this model store (it holds {}); wait for it, or pull again later",
        lock.display()
    )]
    StoreBusy { lock: PathBuf },
    /// The licences do not allow commercial use and were not accepted: file, licence and author, one line each.
    #[error(
        "model pack '{pack}' is not free for commercial use, by the licences of its files:\n{}\n\
         give --accept-license if you may use it under these licences", list(.licenses)
    )]
    License { pack: String, licenses: Vec<String> },
    /// Files, in the order of the manifest, are available from none of their places.
    #[error("{}", not_fetched(pack, files))]
    NotFetched { pack: String, files: Vec<NotFetched> },
    /// No ONNX Runtime library is pinned for this platform.
    #[error(
        "no ONNX Runtime library is pinned for {platform}; install version 1.24 or newer, and name its library with \
         ORT_DYLIB_PATH=FILE"
    )]
    LibraryNotPinned { platform: String },
    /// The ONNX Runtime library is not available.
    #[error(
        "cannot fetch the ONNX Runtime library: {package}: {failure}\npoint pip at a mirror that has it, or install version \
         1.24 or newer and name its library with ORT_DYLIB_PATH=FILE"
    )]
    LibraryNotFetched { package: String, failure: FetchFailure },
    /// A model cannot be imported from its sources.
    #[error("model pack '{pack}': cannot import model '{model}' from its sources: {source}")]
    Import {
        pack: String,
        model: String,
        source: Box<ImportError>,
    },
    /// The import gave another checksum or size than the manifest says.
    #[error(
        "model pack '{pack}': the import of model '{model}' gave another file: expected {expected}, found {found}; this \
         version of likeness ({}) does not fit the pack: use the version that the pack was made with, or a newer pack",
        env!("CARGO_PKG_VERSION")
    )]
    WrongModel {
        pack: String,
        model: String,
        expected: String,
        found: String,
    },
    /// A file was given for a source that the pack does not have.
    #[error("model pack '{pack}' has no source '{name}'; it has: {known}")]
    UnknownSource {
        pack: String,
        name: String,
        known: String,
    },
    /// A built-in pack was to be installed.
    #[error("model pack '{pack}' is built in and needs no manifest in the model store: omit --install")]
    BuiltIn { pack: String },
    /// The mirror's address has an `@` in it, which may end credentials. It is not shown.
    #[error(
        "the mirror's address has an `@` in it: credentials in an address are not supported (another `@` is written %40)"
    )]
    MirrorCredentials,
    /// The mirror's folder does not exist.
    #[error("the mirror {} is not a folder; name a folder or an http(s) address with --mirror or LIKENESS_MODEL_MIRROR", folder.display())]
    NoMirror { folder: PathBuf },
    /// A model archive is damaged, hostile, or of another pack; the reason says what was taken before the fault.
    #[error("{}: {reason}", path.display())]
    Archive { path: PathBuf, reason: String },
}

impl PackError {
    /// For `map_err`: this path cannot be read.
    pub(crate) fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Unreadable { path, source }
    }

    /// For `map_err`: this path cannot be written.
    #[cfg(feature = "fetch")]
    pub(crate) fn unwritable(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Unwritable { path, source }
    }
}

fn unwritable(path: &Path, source: &std::io::Error) -> String {
    use std::io::ErrorKind as Kind;
    let path = path.display();
    match source.kind() {
        Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => {
            format!("no room for {path}: {source}; make room and pull again: it resumes what has arrived")
        }
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => format!(
            "cannot write {path}: {source}; pull as a user with write access, or into another model store with \
             --models DIR or LIKENESS_MODELS=DIR"
        ),
        _ => format!("cannot write {path}: {source}"),
    }
}

/// Why a model cannot be imported from its sources.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A source cannot be read.
    #[error(transparent)]
    Source(#[from] PackError),
    /// A source cannot be imported.
    #[error("{file}: {source}")]
    Invalid {
        /// The source.
        file: String,
        /// The cause.
        source: OnnxError,
    },
}

/// A file that is available from none of its places.
#[derive(Debug)]
#[non_exhaustive]
pub struct NotFetched {
    /// Its name in the manifest.
    pub file: String,
    /// Every place that was tried, with its failure.
    pub tried: Vec<(String, FetchFailure)>,
}

/// Why one place did not deliver a file.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
#[non_exhaustive]
pub struct FetchFailure {
    /// What can be done about it.
    pub kind: FailureKind,
    /// The failure.
    pub reason: String,
}

/// What can be done about a [`FetchFailure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// The place does not have the file or does not hand it out.
    Unavailable,
    /// The server failed or is busy: a later attempt may succeed.
    Temporary,
    /// No connection, or one that broke, fell silent or ended early; what has arrived is kept.
    Network,
    /// The server's certificate is not trusted, or no root certificate is available.
    Tls,
    /// The place has another file than the manifest says.
    WrongFile,
}

#[cfg(feature = "fetch")]
impl FetchFailure {
    pub(crate) fn new(kind: FailureKind, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { kind, reason }
    }
}

fn list(lines: &[String]) -> String {
    format!("  - {}", lines.join("\n  - "))
}

fn not_fetched(pack: &str, files: &[NotFetched]) -> String {
    let mut text = format!("model pack '{pack}': cannot fetch all files:");
    for NotFetched { file, tried } in files {
        text += &format!("\n  {file}");
        for (place, failure) in tried {
            text += &format!("\n    - {place}: {failure}");
        }
        if tried.is_empty() {
            text += &format!(
                "\n    - the manifest has no address and no package for it, and it is not beside the manifest: bring the file and name it \
                 with --source {file}=FILE"
            );
        }
    }
    let remedies = [
        (
            FailureKind::WrongFile,
            "\nthe files there are not those of the manifest: nothing of them was kept",
        ),
        (
            FailureKind::Tls,
            "\nif your network has its own certificates, name a CA bundle with SSL_CERT_FILE",
        ),
        (
            FailureKind::Network,
            "\nincomplete files were kept: pull again to resume them",
        ),
    ];
    for (kind, remedy) in remedies {
        let mut failures = files.iter().flat_map(|file| &file.tried);
        if failures.any(|(_, failure)| failure.kind == kind) {
            text += remedy;
        }
    }
    text + "\nbehind a proxy set HTTPS_PROXY; in a closed network name a folder or server with these files with --mirror \
            or LIKENESS_MODEL_MIRROR, or bring an archive of `likeness models export` and name it with --from"
}
