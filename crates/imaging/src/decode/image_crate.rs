//! The formats that the `image` crate decodes.

use std::io::Cursor;

use image::codecs::bmp::BmpDecoder;
use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::tiff::TiffDecoder;
use image::codecs::webp::WebPDecoder;
use image::error::{ImageError, LimitErrorKind};
use image::{ImageDecoder, ImageResult};

use super::Stored;
use crate::picture::CHANNELS;
use crate::probe::png;
use crate::{Format, ImagingError, flatten};

pub(super) fn decode(bytes: &[u8], stored: Stored) -> Result<Vec<u8>, ImagingError> {
    let format = stored.format;
    if format == Format::Png && !png::is_whole(bytes) {
        return Err(ImagingError::corrupt(format, "it was cut short"));
    }
    let input = Cursor::new(bytes);
    let refuse = |error| refusal(format, &error);
    match format {
        Format::Png => read(
            PngDecoder::with_limits(input, limits(stored)).map_err(refuse)?,
            stored,
        ),
        Format::WebP => read(WebPDecoder::new(input).map_err(refuse)?, stored),
        Format::Bmp => read(BmpDecoder::new(input).map_err(refuse)?, stored),
        Format::Tiff => read(limited(TiffDecoder::new(input), stored).map_err(refuse)?, stored),
        Format::Gif => read(limited(GifDecoder::new(input), stored).map_err(refuse)?, stored),
        Format::Jpeg => super::jpeg::decode(bytes, stored),
    }
}

/// What a decoder may allocate for a picture of this size.
fn limits(stored: Stored) -> image::Limits {
    // PNG is decoded row by row, so that nothing grows with the picture: what is asked for beyond a few rows is a
    // profile or a text, which a small file can blow up. TIFF and GIF may hold the picture once more, and a pixel of
    // four floats has 16 bytes.
    const BYTES_A_PIXEL: u64 = 16;
    const SLACK: u64 = 32 * 1024 * 1024;
    let pixels = match stored.format {
        Format::Png => 4 * u64::from(stored.width),
        _ => 2 * stored.pixels() as u64,
    };
    let mut limits = image::Limits::no_limits();
    limits.max_image_width = Some(stored.width);
    limits.max_image_height = Some(stored.height);
    limits.max_alloc = Some(pixels * BYTES_A_PIXEL + SLACK);
    limits
}

fn limited<D: ImageDecoder>(decoder: ImageResult<D>, stored: Stored) -> ImageResult<D> {
    let mut decoder = decoder?;
    decoder.set_limits(limits(stored))?;
    Ok(decoder)
}

fn read<D: ImageDecoder>(decoder: D, stored: Stored) -> Result<Vec<u8>, ImagingError> {
    let format = stored.format;
    if decoder.dimensions() != (stored.width, stored.height) {
        return Err(ImagingError::corrupt(format, "its headers contradict each other"));
    }
    let layout = decoder.color_type();
    let encoded = stored.pixels() * usize::from(layout.bytes_per_pixel());
    // One buffer for both layouts: what the decoder writes is converted where it lies.
    let mut buffer = vec![0; encoded.max(stored.pixels() * CHANNELS)];
    decoder
        .read_image(&mut buffer[..encoded])
        .map_err(|error| refusal(format, &error))?;
    if !flatten::to_rgb8(&mut buffer, layout, stored.pixels()) {
        return Err(ImagingError::unsupported(
            format,
            format!("the colour type {layout:?}"),
        ));
    }
    buffer.truncate(stored.pixels() * CHANNELS);
    buffer.shrink_to_fit();
    Ok(buffer)
}

fn refusal(format: Format, error: &ImageError) -> ImagingError {
    match error {
        ImageError::Unsupported(error) => ImagingError::unsupported(format, error.to_string()),
        ImageError::Limits(error) if error.kind() == LimitErrorKind::InsufficientMemory => {
            ImagingError::corrupt(format, "it asks for more memory than its size explains")
        }
        other => ImagingError::corrupt(format, other.to_string()),
    }
}
