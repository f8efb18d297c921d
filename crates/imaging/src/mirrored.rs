//! Squares of an image that may reach beyond it, at another size.

use multiversion::multiversion;

use crate::Image;
use crate::image::{CHANNELS, byte_len};
use crate::resample::round;

/// Longest side of a square, in sides of the image: what is further out only repeats what is nearer.
const LONGEST: u32 = 4;

/// Returns a square of the image at another size; where it reaches beyond the image, it shows what it holds of the image mirrored.
///
/// `left` and `top` are the corner in pixels of the image, `side` is the square's, `size` the result's. The mirror does not
/// repeat the pixel at the border, and mirrors again where that is not enough: OpenCV's `BORDER_REFLECT_101` around the part
/// of the image within the square. A result that is smaller or as large has means of areas, OpenCV's `INTER_AREA`; a larger
/// one is interpolated over eight pixels, `INTER_LANCZOS4`.
///
/// Sides of zero are taken as one, longer ones than four times the image's as that, and a square without any part of the
/// image as one with the pixels nearest to it.
#[must_use]
pub fn crop_resize_mirrored(image: &Image, left: i64, top: i64, side: u32, size: u32) -> Image {
    let longest = image.width().max(image.height()).saturating_mul(LONGEST);
    let (side, size) = (side.clamp(1, longest), size.max(1));
    let columns = Axis::new(left, image.width(), side);
    let rows = Axis::new(top, image.height(), side);
    let columns_of = columns.shares(side, size);
    let first = byte_len(columns.first, 1);
    let held = first..first + byte_len(columns.count, 1);
    let mut crop = Image::black(size, size);
    let (mut sums, mut row) = (vec![0.0; held.len()], vec![0.0; crop.stride()]);
    for (share, out) in rows.shares(side, size).iter().zip(crop.rows_mut()) {
        // Rows first: values that lie side by side are then summed independently of each other, many at a time.
        sums.fill(0.0);
        for &(y, weight) in share {
            let start = (rows.first + y) as usize * image.stride();
            add_weighted(&image.as_rgb8()[start..][held.clone()], weight, &mut sums);
        }
        let (summed, _) = sums.as_chunks::<CHANNELS>();
        let (mixed, _) = row.as_chunks_mut::<CHANNELS>();
        for (mixed, share) in mixed.iter_mut().zip(&columns_of) {
            let mut sum = [0.0_f32; CHANNELS];
            for &(x, weight) in share {
                let pixel = summed[x as usize];
                sum = std::array::from_fn(|channel| sum[channel] + pixel[channel] * weight);
            }
            // Eight pixels can overshoot.
            *mixed = sum.map(|value| value.clamp(0.0, 255.0));
        }
        round(&row, out);
    }
    crop
}

#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma",
    "x86_64+avx2+bmi1+bmi2+fma"
))]
fn add_weighted(row: &[u8], weight: f32, sums: &mut [f32]) {
    for (sum, &value) in sums.iter_mut().zip(row) {
        *sum += f32::from(value) * weight;
    }
}

/// A square's side along one axis of the image.
struct Axis {
    /// The image's first pixel within the square.
    first: u32,
    /// How many of them there are, at least one.
    count: u32,
    /// How many pixels of the square lie before the first.
    before: i64,
}

/// Pixels of the image, counted from the first within the square, and their weights, which add up to 1.
type Share = Vec<(u32, f32)>;

impl Axis {
    fn new(start: i64, length: u32, side: u32) -> Self {
        let last = i64::from(length) - 1;
        let first = start.clamp(0, last);
        let end = start.saturating_add(side.into()).clamp(first + 1, last + 1);
        Self {
            first: first as u32,
            count: (end - first) as u32,
            before: first.saturating_sub(start),
        }
    }

    /// Returns the pixel that the square shows at a place.
    fn mirrored(&self, place: u32) -> u32 {
        let last = i64::from(self.count) - 1;
        if last == 0 {
            return 0;
        }
        let place = (i64::from(place) - self.before).rem_euclid(2 * last);
        place.min(2 * last - place) as u32
    }

    /// Returns what each pixel of the result is made of.
    fn shares(&self, side: u32, size: u32) -> Vec<Share> {
        let share = |index| {
            let taps = if side >= size {
                area(index, side, size)
            } else {
                lanczos(index, side, size)
            };
            let mut share: Share = taps
                .into_iter()
                .map(|(place, weight)| (self.mirrored(place), weight))
                .collect();
            share.sort_by_key(|&(pixel, _)| pixel);
            // A pixel that is mirrored counts once, with the sum of its weights.
            share.dedup_by(|next, kept| {
                let is_same = next.0 == kept.0;
                kept.1 += if is_same { next.1 } else { 0.0 };
                is_same
            });
            share
        };
        (0..size).map(share).collect()
    }
}

/// The places that one pixel of a smaller result covers.
fn area(index: u32, side: u32, size: u32) -> Vec<(u32, f32)> {
    // With a place taken to be `size` units long, each pixel of the result is `side` units long, and all ends are whole.
    let (index, length, unit) = (u64::from(index), u64::from(side), u64::from(size));
    let (start, end) = (index * length, (index + 1) * length);
    let covered = start / unit..end.div_ceil(unit);
    let share = |place: u64| {
        let units = end.min((place + 1) * unit) - start.max(place * unit);
        (place as u32, (units as f64 / length as f64) as f32)
    };
    covered.map(share).collect()
}

/// The eight places around the origin of one pixel of a larger result; those beyond the square are its border.
fn lanczos(index: u32, side: u32, size: u32) -> Vec<(u32, f32)> {
    let origin = (f64::from(index) + 0.5) * f64::from(side) / f64::from(size) - 0.5;
    let near = origin.floor();
    let weights: [f64; 8] = std::array::from_fn(|tap| kernel(origin - near + 3.0 - tap as f64));
    let sum: f64 = weights.iter().sum();
    let last = f64::from(side) - 1.0;
    let tap = |(tap, weight): (usize, f64)| {
        let place = (near - 3.0 + tap as f64).clamp(0.0, last);
        (place as u32, (weight / sum) as f32)
    };
    weights.into_iter().enumerate().map(tap).collect()
}

/// Lanczos' kernel of four lobes: sinc(x) sinc(x / 4).
fn kernel(x: f64) -> f64 {
    let sinc = |x: f64| if x.abs() < 1e-6 { 1.0 } else { x.sin() / x };
    sinc(x * std::f64::consts::PI) * sinc(x * std::f64::consts::FRAC_PI_4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::shrink_area;

    fn grey(width: u32, values: &[u8]) -> Image {
        let pixels = values.iter().flat_map(|&value| [value; 3]).collect();
        Image::from_rgb8(width, values.len() as u32 / width, pixels).unwrap()
    }

    fn reds(image: &Image) -> Vec<u8> {
        image.as_rgb8().chunks_exact(3).map(|pixel| pixel[0]).collect()
    }

    /// Row 0 of a square of the image at its own size.
    fn row(image: &Image, left: i64, side: u32) -> Vec<u8> {
        let mut row = reds(&crop_resize_mirrored(image, left, 0, side, side));
        row.truncate(side as usize);
        row
    }

    #[test]
    fn what_lies_outside_is_mirrored_without_the_border_pixel() {
        let image = grey(4, &[10, 20, 30, 40]);
        assert_eq!(row(&image, -2, 6), [30, 20, 10, 20, 30, 40]);
        // Only what the square holds of the image is mirrored: 10 and 20.
        assert_eq!(row(&image, -4, 6), [10, 20, 10, 20, 10, 20]);
        assert_eq!(row(&image, 2, 6), [30, 40, 30, 40, 30, 40]);
        assert_eq!(row(&image, -1, 7), [20, 10, 20, 30, 40, 30, 20]);
        assert_eq!(row(&image, 3, 3), [40, 40, 40]);
    }

    #[test]
    fn a_square_without_any_part_of_the_image_is_its_nearest_pixel() {
        let image = grey(2, &[10, 20, 30, 40]);
        for (left, top, expected) in [(-9, -9, 10), (9, -9, 20), (-9, 9, 30), (i64::MAX, i64::MAX, 40)] {
            let found = reds(&crop_resize_mirrored(&image, left, top, 3, 2));
            assert_eq!(found, [expected; 4]);
        }
        let far = crop_resize_mirrored(&image, i64::MIN, i64::MIN, u32::MAX, 0);
        assert_eq!(far.width(), 1);
    }

    #[test]
    fn a_smaller_result_has_the_means_of_areas() {
        // 20 10 | 20 30 | 40 30.
        let image = grey(4, &[10, 20, 30, 40, 10, 20, 30, 40]);
        assert_eq!(
            reds(&crop_resize_mirrored(&image, -1, 0, 6, 3))[..3],
            [15, 25, 35]
        );
    }

    #[test]
    fn a_larger_result_is_interpolated_as_opencv_does() {
        // cv2.resize(np.repeat([[0, 0, 200, 50, 0, 0]], 6, 0).astype(np.uint8), (12, 12), interpolation=cv2.INTER_LANCZOS4)[0]
        let image = grey(6, &[0, 0, 200, 50, 0, 0].repeat(6));
        let found = reds(&crop_resize_mirrored(&image, 0, 0, 6, 12));
        let expected = [10, 0, 0, 52, 171, 193, 101, 14, 0, 4, 2, 0];
        let close = found
            .iter()
            .zip(expected)
            .all(|(found, expected)| found.abs_diff(expected) <= 1);
        assert!(close, "{:?}", &found[..12]);
    }

    proptest! {
        #[test]
        fn within_the_image_it_shrinks_as_images_are_shrunk(
            values in proptest::collection::vec(any::<u8>(), 20 * 20), side in 1_u32..=14, size in 1_u32..=14,
            left in 0_u32..6, top in 0_u32..6,
        ) {
            prop_assume!(size <= side);
            let image = grey(20, &values);
            let cut: Vec<u8> = (top..top + side)
                .flat_map(|y| (left..left + side).map(move |x| (y * 20 + x) as usize))
                .map(|at| values[at])
                .collect();
            let found = reds(&crop_resize_mirrored(&image, left.into(), top.into(), side, size));
            let expected = reds(&shrink_area(&grey(side, &cut), size, size));
            for (found, expected) in found.iter().zip(&expected) {
                // Sums in another order may round the other way.
                prop_assert!(found.abs_diff(*expected) <= 1, "{found} instead of {expected}");
            }
        }

        #[test]
        fn any_square_has_the_size_asked_for(
            width in 1_u32..9, height in 1_u32..9, left in -50_i64..50, top in -50_i64..50, side in 0_u32..200, size in 1_u32..20,
        ) {
            let image = grey(width, &vec![77; (width * height) as usize]);
            let found = crop_resize_mirrored(&image, left, top, side, size);
            prop_assert!(reds(&found).iter().all(|&value| value == 77));
            prop_assert_eq!((found.width(), found.height()), (size, size));
        }
    }
}
