//! BMP, by the `image` crate, into the output.

use image::codecs::bmp::BmpDecoder;
use image::{ColorType, ImageDecoder, ImageError};

use super::WORKING_ROWS;
use super::watched::Watched;
use crate::flatten::drop_alpha;
use crate::image::CHANNELS;
use crate::{Format, Header, ImagingError, Interrupt};

/// Bytes held at a time: the output, with alpha as the decoder may write it, and rows.
pub(super) fn needed(bytes: &[u8], header: &Header) -> u64 {
    let channels = if may_have_alpha(bytes) { 4 } else { 3 };
    channels * u64::from(header.width) * u64::from(header.height) + WORKING_ROWS
}

/// Whether a pixel has 16 or 32 bits, a part of which may be alpha. OS/2's first header has none of them.
fn may_have_alpha(bytes: &[u8]) -> bool {
    matches!(bytes.get(28..30), Some([16 | 32, 0]))
}

/// Decodes the pixels, which are always stored upright.
pub(super) fn decode(
    bytes: &[u8],
    header: &Header,
    interrupt: Interrupt<'_>,
) -> Result<Vec<u8>, ImagingError> {
    let decoder = BmpDecoder::new(Watched::new(bytes, interrupt)).map_err(refusal)?;
    if decoder.dimensions() != (header.width, header.height) {
        return Err(Format::Bmp.contradiction());
    }
    let has_alpha = match decoder.color_type() {
        ColorType::Rgb8 => false,
        ColorType::Rgba8 if may_have_alpha(bytes) => true,
        other => return Err(Format::Bmp.unsupported(format!("the colour type {other:?}"))),
    };
    let channels = if has_alpha { 4 } else { CHANNELS };
    let mut buffer = vec![0; header.width as usize * header.height as usize * channels];
    decoder.read_image(&mut buffer).map_err(refusal)?;
    if has_alpha {
        drop_alpha(&mut buffer);
    }
    Ok(buffer)
}

fn refusal(error: ImageError) -> ImagingError {
    match error {
        ImageError::Unsupported(error) => Format::Bmp.unsupported(error.to_string()),
        other => Format::Bmp.corrupt(other.to_string()),
    }
}
