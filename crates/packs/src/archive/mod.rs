//! A pack in one file, for closed networks: a plain tar with the manifest, the models and the sources.
//!
//! ```text
//! pack.toml                      the manifest
//! SHA256SUMS                     every blob's checksum, in the format of `sha256sum --check`
//! blobs/sha256/<64 digits>       models and sources by the SHA-256 of their bytes
//! ```
//!
//! The same pack gives the same bytes. `tar --extract` into an empty folder gives the blobs of a model store.

mod read;
mod write;

pub(crate) use read::Archive;
pub use write::{Exported, export};

/// Name of the list of checksums.
const SUMS_FILE: &str = "SHA256SUMS";

/// Folder of the blobs.
const BLOBS: &str = "blobs/sha256/";

/// The list of these blobs, which are in order.
fn sums<'a>(blobs: impl IntoIterator<Item = &'a str>) -> String {
    let blobs = blobs.into_iter();
    blobs
        .map(|sha256| format!("{sha256}  {BLOBS}{sha256}\n"))
        .collect()
}
