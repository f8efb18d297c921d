//! How large an image may be.

use crate::ImagingError;

/// The largest image that is accepted. All are checked against the file's header, before a pixel is allocated.
///
/// ```
/// let limits = likeness_imaging::Limits::default().with_max_side(4_096);
/// assert_eq!(limits.max_side, 4_096);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The length of the encoded file in bytes. Default: 15 MiB.
    pub max_bytes: usize,
    /// Width and height in pixels, each. Default: 10,000.
    pub max_side: u32,
    /// Width times height. Default: 64,000,000, which is 192 MB once decoded.
    pub max_pixels: u64,
    /// The bytes that one decode may hold at a time: output, working buffers and what the decoding libraries keep. What a
    /// file needs is computed from its headers, see [`EncodedImage`](crate::EncodedImage). Default: 192 MiB.
    pub max_decode_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 15 * 1024 * 1024,
            max_side: 10_000,
            max_pixels: 64_000_000,
            max_decode_bytes: 192 * 1024 * 1024,
        }
    }
}

impl Limits {
    /// The same limits with another length of the encoded file, in bytes.
    #[must_use]
    pub fn with_max_bytes(self, max_bytes: usize) -> Self {
        Self { max_bytes, ..self }
    }

    /// The same limits with another largest side, in pixels.
    #[must_use]
    pub fn with_max_side(self, max_side: u32) -> Self {
        Self { max_side, ..self }
    }

    /// The same limits with another largest number of pixels.
    #[must_use]
    pub fn with_max_pixels(self, max_pixels: u64) -> Self {
        Self { max_pixels, ..self }
    }

    /// The same limits with another number of bytes that a decode may hold.
    #[must_use]
    pub fn with_max_decode_bytes(self, max_decode_bytes: u64) -> Self {
        Self {
            max_decode_bytes,
            ..self
        }
    }

    pub(crate) fn check_bytes(&self, bytes: &[u8]) -> Result<(), ImagingError> {
        if bytes.is_empty() {
            return Err(ImagingError::Empty);
        }
        if bytes.len() > self.max_bytes {
            return Err(ImagingError::TooManyBytes {
                bytes: bytes.len(),
                limit: self.max_bytes,
            });
        }
        Ok(())
    }

    /// Checks the size of an image.
    ///
    /// # Errors
    /// [`ImagingError::TooLarge`].
    pub fn check_size(&self, width: u32, height: u32) -> Result<(), ImagingError> {
        let pixels = u64::from(width) * u64::from(height);
        if width > self.max_side || height > self.max_side || pixels > self.max_pixels {
            return Err(ImagingError::TooLarge {
                width,
                height,
                max_side: self.max_side,
                max_pixels: self.max_pixels,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_inclusive() {
        let limits = Limits::default()
            .with_max_bytes(4)
            .with_max_side(100)
            .with_max_pixels(5_000);
        assert_eq!(limits.check_bytes(&[0; 4]), Ok(()));
        assert_eq!(
            limits.check_bytes(&[0; 5]),
            Err(ImagingError::TooManyBytes { bytes: 5, limit: 4 })
        );
        assert_eq!(limits.check_bytes(&[]), Err(ImagingError::Empty));
        assert_eq!(limits.check_size(100, 50), Ok(()));
        assert!(matches!(
            limits.check_size(101, 1),
            Err(ImagingError::TooLarge { width: 101, .. })
        ));
        assert!(matches!(
            limits.check_size(1, 101),
            Err(ImagingError::TooLarge { height: 101, .. })
        ));
        assert!(matches!(
            limits.check_size(100, 51),
            Err(ImagingError::TooLarge { .. })
        ));
    }

    #[test]
    fn the_largest_declarable_image_does_not_overflow() {
        let limits = Limits::default().with_max_side(u32::MAX);
        assert!(matches!(
            limits.check_size(u32::MAX, u32::MAX),
            Err(ImagingError::TooLarge { .. })
        ));
        let limits = limits.with_max_pixels(u64::MAX);
        assert_eq!(limits.check_size(u32::MAX, u32::MAX), Ok(()));
    }
}
