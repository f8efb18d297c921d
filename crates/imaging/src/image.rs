//! The decoded image.

use std::fmt;

use crate::ImagingError;

/// Bytes of one pixel: red, green, blue.
pub(crate) const CHANNELS: usize = 3;

/// An upright image: RGB, eight bits a channel, interleaved, row by row from the top, without padding.
///
/// Both sides are at least one pixel. `Debug` prints the size and never a pixel, so that a log line cannot leak a face.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl Image {
    /// Takes over a buffer of `3 * width * height` bytes in the layout that [`Image`] describes.
    ///
    /// # Errors
    ///
    /// [`ImagingError::BadBuffer`] if a side is zero or the buffer has another length.
    pub fn from_rgb8(width: u32, height: u32, pixels: Vec<u8>) -> Result<Self, ImagingError> {
        // Three times the product of two u32 does not fit in 64 bits.
        let expected = u128::from(width) * u128::from(height) * CHANNELS as u128;
        if expected == 0 || pixels.len() as u128 != expected {
            return Err(ImagingError::BadBuffer {
                width,
                height,
                expected: u64::try_from(expected).unwrap_or(u64::MAX),
                found: pixels.len(),
            });
        }
        Ok(Self {
            width,
            height,
            pixels,
        })
    }

    /// A black image; sides of zero become one.
    pub(crate) fn black(width: u32, height: u32) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        Self {
            width,
            height,
            pixels: vec![0; byte_len(width, height)],
        }
    }

    /// The width in pixels, at least 1.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// The height in pixels, at least 1.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The pixels: `3 * width * height` bytes, red first.
    #[must_use]
    pub fn as_rgb8(&self) -> &[u8] {
        &self.pixels
    }

    /// The pixels without a copy: `3 * width * height` bytes, red first.
    #[must_use]
    pub fn into_rgb8(self) -> Vec<u8> {
        self.pixels
    }

    /// Bytes from one row to the next.
    pub(crate) fn stride(&self) -> usize {
        self.width as usize * CHANNELS
    }

    pub(crate) fn rows_mut(&mut self) -> impl Iterator<Item = &mut [u8]> {
        let stride = self.stride();
        self.pixels.chunks_exact_mut(stride)
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Image({}x{})", self.width, self.height)
    }
}

/// The bytes of an image of that size.
pub(crate) fn byte_len(width: u32, height: u32) -> usize {
    width as usize * height as usize * CHANNELS
}

/// The image in the upper left corner of a black one of `width` x `height` pixels.
///
/// A side smaller than the image's is taken as the image's own: nothing is cut off.
#[must_use]
pub fn pad_to(image: &Image, width: u32, height: u32) -> Image {
    let width = width.max(image.width());
    let height = height.max(image.height());
    let mut padded = Image::black(width, height);
    let rows = image.as_rgb8().chunks_exact(image.stride());
    for (row, to) in rows.zip(padded.rows_mut()) {
        to[..row.len()].copy_from_slice(row);
    }
    padded
}

/// The image in the middle of a grey one that is larger by `border` pixels on every side.
///
/// # Errors
///
/// [`ImagingError::TooLarge`] where a side would be longer than `u32::MAX`.
pub fn with_border(image: &Image, border: u32, grey: u8) -> Result<Image, ImagingError> {
    let side = |side: u32| side.checked_add(border.checked_mul(2)?);
    let (Some(width), Some(height)) = (side(image.width()), side(image.height())) else {
        return Err(ImagingError::TooLarge {
            width: image.width(),
            height: image.height(),
            max_side: u32::MAX,
            max_pixels: u64::MAX,
        });
    };
    let mut bordered = Image {
        width,
        height,
        pixels: vec![grey; byte_len(width, height)],
    };
    let left = border as usize * CHANNELS;
    let rows = image.as_rgb8().chunks_exact(image.stride());
    for (row, to) in rows.zip(bordered.rows_mut().skip(border as usize)) {
        to[left..left + row.len()].copy_from_slice(row);
    }
    Ok(bordered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_border_is_grey_on_every_side() {
        let image = Image::from_rgb8(2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap();
        let bordered = with_border(&image, 1, 9).unwrap();
        assert_eq!((bordered.width(), bordered.height()), (4, 3));
        let row = |pixels: [[u8; 3]; 2]| [[9; 3], pixels[0], pixels[1], [9; 3]].concat();
        let expected = [row([[9; 3]; 2]), row([[1, 2, 3], [4, 5, 6]]), row([[9; 3]; 2])];
        assert_eq!(bordered.as_rgb8(), expected.concat());
        assert_eq!(with_border(&image, 0, 9).unwrap(), image);
        assert!(with_border(&image, u32::MAX, 9).is_err());
    }

    #[test]
    fn a_buffer_of_the_wrong_length_is_refused() {
        assert!(Image::from_rgb8(2, 1, vec![0; 6]).is_ok());
        for (width, height, length) in [
            (2, 1, 5),
            (2, 1, 7),
            (0, 1, 0),
            (1, 0, 0),
            (u32::MAX, u32::MAX, 3),
        ] {
            assert!(
                matches!(
                    Image::from_rgb8(width, height, vec![0; length]),
                    Err(ImagingError::BadBuffer { found, .. }) if found == length
                ),
                "{width}x{height} from {length} bytes"
            );
        }
    }

    #[test]
    fn debug_shows_no_pixel() {
        let image = Image::from_rgb8(1, 2, vec![201; 6]).unwrap();
        assert_eq!(format!("{image:?}"), "Image(1x2)");
    }

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
