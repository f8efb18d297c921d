//! A pack in one file, for networks that reach nothing: a plain tar that bears the manifest, the models and the sources.
//!
//! ```text
//! pack.toml                      the manifest
//! SHA256SUMS                     every blob's checksum, as `sha256sum --check` reads it
//! blobs/sha256/<64 digits>       models and sources by the SHA-256 of their bytes
//! ```
//!
//! The same pack gives the same bytes. `tar --extract` into an empty folder makes the blobs of a store.

mod error;
mod read;
mod write;

pub use error::ArchiveError;
pub(crate) use read::Archive;
pub use write::{Exported, export};

/// Name of the list of checksums.
const SUMS_FILE: &str = "SHA256SUMS";

/// Folder of the blobs.
const BLOBS: &str = "blobs/sha256/";

/// The list of these blobs, which are in order.
fn sums<'a>(blobs: impl IntoIterator<Item = &'a str>) -> String {
    let lines = blobs
        .into_iter()
        .map(|sha256| format!("{sha256}  {BLOBS}{sha256}\n"));
    lines.collect()
}
