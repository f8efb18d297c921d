//! TIFF: the first directory. An EXIF block is a TIFF file without an image, so the same code reads its orientation; an EXIF
//! library would read every tag of it, and TIFF would need this code still.

use super::{Declared, Endian};
use crate::{Format, ImagingError, Orientation};

pub(crate) const IMAGE_WIDTH: u16 = 256;
pub(crate) const IMAGE_LENGTH: u16 = 257;
/// The tag of the orientation, the same in TIFF and EXIF.
const ORIENTATION: u16 = 274;

/// Returns the orientation that an EXIF block names.
///
/// A block that is broken, has none, or one out of range, counts as upright, as in every browser: a phone that writes a bad
/// tag must not cost its owner the check.
pub(crate) fn exif_orientation(block: &[u8]) -> Orientation {
    // Some writers repeat the prefix that belongs to JPEG's APP1 alone.
    let block = block.strip_prefix(b"Exif\0\0").unwrap_or(block);
    Directory::first(block)
        .map(|directory| directory.orientation())
        .unwrap_or_default()
}

/// A directory of tags. Positions in it come from the file: each is checked before it is used.
pub(crate) struct Directory<'a> {
    /// The whole file.
    bytes: &'a [u8],
    entries: &'a [u8],
    pub(crate) endian: Endian,
    /// Bytes of a position, and of a number of values: 4, in a BigTIFF file 8.
    word: usize,
}

impl<'a> Directory<'a> {
    /// Reads the first directory of a file.
    pub(crate) fn of_file(bytes: &'a [u8]) -> Result<Self, ImagingError> {
        Self::first(bytes).ok_or_else(|| Format::Tiff.corrupt("its first directory is out of reach"))
    }

    pub(crate) fn declared(&self) -> Result<Declared, ImagingError> {
        let sides = self.number(IMAGE_WIDTH).zip(self.number(IMAGE_LENGTH));
        let sides = sides.ok_or_else(|| Format::Tiff.corrupt("its first directory does not say its size"))?;
        Ok((sides, self.orientation()))
    }

    fn orientation(&self) -> Orientation {
        self.number(ORIENTATION)
            .and_then(Orientation::from_exif)
            .unwrap_or_default()
    }

    /// Reads the first directory of a TIFF or BigTIFF file.
    fn first(bytes: &'a [u8]) -> Option<Self> {
        let (endian, word) = match bytes.first_chunk()? {
            b"II*\0" => (Endian::Little, 4),
            b"MM\0*" => (Endian::Big, 4),
            b"II+\0" => (Endian::Little, 8),
            b"MM\0+" => (Endian::Big, 8),
            _ => return None,
        };
        let at = endian.number(bytes, word, word)?;
        let directory = bytes.get(usize::try_from(at).ok()?..)?;
        let counter = if word == 8 { 8 } else { 2 };
        let count = endian.number(directory, 0, counter)?;
        let entries = directory.get(counter..)?;
        // As many as are declared and as are there: an orientation is good even if the directory is cut behind it.
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let length = count.saturating_mul(Self::entry_length(word)).min(entries.len());
        Some(Self {
            bytes,
            entries: &entries[..length],
            endian,
            word,
        })
    }

    /// A tag, a type, how many values, and these or where they are.
    const fn entry_length(word: usize) -> usize {
        2 + 2 + word + word
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
        let (endian, word) = (self.endian, self.word);
        let entry = self
            .entries
            .chunks(Self::entry_length(word))
            .find(|entry| endian.u16(entry, 0) == Some(tag))?;
        let size = match endian.u16(entry, 2)? {
            BYTE => 1,
            SHORT => 2,
            LONG => 4,
            LONG8 if word == 8 => 8,
            _ => return None,
        };
        let count = endian.number(entry, 4, word)?;
        let length = usize::try_from(count).ok()?.checked_mul(size)?;
        // What does not fit in the entry's own field lies where that field says.
        let field = entry.get(4 + word..)?;
        let values = if length <= word {
            field
        } else {
            let at = endian.number(field, 0, word)?;
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

impl<'a> Numbers<'a> {
    pub(crate) fn len(&self) -> usize {
        self.values.len() / self.size
    }

    pub(crate) fn get(&self, index: usize) -> Option<u64> {
        self.endian
            .number(self.values, index.checked_mul(self.size)?, self.size)
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = u64> + 'a {
        (0..self.len()).filter_map(move |index| self.get(index))
    }
}
