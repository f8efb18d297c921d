//! An image at a part of its size, and the way back to the pixels of the whole.

use std::borrow::Cow;

use crate::Image;
use crate::probe::Header;

/// The pixels of a whole image along one of it as it may be decoded.
pub(crate) const FACTORS: [u32; 4] = [1, 2, 4, 8];

/// The greatest factor that leaves a longest side of at least so many pixels; 1 where there are not as many.
pub(crate) fn factor_keeping(longest_side: u32, at_least: u32) -> u32 {
    let mut factors = FACTORS.into_iter().rev();
    // The last pixel may stand for fewer than the others.
    factors
        .find(|factor| longest_side.div_ceil(*factor) >= at_least)
        .unwrap_or(1)
}

/// An image that may be smaller than its file, and where it lies in the whole.
#[derive(Debug, Clone)]
pub struct Reduced<'a> {
    image: Cow<'a, Image>,
    width: u32,
    height: u32,
    factor: u32,
    left: u32,
    top: u32,
}

impl<'a> Reduced<'a> {
    /// Wraps an image at its own size.
    #[must_use]
    pub fn whole(image: &'a Image) -> Self {
        Self {
            width: image.width(),
            height: image.height(),
            image: Cow::Borrowed(image),
            factor: 1,
            left: 0,
            top: 0,
        }
    }

    /// Wraps an image of its own at its own size.
    #[must_use]
    pub fn owned(image: Image) -> Self {
        Self {
            width: image.width(),
            height: image.height(),
            image: Cow::Owned(image),
            factor: 1,
            left: 0,
            top: 0,
        }
    }

    pub(crate) fn new(image: Image, header: &Header, factor: u32) -> Self {
        let (from_right, from_bottom) = header.orientation.flips();
        // The pixel that stands for fewer is the last as stored: turned, it may come first.
        let beyond = |flipped: bool, reduced: u32, whole: u32| {
            u32::from(flipped) * (reduced * factor).saturating_sub(whole)
        };
        Self {
            left: beyond(from_right, image.width(), header.width),
            top: beyond(from_bottom, image.height(), header.height),
            image: Cow::Owned(image),
            width: header.width,
            height: header.height,
            factor,
        }
    }

    /// The pixels.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The pixels alone.
    #[must_use]
    pub fn into_image(self) -> Image {
        self.image.into_owned()
    }

    /// The width of the whole image in pixels.
    #[must_use]
    pub fn whole_width(&self) -> u32 {
        self.width
    }

    /// The height of the whole image in pixels.
    #[must_use]
    pub fn whole_height(&self) -> u32 {
        self.height
    }

    /// Pixels of the whole image along one of this: 1, 2, 4 or 8.
    #[must_use]
    pub fn factor(&self) -> u32 {
        self.factor
    }

    /// Where a point of this image lies in the whole one, both in pixels from the upper left corner.
    #[must_use]
    pub fn to_whole(&self, x: f32, y: f32) -> (f32, f32) {
        let factor = self.factor as f32;
        (x * factor - self.left as f32, y * factor - self.top as f32)
    }

    /// Where a point of the whole image lies in this one: the reverse of [`to_whole`](Self::to_whole).
    #[must_use]
    pub fn from_whole(&self, x: f32, y: f32) -> (f32, f32) {
        let factor = self.factor as f32;
        ((x + self.left as f32) / factor, (y + self.top as f32) / factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Format, Orientation};

    #[test]
    fn a_reduction_keeps_what_is_asked_for() {
        for (longest, at_least, factor) in [
            (4032, 640, 4),
            (1440, 640, 2),
            (1280, 640, 2),
            // 639.5 pixels are 640, the last one half empty.
            (1279, 640, 2),
            (1278, 640, 1),
            (640, 640, 1),
            (5120, 640, 8),
            (u32::MAX, 1, 8),
            (0, 0, 8),
            (9, u32::MAX, 1),
        ] {
            assert_eq!(factor_keeping(longest, at_least), factor, "{longest} {at_least}");
        }
    }

    #[test]
    fn points_come_back_from_the_whole_whatever_way_the_image_was_turned() {
        // 13 x 6 stored, at a quarter 4 x 2: the last column stands for one pixel, the last row for two.
        for (orientation, left, top) in [
            (Orientation::Upright, 0.0, 0.0),
            (Orientation::FlipHorizontal, 3.0, 0.0),
            (Orientation::Rotate180, 3.0, 2.0),
            (Orientation::FlipVertical, 0.0, 2.0),
            (Orientation::Transpose, 0.0, 0.0),
            (Orientation::Rotate90, 2.0, 0.0),
            (Orientation::Transverse, 2.0, 3.0),
            (Orientation::Rotate270, 0.0, 3.0),
        ] {
            let (width, height) = orientation.upright_size(13, 6);
            let header = Header {
                format: Format::Jpeg,
                width,
                height,
                orientation,
            };
            let (small_width, small_height) = orientation.upright_size(4, 2);
            let reduced = Reduced::new(Image::black(small_width, small_height), &header, 4);
            assert_eq!(reduced.to_whole(0.0, 0.0), (-left, -top), "{orientation:?}");
            assert_eq!(
                reduced.to_whole(1.5, 1.0),
                (6.0 - left, 4.0 - top),
                "{orientation:?}"
            );
            assert_eq!(
                reduced.from_whole(6.0 - left, 4.0 - top),
                (1.5, 1.0),
                "{orientation:?}"
            );
        }
    }
}
