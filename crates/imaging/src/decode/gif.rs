//! GIF, by the `gif` crate: the first frame, a row at a time.

use ::gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};

use super::canvas::Canvas;
use super::watched::Watched;
use super::{MEMORY, Stored, WORKING_ROWS, contradiction};
use crate::image::CHANNELS;
use crate::{Format, ImagingError, Interrupt};

/// The four passes of an interlaced frame: the first row of each, and how far apart the next ones are.
const PASSES: [(usize, usize); 4] = [(0, 8), (4, 8), (2, 4), (1, 2)];

const WHITE: u8 = 255;

pub(super) fn decode(
    bytes: &[u8],
    stored: Stored,
    interrupt: Interrupt<'_>,
) -> Result<Vec<u8>, ImagingError> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    if let Some(limit) = std::num::NonZeroU64::new(WORKING_ROWS) {
        options.set_memory_limit(MemoryLimit::Bytes(limit));
    }
    let mut decoder = options
        .read_info(Watched::new(bytes, interrupt))
        .map_err(|error| refusal(&error))?;
    if (u32::from(decoder.width()), u32::from(decoder.height())) != (stored.width, stored.height) {
        return Err(contradiction(Format::Gif));
    }
    let frame = decoder
        .next_frame_info()
        .map_err(|error| refusal(&error))?
        .ok_or_else(|| ImagingError::corrupt(Format::Gif, "it has no frame"))?;
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let (width, height) = (usize::from(frame.width), usize::from(frame.height));
    let (interlaced, transparent) = (frame.interlaced, frame.transparent);
    if width > stored.width as usize || height > stored.height as usize {
        return Err(ImagingError::corrupt(
            Format::Gif,
            "a frame is larger than the image",
        ));
    }

    // An index outside the palette counts as transparent, and transparent pixels are white.
    let mut colours = [[WHITE; CHANNELS]; 256];
    let palette = decoder.palette().map_err(|error| refusal(&error))?;
    let (palette, _) = palette.as_chunks::<CHANNELS>();
    for (colour, found) in colours.iter_mut().zip(palette) {
        *colour = *found;
    }
    if let Some(index) = transparent {
        colours[usize::from(index)] = [WHITE; CHANNELS];
    }

    let mut canvas = Canvas::new(stored.orientation, stored.width, stored.height, WHITE);
    let (mut indices, mut rgb) = (vec![0; width], vec![0; width * CHANNELS]);
    let passes: &[(usize, usize)] = if interlaced { &PASSES } else { &[(0, 1)] };
    for &(first, apart) in passes {
        for y in (first..height).step_by(apart) {
            interrupt.check()?;
            if !decoder
                .fill_buffer(&mut indices)
                .map_err(|error| refusal(&error))?
            {
                return Err(ImagingError::corrupt(Format::Gif, "it was cut short"));
            }
            let (row, _) = rgb.as_chunks_mut::<CHANNELS>();
            for (pixel, index) in row.iter_mut().zip(&indices) {
                *pixel = colours[usize::from(*index)];
            }
            canvas.put(left, top + y, 1, &rgb);
        }
    }
    Ok(canvas.into_pixels())
}

fn refusal(error: &DecodingError) -> ImagingError {
    match error {
        DecodingError::OutOfMemory => ImagingError::corrupt(Format::Gif, MEMORY),
        other => ImagingError::corrupt(Format::Gif, other.to_string()),
    }
}
