//! Every pixel layout that a decoder writes to RGB with eight bits a channel, where it lies.

use image::ColorType;

use crate::picture::CHANNELS;

/// Converts the first `pixels` pixels of `buffer` to RGB; `false` if the layout is not known.
///
/// The buffer has to be long enough for both layouts. Alpha is laid over white, which is what a page or a document
/// shows behind it; sixteen bits are rounded to eight.
pub(crate) fn to_rgb8(buffer: &mut [u8], layout: ColorType, pixels: usize) -> bool {
    match layout {
        ColorType::Rgb8 => {}
        ColorType::L8 => convert(buffer, pixels, |[v]: [u8; 1]| [v; 3]),
        ColorType::La8 => convert(buffer, pixels, |[v, a]: [u8; 2]| [over_white(v, a); 3]),
        ColorType::Rgba8 => convert(buffer, pixels, |[r, g, b, a]: [u8; 4]| {
            [over_white(r, a), over_white(g, a), over_white(b, a)]
        }),
        ColorType::L16 => convert(buffer, pixels, |pixel: [u8; 2]| [to_8_bits(sample(&pixel, 0)); 3]),
        ColorType::La16 => convert(buffer, pixels, |pixel: [u8; 4]| {
            [over_white_16(sample(&pixel, 0), sample(&pixel, 1)); 3]
        }),
        ColorType::Rgb16 => {
            convert(buffer, pixels, |pixel: [u8; 6]| {
                [0, 1, 2].map(|channel| to_8_bits(sample(&pixel, channel)))
            });
        }
        ColorType::Rgba16 => convert(buffer, pixels, |pixel: [u8; 8]| {
            [0, 1, 2].map(|channel| over_white_16(sample(&pixel, channel), sample(&pixel, 3)))
        }),
        ColorType::Rgb32F => convert(buffer, pixels, |pixel: [u8; 12]| {
            [0, 1, 2].map(|channel| unit_to_8_bits(float(&pixel, channel)))
        }),
        ColorType::Rgba32F => convert(buffer, pixels, |pixel: [u8; 16]| {
            [0, 1, 2].map(|channel| {
                over_white(
                    unit_to_8_bits(float(&pixel, channel)),
                    unit_to_8_bits(float(&pixel, 3)),
                )
            })
        }),
        _ => return false,
    }
    true
}

fn convert<const N: usize>(buffer: &mut [u8], pixels: usize, to_rgb: impl Fn([u8; N]) -> [u8; CHANNELS]) {
    let mut move_pixel = |index: usize| {
        let mut pixel = [0; N];
        pixel.copy_from_slice(&buffer[index * N..][..N]);
        buffer[index * CHANNELS..][..CHANNELS].copy_from_slice(&to_rgb(pixel));
    };
    // What grows is converted from the end, and what shrinks from the start: no pixel is overwritten before it is read.
    if N < CHANNELS {
        (0..pixels).rev().for_each(&mut move_pixel);
    } else {
        (0..pixels).for_each(&mut move_pixel);
    }
}

fn sample(pixel: &[u8], channel: usize) -> u16 {
    u16::from_ne_bytes([pixel[2 * channel], pixel[2 * channel + 1]])
}

fn float(pixel: &[u8], channel: usize) -> f32 {
    let at = 4 * channel;
    f32::from_ne_bytes([pixel[at], pixel[at + 1], pixel[at + 2], pixel[at + 3]])
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

/// Casts of floats saturate, and not-a-number becomes black.
fn unit_to_8_bits(value: f32) -> u8 {
    (value * 255.0 + 0.5) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(layout: ColorType, samples: &[u8]) -> Vec<u8> {
        let pixels = samples.len() / usize::from(layout.bytes_per_pixel());
        let mut buffer = samples.to_vec();
        buffer.resize(samples.len().max(pixels * 3), 0xEE);
        assert!(to_rgb8(&mut buffer, layout, pixels));
        buffer.truncate(pixels * 3);
        buffer
    }

    fn wide(samples: &[u16]) -> Vec<u8> {
        samples.iter().flat_map(|sample| sample.to_ne_bytes()).collect()
    }

    #[test]
    fn grey_is_spread_without_overtaking_itself() {
        assert_eq!(flat(ColorType::L8, &[1, 2, 3]), [1, 1, 1, 2, 2, 2, 3, 3, 3]);
        assert_eq!(
            flat(ColorType::La8, &[10, 255, 20, 255]),
            [10, 10, 10, 20, 20, 20]
        );
        assert_eq!(
            flat(ColorType::L16, &wide(&[257, 514, 65_535])),
            [1, 1, 1, 2, 2, 2, 255, 255, 255]
        );
    }

    #[test]
    fn colours_keep_their_order() {
        assert_eq!(flat(ColorType::Rgb8, &[1, 2, 3, 4, 5, 6]), [1, 2, 3, 4, 5, 6]);
        assert_eq!(
            flat(ColorType::Rgba8, &[1, 2, 3, 255, 4, 5, 6, 255]),
            [1, 2, 3, 4, 5, 6]
        );
        assert_eq!(
            flat(ColorType::Rgb16, &wide(&[257, 514, 771, 1028, 1285, 1542])),
            [1, 2, 3, 4, 5, 6]
        );
        assert_eq!(
            flat(
                ColorType::Rgba16,
                &wide(&[257, 514, 771, 65_535, 1028, 1285, 1542, 65_535])
            ),
            [1, 2, 3, 4, 5, 6]
        );
        let floats: Vec<u8> = [0.0_f32, 0.5, 1.0, 2.0, -1.0, f32::NAN]
            .iter()
            .flat_map(|f| f.to_ne_bytes())
            .collect();
        assert_eq!(flat(ColorType::Rgb32F, &floats), [0, 128, 255, 255, 0, 0]);
    }

    #[test]
    fn what_is_transparent_is_white() {
        assert_eq!(flat(ColorType::Rgba8, &[0, 100, 200, 0]), [255, 255, 255]);
        // 0 at 51/255 = 1/5: 204; 100: 224; 200: 244.
        assert_eq!(flat(ColorType::Rgba8, &[0, 100, 200, 51]), [204, 224, 244]);
        assert_eq!(flat(ColorType::La8, &[0, 51]), [204, 204, 204]);
        assert_eq!(
            flat(ColorType::La16, &wide(&[0, 13_107, 65_535, 0])),
            [204, 204, 204, 255, 255, 255]
        );
        assert_eq!(
            flat(ColorType::Rgba16, &wide(&[0, 25_700, 51_400, 13_107])),
            [204, 224, 244]
        );
    }

    #[test]
    fn opaque_values_are_unchanged_at_either_depth() {
        for value in 0..=255 {
            assert_eq!(over_white(value, 255), value);
            assert_eq!(to_8_bits(u16::from(value) * 257), value);
            assert_eq!(over_white_16(u16::from(value) * 257, 65_535), value);
        }
    }
}
