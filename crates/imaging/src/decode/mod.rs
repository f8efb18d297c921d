//! Bytes to pixels.

mod image_crate;
mod jpeg;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::reduced::Reduction;
use crate::{Format, ImagingError, Limits, Picture, Reduced, probe};

/// Decodes a file to an upright RGB picture.
///
/// Colour profiles are not applied: CMYK is converted by the plain formula, as the models' training pictures were.
///
/// # Errors
///
/// Those of [`probe`], before a pixel is allocated; [`ImagingError::Corrupt`] if the file is damaged or was cut short;
/// [`ImagingError::Unsupported`] if it uses a part of its format that is not decoded (arithmetic coding, CIELAB, ...).
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture, ImagingError> {
    decode_reduced(bytes, limits, u32::MAX).map(Reduced::into_picture)
}

/// Decodes a file to an upright RGB picture whose longest side is at least `longest_side` pixels, as far as the file has
/// them, at the least cost.
///
/// A JPEG file that is at least twice as large is decoded at a half, a quarter or an eighth of its size in either
/// direction: of each block of 8x8 pixels only the 4x4, 2x2 or 1x1 lowest frequencies are transformed back, which is
/// also the right filter for a smaller picture. Files of other formats are decoded at their own size.
///
/// The limits apply to the size that the file declares, not to what is made of it.
///
/// # Errors
///
/// Those of [`decode`].
pub fn decode_reduced(bytes: &[u8], limits: &Limits, longest_side: u32) -> Result<Reduced, ImagingError> {
    let header = probe(bytes, limits)?;
    let reduction = match header.format {
        Format::Jpeg => Reduction::keeping(header.width.max(header.height), longest_side),
        Format::Png | Format::WebP | Format::Bmp | Format::Tiff | Format::Gif => Reduction::Whole,
    };
    // The turn that makes the sides upright also makes them stored ones again.
    let (width, height) = header.orientation.upright_size(header.width, header.height);
    let stored = Stored {
        format: header.format,
        width,
        height,
        reduction,
    };
    let pixels = catch_unwind(AssertUnwindSafe(|| match header.format {
        Format::Jpeg => jpeg::decode(bytes, stored),
        Format::Png | Format::WebP | Format::Bmp | Format::Tiff | Format::Gif => {
            image_crate::decode(bytes, stored)
        }
    }))
    // Nothing is shared with the closure that could be left half done: it borrows the input and owns the rest.
    .unwrap_or_else(|_| Err(ImagingError::corrupt(header.format, "decoder fault")))?;
    let turned = header.orientation.apply(pixels, reduction.of(width));
    Picture::from_rgb8(reduction.of(header.width), reduction.of(header.height), turned)
        .map(|picture| Reduced::new(picture, &header, reduction))
        .map_err(|_| ImagingError::corrupt(header.format, "decoder fault"))
}

/// The picture as it is stored, which the limits have already admitted.
#[derive(Clone, Copy)]
struct Stored {
    format: Format,
    width: u32,
    height: u32,
    /// What is made of it.
    reduction: Reduction,
}

impl Stored {
    fn pixels(self) -> usize {
        self.width as usize * self.height as usize
    }
}
