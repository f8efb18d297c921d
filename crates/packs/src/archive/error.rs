//! What can be wrong with an archive of a pack.

use std::path::PathBuf;

use crate::{PackError, StoreError};

/// Why a pack cannot be exported to an archive, or had from one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The pack is not whole in the store.
    #[error(transparent)]
    Models(#[from] PackError),
    /// The store cannot be written to.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The archive cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It cannot be opened.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is no archive of `likeness models export`, or is damaged or cut off.
    #[error(
        "{} is no whole archive of `likeness models export`: {reason}; {}; copy it again", path.display(), taken_of(*taken)
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
        /// How many files were taken before, checksums right.
        taken: usize,
    },
    /// Something is in it that does not belong there.
    #[error("{}: entry {entry:?} {reason}; {}", path.display(), taken_of(*taken))]
    Entry {
        /// The file.
        path: PathBuf,
        /// The entry.
        entry: String,
        /// What is wrong with it.
        reason: String,
        /// How many files were taken before, checksums right.
        taken: usize,
    },
    /// It holds another pack than was asked for.
    #[error("{} holds model pack '{found}', not '{asked}'", path.display())]
    OtherPack {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        asked: String,
        /// What it holds.
        found: String,
    },
    /// It holds another edition of the pack.
    #[error(
        "{} holds model pack '{pack}' {archive}, and {place} is {here}: export it with the same version of likeness as \
         it is to be used with", path.display()
    )]
    OtherEdition {
        /// The file.
        path: PathBuf,
        /// The pack.
        pack: String,
        /// Version and digest in the archive.
        archive: String,
        /// Where the other manifest is.
        place: String,
        /// Its version and digest.
        here: String,
    },
}

impl ArchiveError {
    /// The same, found after so many files had been taken.
    pub(super) fn after(mut self, files: usize) -> Self {
        if let Self::Damaged { taken, .. } | Self::Entry { taken, .. } = &mut self {
            *taken = files;
        }
        self
    }
}

/// What the store has got of an archive that cannot be taken whole.
fn taken_of(files: usize) -> String {
    match files {
        0 => "nothing was taken from it".to_owned(),
        1 => "1 file before it was taken, its checksum right, and stays in the store".to_owned(),
        _ => format!("{files} files before it were taken, their checksums right, and stay in the store"),
    }
}
