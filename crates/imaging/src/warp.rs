//! Pictures under affine maps.

use crate::picture::CHANNELS;
use crate::{Affine, Picture};

/// The picture under `map`, seen through a window of `width` x `height` pixels at the origin.
///
/// `map` takes coordinates of the picture to coordinates of the result; pixel centres lie at integer coordinates. Each
/// pixel of the result is the bilinear mixture of the four around its origin; what lies outside of the picture is
/// black, and a pixel whose neighbours are partly outside is mixed with that black. This is OpenCV's
/// `warpAffine(INTER_LINEAR, BORDER_CONSTANT)`, except that positions are not rounded to a 32nd of a pixel first.
///
/// A map without an inverse shows nothing: the result is black. Sides of zero are taken as one.
#[must_use]
pub fn warp_affine(picture: &Picture, map: &Affine, width: u32, height: u32) -> Picture {
    let mut warped = Picture::black(width, height);
    let Some(back) = map.inverse() else {
        return warped;
    };
    let [[step_x, _, _], [step_y, _, _]] = back.rows();
    let stride = warped.stride();
    for (y, row) in (0_u32..).zip(warped.pixels_mut().chunks_exact_mut(stride)) {
        let (start_x, start_y) = back.apply(0.0, f64::from(y));
        for (x, out) in (0_u32..).zip(row.chunks_exact_mut(CHANNELS)) {
            // Multiplied afresh and not summed up, so that no error grows along the row.
            sample(
                picture,
                start_x + step_x * f64::from(x),
                start_y + step_y * f64::from(x),
                out,
            );
        }
    }
    warped
}

/// Writes the colour at the position `(x, y)`; leaves `out` as it is (black) if no part of it lies in the picture.
fn sample(picture: &Picture, x: f64, y: f64, out: &mut [u8]) {
    let (width, height) = (i64::from(picture.width()), i64::from(picture.height()));
    // Written so that not-a-number, which huge coefficients can add up to, counts as outside.
    if !(x > -1.0 && y > -1.0 && x < width as f64 && y < height as f64) {
        return;
    }
    let (left, top) = (x.floor(), y.floor());
    let (right_share, bottom_share) = ((x - left) as f32, (y - top) as f32);
    let (left, top) = (left as i64, top as i64);
    let row = |y: i64| -> &[u8] {
        if (0..height).contains(&y) {
            let stride = picture.stride();
            &picture.as_rgb8()[y as usize * stride..][..stride]
        } else {
            &[]
        }
    };
    let (upper, lower) = (row(top), row(top + 1));
    let mix = |upper_left: u8, upper_right: u8, lower_left: u8, lower_right: u8| {
        let above = f32::from(upper_left) + (f32::from(upper_right) - f32::from(upper_left)) * right_share;
        let below = f32::from(lower_left) + (f32::from(lower_right) - f32::from(lower_left)) * right_share;
        (above + (below - above) * bottom_share + 0.5) as u8
    };
    if left >= 0 && left + 1 < width && !upper.is_empty() && !lower.is_empty() {
        let from = left as usize * CHANNELS;
        let (upper, lower) = (
            &upper[from..from + 2 * CHANNELS],
            &lower[from..from + 2 * CHANNELS],
        );
        for channel in 0..CHANNELS {
            out[channel] = mix(
                upper[channel],
                upper[channel + CHANNELS],
                lower[channel],
                lower[channel + CHANNELS],
            );
        }
    } else {
        let at = |row: &[u8], x: i64, channel: usize| {
            let inside = (0..width).contains(&x);
            if inside {
                row.get(x as usize * CHANNELS + channel).copied().unwrap_or(0)
            } else {
                0
            }
        };
        for (channel, out) in out.iter_mut().enumerate() {
            *out = mix(
                at(upper, left, channel),
                at(upper, left + 1, channel),
                at(lower, left, channel),
                at(lower, left + 1, channel),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grey(width: u32, values: &[u8]) -> Picture {
        let pixels = values.iter().flat_map(|&value| [value; 3]).collect();
        Picture::from_rgb8(width, values.len() as u32 / width, pixels).unwrap()
    }

    fn reds(picture: &Picture) -> Vec<u8> {
        picture.as_rgb8().chunks_exact(3).map(|pixel| pixel[0]).collect()
    }

    #[test]
    fn half_a_pixel_to_the_right_mixes_with_black_at_both_ends() {
        let picture = grey(2, &[100, 200]);
        let moved = warp_affine(&picture, &Affine::new(1.0, 0.0, 0.5, 0.0, 1.0, 0.0), 4, 1);
        assert_eq!(reds(&moved), [50, 150, 100, 0]);
    }

    #[test]
    fn a_quarter_pixel_down_mixes_rows() {
        let picture = grey(1, &[100, 200]);
        let moved = warp_affine(&picture, &Affine::new(1.0, 0.0, 0.0, 0.0, 1.0, 0.25), 1, 3);
        // 0.75 * 100 + 0.25 * 0, 0.75 * 200 + 0.25 * 100, 0.75 * 0 + 0.25 * 200
        assert_eq!(reds(&moved), [75, 175, 50]);
    }

    #[test]
    fn twice_as_large_keeps_the_colours_apart() {
        let picture = Picture::from_rgb8(2, 1, vec![0, 100, 200, 100, 0, 50]).unwrap();
        let doubled = warp_affine(&picture, &Affine::new(2.0, 0.0, 0.0, 0.0, 1.0, 0.0), 3, 1);
        assert_eq!(doubled.as_rgb8(), [0, 100, 200, 50, 50, 125, 100, 0, 50]);
    }

    #[test]
    fn nothing_to_see_is_black() {
        let picture = grey(1, &[255]);
        for map in [
            Affine::new(0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
            Affine::new(1.0, 0.0, 1e300, 0.0, 1.0, 0.0),
            Affine::new(1e-300, 0.0, 5.0, 0.0, 1e-300, 5.0),
            Affine::new(f64::NAN, 0.0, 0.0, 0.0, 1.0, 0.0),
        ] {
            assert_eq!(reds(&warp_affine(&picture, &map, 2, 2)), [0; 4], "{map:?}");
        }
    }

    proptest! {
        #[test]
        fn the_identity_changes_nothing(width in 1_u32..20, height in 1_u32..20, seed: u8) {
            let pixels = (0..width * height * 3).map(|i| (i as u8).wrapping_mul(31) ^ seed).collect();
            let picture = Picture::from_rgb8(width, height, pixels).unwrap();
            prop_assert_eq!(&warp_affine(&picture, &Affine::IDENTITY, width, height), &picture);
        }

        #[test]
        fn no_map_panics(numbers in proptest::array::uniform6(proptest::num::f64::ANY)) {
            let [a, b, c, d, e, f] = numbers;
            let picture = grey(3, &[1, 2, 3, 4, 5, 6]);
            let warped = warp_affine(&picture, &Affine::new(a, b, c, d, e, f), 5, 4);
            prop_assert_eq!((warped.width(), warped.height()), (5, 4));
        }
    }
}
