//! Images under maps that make them much smaller.

use crate::image::{CHANNELS, byte_len};
use crate::{Affine, Image, warp_affine};

/// [`warp_affine`], of means of areas where the map makes the image much smaller.
///
/// Where the map shows `n >= 2` pixels of the image in one of the result along each side (`n` the whole part of one over
/// the root of its determinant), the image is taken as one of blocks of `n` x `n` pixels, each the mean of its pixels, and that
/// is warped. A map of a scale above one half is that of [`warp_affine`], bit for bit. Only the blocks that the result shows
/// are computed; at the right and lower border a block is the mean of what it holds of the image.
#[must_use]
pub fn warp_affine_averaged(image: &Image, map: &Affine, width: u32, height: u32) -> Image {
    let block = block_of(image, map);
    let Some(blocks) = map
        .inverse()
        .filter(|_| block > 1)
        .and_then(|back| Blocks::shown(image, &back, block, (width, height)))
    else {
        return warp_affine(image, map, width, height);
    };
    let [[a, b, c], [d, e, f]] = map.rows();
    let size = f64::from(block);
    // The centre of the first block that is computed, in pixels of the image.
    let centre = |first: u32| f64::from(first) * size + (size - 1.0) / 2.0;
    let (x, y) = (centre(blocks.left), centre(blocks.top));
    let of_blocks = Affine::new(
        a * size,
        b * size,
        a * x + b * y + c,
        d * size,
        e * size,
        d * x + e * y + f,
    );
    warp_affine(&blocks.means(image), &of_blocks, width, height)
}

/// How many pixels of the image along each side one of the result shows; 1 where the map has no scale.
fn block_of(image: &Image, map: &Affine) -> u32 {
    let [[a, b, _], [d, e, _]] = map.rows();
    let pixels = 1.0 / (a * e - b * d).abs().sqrt();
    if pixels.is_finite() && pixels >= 2.0 {
        // No more than the image has, and so within 32 bits.
        pixels.min(f64::from(image.width().max(image.height()))) as u32
    } else {
        1
    }
}

/// Square blocks of an image, in a rectangle of them.
struct Blocks {
    /// Pixels along a block's side.
    size: u32,
    left: u32,
    top: u32,
    /// At least 1 each.
    width: u32,
    height: u32,
}

impl Blocks {
    /// The blocks that a window of `width` x `height` pixels at the origin shows, with a border of one around them; `None` if
    /// the image has no part in it.
    fn shown(image: &Image, back: &Affine, size: u32, (width, height): (u32, u32)) -> Option<Self> {
        let (right, bottom) = (f64::from(width), f64::from(height));
        let corners = [(-1.0, -1.0), (right, -1.0), (-1.0, bottom), (right, bottom)];
        let corners = corners.map(|(x, y)| back.apply(x, y));
        let (left, width) = span(corners.map(|(x, _)| x), image.width(), size)?;
        let (top, height) = span(corners.map(|(_, y)| y), image.height(), size)?;
        Some(Self {
            size,
            left,
            top,
            width,
            height,
        })
    }

    /// Each block as a pixel.
    fn means(&self, image: &Image) -> Image {
        let mut means = Image::black(self.width, self.height);
        let first = self.left * self.size;
        let columns = (self.width.saturating_mul(self.size)).min(image.width() - first);
        let held = byte_len(first, 1)..byte_len(first + columns, 1);
        let size = self.size as usize;
        // As many rows as an image can have do not overflow it.
        let mut sums = vec![0_u32; held.len()];
        let rows = image.as_rgb8().chunks_exact(image.stride());
        let mut rows = rows.skip((self.top * self.size) as usize);
        for out in means.rows_mut() {
            sums.fill(0);
            let mut count = 0_u64;
            // Rows first: values that lie side by side are then summed independently of each other, many at a time.
            for row in rows.by_ref().take(size) {
                for (sum, &value) in sums.iter_mut().zip(&row[held.clone()]) {
                    *sum = sum.wrapping_add(u32::from(value));
                }
                count += 1;
            }
            let (pixels, _) = sums.as_chunks::<CHANNELS>();
            let (out, _) = out.as_chunks_mut::<CHANNELS>();
            for (out, block) in out.iter_mut().zip(pixels.chunks(size)) {
                let count = count * block.len() as u64;
                *out = std::array::from_fn(|channel| {
                    let sum: u64 = block.iter().map(|pixel| u64::from(pixel[channel])).sum();
                    // To the nearest, halves upwards; there is no block without a pixel.
                    ((sum + count / 2) / count.max(1)) as u8
                });
            }
        }
        means
    }
}

/// First block and number of blocks along one axis between these positions, within the image.
fn span(positions: [f64; 4], length: u32, size: u32) -> Option<(u32, u32)> {
    let least = positions.iter().copied().fold(f64::INFINITY, f64::min);
    let most = positions.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // Also false where one of them is not a number.
    if !(least < f64::from(length) && most > -1.0 && positions.iter().all(|position| position.is_finite())) {
        return None;
    }
    let last = (length - 1) / size;
    // A cast saturates, and what is negative becomes 0.
    let block = |position: f64| (position / f64::from(size)) as u32;
    let first = block(least).saturating_sub(1).min(last);
    let end = block(most).saturating_add(1).clamp(first, last);
    Some((first, end - first + 1))
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
    fn a_map_to_a_third_shows_means_of_nine_pixels() {
        // The centre of a block of three is its middle pixel: 1, 4, 7 of the image are 0, 1, 2 of the result.
        let third = Affine::new(1.0 / 3.0, 0.0, -1.0 / 3.0, 0.0, 1.0 / 3.0, -1.0 / 3.0);
        let mut values = [0; 81];
        values[..3].copy_from_slice(&[90, 90, 90]);
        values[40] = 255;
        values[80] = 9;
        let image = grey(9, &values);
        let small = warp_affine_averaged(&image, &third, 3, 3);
        assert_eq!(reds(&small), [30, 0, 0, 0, 28, 0, 0, 0, 1]);
        // What is sampled without a mean.
        assert_eq!(
            reds(&warp_affine(&image, &third, 3, 3)),
            [0, 0, 0, 0, 255, 0, 0, 0, 0]
        );
    }

    #[test]
    fn only_what_the_window_shows_is_computed_and_a_part_of_a_block_is_its_own_mean() {
        let image = grey(5, &[10, 20, 30, 40, 50, 10, 20, 30, 40, 50, 1, 1, 1, 1, 90]);
        // Blocks of two: columns 15, 35, 50 and rows 0 and 1, the last of which has one row.
        let half = Affine::new(0.5, 0.0, -0.25, 0.0, 0.5, -0.25);
        assert_eq!(
            reds(&warp_affine_averaged(&image, &half, 3, 2)),
            [15, 35, 50, 1, 1, 90]
        );
        let back = half.inverse().unwrap();
        let far = grey(40, &[7; 1600]);
        let blocks = Blocks::shown(&far, &back, 2, (3, 2)).unwrap();
        assert_eq!((blocks.left, blocks.top), (0, 0));
        assert!(blocks.width <= 5 && blocks.height <= 4);
        assert!(Blocks::shown(&far, &Affine::new(1.0, 0.0, 50.0, 0.0, 1.0, 0.0), 2, (3, 2)).is_none());
    }

    #[test]
    fn a_map_of_more_than_a_half_is_the_plain_one() {
        let image = grey(4, &(0..16).map(|value| value * 16).collect::<Vec<u8>>());
        for scale in [0.51, 0.9, 1.0, 3.0] {
            let map = Affine::new(scale, 0.0, 0.3, 0.0, scale, 0.2);
            let plain = warp_affine(&image, &map, 4, 4);
            assert_eq!(warp_affine_averaged(&image, &map, 4, 4), plain, "{scale}");
        }
    }

    proptest! {
        #[test]
        fn no_map_panics(numbers in proptest::array::uniform6(proptest::num::f64::ANY)) {
            let [a, b, c, d, e, f] = numbers;
            let image = grey(3, &[1, 2, 3, 4, 5, 6]);
            let warped = warp_affine_averaged(&image, &Affine::new(a, b, c, d, e, f), 5, 4);
            prop_assert_eq!((warped.width(), warped.height()), (5, 4));
        }

        /// Whatever the turn, an even area stays even and a face keeps its place.
        #[test]
        fn a_turned_map_keeps_places(scale in 0.02_f64..0.5, angle in -3.2_f64..3.2) {
            let (sin, cos) = angle.sin_cos();
            let (real, imaginary) = (scale * cos, scale * sin);
            // The middle of an image of 201 pixels goes to the middle of a result of 9.
            let map = Affine::new(
                real, -imaginary, 4.0 - real * 100.0 + imaginary * 100.0,
                imaginary, real, 4.0 - imaginary * 100.0 - real * 100.0,
            );
            // A ramp: the mean of a block is the value at its centre.
            let ramp: Vec<u8> = (0..201 * 201).map(|index| (index % 201) as u8).collect();
            let small = warp_affine_averaged(&grey(201, &ramp), &map, 9, 9);
            let middle = reds(&small)[4 * 9 + 4];
            prop_assert!(middle.abs_diff(100) <= 1 || scale < 0.045, "{middle}");
        }
    }
}
