//! Bytes to pixels.

mod image_crate;
mod jpeg;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{Format, ImagingError, Limits, Picture, probe};

/// Decodes a file to an upright RGB picture.
///
/// Colour profiles are not applied: CMYK is converted by the plain formula, as the models' training pictures were.
///
/// # Errors
///
/// Those of [`probe`], before a pixel is allocated; [`ImagingError::Corrupt`] if the file is damaged or was cut short;
/// [`ImagingError::Unsupported`] if it uses a part of its format that is not decoded (arithmetic coding, CIELAB, ...).
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture, ImagingError> {
    let header = probe(bytes, limits)?;
    // The turn that makes the sides upright also makes them stored ones again.
    let (width, height) = header.orientation.upright_size(header.width, header.height);
    let stored = Stored {
        format: header.format,
        width,
        height,
    };
    let pixels = catch_unwind(AssertUnwindSafe(|| match header.format {
        Format::Jpeg => jpeg::decode(bytes, stored),
        Format::Png | Format::WebP | Format::Bmp | Format::Tiff | Format::Gif => {
            image_crate::decode(bytes, stored)
        }
    }))
    // Nothing is shared with the closure that could be left half done: it borrows the input and owns the rest.
    .unwrap_or_else(|_| Err(ImagingError::corrupt(header.format, "decoder fault")))?;
    Picture::from_rgb8(
        header.width,
        header.height,
        header.orientation.apply(pixels, width),
    )
    .map_err(|_| ImagingError::corrupt(header.format, "decoder fault"))
}

/// The picture as it is stored, which the limits have already admitted.
#[derive(Clone, Copy)]
struct Stored {
    format: Format,
    width: u32,
    height: u32,
}

impl Stored {
    fn pixels(self) -> usize {
        self.width as usize * self.height as usize
    }
}
