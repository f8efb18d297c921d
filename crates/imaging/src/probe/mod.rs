//! What a file's header declares.
//!
//! Each format's header is read here, from the bytes in hand and without an allocation, and not by the decoding
//! libraries: some of those allocate on the word of a header before they can be asked what it says.

pub(crate) mod bmp;
pub(crate) mod gif;
pub(crate) mod jpeg;
pub(crate) mod png;
pub(crate) mod tiff;
pub(crate) mod vp8;
pub(crate) mod vp8l;
pub(crate) mod webp;

use crate::{Format, ImagingError, Limits, Orientation, sniff};

/// What a file's header declares about its image.
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
}

/// What a header declares, before anything is checked: the sides as stored.
pub(crate) struct Declared {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) orientation: Orientation,
}

/// Reads a file's header and checks it against the limits. No pixel is allocated, and none decoded.
///
/// # Errors
///
/// Those of [`sniff`]; [`ImagingError::TooManyBytes`] and [`ImagingError::TooLarge`] beyond the limits;
/// [`ImagingError::Corrupt`] if the header ends early or makes no sense.
pub fn probe(bytes: &[u8], limits: &Limits) -> Result<Header, ImagingError> {
    limits.check_bytes(bytes)?;
    let format = sniff(bytes)?;
    let declared = match format {
        Format::Jpeg => jpeg::declared(bytes)?,
        Format::Png => png::declared(bytes)?,
        Format::WebP => webp::declared(bytes)?,
        Format::Bmp => bmp::declared(bytes)?,
        Format::Tiff => tiff::declared(bytes)?,
        Format::Gif => gif::declared(bytes)?,
    };
    let Declared {
        width,
        height,
        orientation,
    } = declared;
    if width == 0 || height == 0 {
        return Err(ImagingError::corrupt(format, "it has no pixels"));
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
