//! The upright image while it is decoded: rows as they are stored go where they belong, so that no second image is
//! needed to turn the first.

use crate::image::CHANNELS;
use crate::orientation::{BAND, reverse_pixels};
use crate::{ImagingError, Interrupt, Orientation};

/// An image in the making.
pub(super) struct Canvas {
    orientation: Orientation,
    /// The sides as stored.
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    /// A canvas of one value for an image that is stored with these sides.
    pub(super) fn new(orientation: Orientation, width: u32, height: u32, background: u8) -> Self {
        let (width, height) = (width as usize, height as usize);
        Self {
            orientation,
            width,
            height,
            pixels: vec![background; width * height * CHANNELS],
        }
    }

    /// The upright pixels.
    pub(super) fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }

    /// Has every row written, from the first that is stored to the last, each into a buffer of `3 * width` bytes.
    pub(super) fn fill(
        &mut self,
        interrupt: &Interrupt<'_>,
        mut row: impl FnMut(usize, &mut [u8]) -> Result<(), ImagingError>,
    ) -> Result<(), ImagingError> {
        let (stride, sides) = (self.width * CHANNELS, (self.width, self.height));
        if !self.orientation.swaps_sides() {
            let mirrored = self.orientation.steps(self.width, self.height).0 < 0;
            for y in 0..self.height {
                interrupt.check()?;
                let start = self
                    .orientation
                    .index(sides, if mirrored { self.width - 1 } else { 0 }, y)
                    * CHANNELS;
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
            self.orientation
                .place_rows(&band[..rows * stride], &mut self.pixels, sides, top);
        }
        Ok(())
    }

    /// Writes pixels of the row `y` as stored: the first at `x`, the others `step` pixels apart. What lies outside is
    /// left away.
    pub(super) fn put(&mut self, x: usize, y: usize, step: usize, rgb: &[u8]) {
        if x >= self.width || y >= self.height {
            return;
        }
        let (across, _) = self.orientation.steps(self.width, self.height);
        let visible = (self.width - x).div_ceil(step);
        let mut to = self.orientation.index((self.width, self.height), x, y) as isize;
        let (source, _) = rgb.as_chunks::<CHANNELS>();
        let (target, _) = self.pixels.as_chunks_mut::<CHANNELS>();
        if across == 1 && step == 1 {
            let length = visible.min(source.len());
            target[to as usize..to as usize + length].copy_from_slice(&source[..length]);
            return;
        }
        for pixel in source.iter().take(visible) {
            target[to as usize] = *pixel;
            to += across * step as isize;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

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

    #[test]
    fn rows_pixels_and_whole_images_are_turned_alike() {
        for (width, height) in [(3, 2), (1, 5), (5, 1), (33, 65), (70, 31)] {
            let stored = pixels(0..width * height);
            for orientation in all_orientations() {
                let turned = orientation.apply(stored.clone(), width as u32);
                let canvas = || Canvas::new(orientation, width as u32, height as u32, 0);

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
            let mut canvas = Canvas::new(orientation, 4, 3, 255);
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
            let outcome = Canvas::new(orientation, 4, 100, 0).fill(
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
        let outcome = Canvas::new(Orientation::Rotate90, 1, 6000, 0).fill(
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
}
