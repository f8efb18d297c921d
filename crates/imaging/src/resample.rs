//! Images at another size.

use multiversion::multiversion;

use crate::Image;
use crate::image::{CHANNELS, byte_len};

/// A rectangle of whole pixels of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PixelRect {
    /// The first column.
    pub left: u32,
    /// The first row.
    pub top: u32,
    /// How many columns, at least 1.
    pub width: u32,
    /// How many rows, at least 1.
    pub height: u32,
}

impl PixelRect {
    /// The whole image.
    #[must_use]
    pub fn of(image: &Image) -> Self {
        Self {
            left: 0,
            top: 0,
            width: image.width(),
            height: image.height(),
        }
    }

    /// The part of the rectangle that lies in the image; at least the pixel that is nearest to it.
    fn clamped_to(self, image: &Image) -> Self {
        let left = self.left.min(image.width() - 1);
        let top = self.top.min(image.height() - 1);
        Self {
            left,
            top,
            width: self.width.clamp(1, image.width() - left),
            height: self.height.clamp(1, image.height() - top),
        }
    }
}

/// The image made smaller, each pixel the mean of the area that it covers: OpenCV's `resize(INTER_AREA)`.
///
/// A target side is clamped to between 1 and the image's own: this never enlarges.
#[must_use]
pub fn shrink_area(image: &Image, width: u32, height: u32) -> Image {
    let width = width.clamp(1, image.width());
    let height = height.clamp(1, image.height());
    if (width, height) == (image.width(), image.height()) {
        return image.clone();
    }
    let columns = Share::all(image.width(), width);
    let rows = Share::all(image.height(), height);
    let mut shrunk = Image::black(width, height);
    let mut means = vec![0.0; image.stride() + 1];
    let mut row = vec![0.0; shrunk.stride() + 1];
    for (share, out) in rows.iter().zip(shrunk.rows_mut()) {
        // Rows first: values that lie side by side are then summed independently of each other, many at a time.
        mean_of_rows(image, share, &mut means);
        mean_of_columns(&means, &columns, &mut row);
        round(&row, out);
    }
    shrunk
}

/// The mean over a share of the rows, for each value of a row.
#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma",
    "x86_64+avx2+bmi1+bmi2+fma"
))]
fn mean_of_rows(image: &Image, share: &Share, means: &mut [f32]) {
    let stride = image.stride();
    let row = |y: u32| &image.as_rgb8()[y as usize * stride..][..stride];
    let (first, last) = (share.first_weight, share.last_weight);
    let edges = row(share.first).iter().zip(row(share.last));
    let (means, _) = means.split_at_mut(stride);
    for (mean, (&upper, &lower)) in means.iter_mut().zip(edges) {
        *mean = f32::from(upper) * first + f32::from(lower) * last;
    }
    // A strip of columns at a time, so that its sums stay in the first level of the cache.
    let mut sums = [0_u16; STRIP];
    let weight = share.whole_weight;
    for (index, means) in means.chunks_mut(STRIP).enumerate() {
        let strip = index * STRIP..index * STRIP + means.len();
        let sums = &mut sums[..means.len()];
        let mut from = share.first + 1;
        while from < share.last {
            let to = share.last.min(from + ROWS_PER_U16);
            sums.fill(0);
            for y in from..to {
                for (sum, &value) in sums.iter_mut().zip(&row(y)[strip.clone()]) {
                    // As many rows as are taken cannot overflow it, and a check would keep it from being vectorised.
                    *sum = sum.wrapping_add(u16::from(value));
                }
            }
            for (mean, &sum) in means.iter_mut().zip(&*sums) {
                *mean += f32::from(sum) * weight;
            }
            from = to;
        }
    }
}

/// As many rows of bytes as a `u16` can sum: `257 * 255 = 65_535`.
const ROWS_PER_U16: u32 = 257;

/// Values in a strip: 6 kB of sums and 12 kB of means.
const STRIP: usize = 3072;

/// The mean over each share of the columns of what is already the mean of rows. Both slices have one value more than their
/// rows, so that four can be taken at a time, which is one instruction where three are three.
#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma",
    "x86_64+avx2+bmi1+bmi2+fma"
))]
fn mean_of_columns(rows: &[f32], shares: &[Share], means: &mut [f32]) {
    let four = |pixels: &[f32], index: usize| -> [f32; 4] {
        let start = index * CHANNELS;
        pixels[start..start + 4]
            .first_chunk()
            .copied()
            .unwrap_or_default()
    };
    for (index, share) in shares.iter().enumerate() {
        let covered = &rows[byte_len(share.first, 1)..=byte_len(share.last + 1, 1)];
        let count = (share.last - share.first) as usize;
        let mut whole = [0.0_f32; 4];
        for between in 1..count {
            let pixel = four(covered, between);
            whole = std::array::from_fn(|lane| whole[lane] + pixel[lane]);
        }
        let (first, last) = (four(covered, 0), four(covered, count));
        let mean: [f32; 4] = std::array::from_fn(|lane| {
            first[lane] * share.first_weight
                + last[lane] * share.last_weight
                + whole[lane] * share.whole_weight
        });
        // The fourth is overwritten by the next pixel.
        means[index * CHANNELS..][..4].copy_from_slice(&mean);
    }
}

/// The source pixels along one axis that one pixel of a smaller image covers, and how much each counts. The weights
/// add up to 1.
struct Share {
    first: u32,
    last: u32,
    first_weight: f32,
    /// 0 if the last is also the first.
    last_weight: f32,
    /// Of each one between the two.
    whole_weight: f32,
}

impl Share {
    fn all(source: u32, target: u32) -> Vec<Self> {
        // With a source pixel taken to be `target` units long, each target pixel is `source` units long, and all ends
        // are whole numbers.
        let (length, unit) = (u64::from(source), u64::from(target));
        let weight = |units: u64| (units as f64 / length as f64) as f32;
        (0..unit)
            .map(|index| {
                let (start, end) = (index * length, (index + 1) * length);
                let (first, last) = (start / unit, (end - 1) / unit);
                let last_weight = if last > first {
                    weight(end - last * unit)
                } else {
                    0.0
                };
                Self {
                    first: first as u32,
                    last: last as u32,
                    first_weight: weight(end.min((first + 1) * unit) - start),
                    last_weight,
                    whole_weight: weight(unit),
                }
            })
            .collect()
    }
}

/// The rectangle of the image at another size, by plain bilinear interpolation.
///
/// Each pixel of the result mixes the four around its origin `(x + 0.5) * scale - 0.5`, clamped to the rectangle;
/// nothing is averaged when it shrinks. That is OpenCV's `resize(INTER_LINEAR)`, with which liveness models and
/// detectors were trained, aliasing included: a better filter would show them images they have never seen.
///
/// A rectangle that reaches out of the image is cut to what lies inside, and sides of zero are taken as one.
#[must_use]
pub fn crop_resize_bilinear(image: &Image, rect: PixelRect, width: u32, height: u32) -> Image {
    let rect = rect.clamped_to(image);
    let mut resized = Image::black(width, height);
    let stride = image.stride();
    let crop_row = |y: u32| {
        let start = (rect.top + y) as usize * stride + byte_len(rect.left, 1);
        &image.as_rgb8()[start..][..byte_len(rect.width, 1)]
    };
    let columns = Tap::all(rect.width, resized.width());
    let rows = Tap::all(rect.height, resized.height());
    // Rows that are already interpolated along x, and which row of the rectangle each is. One that is used again, as
    // most are when the image grows, is not computed again.
    let mut upper = (u32::MAX, vec![0; resized.stride()]);
    let mut lower = upper.clone();
    for (tap, out) in rows.iter().zip(resized.rows_mut()) {
        if upper.0 != tap.near {
            std::mem::swap(&mut upper, &mut lower);
        }
        for (held, wanted) in [(&mut upper, tap.near), (&mut lower, tap.far)] {
            if held.0 != wanted {
                stretch_row(crop_row(wanted), &columns, &mut held.1);
                held.0 = wanted;
            }
        }
        for (out, (&above, &below)) in out.iter_mut().zip(upper.1.iter().zip(&lower.1)) {
            *out = (mix(above, below, tap.far_share).wrapping_add(HALF) >> (2 * SHARE_BITS)) as u8;
        }
    }
    resized
}

/// Bits of a share of a pixel, as many as OpenCV's: a value mixed twice then takes 8 + 2 * 11 bits.
const SHARE_BITS: u32 = 11;
/// What makes cutting off a twice mixed value's lower bits a rounding.
const HALF: u32 = 1 << (2 * SHARE_BITS - 1);

/// The mixture of two values, [`SHARE_BITS`] longer than they are. It cannot overflow 32 bits, and a check would keep
/// it from being vectorised.
fn mix(near: u32, far: u32, far_share: u32) -> u32 {
    let near_share = (1_u32 << SHARE_BITS).wrapping_sub(far_share);
    near.wrapping_mul(near_share)
        .wrapping_add(far.wrapping_mul(far_share))
}

/// A row interpolated along x.
fn stretch_row(row: &[u8], columns: &[Tap], out: &mut [u32]) {
    let (row, _) = row.as_chunks::<CHANNELS>();
    let (out, _) = out.as_chunks_mut::<CHANNELS>();
    for (out, tap) in out.iter_mut().zip(columns) {
        let (near, far) = (row[tap.near as usize], row[tap.far as usize]);
        *out = std::array::from_fn(|channel| mix(near[channel].into(), far[channel].into(), tap.far_share));
    }
}

/// The two source pixels along one axis that a pixel of a resized image mixes.
struct Tap {
    near: u32,
    far: u32,
    /// How much of the far one, in units of `2^-SHARE_BITS`.
    far_share: u32,
}

impl Tap {
    fn all(source: u32, target: u32) -> Vec<Self> {
        let scale = f64::from(source) / f64::from(target);
        let last = source - 1;
        (0..target)
            .map(|index| {
                let position = ((f64::from(index) + 0.5) * scale - 0.5).clamp(0.0, f64::from(last));
                let near = position.floor();
                Self {
                    near: near as u32,
                    far: (near as u32).saturating_add(1).min(last),
                    far_share: ((position - near) * f64::from(1_u32 << SHARE_BITS)).round() as u32,
                }
            })
            .collect()
    }
}

/// Each value to the nearest whole number, halves upwards; all are between 0 and 255.
#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma",
    "x86_64+avx2+bmi1+bmi2+fma"
))]
pub(crate) fn round(values: &[f32], out: &mut [u8]) {
    for (out, value) in out.iter_mut().zip(values) {
        *out = to_byte(*value);
    }
}

/// A value between 0 and 255 to the nearest whole number, halves upwards; a cast would saturate as well, one value at a
/// time.
#[inline]
fn to_byte(value: f32) -> u8 {
    // 2^23: added to it, a number loses what is behind the point, and its lowest bits are the whole number.
    const SHIFT: f32 = 8_388_608.0;
    let raised = value + 0.5;
    let nearest = (raised + SHIFT) - SHIFT;
    let floor = if nearest > raised { nearest - 1.0 } else { nearest };
    (floor + SHIFT).to_bits() as u8
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

    fn arbitrary_image() -> impl Strategy<Value = Image> {
        (1_u32..24, 1_u32..24).prop_flat_map(|(width, height)| {
            proptest::collection::vec(any::<u8>(), byte_len(width, height))
                .prop_map(move |pixels| Image::from_rgb8(width, height, pixels).unwrap())
        })
    }

    #[test]
    fn halves_are_rounded_up_and_everything_else_to_the_nearest() {
        for whole in 0..=255_u8 {
            let value = f32::from(whole);
            let below_half = (value + 0.5).next_down();
            let from_half = (value - 0.5).max(0.0);
            for near in [from_half, value, below_half] {
                let mut out = [0];
                // Half a step short of the half, adding the half rounds to the next number, as it would in a cast.
                let expected = (near + 0.5) as u8;
                round(&[near], &mut out);
                assert_eq!(out, [expected], "{near}");
            }
        }
    }

    #[test]
    fn area_of_whole_pixels_is_their_mean() {
        let image = Image::from_rgb8(2, 2, vec![0, 10, 1, 4, 10, 1, 8, 10, 1, 12, 10, 0]).unwrap();
        // The last is 3/4, rounded to the nearest.
        assert_eq!(shrink_area(&image, 1, 1).as_rgb8(), [6, 10, 1]);
    }

    #[test]
    fn area_of_split_pixels_is_weighted() {
        // Three pixels on two: each covers one and a half. (0 + 30/2) / 1.5 = 10, (30/2 + 120) / 1.5 = 90.
        assert_eq!(reds(&shrink_area(&grey(3, &[0, 30, 120]), 2, 1)), [10, 90]);
        assert_eq!(reds(&shrink_area(&grey(1, &[0, 30, 120]), 1, 2)), [10, 90]);
        // Five on three, 5/3 each: (40 + 2/3 * 70) / (5/3) = 52, (70/3 + 10 + 100/3) / (5/3) = 40,
        // (2/3 * 100 + 200) / (5/3) = 160.
        assert_eq!(
            reds(&shrink_area(&grey(5, &[40, 70, 10, 100, 200]), 3, 1)),
            [52, 40, 160]
        );
    }

    #[test]
    fn area_of_more_rows_than_a_u16_sums() {
        let mut values = vec![255; 1_000];
        assert_eq!(reds(&shrink_area(&grey(1, &values), 1, 1)), [255]);
        values.resize(2_000, 0);
        assert_eq!(reds(&shrink_area(&grey(1, &values), 1, 3)), [255, 128, 0]);
        assert_eq!(reds(&shrink_area(&grey(2_000, &values), 3, 1)), [255, 128, 0]);
    }

    #[test]
    fn area_targets_are_clamped() {
        let image = grey(2, &[1, 2, 3, 4]);
        assert_eq!(shrink_area(&image, 5, 9), image);
        assert_eq!(reds(&shrink_area(&image, 0, 0)), [3]);
        assert_eq!(reds(&shrink_area(&image, 9, 1)), [2, 3]);
    }

    #[test]
    fn bilinear_twice_as_wide() {
        // Origins -0.25 (clamped), 0.25, 0.75, 1.25 (clamped).
        let doubled = crop_resize_bilinear(
            &grey(2, &[0, 100]),
            PixelRect {
                left: 0,
                top: 0,
                width: 2,
                height: 1,
            },
            4,
            1,
        );
        assert_eq!(reds(&doubled), [0, 25, 75, 100]);
    }

    #[test]
    fn bilinear_shrinking_does_not_average() {
        // Eight on two: origins 1.5 and 5.5, each between two pixels; the other four are never read.
        let image = grey(8, &[255, 10, 20, 255, 255, 30, 50, 255]);
        assert_eq!(
            reds(&crop_resize_bilinear(&image, PixelRect::of(&image), 2, 1)),
            [15, 40]
        );
    }

    #[test]
    fn bilinear_mixes_both_axes_and_every_channel() {
        let image = Image::from_rgb8(2, 2, vec![0, 1, 2, 40, 1, 4, 80, 1, 6, 120, 1, 8]).unwrap();
        let middle = crop_resize_bilinear(&image, PixelRect::of(&image), 1, 1);
        assert_eq!(middle.as_rgb8(), [60, 1, 5]);
        let four = crop_resize_bilinear(&image, PixelRect::of(&image), 4, 4);
        // Row 1, column 2 has its origin at (0.75, 0.25): 30 above, 110 below.
        assert_eq!(four.as_rgb8()[(4 + 2) * 3], 50);
    }

    #[test]
    fn bilinear_sees_nothing_outside_of_the_rectangle() {
        let image = grey(4, &[255, 10, 20, 255, 255, 30, 40, 255]);
        let rect = PixelRect {
            left: 1,
            top: 0,
            width: 2,
            height: 2,
        };
        assert_eq!(
            reds(&crop_resize_bilinear(&image, rect, 4, 2)),
            [10, 13, 18, 20, 30, 33, 38, 40]
        );
    }

    #[test]
    fn rectangles_beyond_the_image_are_cut() {
        let image = grey(2, &[1, 2, 3, 4]);
        for (rect, expected) in [
            (
                PixelRect {
                    left: 1,
                    top: 1,
                    width: u32::MAX,
                    height: u32::MAX,
                },
                [4],
            ),
            (
                PixelRect {
                    left: 9,
                    top: 0,
                    width: 1,
                    height: 1,
                },
                [2],
            ),
            (
                PixelRect {
                    left: 0,
                    top: u32::MAX,
                    width: 0,
                    height: 0,
                },
                [3],
            ),
        ] {
            assert_eq!(
                reds(&crop_resize_bilinear(&image, rect, 1, 1)),
                expected,
                "{rect:?}"
            );
        }
        assert_eq!(
            crop_resize_bilinear(&image, PixelRect::of(&image), 0, 0).width(),
            1
        );
    }

    proptest! {
        #[test]
        fn shrinking_keeps_the_mean(image in arbitrary_image(), width in 1_u32..24, height in 1_u32..24) {
            let mean = |image: &Image| {
                let pixels = image.as_rgb8();
                pixels.iter().map(|&value| f64::from(value)).sum::<f64>() / pixels.len() as f64
            };
            let small = shrink_area(&image, width, height);
            // Each pixel is rounded by at most a half.
            prop_assert!((mean(&small) - mean(&image)).abs() <= 0.5 + 1e-3);
        }

        #[test]
        fn shrinking_agrees_with_the_definition(image in arbitrary_image(), width in 1_u32..24, height in 1_u32..24) {
            let small = shrink_area(&image, width, height);
            let overlap = |index: u32, source: u32, target: u32, at: u32| {
                let scale = f64::from(source) / f64::from(target);
                let (start, end) = (f64::from(index) * scale, f64::from(index + 1) * scale);
                (end.min(f64::from(at + 1)) - start.max(f64::from(at))).max(0.0) / scale
            };
            for y in 0..small.height() {
                for x in 0..small.width() {
                    let mut expected = 0.0;
                    for from_y in 0..image.height() {
                        for from_x in 0..image.width() {
                            let value = image.as_rgb8()[((from_y * image.width() + from_x) * 3 + 1) as usize];
                            expected += f64::from(value)
                                * overlap(x, image.width(), small.width(), from_x)
                                * overlap(y, image.height(), small.height(), from_y);
                        }
                    }
                    let found = f64::from(small.as_rgb8()[((y * small.width() + x) * 3 + 1) as usize]);
                    prop_assert!((found - expected).abs() <= 0.5 + 1e-3, "{found} for {expected}");
                }
            }
        }

        #[test]
        fn the_same_size_is_the_same_image(image in arbitrary_image()) {
            let (width, height) = (image.width(), image.height());
            prop_assert_eq!(&crop_resize_bilinear(&image, PixelRect::of(&image), width, height), &image);
            prop_assert_eq!(&shrink_area(&image, width, height), &image);
        }
    }
}
