//! HEIC and AVIF files, which a decoder from outside this crate decodes.

use std::fmt;

use crate::image::CHANNELS;
use crate::{Format, ImagingError, Interrupt};

/// A HEIC or AVIF file whose boxes were read, and are within the limits: the primary image, whatever else it holds.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeifFile<'a> {
    /// The whole file.
    pub bytes: &'a [u8],
    /// [`Format::Heic`] or [`Format::Avif`], by how the primary image is coded.
    pub format: Format,
    /// The width in pixels once the image is cropped and turned as the file orders (`clap`, `irot`, `imir`).
    pub width: u32,
    /// The height in pixels of the same.
    pub height: u32,
    /// The longest side in pixels of anything that is decoded: the image as stored, its tiles, its alpha.
    pub longest_side: u32,
    /// Bytes of the planes that are decoded.
    pub(crate) planes: u64,
    /// Bytes that converting the planes to RGB takes.
    pub(crate) conversion: u64,
}

impl HeifFile<'_> {
    /// Returns the bytes of memory that decoding may hold besides the pixels that the decoder returns.
    ///
    /// These are 6 bytes a pixel, with alpha 10, for the conversion to RGB, and twice as many where samples have more than eight
    /// bits, as measured with libheif 1.15, libde265 and dav1d; or else the planes of what is decoded at a time and of the whole
    /// image, where these are more. The file is held once more.
    #[must_use]
    pub fn decoder_bytes(&self) -> u64 {
        self.planes.max(self.conversion) + self.bytes.len() as u64
    }

    /// Returns width and height of the image that the decoder returns, in which a pixel stands for `factor` pixels in either
    /// direction. The last pixel of a row or a column may stand for fewer.
    #[must_use]
    pub fn reduced_size(&self, factor: u32) -> (u32, u32) {
        (self.width.div_ceil(factor), self.height.div_ceil(factor))
    }

    /// Returns the bytes of the pixels that the decoder returns for this `factor`.
    #[must_use]
    pub fn pixel_bytes(&self, factor: u32) -> u64 {
        let (width, height) = self.reduced_size(factor);
        u64::from(width) * u64::from(height) * CHANNELS as u64
    }
}

impl fmt::Debug for HeifFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            format,
            width,
            height,
            ..
        } = self;
        write!(f, "HeifFile({format} {width}x{height})")
    }
}

/// Decodes HEIC and AVIF files.
///
/// This crate reads their boxes, and leaves the rest to such a decoder: the codecs are C libraries that read hostile input, and
/// must run in another process.
pub trait HeifDecoder: fmt::Debug + Send + Sync {
    /// Returns the upright primary image: [`HeifFile::pixel_bytes`] bytes of RGB with eight bits a channel, alpha laid over
    /// white. Each pixel is the mean of `factor` pixels in either direction: 1, 2, 4 or 8. EXIF orientation must not be
    /// applied: in these formats `irot` and `imir` take its place.
    ///
    /// # Errors
    ///
    /// [`ImagingError::Unsupported`] where the codec is missing, [`ImagingError::Corrupt`] for a damaged file,
    /// [`ImagingError::Interrupted`] within milliseconds of the interrupt, [`ImagingError::Decoder`] where the decoder itself
    /// cannot run.
    fn decode(
        &self,
        file: &HeifFile<'_>,
        factor: u32,
        interrupt: Interrupt<'_>,
    ) -> Result<Vec<u8>, ImagingError>;
}
