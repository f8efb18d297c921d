//! The upright image while it is decoded: rows as they are stored go where they belong, so that no second image is
//! needed to turn the first.

use crate::image::CHANNELS;
use crate::{ImagingError, Interrupt, Orientation};

/// Rows that become columns together: what is written of a column then fills whole cache lines, and what is read of the
/// rows stays in the first level of the cache.
const BAND: usize = 32;

/// An image in the making.
pub(crate) struct Canvas {
    /// The sides as stored.
    width: usize,
    height: usize,
    /// Where the first stored pixel lies in the upright image, and how far it is from a stored pixel to the one right of
    /// it and to the one below it.
    origin: isize,
    across: isize,
    down: isize,
    pixels: Vec<u8>,
}

impl Canvas {
    /// A canvas of one value for an image that is stored with these sides.
    pub(crate) fn new(orientation: Orientation, (width, height): (u32, u32), background: u8) -> Self {
        let (upright_width, _) = orientation.upright_size(width, height);
        let (width, height) = (width as usize, height as usize);
        let (from_right, from_bottom) = orientation.flips();
        let sign = |flipped: bool| if flipped { -1 } else { 1 };
        let (right, below) = (sign(from_right), sign(from_bottom) * upright_width as isize);
        let (across, down) = if orientation.swaps_sides() {
            (below, right)
        } else {
            (right, below)
        };
        // With a step backwards the first stored pixel lies at the other end.
        let first = |step: isize, count: usize| (-step).max(0) * (count as isize - 1);
        Self {
            width,
            height,
            origin: first(across, width) + first(down, height),
            across,
            down,
            pixels: vec![background; width * height * CHANNELS],
        }
    }

    /// The upright pixels.
    pub(crate) fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }

    /// Has every row written, from the first that is stored to the last, each into a buffer of `3 * width` bytes.
    pub(crate) fn fill(
        &mut self,
        interrupt: &Interrupt<'_>,
        mut row: impl FnMut(usize, &mut [u8]) -> Result<(), ImagingError>,
    ) -> Result<(), ImagingError> {
        let (stride, across, down) = (self.width * CHANNELS, self.across, self.down);
        if across.abs() == 1 {
            let mirrored = across < 0;
            for y in 0..self.height {
                interrupt.check()?;
                let start = self.index(if mirrored { self.width - 1 } else { 0 }, y) * CHANNELS;
                let target = &mut self.pixels[start..start + stride];
                row(y, target)?;
                if mirrored {
                    reverse_pixels(target);
                }
            }
            return Ok(());
        }
        // A row becomes a column: several are placed at a time, so that the pixels written lie together.
        let mut band = vec![0; stride * BAND.min(self.height)];
        for top in (0..self.height).step_by(BAND) {
            let rows = BAND.min(self.height - top);
            for (number, target) in band.chunks_exact_mut(stride).take(rows).enumerate() {
                interrupt.check()?;
                row(top + number, target)?;
            }
            let (source, _) = band[..rows * stride].as_chunks::<CHANNELS>();
            let mut column = self.index(0, top) as isize;
            let (target, _) = self.pixels.as_chunks_mut::<CHANNELS>();
            for x in 0..self.width {
                let mut to = column;
                for pixel in source[x..].iter().step_by(self.width) {
                    target[to as usize] = *pixel;
                    to += down;
                }
                column += across;
            }
        }
        Ok(())
    }

    /// Writes pixels of the row `y` as stored: the first at `x`, the others `step` pixels apart. What lies outside is
    /// left away.
    pub(crate) fn put(&mut self, x: usize, y: usize, step: usize, rgb: &[u8]) {
        if x >= self.width || y >= self.height {
            return;
        }
        let visible = (self.width - x).div_ceil(step);
        let (mut to, apart) = (self.index(x, y), self.across * step as isize);
        let (source, _) = rgb.as_chunks::<CHANNELS>();
        let (target, _) = self.pixels.as_chunks_mut::<CHANNELS>();
        if apart == 1 {
            let length = visible.min(source.len());
            target[to..to + length].copy_from_slice(&source[..length]);
            return;
        }
        for pixel in source.iter().take(visible) {
            target[to] = *pixel;
            to = to.wrapping_add_signed(apart);
        }
    }

    /// Where a stored pixel lies in the upright image, in pixels from the first.
    fn index(&self, x: usize, y: usize) -> usize {
        (self.origin + x as isize * self.across + y as isize * self.down) as usize
    }
}

/// Turns stored pixels upright, where they lie if the sides keep their places.
pub(crate) fn turn(
    orientation: Orientation,
    (width, height): (u32, u32),
    mut pixels: Vec<u8>,
    interrupt: &Interrupt<'_>,
) -> Result<Vec<u8>, ImagingError> {
    let stride = width as usize * CHANNELS;
    if orientation.swaps_sides() {
        let mut canvas = Canvas::new(orientation, (width, height), 0);
        canvas.fill(interrupt, |y, row| {
            row.copy_from_slice(&pixels[y * stride..][..stride]);
            Ok(())
        })?;
        return Ok(canvas.into_pixels());
    }
    let (from_right, from_bottom) = orientation.flips();
    if from_bottom {
        reverse_pixels(&mut pixels);
    }
    // That has reversed the rows as well.
    if from_right != from_bottom {
        pixels.chunks_exact_mut(stride).for_each(reverse_pixels);
    }
    Ok(pixels)
}

fn reverse_pixels(pixels: &mut [u8]) {
    pixels.as_chunks_mut::<CHANNELS>().0.reverse();
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    /// Three bytes of each pixel, by its number as stored.
    fn pixels(numbers: impl Iterator<Item = usize>) -> Vec<u8> {
        numbers
            .flat_map(|number| [number as u8, (number >> 8) as u8, 7])
            .collect()
    }

    fn all_orientations() -> impl Iterator<Item = Orientation> {
        (1..=8).filter_map(Orientation::from_exif)
    }

    /// One byte a pixel stands for the three of it.
    fn turned(orientation: Orientation, width: u32, values: &[u8]) -> Vec<u8> {
        let pixels = values
            .iter()
            .flat_map(|&value| [value, value + 100, value + 200])
            .collect();
        let sides = (width, values.len() as u32 / width);
        let turned = turn(orientation, sides, pixels, &Interrupt::NEVER).unwrap();
        for pixel in turned.chunks_exact(3) {
            assert_eq!(
                (pixel[1], pixel[2]),
                (pixel[0] + 100, pixel[0] + 200),
                "channels stay together"
            );
        }
        turned.chunks_exact(3).map(|pixel| pixel[0]).collect()
    }

    #[test]
    fn each_of_the_eight_values() {
        // Stored:  1 2 3
        //          4 5 6
        let stored = [1, 2, 3, 4, 5, 6];
        for (value, upright) in [
            (1, [1, 2, 3, 4, 5, 6]),
            (2, [3, 2, 1, 6, 5, 4]),
            (3, [6, 5, 4, 3, 2, 1]),
            (4, [4, 5, 6, 1, 2, 3]),
            (5, [1, 4, 2, 5, 3, 6]),
            (6, [4, 1, 5, 2, 6, 3]),
            (7, [6, 3, 5, 2, 4, 1]),
            (8, [3, 6, 2, 5, 1, 4]),
        ] {
            let orientation = Orientation::from_exif(value).unwrap();
            assert_eq!(u32::from(orientation.to_exif()), value);
            assert_eq!(turned(orientation, 3, &stored), upright, "{orientation:?}");
            assert_eq!(
                orientation.upright_size(3, 2),
                if value > 4 { (2, 3) } else { (3, 2) }
            );
        }
    }

    #[test]
    fn rows_pixels_and_whole_images_are_turned_alike() {
        for (width, height) in [(3, 2), (1, 5), (5, 1), (33, 65), (70, 31)] {
            let stored = pixels(0..width * height);
            for orientation in all_orientations() {
                let sides = (width as u32, height as u32);
                let turned = turn(orientation, sides, stored.clone(), &Interrupt::NEVER).unwrap();
                let canvas = || Canvas::new(orientation, sides, 0);

                let mut by_rows = canvas();
                by_rows
                    .fill(&Interrupt::NEVER, |y, row| {
                        row.copy_from_slice(&stored[y * width * 3..][..width * 3]);
                        Ok(())
                    })
                    .unwrap();
                assert!(
                    by_rows.into_pixels() == turned,
                    "{orientation:?} {width}x{height}"
                );

                // Every second pixel, then the others, from the last row to the first.
                let mut by_pixels = canvas();
                for y in (0..height).rev() {
                    for begin in [1, 0] {
                        let some = pixels((begin..width).step_by(2).map(|x| y * width + x));
                        by_pixels.put(begin, y, 2, &some);
                    }
                }
                assert!(
                    by_pixels.into_pixels() == turned,
                    "{orientation:?} {width}x{height}"
                );
            }
        }
    }

    #[test]
    fn what_lies_outside_is_left_away() {
        for orientation in all_orientations() {
            let mut canvas = Canvas::new(orientation, (4, 3), 255);
            canvas.put(3, 0, 1, &[0; 9]);
            canvas.put(4, 0, 1, &[0; 3]);
            canvas.put(0, 3, 1, &[0; 3]);
            let black = canvas
                .into_pixels()
                .chunks(3)
                .filter(|pixel| **pixel == [0; 3])
                .count();
            assert_eq!(black, 1, "{orientation:?}");
        }
    }

    #[test]
    fn filling_ends_when_the_interrupt_is_due() {
        for orientation in all_orientations() {
            let flag = AtomicBool::new(false);
            let mut filled = 0;
            let outcome = Canvas::new(orientation, (4, 100), 0).fill(
                &Interrupt::NEVER.with_cancel_flag(&flag),
                |y, _| {
                    filled += 1;
                    flag.store(y == 40, Ordering::Relaxed);
                    Ok(())
                },
            );
            assert_eq!(outcome, Err(ImagingError::Interrupted));
            assert_eq!(filled, 41, "{orientation:?}");
        }
    }

    /// A decoder that takes ten milliseconds a row, of which there are six thousand.
    #[test]
    fn a_decode_that_would_take_a_minute_ends_with_its_deadline() {
        let begin = Instant::now();
        let deadline = begin + Duration::from_millis(100);
        let mut rows = 0;
        let outcome = Canvas::new(Orientation::Rotate90, (1, 6000), 0).fill(
            &Interrupt::NEVER.with_deadline(deadline),
            |_, _| {
                rows += 1;
                let until = Instant::now() + Duration::from_millis(10);
                while Instant::now() < until {}
                Ok(())
            },
        );
        assert_eq!(outcome, Err(ImagingError::Interrupted));
        assert!((1..=10).contains(&rows), "{rows} rows");
    }

    proptest! {
        #[test]
        fn turns_beyond_one_band_follow_the_definition(width in 1_u32..40, height in 1_u32..40) {
            let pixels: Vec<u8> = (0..width * height).flat_map(|i| [i as u8, (i >> 8) as u8, 7]).collect();
            let pixel = |pixels: &[u8], width: u32, x: u32, y: u32| {
                let at = (y * width + x) as usize * 3;
                [pixels[at], pixels[at + 1], pixels[at + 2]]
            };
            for value in 1..=8 {
                let orientation = Orientation::from_exif(value).unwrap();
                let turned = turn(orientation, (width, height), pixels.clone(), &Interrupt::NEVER).unwrap();
                let (new_width, _) = orientation.upright_size(width, height);
                for y in 0..height {
                    for x in 0..width {
                        let (right, below) = (width - 1 - x, height - 1 - y);
                        let (new_x, new_y) = match value {
                            1 => (x, y),
                            2 => (right, y),
                            3 => (right, below),
                            4 => (x, below),
                            5 => (y, x),
                            6 => (below, x),
                            7 => (below, right),
                            _ => (y, right),
                        };
                        prop_assert_eq!(
                            pixel(&turned, new_width, new_x, new_y), pixel(&pixels, width, x, y),
                            "value {} at {},{}", value, x, y
                        );
                    }
                }
            }
        }
    }
}
