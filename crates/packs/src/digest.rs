//! SHA-256 as manifests and the model store write it.

use sha2::{Digest, Sha256};

/// Returns the SHA-256 of some bytes: 64 hexadecimal digits in lower case.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// Returns the first 8 digits of a text's SHA-256: enough to tell versions apart by accident, not by malice.
pub(crate) fn short_digest(text: &str) -> String {
    let mut digest = sha256(text.as_bytes());
    digest.truncate(8);
    digest
}

/// Whether a text is a SHA-256 as [`sha256`] writes it.
pub(crate) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
