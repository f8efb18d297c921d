//! PNG: the chunks around the pixels.

use super::{Declared, tiff};
use crate::fields::Endian::Big;
use crate::{Format, ImagingError};

const SIGNATURE: usize = 8;

pub(crate) fn declared(bytes: &[u8]) -> Result<Declared, ImagingError> {
    let header = chunks(bytes)
        .next()
        .filter(|chunk| chunk.kind == b"IHDR")
        .map(|chunk| chunk.data);
    let (Some(width), Some(height)) = (
        header.and_then(|header| Big.u32(header, 0)),
        header.and_then(|header| Big.u32(header, 4)),
    ) else {
        return Err(ImagingError::corrupt(Format::Png, "it ends within its header"));
    };
    let orientation = chunks(bytes)
        .find(|chunk| chunk.kind == b"eXIf")
        .map(|chunk| tiff::exif_orientation(chunk.data))
        .unwrap_or_default();
    Ok(Declared {
        width,
        height,
        orientation,
    })
}

/// Whether the file goes on to its last chunk. A decoder is content once it has the pixels; a file that was cut
/// behind them was cut all the same.
pub(crate) fn is_whole(bytes: &[u8]) -> bool {
    chunks(bytes).any(|chunk| chunk.kind == b"IEND")
}

struct Chunk<'a> {
    kind: &'a [u8],
    data: &'a [u8],
}

/// The chunks that are there from the first to the last byte, checksum included (but not checked).
fn chunks(bytes: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut rest = bytes.get(SIGNATURE..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (kind, after) = after.split_at_checked(4)?;
        let (data, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        let (_checksum, after) = after.split_at_checked(4)?;
        rest = after;
        Some(Chunk { kind, data })
    })
}
