//! Padding.

use crate::Picture;
use crate::picture::byte_len;

/// The picture in the upper left corner of a black one of `width` x `height` pixels.
///
/// A side smaller than the picture's is taken as the picture's own: nothing is cut off.
#[must_use]
pub fn pad_to(picture: &Picture, width: u32, height: u32) -> Picture {
    let width = width.max(picture.width());
    let height = height.max(picture.height());
    let mut pixels = Vec::with_capacity(byte_len(width, height));
    let margin = byte_len(width - picture.width(), 1);
    for row in picture.as_rgb8().chunks_exact(picture.stride()) {
        pixels.extend_from_slice(row);
        pixels.resize(pixels.len() + margin, 0);
    }
    pixels.resize(byte_len(width, height), 0);
    Picture::from_parts(width, height, pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn black_is_added_right_and_below() {
        let picture = Picture::from_rgb8(1, 2, vec![1, 2, 3, 4, 5, 6]).unwrap();
        let padded = pad_to(&picture, 2, 3);
        assert_eq!((padded.width(), padded.height()), (2, 3));
        assert_eq!(
            padded.as_rgb8(),
            [1, 2, 3, 0, 0, 0, 4, 5, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        );
    }

    #[test]
    fn a_smaller_target_cuts_nothing_off() {
        let picture = Picture::from_rgb8(2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!(pad_to(&picture, 1, 1), picture);
        assert_eq!(pad_to(&picture, 0, 2).height(), 2);
    }
}
