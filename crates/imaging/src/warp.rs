//! Affine maps of the plane, and images under them.

use multiversion::multiversion;

use crate::Image;
use crate::image::CHANNELS;
use crate::resample::round;

/// An affine map of the plane: rotation, scaling, shearing, translation.
///
/// Coordinates are in pixels, `x` to the right and `y` down, and a pixel's centre lies at integer coordinates, as in
/// OpenCV's `warpAffine`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine {
    rows: [[f64; 3]; 2],
}

impl Affine {
    /// The map that leaves every point where it is.
    pub const IDENTITY: Self = Self::new(1.0, 0.0, 0.0, 0.0, 1.0, 0.0);

    /// The map `(x, y) -> (a x + b y + c, d x + e y + f)`.
    #[must_use]
    pub const fn new(a: f64, b: f64, c: f64, d: f64, e: f64, f: f64) -> Self {
        Self {
            rows: [[a, b, c], [d, e, f]],
        }
    }

    /// The two rows of the 2x3 matrix, `[[a, b, c], [d, e, f]]`.
    #[must_use]
    pub const fn rows(&self) -> [[f64; 3]; 2] {
        self.rows
    }

    /// Where the point `(x, y)` goes.
    #[must_use]
    pub fn apply(&self, x: f64, y: f64) -> (f64, f64) {
        let [[a, b, c], [d, e, f]] = self.rows;
        (a * x + b * y + c, d * x + e * y + f)
    }

    /// The map that undoes this one; `None` if this one squeezes the plane onto a line or a point, or if its numbers
    /// or its inverse's are not finite.
    #[must_use]
    pub fn inverse(&self) -> Option<Self> {
        let [[a, b, c], [d, e, f]] = self.rows;
        let determinant = a * e - b * d;
        let inverse = Self::new(
            e / determinant,
            -b / determinant,
            (b * f - c * e) / determinant,
            -d / determinant,
            a / determinant,
            (c * d - a * f) / determinant,
        );
        // A determinant of zero, and numbers that overflow on the way, show here as infinities or not-a-number.
        inverse
            .rows
            .iter()
            .flatten()
            .all(|number| number.is_finite())
            .then_some(inverse)
    }
}

/// The image under `map`, seen through a window of `width` x `height` pixels at the origin.
///
/// `map` takes coordinates of the image to coordinates of the result; pixel centres lie at integer coordinates. Each
/// pixel of the result is the bilinear mixture of the four around its origin; what lies outside of the image is
/// black, and a pixel whose neighbours are partly outside is mixed with that black. This is OpenCV's
/// `warpAffine(INTER_LINEAR, BORDER_CONSTANT)`, except that positions are not rounded to a 32nd of a pixel first.
///
/// A map without an inverse shows nothing: the result is black. Sides of zero are taken as one.
#[must_use]
pub fn warp_affine(image: &Image, map: &Affine, width: u32, height: u32) -> Image {
    let mut warped = Image::black(width, height);
    let Some(back) = map.inverse() else {
        return warped;
    };
    let mut colours = vec![0.0; warped.stride()];
    for (y, row) in (0_u32..).zip(warped.rows_mut()) {
        warp_row(image, &back, y, &mut colours);
        round(&colours, row);
    }
    warped
}

#[multiversion(targets("x86_64+avx2+bmi1+bmi2+fma"))]
fn warp_row(image: &Image, back: &Affine, y: u32, row: &mut [f32]) {
    let [[step_x, _, _], [step_y, _, _]] = back.rows();
    let (start_x, start_y) = back.apply(0.0, f64::from(y));
    // Multiplied afresh and not summed up, so that no error grows along the row.
    let origin = |x: usize| (start_x + step_x * x as f64, start_y + step_y * x as f64);
    let (last_x, last_y) = (f64::from(image.width() - 1), f64::from(image.height() - 1));
    let has_neighbours = |x: &usize| {
        let (x, y) = origin(*x);
        x >= 0.0 && y >= 0.0 && x < last_x && y < last_y
    };
    let (row, _) = row.as_chunks_mut::<CHANNELS>();
    // Along a line through an image, what is inside lies side by side.
    let first = (0..row.len()).find(has_neighbours).unwrap_or(row.len());
    let behind = (first..row.len())
        .rfind(has_neighbours)
        .map_or(first, |last| last + 1);
    let (pixels, stride) = (image.as_rgb8(), image.stride());
    for (x, out) in row.iter_mut().enumerate() {
        let (source_x, source_y) = origin(x);
        if !(first..behind).contains(&x) {
            sample(image, source_x, source_y, out);
            continue;
        }
        // Neither is negative: cutting off is rounding down.
        let (left, top) = (source_x as usize, source_y as usize);
        let shares = Shares {
            right: (source_x - left as f64) as f32,
            bottom: (source_y - top as f64) as f32,
        };
        let upper = top * stride + left * CHANNELS;
        let pair = |from: usize| {
            pixels
                .get(from..)
                .and_then(<[u8]>::first_chunk::<{ 2 * CHANNELS }>)
        };
        if let (Some(upper), Some(lower)) = (pair(upper), pair(upper + stride)) {
            for (channel, out) in out.iter_mut().enumerate() {
                let right = channel + CHANNELS;
                *out = shares.mix(upper[channel], upper[right], lower[channel], lower[right]);
            }
        }
    }
}

/// How much of the right and of the lower neighbours there is in a pixel.
#[derive(Clone, Copy)]
struct Shares {
    right: f32,
    bottom: f32,
}

impl Shares {
    #[inline]
    fn mix(self, upper_left: u8, upper_right: u8, lower_left: u8, lower_right: u8) -> f32 {
        let across =
            |left: u8, right: u8| f32::from(left) + (f32::from(right) - f32::from(left)) * self.right;
        let (above, below) = (across(upper_left, upper_right), across(lower_left, lower_right));
        above + (below - above) * self.bottom
    }
}

/// Writes the colour at the position `(x, y)`, which is black if no part of it lies in the image.
fn sample(image: &Image, x: f64, y: f64, out: &mut [f32; CHANNELS]) {
    let (width, height) = (i64::from(image.width()), i64::from(image.height()));
    // Written so that not-a-number, which huge coefficients can add up to, counts as outside.
    if !(x > -1.0 && y > -1.0 && x < width as f64 && y < height as f64) {
        *out = [0.0; CHANNELS];
        return;
    }
    let (left, top) = (x.floor(), y.floor());
    let shares = Shares {
        right: (x - left) as f32,
        bottom: (y - top) as f32,
    };
    let (left, top) = (left as i64, top as i64);
    let at = |x: i64, y: i64, channel: usize| {
        if !(0..width).contains(&x) || !(0..height).contains(&y) {
            return 0;
        }
        let start = y as usize * image.stride() + x as usize * CHANNELS;
        image.as_rgb8().get(start + channel).copied().unwrap_or(0)
    };
    *out = std::array::from_fn(|channel| {
        shares.mix(
            at(left, top, channel),
            at(left + 1, top, channel),
            at(left, top + 1, channel),
            at(left + 1, top + 1, channel),
        )
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grey(width: u32, values: &[u8]) -> Image {
        let pixels = values.iter().flat_map(|&value| [value; 3]).collect();
        Image::from_rgb8(width, values.len() as u32 / width, pixels).unwrap()
    }

    fn reds(image: &Image) -> Vec<u8> {
        image.as_rgb8().chunks_exact(3).map(|pixel| pixel[0]).collect()
    }

    #[test]
    fn a_quarter_turn_about_a_point() {
        // 90 degrees clockwise on the screen (y down) about (10, 20): (11, 20) goes to (10, 21).
        let turn = Affine::new(0.0, -1.0, 30.0, 1.0, 0.0, 10.0);
        assert_eq!(turn.apply(10.0, 20.0), (10.0, 20.0));
        assert_eq!(turn.apply(11.0, 20.0), (10.0, 21.0));
        assert_eq!(
            turn.inverse(),
            Some(Affine::new(0.0, 1.0, -10.0, -1.0, 0.0, 30.0))
        );
    }

    #[test]
    fn a_map_onto_a_line_has_no_inverse() {
        assert_eq!(Affine::new(1.0, 2.0, 3.0, 2.0, 4.0, 5.0).inverse(), None);
        assert_eq!(Affine::new(0.0, 0.0, 3.0, 0.0, 0.0, 5.0).inverse(), None);
        assert_eq!(Affine::new(f64::NAN, 0.0, 0.0, 0.0, 1.0, 0.0).inverse(), None);
        assert_eq!(
            Affine::new(1.0, 0.0, f64::INFINITY, 0.0, 1.0, 0.0).inverse(),
            None
        );
    }

    #[test]
    fn half_a_pixel_to_the_right_mixes_with_black_at_both_ends() {
        let image = grey(2, &[100, 200]);
        let moved = warp_affine(&image, &Affine::new(1.0, 0.0, 0.5, 0.0, 1.0, 0.0), 4, 1);
        assert_eq!(reds(&moved), [50, 150, 100, 0]);
    }

    #[test]
    fn a_quarter_pixel_down_mixes_rows() {
        let image = grey(1, &[100, 200]);
        let moved = warp_affine(&image, &Affine::new(1.0, 0.0, 0.0, 0.0, 1.0, 0.25), 1, 3);
        // 0.75 * 100 + 0.25 * 0, 0.75 * 200 + 0.25 * 100, 0.75 * 0 + 0.25 * 200
        assert_eq!(reds(&moved), [75, 175, 50]);
    }

    #[test]
    fn twice_as_large_keeps_the_colours_apart() {
        let image = Image::from_rgb8(2, 1, vec![0, 100, 200, 100, 0, 50]).unwrap();
        let doubled = warp_affine(&image, &Affine::new(2.0, 0.0, 0.0, 0.0, 1.0, 0.0), 3, 1);
        assert_eq!(doubled.as_rgb8(), [0, 100, 200, 50, 50, 125, 100, 0, 50]);
    }

    #[test]
    fn nothing_to_see_is_black() {
        let image = grey(1, &[255]);
        for map in [
            Affine::new(0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
            Affine::new(1.0, 0.0, 1e300, 0.0, 1.0, 0.0),
            Affine::new(1e-300, 0.0, 5.0, 0.0, 1e-300, 5.0),
            Affine::new(f64::NAN, 0.0, 0.0, 0.0, 1.0, 0.0),
        ] {
            assert_eq!(reds(&warp_affine(&image, &map, 2, 2)), [0; 4], "{map:?}");
        }
    }

    proptest! {
        #[test]
        fn the_inverse_undoes_the_map(
            scale in 0.05_f64..20.0,
            angle in -3.2_f64..3.2,
            shear in -0.5_f64..0.5,
            (c, f) in (-500.0_f64..500.0, -500.0_f64..500.0),
            (x, y) in (-1000.0_f64..1000.0, -1000.0_f64..1000.0),
        ) {
            let (sin, cos) = angle.sin_cos();
            let map = Affine::new(
                scale * cos, scale * (shear * cos - sin), c,
                scale * sin, scale * (shear * sin + cos), f,
            );
            let (there_x, there_y) = map.apply(x, y);
            let (back_x, back_y) = map.inverse().unwrap().apply(there_x, there_y);
            prop_assert!((back_x - x).abs() < 1e-6 && (back_y - y).abs() < 1e-6, "{back_x} {back_y}");
        }

        #[test]
        fn the_identity_changes_nothing(width in 1_u32..20, height in 1_u32..20, seed: u8) {
            let pixels = (0..width * height * 3).map(|i| (i as u8).wrapping_mul(31) ^ seed).collect();
            let image = Image::from_rgb8(width, height, pixels).unwrap();
            prop_assert_eq!(&warp_affine(&image, &Affine::IDENTITY, width, height), &image);
        }

        #[test]
        fn no_map_panics(numbers in proptest::array::uniform6(proptest::num::f64::ANY)) {
            let [a, b, c, d, e, f] = numbers;
            let image = grey(3, &[1, 2, 3, 4, 5, 6]);
            let warped = warp_affine(&image, &Affine::new(a, b, c, d, e, f), 5, 4);
            prop_assert_eq!((warped.width(), warped.height()), (5, 4));
        }
    }
}
