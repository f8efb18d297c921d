//! The container of `torch.save` since PyTorch 1.6: a zip archive of stored members.
//!
//! `NAME/data.pkl` is the pickle of the object, in which a storage is only named, `NAME/data/KEY` the elements of a storage,
//! little-endian, and `NAME/version` the version of the format. Sizes and checksums are those of the central directory; the
//! local headers hold zeros.
//!
//! This is a reader of its own and not the crate `zip`, since it borrows the members from the file and accepts nothing but
//! what PyTorch writes: that crate also reads zip64, data before the archive, and the last of two members of one name.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::cursor::Cursor;
use super::legacy::{TIMES_FILE, invalid_storage, tensors};
use super::pickle;
use super::tensor::{Storage, Tensor};
use super::value::StorageName;
use crate::OnnxError;
use crate::quote::quotable;

/// How zip files begin: the header of the first member.
pub(super) const HEADER: [u8; 4] = *b"PK\x03\x04";
const ENTRY: [u8; 4] = *b"PK\x01\x02";
const END: [u8; 4] = *b"PK\x05\x06";
const END_64: [u8; 4] = *b"PK\x06\x06";
const LOCATOR_64: [u8; 4] = *b"PK\x06\x07";
/// Size of the record at the end, without a comment.
const END_SIZE: usize = 22;
/// Size of the two zip64 records before it, which PyTorch always writes.
const END_64_SIZE: usize = 56 + 20;
/// MiniFASNetV1SE has 393.
const MAX_MEMBERS: usize = 1 << 12;
/// Flags of a member that PyTorch sets: sizes after the data, name in UTF-8.
const FLAGS: u16 = 1 << 3 | 1 << 11;
/// Flags of encryption: of the data, strong, of the directory.
const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
/// `caffe2::serialize::kProducedFileFormatVersion`.
const VERSION: &[u8] = b"3";

/// Reads a file whose object is a dictionary from names to tensors.
pub(super) fn state_dict(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>, OnnxError> {
    let members = members(bytes)?;
    let Contents { pickled, stored } = Contents::of(bytes, &members)?;
    let mut cursor = Cursor::new(bytes.get(..pickled.end).unwrap_or_default());
    cursor.take(pickled.start, "an archive")?;
    let (root, objects) = pickle::load(&mut cursor)?;
    if cursor.left() > 0 {
        return Err(malformed(cursor.at(), "data.pkl goes on after its pickle"));
    }
    let storages = objects.storages.iter().map(|name| storage(name, &stored));
    let storages = storages.collect::<Result<Vec<_>, _>>()?;
    let named: BTreeSet<&str> = objects.storages.iter().map(|name| name.key).collect();
    if let Some(key) = stored.keys().find(|key| !named.contains(*key)) {
        return Err(invalid_storage(key, "no tensor names it"));
    }
    tensors(root, &objects, &storages, bytes.len().saturating_mul(TIMES_FILE))
}

/// The elements of a storage that the pickle names.
fn storage<'a>(name: &StorageName<'_>, stored: &BTreeMap<&str, &'a [u8]>) -> Result<Storage<'a>, OnnxError> {
    let Some(&bytes) = stored.get(name.key) else {
        return Err(invalid_storage(name.key, "its elements are not in the file"));
    };
    if name.len.checked_mul(name.element.size()) != Some(bytes.len()) {
        let reason = format!(
            "it is named with {} elements and has {} bytes",
            name.len,
            bytes.len()
        );
        return Err(invalid_storage(name.key, &reason));
    }
    let (element, len) = (name.element, name.len);
    Ok(Storage { element, len, bytes })
}

/// The members of a state dict.
struct Contents<'a> {
    /// Place of the pickle in the file.
    pickled: Range<usize>,
    /// Storages by their keys.
    stored: BTreeMap<&'a str, &'a [u8]>,
}

impl<'a> Contents<'a> {
    fn of(bytes: &'a [u8], members: &BTreeMap<&'a str, Range<usize>>) -> Result<Self, OnnxError> {
        let foreign = |reason: String| OnnxError::Format(format!("no state dict of PyTorch: {reason}"));
        let folder = members.keys().find_map(|name| name.strip_suffix("data.pkl"));
        let folder = folder.filter(|folder| folder.ends_with('/'));
        let folder = folder.ok_or_else(|| foreign("the archive has no NAME/data.pkl".to_owned()))?;
        let (mut pickled, mut version, mut stored) = (None, None, BTreeMap::new());
        for (name, range) in members {
            let data = bytes.get(range.clone()).unwrap_or_default();
            match name.strip_prefix(folder) {
                Some("data.pkl") => pickled = Some(range.clone()),
                Some("version") => version = Some(data.trim_ascii_end()),
                Some("byteorder") if data != b"little" => {
                    return Err(foreign("its numbers are not little-endian".to_owned()));
                }
                // Later versions of PyTorch add these; they say nothing of the tensors.
                Some("byteorder" | ".format_version" | ".storage_alignment" | ".data/serialization_id") => {}
                other => match other.and_then(|other| other.strip_prefix("data/")) {
                    Some(key) => drop(stored.insert(key, data)),
                    None => return Err(foreign(format!("it has a member '{}'", quotable(name)))),
                },
            }
        }
        if version != Some(VERSION) {
            return Err(foreign("the version of the format is not 3".to_owned()));
        }
        let pickled = pickled.ok_or_else(|| foreign("the archive has no data.pkl".to_owned()))?;
        Ok(Self { pickled, stored })
    }
}

fn malformed(at: usize, reason: impl Into<String>) -> OnnxError {
    let reason = reason.into();
    OnnxError::Malformed { at, reason }
}

fn u16(cursor: &mut Cursor<'_>, what: &'static str) -> Result<u16, OnnxError> {
    cursor.array(what).map(u16::from_le_bytes)
}

/// A size or a place; `u32::MAX` stands for one in a zip64 record.
fn size(cursor: &mut Cursor<'_>, what: &'static str) -> Result<usize, OnnxError> {
    match cursor.u32(what)? {
        u32::MAX => Err(OnnxError::Unsupported("a zip64 archive".to_owned())),
        size => Ok(size as usize),
    }
}

/// A member as the central directory describes it.
struct Member<'a> {
    name: &'a str,
    flags: u16,
    crc: u32,
    len: usize,
    /// Place of its local header.
    at: usize,
}

/// Returns the places of the members' data by name: each checked against its checksum, none overlapping another.
fn members(bytes: &[u8]) -> Result<BTreeMap<&str, Range<usize>>, OnnxError> {
    let (directory, count) = directory(bytes)?;
    let mut cursor = Cursor::new(bytes.get(..directory.end).unwrap_or_default());
    cursor.take(directory.start, "an archive")?;
    let mut listed = (0..count)
        .map(|_| Member::read(&mut cursor))
        .collect::<Result<Vec<_>, _>>()?;
    if cursor.left() > 0 {
        return Err(malformed(cursor.at(), "the directory has more than its members"));
    }
    listed.sort_by_key(|member| member.at);
    let (mut places, mut free) = (BTreeMap::new(), 0);
    for member in &listed {
        let place = member.locate(bytes, free..directory.start)?;
        free = place.end;
        if places.insert(member.name, place).is_some() {
            return Err(member.wrong("it is there twice"));
        }
    }
    for member in &listed {
        let data = places.get(member.name).and_then(|place| bytes.get(place.clone()));
        if data.map(crc32fast::hash) != Some(member.crc) {
            return Err(member.wrong("its checksum is not that of the directory"));
        }
    }
    Ok(places)
}

/// Returns the place of the central directory and the number of its members.
fn directory(bytes: &[u8]) -> Result<(Range<usize>, usize), OnnxError> {
    const WHAT: &str = "the end of an archive";
    let at = bytes.len().saturating_sub(END_SIZE);
    let mut cursor = Cursor::new(bytes);
    cursor.take(at, WHAT)?;
    if cursor.array(WHAT)? != END {
        return Err(malformed(
            at,
            "the archive does not end with the end of its directory",
        ));
    }
    let (disk, first_disk) = (u16(&mut cursor, WHAT)?, u16(&mut cursor, WHAT)?);
    let (here, count) = (u16(&mut cursor, WHAT)?, u16(&mut cursor, WHAT)?);
    if count == u16::MAX {
        return Err(OnnxError::Unsupported("a zip64 archive".to_owned()));
    }
    let (len, start) = (size(&mut cursor, WHAT)?, size(&mut cursor, WHAT)?);
    if (disk, first_disk, here, u16(&mut cursor, WHAT)?) != (0, 0, count, 0) {
        return Err(malformed(at, "the archive has a comment or several parts"));
    }
    if usize::from(count) > MAX_MEMBERS {
        let (what, limit) = ("members of an archive", MAX_MEMBERS);
        return Err(OnnxError::TooLarge { what, limit });
    }
    let end = start.checked_add(len).filter(|&end| end <= at);
    let end = end.ok_or_else(|| malformed(at, "the directory lies outside of the archive"))?;
    let between = bytes.get(end..at).unwrap_or_default();
    if !between.is_empty() && !is_end_64(between, (count, len, start), end) {
        return Err(malformed(end, "zip64 records that say something else"));
    }
    Ok((start..end, count.into()))
}

/// Whether these are the zip64 records that PyTorch writes although nothing needs them: they repeat the record at the end.
fn is_end_64(records: &[u8], (count, len, start): (u16, usize, usize), end: usize) -> bool {
    let [count, len, start, end] =
        [usize::from(count), len, start, end].map(|number| (number as u64).to_le_bytes());
    let head = [&END_64[..], &44_u64.to_le_bytes()].concat();
    // After the versions: no other parts, the numbers of the record at the end, and the locator.
    let rest = [
        &[0; 8][..],
        &count,
        &count,
        &len,
        &start,
        &LOCATOR_64,
        &[0; 4],
        &end,
        &[1, 0, 0, 0],
    ]
    .concat();
    records.len() == END_64_SIZE && records.starts_with(&head) && records.ends_with(&rest)
}

impl<'a> Member<'a> {
    /// Reads an entry of the central directory.
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, OnnxError> {
        const WHAT: &str = "an entry of the archive's directory";
        let begin = cursor.at();
        if cursor.array(WHAT)? != ENTRY {
            return Err(malformed(begin, "no entry of the archive's directory"));
        }
        cursor.take(4, WHAT)?;
        let (flags, method) = (u16(cursor, WHAT)?, u16(cursor, WHAT)?);
        cursor.take(4, WHAT)?;
        let crc = cursor.u32(WHAT)?;
        let (packed, len) = (size(cursor, WHAT)?, size(cursor, WHAT)?);
        let (name, extra, comment) = (u16(cursor, WHAT)?, u16(cursor, WHAT)?, u16(cursor, WHAT)?);
        cursor.take(8, WHAT)?;
        let at = size(cursor, WHAT)?;
        let name = std::str::from_utf8(cursor.take(name.into(), WHAT)?)
            .map_err(|error| malformed(begin, format!("a member's name that is not UTF-8: {error}")))?;
        cursor.take(usize::from(extra) + usize::from(comment), WHAT)?;
        let member = Self {
            name,
            flags,
            crc,
            len,
            at,
        };
        if flags & ENCRYPTED != 0 {
            return Err(member.wrong("it is encrypted"));
        }
        if method != 0 || packed != len {
            return Err(member.wrong("it is compressed"));
        }
        if flags & !FLAGS != 0 {
            return Err(member.wrong("it has flags that PyTorch does not set"));
        }
        Ok(member)
    }

    /// Returns the place of the data, which the local header precedes; both must lie in the part of the file that is free.
    fn locate(&self, bytes: &[u8], free: Range<usize>) -> Result<Range<usize>, OnnxError> {
        const WHAT: &str = "the header of a member";
        if self.at < free.start {
            return Err(self.wrong("it overlaps another"));
        }
        let mut cursor = Cursor::new(bytes.get(..free.end).unwrap_or_default());
        let outside = |_| self.wrong("it lies outside of the archive");
        cursor.take(self.at, WHAT).map_err(outside)?;
        let signature: [u8; 4] = cursor.array(WHAT).map_err(outside)?;
        cursor.take(2, WHAT)?;
        let (flags, method) = (u16(&mut cursor, WHAT)?, u16(&mut cursor, WHAT)?);
        cursor.take(4, WHAT)?;
        let numbers = [cursor.u32(WHAT)?, cursor.u32(WHAT)?, cursor.u32(WHAT)?];
        let (name, extra) = (u16(&mut cursor, WHAT)?, u16(&mut cursor, WHAT)?);
        let name = cursor.take(name.into(), WHAT).map_err(outside)?;
        let len = u32::try_from(self.len).unwrap_or(u32::MAX);
        if signature != HEADER
            || (flags, method) != (self.flags, 0)
            || name != self.name.as_bytes()
            || (numbers != [0; 3] && numbers != [self.crc, len, len])
        {
            return Err(self.wrong("its header and the directory contradict each other"));
        }
        cursor.take(extra.into(), WHAT).map_err(outside)?;
        let start = cursor.at();
        cursor.take(self.len, WHAT).map_err(outside)?;
        Ok(start..cursor.at())
    }

    fn wrong(&self, reason: &str) -> OnnxError {
        OnnxError::Invalid(format!("member '{}': {reason}", quotable(self.name)))
    }
}

#[cfg(test)]
mod tests;
