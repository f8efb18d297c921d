//! PNG, by the `png` crate, a row at a time.

use ::png::{BitDepth, ColorType, DecodingError, Limits, Transformations};

use super::canvas::Canvas;
use super::watched::Watched;
use super::{MEMORY, WORKING_ROWS};
use crate::flatten::{Channels, Depth, to_rgb8};
use crate::image::CHANNELS;
use crate::probe::png::is_whole;
use crate::{Format, Header, ImagingError, Interrupt};

/// The seven passes of an interlaced file: the first column and row of each, and how far apart the next ones are.
const PASSES: [(usize, usize, usize, usize); 7] = [
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
];

pub(super) fn decode(
    bytes: &[u8],
    header: &Header,
    interrupt: Interrupt<'_>,
) -> Result<Vec<u8>, ImagingError> {
    if !is_whole(bytes) {
        return Err(Format::Png.corrupt("it was cut short"));
    }
    // The decoder needs a few rows. Only a profile or a text would need more, and a small file can inflate to a large one.
    let limits = Limits {
        bytes: WORKING_ROWS as usize,
    };
    let mut decoder = ::png::Decoder::new_with_limits(Watched::new(bytes, interrupt), limits);
    decoder.set_transformations(Transformations::EXPAND);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().map_err(refusal)?;
    let info = reader.info();
    let interlaced = info.interlaced;
    let (width, height) = header.stored_size();
    if info.size() != (width, height) {
        return Err(Format::Png.contradiction());
    }
    // The library panics when it expands such a palette.
    let palette = info.palette.as_deref().unwrap_or_default();
    if info.color_type == ColorType::Indexed && !palette.len().is_multiple_of(3) {
        return Err(Format::Png.corrupt("its palette is damaged"));
    }
    let (channels, depth) = layout(reader.output_color_type())?;
    let pixel = channels.count() * depth.bytes();

    let mut canvas = Canvas::new(header.orientation, (width, height), 0);
    let mut next_row = |width: usize, rgb: &mut [u8]| {
        let row = reader.next_row().map_err(refusal)?;
        let row = row.map(|row| row.data()).unwrap_or_default();
        if row.len() != width * pixel {
            return Err(Format::Png.contradiction());
        }
        to_rgb8(row, channels, depth, rgb);
        Ok(())
    };
    let (width, height) = (width as usize, height as usize);
    if interlaced {
        let mut rgb = vec![0; width * CHANNELS];
        for (left, top, across, down) in PASSES {
            let columns = width.saturating_sub(left).div_ceil(across);
            let rgb = &mut rgb[..columns * CHANNELS];
            // A pass without columns has no rows either.
            for y in (top..height).step_by(down).filter(|_| columns > 0) {
                interrupt.check()?;
                next_row(columns, rgb)?;
                canvas.put(left, y, across, rgb);
            }
        }
    } else {
        canvas.fill(&interrupt, |_, rgb| next_row(width, rgb))?;
    }
    // Behind the last row are the checksums.
    match reader.next_row().map_err(refusal)? {
        None => Ok(canvas.into_pixels()),
        Some(_) => Err(Format::Png.contradiction()),
    }
}

fn layout((colour, depth): (ColorType, BitDepth)) -> Result<(Channels, Depth), ImagingError> {
    let channels = match colour {
        ColorType::Grayscale => Channels::Grey,
        ColorType::GrayscaleAlpha => Channels::GreyAlpha,
        ColorType::Rgb => Channels::Rgb,
        ColorType::Rgba => Channels::Rgba,
        // The decoder has expanded palettes.
        ColorType::Indexed => return Err(Format::Png.contradiction()),
    };
    match depth {
        BitDepth::Eight => Ok((channels, Depth::Eight)),
        BitDepth::Sixteen => Ok((channels, Depth::Sixteen)),
        BitDepth::One | BitDepth::Two | BitDepth::Four => Err(Format::Png.contradiction()),
    }
}

fn refusal(error: DecodingError) -> ImagingError {
    Format::Png.corrupt(match error {
        DecodingError::LimitsExceeded => MEMORY.to_owned(),
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImageLimits, decode};

    /// A PNG of one pixel, which is the first entry of the palette.
    fn of_palette(palette: Vec<u8>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = ::png::Encoder::new(&mut bytes, 1, 1);
        encoder.set_color(ColorType::Indexed);
        encoder.set_palette(palette);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&[0]).unwrap();
        drop(writer);
        bytes
    }

    #[test]
    fn a_palette_that_ends_within_a_colour_is_damage() {
        for length in [3, 6, 768] {
            let image = decode(&of_palette(vec![9; length]), &ImageLimits::default());
            assert_eq!(image.unwrap().as_rgb8(), [9; 3], "{length} bytes");
        }
        let damaged = Format::Png.corrupt("its palette is damaged");
        for length in [4, 16, 767] {
            let refused = decode(&of_palette(vec![9; length]), &ImageLimits::default());
            assert_eq!(refused, Err(damaged.clone()), "{length} bytes");
        }
    }
}
