//! One file of a package's archive: of a zip (a wheel) or of a tar in gzip (a source distribution, npm's tarball). No other
//! file is unpacked, and no name in the archive is used as a path.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek};
use std::path::Path;

use flate2::read::GzDecoder;
use tar::EntryType;
use zip::result::ZipError;

use super::stop::Stop;
use crate::{FailureKind, FetchFailure, MAX_FILE_BYTES};

/// What a zip begins with.
const ZIP: [u8; 4] = *b"PK\x03\x04";

/// Most bytes of an unpacked tar that are read before the file is found.
const MAX_UNPACKED: u64 = MAX_FILE_BYTES;

/// Gives `take` the size of the file at a path in an archive, and its bytes.
pub(super) fn read_member<T>(
    archive: &Path,
    member: &str,
    take: impl FnOnce(u64, &mut dyn Read) -> Result<T, Stop>,
) -> Result<T, Stop> {
    let mut file = BufReader::new(File::open(archive).map_err(damaged)?);
    let mut head = [0; ZIP.len()];
    let read = file.read_exact(&mut head).and_then(|()| file.rewind());
    read.map_err(damaged)?;
    if head == ZIP {
        from_zip(file, member, take)
    } else {
        from_tar(file, member, take)
    }
}

fn from_zip<T>(
    file: BufReader<File>,
    member: &str,
    take: impl FnOnce(u64, &mut dyn Read) -> Result<T, Stop>,
) -> Result<T, Stop> {
    let mut archive = zip::ZipArchive::new(file).map_err(damaged)?;
    let mut entry = archive.by_name(member).map_err(|error| match error {
        ZipError::FileNotFound => absent(member),
        other => damaged(other),
    })?;
    if !entry.is_file() || entry.is_symlink() {
        return Err(no_file(member).into());
    }
    take(entry.size(), &mut entry)
}

fn from_tar<T>(
    file: BufReader<File>,
    member: &str,
    take: impl FnOnce(u64, &mut dyn Read) -> Result<T, Stop>,
) -> Result<T, Stop> {
    let mut archive = tar::Archive::new(GzDecoder::new(file).take(MAX_UNPACKED));
    // Extended headers are entries like others, so that none can make the reader allocate or rename.
    for entry in archive.entries().map_err(damaged)?.raw(true) {
        let mut entry = entry.map_err(damaged)?;
        if *entry.path_bytes() != *member.as_bytes() {
            continue;
        }
        if entry.header().entry_type() != EntryType::Regular {
            return Err(no_file(member).into());
        }
        return take(entry.size(), &mut entry);
    }
    Err(absent(member).into())
}

fn fault(reason: String) -> FetchFailure {
    FetchFailure::new(FailureKind::WrongFile, reason)
}

fn absent(member: &str) -> FetchFailure {
    fault(format!("its archive has no {member}"))
}

fn no_file(member: &str) -> FetchFailure {
    fault(format!("{member} in its archive is not a plain file"))
}

fn damaged(error: impl Into<std::io::Error>) -> FetchFailure {
    let error = error.into();
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::PermissionDenied => FetchFailure::new(
            FailureKind::Unavailable,
            format!("its archive cannot be read: {error}"),
        ),
        _ => fault(format!(
            "its archive is neither a sound zip nor a sound tar in gzip: {error}"
        )),
    }
}
