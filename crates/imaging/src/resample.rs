//! Pictures at another size.

use crate::Picture;
use crate::picture::{CHANNELS, byte_len};

/// A rectangle of whole pixels of a picture.
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
    /// The whole picture.
    #[must_use]
    pub fn of(picture: &Picture) -> Self {
        Self {
            left: 0,
            top: 0,
            width: picture.width(),
            height: picture.height(),
        }
    }

    /// The part of the rectangle that lies in the picture; at least the pixel that is nearest to it.
    fn clamped_to(self, picture: &Picture) -> Self {
        let left = self.left.min(picture.width() - 1);
        let top = self.top.min(picture.height() - 1);
        Self {
            left,
            top,
            width: self.width.clamp(1, picture.width() - left),
            height: self.height.clamp(1, picture.height() - top),
        }
    }
}

/// The picture made smaller, each pixel the mean of the area that it covers: OpenCV's `resize(INTER_AREA)`.
///
/// A target side is clamped to between 1 and the picture's own: this never enlarges.
#[must_use]
pub fn shrink_area(picture: &Picture, width: u32, height: u32) -> Picture {
    let width = width.clamp(1, picture.width());
    let height = height.clamp(1, picture.height());
    if (width, height) == (picture.width(), picture.height()) {
        return picture.clone();
    }
    let columns = Share::all(picture.width(), width);
    let rows = Share::all(picture.height(), height);
    let stride = picture.stride();
    let source_row = |y: usize| &picture.as_rgb8()[y * stride..][..stride];
    let area = picture.width() as f64 * picture.height() as f64;

    let mut pixels = vec![0; byte_len(width, height)];
    let mut column_sums = vec![0_u64; stride];
    let mut whole_rows = vec![0_u16; stride];
    for (share, out) in rows.iter().zip(pixels.chunks_exact_mut(byte_len(width, 1))) {
        // Rows first: neighbours in memory are then summed independently of each other, which the compiler vectorises.
        let (first, last) = (source_row(share.first), source_row(share.last));
        for ((sum, &first), &last) in column_sums.iter_mut().zip(first).zip(last) {
            *sum = u64::from(first) * share.first_weight + u64::from(last) * share.last_weight;
        }
        let between = picture.as_rgb8()[(share.first + 1) * stride..share.last.max(share.first + 1) * stride]
            .chunks_exact(stride);
        let mut pending = 0;
        for row in between {
            for (sum, &value) in whole_rows.iter_mut().zip(row) {
                *sum += u16::from(value);
            }
            pending += 1;
            if pending == ROWS_PER_U16 {
                flush(&mut whole_rows, &mut column_sums, share.whole_weight);
                pending = 0;
            }
        }
        if pending > 0 {
            flush(&mut whole_rows, &mut column_sums, share.whole_weight);
        }
        for (share, out) in columns.iter().zip(out.chunks_exact_mut(CHANNELS)) {
            let covered = &column_sums[share.first * CHANNELS..(share.last + 1) * CHANNELS];
            let mut sums = [0_u64; CHANNELS];
            if let [r, g, b, between @ .., last_r, last_g, last_b] = covered {
                for column in between.chunks_exact(CHANNELS) {
                    for (sum, value) in sums.iter_mut().zip(column) {
                        *sum += value;
                    }
                }
                for (sum, (first, last)) in sums.iter_mut().zip([(r, last_r), (g, last_g), (b, last_b)]) {
                    *sum = *sum * share.whole_weight + first * share.first_weight + last * share.last_weight;
                }
            } else {
                for (sum, only) in sums.iter_mut().zip(covered) {
                    *sum = only * share.first_weight;
                }
            }
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = (sum as f64 / area + 0.5) as u8;
            }
        }
    }
    Picture::from_parts(width, height, pixels)
}

/// As many rows of bytes as a `u16` can sum: `257 * 255 = 65_535`.
const ROWS_PER_U16: u32 = 257;

fn flush(whole_rows: &mut [u16], column_sums: &mut [u64], weight: u64) {
    for (sum, whole) in column_sums.iter_mut().zip(whole_rows) {
        *sum += u64::from(*whole) * weight;
        *whole = 0;
    }
}

/// The source pixels along one axis that one pixel of a smaller picture covers.
///
/// With `source` pixels shared among `target` ones, a source pixel is taken to be `target` units long and so each
/// target pixel `source` units: every share is then a whole number and the mean is exact.
struct Share {
    first: usize,
    last: usize,
    /// Units of the first pixel that are covered.
    first_weight: u64,
    /// Units of the last pixel that are covered; 0 if it is also the first.
    last_weight: u64,
    /// Units of each pixel between the two.
    whole_weight: u64,
}

impl Share {
    fn all(source: u32, target: u32) -> Vec<Self> {
        let (length, unit) = (u64::from(source), u64::from(target));
        (0..unit)
            .map(|index| {
                let (start, end) = (index * length, (index + 1) * length);
                let (first, last) = (start / unit, (end - 1) / unit);
                let first_weight = end.min((first + 1) * unit) - start;
                let last_weight = if last > first { end - last * unit } else { 0 };
                Self {
                    first: first as usize,
                    last: last as usize,
                    first_weight,
                    last_weight,
                    whole_weight: unit,
                }
            })
            .collect()
    }
}

/// The rectangle of the picture at another size, by plain bilinear interpolation.
///
/// Each pixel of the result mixes the four around its origin `(x + 0.5) * scale - 0.5`, clamped to the rectangle;
/// nothing is averaged when it shrinks. That is OpenCV's `resize(INTER_LINEAR)`, with which liveness models and
/// detectors were trained, aliasing included: a better filter would show them pictures they have never seen.
///
/// A rectangle that reaches out of the picture is cut to what lies inside, and sides of zero are taken as one.
#[must_use]
pub fn crop_resize_bilinear(picture: &Picture, rect: PixelRect, width: u32, height: u32) -> Picture {
    let rect = rect.clamped_to(picture);
    let (width, height) = (width.max(1), height.max(1));
    let stride = picture.stride();
    let crop_row = |y: u32| {
        let start = (rect.top + y) as usize * stride + byte_len(rect.left, 1);
        &picture.as_rgb8()[start..][..byte_len(rect.width, 1)]
    };
    let columns = Tap::all(rect.width, width);
    let mut pixels = vec![0; byte_len(width, height)];
    let rows = Tap::all(rect.height, height);
    for (row, out) in rows.iter().zip(pixels.chunks_exact_mut(byte_len(width, 1))) {
        let (upper, lower) = (crop_row(row.near), crop_row(row.far));
        for (column, out) in columns.iter().zip(out.chunks_exact_mut(CHANNELS)) {
            let (left, right) = (byte_len(column.near, 1), byte_len(column.far, 1));
            let (upper_left, upper_right) = (&upper[left..left + CHANNELS], &upper[right..right + CHANNELS]);
            let (lower_left, lower_right) = (&lower[left..left + CHANNELS], &lower[right..right + CHANNELS]);
            for channel in 0..CHANNELS {
                let above = lerp(
                    upper_left[channel].into(),
                    upper_right[channel].into(),
                    column.far_share,
                );
                let below = lerp(
                    lower_left[channel].into(),
                    lower_right[channel].into(),
                    column.far_share,
                );
                out[channel] = (lerp(above, below, row.far_share) + 0.5) as u8;
            }
        }
    }
    Picture::from_parts(width, height, pixels)
}

fn lerp(near: f32, far: f32, far_share: f32) -> f32 {
    near + (far - near) * far_share
}

/// The two source pixels along one axis that a pixel of a resized picture mixes.
struct Tap {
    near: u32,
    far: u32,
    /// How much of the far one, `0.0..1.0`.
    far_share: f32,
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
                    far_share: (position - near) as f32,
                }
            })
            .collect()
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

    fn arbitrary_picture() -> impl Strategy<Value = Picture> {
        (1_u32..24, 1_u32..24).prop_flat_map(|(width, height)| {
            proptest::collection::vec(any::<u8>(), byte_len(width, height))
                .prop_map(move |pixels| Picture::from_rgb8(width, height, pixels).unwrap())
        })
    }

    #[test]
    fn area_of_whole_pixels_is_their_mean() {
        let picture = Picture::from_rgb8(2, 2, vec![0, 10, 1, 4, 10, 1, 8, 10, 1, 12, 10, 0]).unwrap();
        // The last is 3/4, rounded to the nearest.
        assert_eq!(shrink_area(&picture, 1, 1).as_rgb8(), [6, 10, 1]);
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
        let picture = grey(2, &[1, 2, 3, 4]);
        assert_eq!(shrink_area(&picture, 5, 9), picture);
        assert_eq!(reds(&shrink_area(&picture, 0, 0)), [3]);
        assert_eq!(reds(&shrink_area(&picture, 9, 1)), [2, 3]);
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
        let picture = grey(8, &[255, 10, 20, 255, 255, 30, 50, 255]);
        assert_eq!(
            reds(&crop_resize_bilinear(&picture, PixelRect::of(&picture), 2, 1)),
            [15, 40]
        );
    }

    #[test]
    fn bilinear_mixes_both_axes_and_every_channel() {
        let picture = Picture::from_rgb8(2, 2, vec![0, 1, 2, 40, 1, 4, 80, 1, 6, 120, 1, 8]).unwrap();
        let middle = crop_resize_bilinear(&picture, PixelRect::of(&picture), 1, 1);
        assert_eq!(middle.as_rgb8(), [60, 1, 5]);
        let four = crop_resize_bilinear(&picture, PixelRect::of(&picture), 4, 4);
        // Row 1, column 2 has its origin at (0.75, 0.25): 30 above, 110 below.
        assert_eq!(four.as_rgb8()[(4 + 2) * 3], 50);
    }

    #[test]
    fn bilinear_sees_nothing_outside_of_the_rectangle() {
        let picture = grey(4, &[255, 10, 20, 255, 255, 30, 40, 255]);
        let rect = PixelRect {
            left: 1,
            top: 0,
            width: 2,
            height: 2,
        };
        assert_eq!(
            reds(&crop_resize_bilinear(&picture, rect, 4, 2)),
            [10, 13, 18, 20, 30, 33, 38, 40]
        );
    }

    #[test]
    fn rectangles_beyond_the_picture_are_cut() {
        let picture = grey(2, &[1, 2, 3, 4]);
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
                reds(&crop_resize_bilinear(&picture, rect, 1, 1)),
                expected,
                "{rect:?}"
            );
        }
        assert_eq!(
            crop_resize_bilinear(&picture, PixelRect::of(&picture), 0, 0).width(),
            1
        );
    }

    proptest! {
        #[test]
        fn shrinking_keeps_the_mean(picture in arbitrary_picture(), width in 1_u32..24, height in 1_u32..24) {
            let mean = |picture: &Picture| {
                let pixels = picture.as_rgb8();
                pixels.iter().map(|&value| f64::from(value)).sum::<f64>() / pixels.len() as f64
            };
            let small = shrink_area(&picture, width, height);
            // Each pixel is rounded by at most a half.
            prop_assert!((mean(&small) - mean(&picture)).abs() <= 0.5 + 1e-9);
        }

        #[test]
        fn shrinking_agrees_with_the_definition(picture in arbitrary_picture(), width in 1_u32..24, height in 1_u32..24) {
            let small = shrink_area(&picture, width, height);
            let overlap = |index: u32, source: u32, target: u32, at: u32| {
                let scale = f64::from(source) / f64::from(target);
                let (start, end) = (f64::from(index) * scale, f64::from(index + 1) * scale);
                (end.min(f64::from(at + 1)) - start.max(f64::from(at))).max(0.0) / scale
            };
            for y in 0..small.height() {
                for x in 0..small.width() {
                    let mut expected = 0.0;
                    for from_y in 0..picture.height() {
                        for from_x in 0..picture.width() {
                            let value = picture.as_rgb8()[((from_y * picture.width() + from_x) * 3 + 1) as usize];
                            expected += f64::from(value)
                                * overlap(x, picture.width(), small.width(), from_x)
                                * overlap(y, picture.height(), small.height(), from_y);
                        }
                    }
                    let found = f64::from(small.as_rgb8()[((y * small.width() + x) * 3 + 1) as usize]);
                    prop_assert!((found - expected).abs() <= 0.5 + 1e-6, "{found} for {expected}");
                }
            }
        }

        #[test]
        fn the_same_size_is_the_same_picture(picture in arbitrary_picture()) {
            let (width, height) = (picture.width(), picture.height());
            prop_assert_eq!(&crop_resize_bilinear(&picture, PixelRect::of(&picture), width, height), &picture);
            prop_assert_eq!(&shrink_area(&picture, width, height), &picture);
        }
    }
}
