//! Headers of files.
//!
//! Each format's header is read here, without an allocation (of HEIC and AVIF: with tables of a bounded number of items), and
//! not by the decoding libraries: some of those allocate what a header declares before the limits can be checked.

pub(crate) mod heif;
pub(crate) mod jpeg;
pub(crate) mod png;
mod sniff;
pub(crate) mod tiff;
pub(crate) mod vp8;
pub(crate) mod vp8l;
pub(crate) mod webp;

pub(crate) use sniff::heif_format;
pub use sniff::sniff;

use Endian::Little;

use crate::error::ImagingError;
use crate::format::Format;
use crate::limits::ImageLimits;
use crate::orientation::Orientation;
use crate::rotation::Rotation;

/// The header of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// The format, by the file's signature.
    pub format: Format,
    /// The upright width in pixels, at least 1.
    pub width: u32,
    /// The upright height in pixels, at least 1.
    pub height: u32,
    /// How the stored pixels have to be turned to stand upright.
    pub orientation: Orientation,
}

impl Header {
    /// The sides as they are stored.
    pub(crate) fn stored_size(&self) -> (u32, u32) {
        // The turn that makes the sides upright also makes them stored ones again.
        self.orientation.upright_size(self.width, self.height)
    }

    /// The header of the same file if it were to be turned by a rotation once it stands upright.
    pub(crate) fn rotated(&self, rotation: Rotation) -> Self {
        let orientation = rotation.after(self.orientation);
        let (width, height) = self.stored_size();
        let (width, height) = orientation.upright_size(width, height);
        Self {
            format: self.format,
            width,
            height,
            orientation,
        }
    }

    /// The error of an image that needs so many bytes.
    pub(crate) fn decode_too_large(&self, needed: u64, limit: u64) -> ImagingError {
        ImagingError::DecodeTooLarge {
            format: self.format,
            width: self.width,
            height: self.height,
            needed,
            limit,
        }
    }
}

/// What a header declares, before anything is checked: the sides as stored, and how to turn them.
type Declared = ((u32, u32), Orientation);

/// Reads a file's header and checks it against the limits. No pixel is allocated, and none decoded.
///
/// # Errors
///
/// Those of [`sniff`], HEIC and AVIF among them, which [`EncodedImage::open_with`](crate::EncodedImage::open_with) opens;
/// [`ImagingError::TooManyBytes`] and [`ImagingError::TooLarge`] beyond the limits;
/// [`ImagingError::Corrupt`] if the header ends early or makes no sense.
pub fn probe(bytes: &[u8], limits: &ImageLimits) -> Result<Header, ImagingError> {
    limits.check_bytes(bytes)?;
    let format = sniff(bytes)?;
    let ((width, height), orientation) = match format {
        Format::Jpeg => jpeg::Head::read(bytes)?.declared(),
        Format::Png => png::declared(bytes)?,
        Format::WebP => webp::declared(bytes)?,
        Format::Bmp => {
            let damage = || format.corrupt("it ends within its header or has a negative width");
            (bmp_sides(bytes).ok_or_else(damage)?, Orientation::Upright)
        }
        Format::Tiff => tiff::Directory::of_file(bytes)?.declared()?,
        // `sniff` refuses them: they take a decoder from outside.
        Format::Heic | Format::Avif => return Err(sniff::refused(format)),
        Format::Gif => {
            // Of the logical screen.
            let sides = Little.u16(bytes, 6).zip(Little.u16(bytes, 8));
            let (width, height) = sides.ok_or_else(|| format.corrupt("it ends within its header"))?;
            ((width.into(), height.into()), Orientation::Upright)
        }
    };
    if width == 0 || height == 0 {
        return Err(format.corrupt("it has no pixels"));
    }
    let (width, height) = orientation.upright_size(width, height);
    limits.check_size(width, height)?;
    Ok(Header {
        format,
        width,
        height,
        orientation,
    })
}

fn bmp_sides(bytes: &[u8]) -> Option<(u32, u32)> {
    // OS/2's first header has 16-bit sides; all later ones are signed, and a negative height means top to bottom.
    if Little.u32(bytes, 14)? == 12 {
        return Some((Little.u16(bytes, 18)?.into(), Little.u16(bytes, 20)?.into()));
    }
    let width = Little.u32(bytes, 18)?.cast_signed();
    let height = Little.u32(bytes, 22)?.cast_signed();
    Some((u32::try_from(width).ok()?, height.unsigned_abs()))
}

/// The byte order of a file's numbers, at positions that nobody has vouched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endian {
    Little,
    Big,
}

impl Endian {
    /// The number that up to eight bytes at that position are; `None` beyond the end.
    pub(crate) fn number(self, bytes: &[u8], at: usize, length: usize) -> Option<u64> {
        let bytes = bytes.get(at..)?.get(..length)?.iter();
        let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(match self {
            Self::Little => bytes.rev().fold(0, join),
            Self::Big => bytes.fold(0, join),
        })
    }

    /// The 16-bit number at that position; `None` beyond the end.
    pub(crate) fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        self.number(bytes, at, 2).map(|number| number as u16)
    }

    /// The 32-bit number at that position; `None` beyond the end.
    pub(crate) fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        self.number(bytes, at, 4).map(|number| number as u32)
    }
}
