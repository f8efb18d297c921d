//! GIF, by the `gif` crate: the first frame, a row at a time.

use ::gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};

use super::canvas::Canvas;
use super::watched::Watched;
use super::{MEMORY, WORKING_ROWS};
use crate::image::CHANNELS;
use crate::{Format, Header, ImagingError, Interrupt, Orientation};

/// The four passes of an interlaced frame: the first row of each, and how far apart the next ones are.
const PASSES: [(usize, usize); 4] = [(0, 8), (4, 8), (2, 4), (1, 2)];

const WHITE: u8 = 255;

pub(super) fn decode(
    bytes: &[u8],
    header: &Header,
    interrupt: Interrupt<'_>,
) -> Result<Vec<u8>, ImagingError> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    if let Some(limit) = std::num::NonZeroU64::new(WORKING_ROWS) {
        options.set_memory_limit(MemoryLimit::Bytes(limit));
    }
    let watched = Watched::new(bytes, interrupt);
    let mut decoder = options.read_info(watched).map_err(refusal)?;
    if (decoder.width().into(), decoder.height().into()) != (header.width, header.height) {
        return Err(Format::Gif.contradiction());
    }
    let frame = decoder.next_frame_info().map_err(refusal)?;
    let frame = frame.ok_or_else(|| Format::Gif.corrupt("it has no frame"))?;
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let (width, height) = (usize::from(frame.width), usize::from(frame.height));
    let (interlaced, transparent) = (frame.interlaced, frame.transparent);
    if width > header.width as usize || height > header.height as usize {
        return Err(Format::Gif.corrupt("a frame is larger than the image"));
    }

    // An index outside the palette counts as transparent, and transparent pixels are white.
    let mut colours = [[WHITE; CHANNELS]; 256];
    let palette = decoder.palette().map_err(refusal)?;
    for (colour, found) in colours.iter_mut().zip(palette.as_chunks().0) {
        *colour = *found;
    }
    if let Some(index) = transparent {
        colours[usize::from(index)] = [WHITE; CHANNELS];
    }

    let mut canvas = Canvas::new(Orientation::Upright, (header.width, header.height), WHITE);
    let (mut indices, mut rgb) = (vec![0; width], vec![0; width * CHANNELS]);
    let passes: &[(usize, usize)] = if interlaced { &PASSES } else { &[(0, 1)] };
    for &(first, apart) in passes {
        for y in (first..height).step_by(apart) {
            interrupt.check()?;
            if !decoder.fill_buffer(&mut indices).map_err(refusal)? {
                return Err(Format::Gif.corrupt("it was cut short"));
            }
            for (pixel, index) in rgb.as_chunks_mut().0.iter_mut().zip(&indices) {
                *pixel = colours[usize::from(*index)];
            }
            canvas.put(left, top + y, 1, &rgb);
        }
    }
    Ok(canvas.into_pixels())
}

fn refusal(error: DecodingError) -> ImagingError {
    Format::Gif.corrupt(match error {
        DecodingError::OutOfMemory => MEMORY.to_owned(),
        other => other.to_string(),
    })
}
