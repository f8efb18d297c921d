//! PNG: the chunks around the pixels.

use super::Endian::Big;
use super::{Declared, tiff};
use crate::{Format, ImagingError};

const SIGNATURE: usize = 8;

pub(crate) fn declared(bytes: &[u8]) -> Result<Declared, ImagingError> {
    let sides = || {
        let header = chunks(bytes).next().filter(|chunk| chunk.kind == b"IHDR")?.data;
        Big.u32(header, 0).zip(Big.u32(header, 4))
    };
    let sides = sides().ok_or_else(|| Format::Png.corrupt("it ends within its header"))?;
    let exif = chunks(bytes).find(|chunk| chunk.kind == b"eXIf");
    let orientation = exif.map(|chunk| tiff::exif_orientation(chunk.data));
    Ok((sides, orientation.unwrap_or_default()))
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
