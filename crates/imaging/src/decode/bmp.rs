//! BMP, by the `image` crate, into the output.

use image::codecs::bmp::BmpDecoder;
use image::{ColorType, ImageDecoder, ImageError};

use super::watched::Watched;
use super::{Stored, WORKING_ROWS, contradiction};
use crate::flatten::rgba_to_rgb8_in_place;
use crate::image::CHANNELS;
use crate::{Format, ImagingError, Interrupt};

/// Bytes held at a time: the output, with alpha as the decoder may write it, and rows.
pub(super) fn needed(bytes: &[u8], width: u32, height: u32) -> u64 {
    let channels = if may_have_alpha(bytes) { 4 } else { 3 };
    channels * u64::from(width) * u64::from(height) + WORKING_ROWS
}

/// Whether a pixel has 16 or 32 bits, a part of which may be alpha. OS/2's first header has none of them.
fn may_have_alpha(bytes: &[u8]) -> bool {
    matches!(bytes.get(28..30), Some([16 | 32, 0]))
}

pub(super) fn decode(
    bytes: &[u8],
    stored: Stored,
    interrupt: Interrupt<'_>,
) -> Result<Vec<u8>, ImagingError> {
    let decoder = BmpDecoder::new(Watched::new(bytes, interrupt)).map_err(|error| refusal(&error))?;
    if decoder.dimensions() != (stored.width, stored.height) {
        return Err(contradiction(Format::Bmp));
    }
    let pixels = stored.width as usize * stored.height as usize;
    let has_alpha = match decoder.color_type() {
        ColorType::Rgb8 => false,
        ColorType::Rgba8 if may_have_alpha(bytes) => true,
        other => {
            return Err(ImagingError::unsupported(
                Format::Bmp,
                format!("the colour type {other:?}"),
            ));
        }
    };
    let mut buffer = vec![0; pixels * if has_alpha { 4 } else { CHANNELS }];
    decoder.read_image(&mut buffer).map_err(|error| refusal(&error))?;
    if has_alpha {
        rgba_to_rgb8_in_place(&mut buffer);
        buffer.truncate(pixels * CHANNELS);
    }
    Ok(stored.orientation.apply(buffer, stored.width))
}

fn refusal(error: &ImageError) -> ImagingError {
    match error {
        ImageError::Unsupported(error) => ImagingError::unsupported(Format::Bmp, error.to_string()),
        other => ImagingError::corrupt(Format::Bmp, other.to_string()),
    }
}
