//! Rows of every pixel layout that a decoder gives, to rows of RGB with eight bits a channel.

use crate::image::CHANNELS;

/// The channels of a pixel, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channels {
    Grey,
    GreyAlpha,
    Rgb,
    Rgba,
    /// Amounts of ink, as TIFF has them.
    Cmyk,
}

impl Channels {
    pub(crate) const fn count(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::GreyAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba | Self::Cmyk => 4,
        }
    }
}

/// How wide a sample is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    Eight = 1,
    /// The high byte first.
    Sixteen = 2,
}

impl Depth {
    pub(crate) const fn bytes(self) -> usize {
        self as usize
    }
}

/// Converts as many pixels as `rgb` has room for; the row must have them.
///
/// Alpha is laid over white, which is what a page or a document shows behind it; sixteen bits are rounded to eight.
pub(crate) fn to_rgb8(row: &[u8], channels: Channels, depth: Depth, rgb: &mut [u8]) {
    use Channels::{Cmyk, Grey, GreyAlpha, Rgb, Rgba};
    use Depth::{Eight, Sixteen};
    match (channels, depth) {
        (Grey, Eight) => convert(row, rgb, |[v]| [v; 3]),
        (GreyAlpha, Eight) => convert(row, rgb, |[v, a]| [over_white(v, a); 3]),
        (Rgb, Eight) => rgb.copy_from_slice(&row[..rgb.len()]),
        (Rgba, Eight) => convert(row, rgb, pixel_over_white),
        (Cmyk, Eight) => convert(row, rgb, inks),
        (Grey, Sixteen) => convert_16(row, rgb, |[v]| [to_8_bits(v); 3]),
        (GreyAlpha, Sixteen) => convert_16(row, rgb, |[v, a]| [over_white_16(v, a); 3]),
        (Rgb, Sixteen) => convert_16(row, rgb, |pixel| pixel.map(to_8_bits)),
        (Rgba, Sixteen) => convert_16(row, rgb, |[r, g, b, a]| [r, g, b].map(|v| over_white_16(v, a))),
        (Cmyk, Sixteen) => convert_16(row, rgb, |pixel| inks(pixel.map(to_8_bits))),
    }
}

/// Converts as many RGBA pixels as `rgb` has room for to RGB, alpha laid over white; the row must have them.
pub fn rgba_over_white(row: &[u8], rgb: &mut [u8]) {
    to_rgb8(row, Channels::Rgba, Depth::Eight, rgb);
}

/// Converts RGBA pixels to RGB where they lie.
pub(crate) fn drop_alpha(buffer: &mut Vec<u8>) {
    let pixels = buffer.len() / 4;
    for index in 0..pixels {
        let pixel = [0, 1, 2, 3].map(|channel| buffer[4 * index + channel]);
        buffer[CHANNELS * index..][..CHANNELS].copy_from_slice(&pixel_over_white(pixel));
    }
    buffer.truncate(CHANNELS * pixels);
}

/// The product of two shares of 255, rounded: a colour that is seen through ink.
pub(crate) fn under(colour: u8, black: u8) -> u8 {
    ((u32::from(colour) * u32::from(black) + 127) / 255) as u8
}

fn convert<const N: usize>(row: &[u8], rgb: &mut [u8], to_rgb: impl Fn([u8; N]) -> [u8; CHANNELS]) {
    for (pixel, rgb) in row.as_chunks().0.iter().zip(rgb.as_chunks_mut().0) {
        *rgb = to_rgb(*pixel);
    }
}

fn convert_16<const N: usize>(row: &[u8], rgb: &mut [u8], to_rgb: impl Fn([u16; N]) -> [u8; CHANNELS]) {
    let (samples, _) = row.as_chunks();
    for (pixel, rgb) in samples.as_chunks::<N>().0.iter().zip(rgb.as_chunks_mut().0) {
        *rgb = to_rgb(pixel.map(u16::from_be_bytes));
    }
}

fn inks([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    [c, m, y].map(|ink| under(255 - ink, 255 - k))
}

fn pixel_over_white([r, g, b, a]: [u8; 4]) -> [u8; 3] {
    [r, g, b].map(|value| over_white(value, a))
}

fn over_white(value: u8, alpha: u8) -> u8 {
    let (value, alpha) = (u32::from(value), u32::from(alpha));
    ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

fn over_white_16(value: u16, alpha: u16) -> u8 {
    let (value, alpha) = (u32::from(value), u32::from(alpha));
    // At most 65_535 * 65_535 + 32_767, which still fits.
    to_8_bits(((value * alpha + 65_535 * (65_535 - alpha) + 32_767) / 65_535) as u16)
}

/// `257 = 65_535 / 255`: eight bits that were widened by repeating them come back unchanged.
fn to_8_bits(value: u16) -> u8 {
    ((u32::from(value) + 128) / 257) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    use Channels::{Cmyk, Grey, GreyAlpha, Rgb, Rgba};

    const SIXTEEN: Depth = Depth::Sixteen;

    fn flat(channels: Channels, depth: Depth, row: &[u8]) -> Vec<u8> {
        let mut rgb = vec![0xEE; row.len() / channels.count() / depth.bytes() * 3];
        to_rgb8(row, channels, depth, &mut rgb);
        rgb
    }

    fn wide(samples: &[u16]) -> Vec<u8> {
        samples.iter().flat_map(|sample| sample.to_be_bytes()).collect()
    }

    #[test]
    fn grey_is_spread() {
        assert_eq!(flat(Grey, Depth::Eight, &[1, 2, 3]), [1, 1, 1, 2, 2, 2, 3, 3, 3]);
        assert_eq!(
            flat(GreyAlpha, Depth::Eight, &[10, 255, 20, 255]),
            [10, 10, 10, 20, 20, 20]
        );
        assert_eq!(
            flat(Grey, SIXTEEN, &wide(&[257, 514, 65_535])),
            [1, 1, 1, 2, 2, 2, 255, 255, 255]
        );
    }

    #[test]
    fn colours_keep_their_order() {
        assert_eq!(flat(Rgb, Depth::Eight, &[1, 2, 3, 4, 5, 6]), [1, 2, 3, 4, 5, 6]);
        assert_eq!(
            flat(Rgba, Depth::Eight, &[1, 2, 3, 255, 4, 5, 6, 255]),
            [1, 2, 3, 4, 5, 6]
        );
        assert_eq!(
            flat(Rgb, SIXTEEN, &wide(&[257, 514, 771, 1028, 1285, 1542])),
            [1, 2, 3, 4, 5, 6]
        );
        assert_eq!(
            flat(
                Rgba,
                SIXTEEN,
                &wide(&[257, 514, 771, 65_535, 1028, 1285, 1542, 65_535])
            ),
            [1, 2, 3, 4, 5, 6]
        );
    }

    #[test]
    fn ink_takes_light_away() {
        assert_eq!(
            flat(Cmyk, Depth::Eight, &[0, 0, 0, 0, 255, 0, 51, 0, 0, 0, 0, 255]),
            [255, 255, 255, 0, 255, 204, 0, 0, 0]
        );
        assert_eq!(flat(Cmyk, SIXTEEN, &wide(&[65_535, 0, 13_107, 0])), [0, 255, 204]);
    }

    #[test]
    fn what_is_transparent_is_white() {
        assert_eq!(flat(Rgba, Depth::Eight, &[0, 100, 200, 0]), [255, 255, 255]);
        // 0 at 51/255 = 1/5: 204; 100: 224; 200: 244.
        assert_eq!(flat(Rgba, Depth::Eight, &[0, 100, 200, 51]), [204, 224, 244]);
        assert_eq!(flat(GreyAlpha, Depth::Eight, &[0, 51]), [204, 204, 204]);
        assert_eq!(
            flat(GreyAlpha, SIXTEEN, &wide(&[0, 13_107, 65_535, 0])),
            [204, 204, 204, 255, 255, 255]
        );
        assert_eq!(
            flat(Rgba, SIXTEEN, &wide(&[0, 25_700, 51_400, 13_107])),
            [204, 224, 244]
        );
    }

    #[test]
    fn rgba_is_converted_where_it_lies() {
        let pixels = [0, 100, 200, 51, 1, 2, 3, 255, 9, 9, 9, 0];
        let mut buffer = pixels.to_vec();
        drop_alpha(&mut buffer);
        assert_eq!(buffer, flat(Rgba, Depth::Eight, &pixels));
    }

    #[test]
    fn opaque_values_are_unchanged_at_either_depth() {
        for value in 0..=255 {
            assert_eq!(over_white(value, 255), value);
            assert_eq!(to_8_bits(u16::from(value) * 257), value);
            assert_eq!(over_white_16(u16::from(value) * 257, 65_535), value);
        }
    }

    #[test]
    fn ink_is_laid_over_black_as_by_pillow() {
        // Pillow: `nk - MULDIV255(ink, nk)`, with the amounts of ink and not what is left out.
        let muldiv255 = |a: u32, b: u32| {
            let product = a * b + 128;
            ((product >> 8) + product) >> 8
        };
        for colour in 0..=255_u8 {
            for black in 0..=255_u8 {
                let left = u32::from(black);
                let pillow = left - muldiv255(255 - u32::from(colour), left);
                assert_eq!(u32::from(under(colour, black)), pillow, "{colour} {black}");
            }
        }
    }
}
