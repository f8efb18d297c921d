//! Padding.

use crate::Image;
use crate::image::byte_len;

/// The image in the upper left corner of a black one of `width` x `height` pixels.
///
/// A side smaller than the image's is taken as the image's own: nothing is cut off.
#[must_use]
pub fn pad_to(image: &Image, width: u32, height: u32) -> Image {
    let width = width.max(image.width());
    let height = height.max(image.height());
    let mut pixels = Vec::with_capacity(byte_len(width, height));
    let margin = byte_len(width - image.width(), 1);
    for row in image.as_rgb8().chunks_exact(image.stride()) {
        pixels.extend_from_slice(row);
        pixels.resize(pixels.len() + margin, 0);
    }
    pixels.resize(byte_len(width, height), 0);
    Image::from_parts(width, height, pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn black_is_added_right_and_below() {
        let image = Image::from_rgb8(1, 2, vec![1, 2, 3, 4, 5, 6]).unwrap();
        let padded = pad_to(&image, 2, 3);
        assert_eq!((padded.width(), padded.height()), (2, 3));
        assert_eq!(
            padded.as_rgb8(),
            [1, 2, 3, 0, 0, 0, 4, 5, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        );
    }

    #[test]
    fn a_smaller_target_cuts_nothing_off() {
        let image = Image::from_rgb8(2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!(pad_to(&image, 1, 1), image);
        assert_eq!(pad_to(&image, 0, 2).height(), 2);
    }
}
