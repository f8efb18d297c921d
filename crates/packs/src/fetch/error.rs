//! Why a pack could not be had. All of it is for whoever runs the pull, and says what to do.

use std::fmt::Write;
use std::path::PathBuf;

use crate::archive::ArchiveError;
use crate::import::ImportError;
use crate::{PackError, StoreError};

/// Everything that getting a pack fails with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// What is wrong with the manifest, or that there is none.
    #[error(transparent)]
    Models(#[from] PackError),
    /// The store cannot be written to.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is wrong with an archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The licences do not allow commercial use, and nobody has accepted them.
    #[error(
        "model pack '{pack}' is not free for commercial use, by the licences of its files:\n{}\n\
         give --accept-license if you may use it under these licences",
        .licenses.iter().map(|line| format!("  - {line}")).collect::<Vec<_>>().join("\n")
    )]
    License {
        /// The pack.
        pack: String,
        /// File, licence and maker, a line each.
        licenses: Vec<String>,
    },
    /// Files that could not be had from any of the places where they might be.
    #[error("{}", explain(pack, files))]
    NotFetched {
        /// The pack.
        pack: String,
        /// The files, in the order of the manifest.
        files: Vec<NotFetched>,
    },
    /// A model cannot be made of its sources.
    #[error("model pack '{pack}': model '{model}' cannot be made of its sources: {source}")]
    Import {
        /// The pack.
        pack: String,
        /// The model.
        model: String,
        /// Why.
        source: Box<ImportError>,
    },
    /// What was made of the sources is not what the manifest names.
    #[error(
        "model pack '{pack}': what was made for model '{model}' is not the model of this pack: expected {expected}, \
         found {found}; this version of likeness ({}) and the pack do not fit together: use the version that the pack \
         was made with, or a newer pack", env!("CARGO_PKG_VERSION")
    )]
    WrongModel {
        /// The pack.
        pack: String,
        /// The model.
        model: String,
        /// Checksum or size in the manifest.
        expected: String,
        /// Checksum or size of what was made.
        found: String,
    },
    /// A manifest is to be installed that is part of the program.
    #[error("model pack '{pack}' is built in and needs no manifest in the store: leave --install out")]
    BuiltIn {
        /// The pack.
        pack: String,
    },
    /// The address of a mirror has an `@` in it, which may be that of credentials. It is not shown.
    #[error(
        "the mirror's address has an `@` in it: credentials in an address are not supported (another `@` is written %40)"
    )]
    MirrorCredentials,
    /// A mirror was named that is none.
    #[error("the mirror {} is no folder; name a folder or an http(s) address with --mirror or LIKENESS_MODEL_MIRROR", folder.display())]
    NoMirror {
        /// What was named.
        folder: PathBuf,
    },
}

/// A file that could not be had.
#[derive(Debug)]
#[non_exhaustive]
pub struct NotFetched {
    /// Its name in the manifest.
    pub file: String,
    /// Where it was looked for, and why it was not had from there.
    pub tried: Vec<(String, Trouble)>,
}

/// Why a file was not had from one place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// There is none.
    #[error("there is no such file")]
    NoFile,
    /// It is there and cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(std::io::Error),
    /// The address is none that can be asked.
    #[error("{0}")]
    Address(String),
    /// The server answered with this status.
    #[error("HTTP status {}", .0.to_string() + meaning(*.0))]
    Status(u16),
    /// The server sent another part of the file than was asked for.
    #[error("the server sent another part of the file than was asked for")]
    Range,
    /// No connection, or one that broke or fell silent.
    #[error("{0}")]
    Network(String),
    /// The body ended early.
    #[error("ended after {received} bytes{}", .expected.map_or_else(String::new, |expected| format!(" of {expected}")))]
    Cut {
        /// Bytes of the file so far.
        received: u64,
        /// Size of the file, where it is known.
        expected: Option<u64>,
    },
    /// The server's certificate is not trusted, or there is none to trust it by.
    #[error("no secure connection: {0}")]
    Tls(String),
    /// A redirect that is not followed.
    #[error("{0}")]
    Redirect(String),
    /// Not the file: it has another size.
    #[error("not the file: expected {expected} bytes, found {found}")]
    WrongSize {
        /// Size in the manifest.
        expected: u64,
        /// Size of what is there.
        found: u64,
    },
    /// Not the file: it goes on beyond the size that it may have.
    #[error("not the file: more than {limit} bytes")]
    TooLong {
        /// The most bytes that it may have.
        limit: u64,
    },
    /// Not the file: it has another checksum.
    #[error("not the file: expected SHA-256 {expected}, found {found}")]
    WrongChecksum {
        /// SHA-256 in the manifest.
        expected: String,
        /// SHA-256 of what arrived.
        found: String,
    },
}

impl Trouble {
    /// Whether trying again may help.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Network(_) | Self::Cut { .. } | Self::Range => true,
            Self::Status(status) => matches!(status, 408 | 416 | 429 | 500..=599),
            _ => false,
        }
    }

    /// Whether it may have left something to go on from.
    fn is_network(&self) -> bool {
        matches!(self, Self::Network(_) | Self::Cut { .. })
    }

    fn is_wrong_file(&self) -> bool {
        matches!(
            self,
            Self::WrongSize { .. } | Self::TooLong { .. } | Self::WrongChecksum { .. }
        )
    }
}

fn meaning(status: u16) -> &'static str {
    match status {
        401 | 403 => " (access denied)",
        404 | 410 => " (there is no such file)",
        407 => " (the proxy wants credentials)",
        429 => " (too many requests)",
        500..=599 => " (the server failed)",
        _ => "",
    }
}

fn explain(pack: &str, files: &[NotFetched]) -> String {
    let mut text = format!("model pack '{pack}': files that could not be had:");
    // Writing to a string does not fail.
    for NotFetched { file, tried } in files {
        let _ = write!(text, "\n  {file}");
        for (place, trouble) in tried {
            let _ = write!(text, "\n    - {place}: {trouble}");
        }
        if tried.is_empty() {
            text.push_str("\n    - the manifest names no address, and it does not lie beside the manifest");
        }
    }
    let any = |test: fn(&Trouble) -> bool| {
        files
            .iter()
            .flat_map(|file| &file.tried)
            .any(|(_, trouble)| test(trouble))
    };
    if any(Trouble::is_wrong_file) {
        text.push_str("\nwhat is served there is not what the manifest names: nothing of it was kept");
    }
    if any(|trouble| matches!(trouble, Trouble::Tls(_))) {
        text.push_str(
            "\nif your network has certificates of its own, name a file of them with SSL_CERT_FILE",
        );
    }
    if any(Trouble::is_network) {
        text.push_str("\nwhat has arrived of unfinished files is kept: pull again to go on from there");
    }
    text.push_str(
        "\nbehind a proxy set HTTPS_PROXY; in a closed network name a folder or server with these files with --mirror or \
         LIKENESS_MODEL_MIRROR, or bring an archive of `likeness models export` and name it with --from",
    );
    text
}
