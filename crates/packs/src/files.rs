//! Files: reading within limits, and their SHA-256 as manifests and the model store write it.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::PackError;

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

/// Reads at most `limit` bytes of a file, and one more, so that a longer file is not taken for its beginning.
fn read(path: &Path, limit: u64) -> Result<Vec<u8>, PackError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(PackError::unreadable(path))?;
    Ok(bytes)
}

/// Reads a text of at most `limit` bytes; the inner error is the fault of its contents.
pub(crate) fn read_text(path: &Path, limit: u64) -> Result<Result<String, String>, PackError> {
    let bytes = read(path, limit)?;
    if bytes.len() as u64 > limit {
        return Ok(Err(format!("more than {limit} bytes are too many")));
    }
    Ok(String::from_utf8(bytes).map_err(|error| error.to_string()))
}

/// Reads a file of a pack, whose SHA-256 must be `expected`.
pub(crate) fn read_verified(
    pack: &str,
    path: &Path,
    expected: &str,
    limit: u64,
) -> Result<Vec<u8>, PackError> {
    let bytes = read(path, limit)?;
    let found = match sha256(&bytes) {
        found if found == expected => return Ok(bytes),
        _ if bytes.len() as u64 > limit => format!("a file of more than its {limit} bytes"),
        found => found,
    };
    Err(PackError::WrongFile {
        pack: pack.to_owned(),
        path: path.to_owned(),
        expected: expected.to_owned(),
        found,
    })
}

/// Whether a file exists. That it cannot be examined is an error, as in a folder that this user may not enter.
pub(crate) fn exists(path: &Path) -> Result<bool, PackError> {
    match std::fs::metadata(path) {
        Ok(found) => Ok(found.is_file()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(PackError::unreadable(path)(error)),
    }
}
