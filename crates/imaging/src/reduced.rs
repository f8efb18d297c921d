//! An image at a part of its size, and the way back to the pixels of the whole.

use std::borrow::Cow;

use crate::Image;
use crate::probe::Header;

/// By how much an image is made smaller while it is decoded, in either direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reduction {
    Whole,
    Half,
    Quarter,
    Eighth,
}

impl Reduction {
    /// All of them, the one that keeps most first.
    pub(crate) const ALL: [Self; 4] = [Self::Whole, Self::Half, Self::Quarter, Self::Eighth];

    /// The greatest that leaves a longest side of at least so many pixels; none where there are not as many.
    pub(crate) fn keeping(longest_side: u32, at_least: u32) -> Self {
        [Self::Eighth, Self::Quarter, Self::Half]
            .into_iter()
            .find(|reduction| reduction.of(longest_side) >= at_least)
            .unwrap_or(Self::Whole)
    }

    /// Pixels of the whole along one of the reduced image.
    pub(crate) fn factor(self) -> u32 {
        match self {
            Self::Whole => 1,
            Self::Half => 2,
            Self::Quarter => 4,
            Self::Eighth => 8,
        }
    }

    /// Pixels that are made of the eight along a block of a JPEG.
    pub(crate) fn eighths(self) -> u8 {
        match self {
            Self::Whole => 8,
            Self::Half => 4,
            Self::Quarter => 2,
            Self::Eighth => 1,
        }
    }

    /// What a side becomes: the last pixel may stand for fewer than the others.
    pub(crate) fn of(self, side: u32) -> u32 {
        side.div_ceil(self.factor())
    }
}

/// An image that may be smaller than its file, and where it lies in the whole.
#[derive(Debug, Clone)]
pub struct Reduced<'a> {
    image: Cow<'a, Image>,
    width: u32,
    height: u32,
    reduction: Reduction,
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
            reduction: Reduction::Whole,
            left: 0,
            top: 0,
        }
    }

    pub(crate) fn new(image: Image, header: &Header, reduction: Reduction) -> Self {
        let (from_right, from_bottom) = header.orientation.flips();
        let beyond = |flipped: bool, reduced: u32, whole: u32| {
            // The pixel that stands for fewer is the last as stored: turned, it may come first.
            if flipped {
                (reduced * reduction.factor()).saturating_sub(whole)
            } else {
                0
            }
        };
        Self {
            left: beyond(from_right, image.width(), header.width),
            top: beyond(from_bottom, image.height(), header.height),
            image: Cow::Owned(image),
            width: header.width,
            height: header.height,
            reduction,
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
        self.reduction.factor()
    }

    /// Where a point of this image lies in the whole one, both in pixels from the upper left corner.
    #[must_use]
    pub fn to_whole(&self, x: f32, y: f32) -> (f32, f32) {
        let factor = self.factor() as f32;
        (x * factor - self.left as f32, y * factor - self.top as f32)
    }

    /// Where a point of the whole image lies in this one: the reverse of [`to_whole`](Self::to_whole).
    #[must_use]
    pub fn from_whole(&self, x: f32, y: f32) -> (f32, f32) {
        let factor = self.factor() as f32;
        ((x + self.left as f32) / factor, (y + self.top as f32) / factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Format, Orientation};

    #[test]
    fn a_reduction_keeps_what_is_asked_for() {
        for (longest, at_least, reduction) in [
            (4032, 640, Reduction::Quarter),
            (1440, 640, Reduction::Half),
            (1280, 640, Reduction::Half),
            // 639.5 pixels are 640, the last one half empty.
            (1279, 640, Reduction::Half),
            (1278, 640, Reduction::Whole),
            (640, 640, Reduction::Whole),
            (5120, 640, Reduction::Eighth),
            (u32::MAX, 1, Reduction::Eighth),
            (0, 0, Reduction::Eighth),
            (9, u32::MAX, Reduction::Whole),
        ] {
            assert_eq!(
                Reduction::keeping(longest, at_least),
                reduction,
                "{longest} {at_least}"
            );
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
            let reduced = Reduced::new(
                Image::black(small_width, small_height),
                &header,
                Reduction::Quarter,
            );
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
