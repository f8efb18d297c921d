//! TIFF: the first directory. An EXIF block is a TIFF file without an image, and is read here too.

use super::Declared;
use crate::fields::Endian;
use crate::{Format, ImagingError, Orientation};

pub(crate) const IMAGE_WIDTH: u16 = 256;
pub(crate) const IMAGE_LENGTH: u16 = 257;
/// The tag of the orientation, the same in TIFF and EXIF.
pub(crate) const ORIENTATION: u16 = 274;

pub(crate) fn declared(bytes: &[u8]) -> Result<Declared, ImagingError> {
    let directory = Directory::first(bytes)
        .ok_or_else(|| ImagingError::corrupt(Format::Tiff, "its first directory is out of reach"))?;
    let (Some(width), Some(height)) = (directory.number(IMAGE_WIDTH), directory.number(IMAGE_LENGTH)) else {
        return Err(ImagingError::corrupt(
            Format::Tiff,
            "its first directory does not say its size",
        ));
    };
    let orientation = directory
        .number(ORIENTATION)
        .and_then(Orientation::from_exif)
        .unwrap_or_default();
    Ok(Declared {
        width,
        height,
        orientation,
    })
}

/// A directory of tags. Positions in it come from the file: each is looked up and none is trusted.
pub(crate) struct Directory<'a> {
    /// The whole file.
    bytes: &'a [u8],
    entries: &'a [u8],
    pub(crate) endian: Endian,
    big: bool,
}

impl<'a> Directory<'a> {
    /// The first directory of a TIFF or BigTIFF file.
    pub(crate) fn first(bytes: &'a [u8]) -> Option<Self> {
        let (endian, big) = match bytes.first_chunk()? {
            b"II*\0" => (Endian::Little, false),
            b"MM\0*" => (Endian::Big, false),
            b"II+\0" => (Endian::Little, true),
            b"MM\0+" => (Endian::Big, true),
            _ => return None,
        };
        let at = if big {
            endian.u64(bytes, 8)?
        } else {
            endian.u32(bytes, 4)?.into()
        };
        let directory = bytes.get(usize::try_from(at).ok()?..)?;
        let (count, entries) = if big {
            (endian.u64(directory, 0)?, directory.get(8..)?)
        } else {
            (endian.u16(directory, 0)?.into(), directory.get(2..)?)
        };
        // As many as are declared and as are there: an orientation is good even if the directory is cut behind it.
        let length = usize::try_from(count)
            .unwrap_or(usize::MAX)
            .saturating_mul(Self::entry_length(big));
        Some(Self {
            bytes,
            entries: &entries[..length.min(entries.len())],
            endian,
            big,
        })
    }

    const fn entry_length(big: bool) -> usize {
        if big { 20 } else { 12 }
    }

    /// The value of a tag that holds one unsigned number.
    pub(crate) fn number(&self, tag: u16) -> Option<u32> {
        let numbers = self.numbers(tag).filter(|numbers| numbers.len() == 1)?;
        numbers.get(0).and_then(|number| u32::try_from(number).ok())
    }

    /// The values of a tag that holds unsigned numbers, where all of them lie in the file.
    pub(crate) fn numbers(&self, tag: u16) -> Option<Numbers<'a>> {
        const BYTE: u16 = 1;
        const SHORT: u16 = 3;
        const LONG: u16 = 4;
        const LONG8: u16 = 16;
        let endian = self.endian;
        let entry = self
            .entries
            .chunks(Self::entry_length(self.big))
            .find(|entry| endian.u16(entry, 0) == Some(tag))?;
        let size = match endian.u16(entry, 2)? {
            BYTE => 1,
            SHORT => 2,
            LONG => 4,
            LONG8 if self.big => 8,
            _ => return None,
        };
        // What does not fit in the entry's own field lies where that field says.
        let (count, field) = if self.big {
            (endian.u64(entry, 4)?, entry.get(12..)?)
        } else {
            (endian.u32(entry, 4)?.into(), entry.get(8..)?)
        };
        let length = usize::try_from(count).ok()?.checked_mul(size)?;
        let inline = if self.big { 8 } else { 4 };
        let values = if length <= inline {
            field
        } else {
            let at = if self.big {
                endian.u64(field, 0)?
            } else {
                endian.u32(field, 0)?.into()
            };
            self.bytes.get(usize::try_from(at).ok()?..)?
        };
        Some(Numbers {
            values: values.get(..length)?,
            size,
            endian,
        })
    }
}

/// Unsigned numbers of one size, as they lie in the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbers<'a> {
    values: &'a [u8],
    size: usize,
    endian: Endian,
}

impl Numbers<'_> {
    pub(crate) fn len(&self) -> usize {
        self.values.len() / self.size
    }

    pub(crate) fn get(&self, index: usize) -> Option<u64> {
        let at = index.checked_mul(self.size)?;
        match self.size {
            1 => self.values.get(at).map(|&byte| byte.into()),
            2 => self.endian.u16(self.values, at).map(Into::into),
            4 => self.endian.u32(self.values, at).map(Into::into),
            _ => self.endian.u64(self.values, at),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}
