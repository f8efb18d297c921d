//! Bytes to pixels.

mod bmp;
mod canvas;
mod gif;
mod jpeg;
mod png;
mod rotate;
mod tiff;
mod watched;
mod webp;

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::heif::{HeifDecoder, HeifFile};
use crate::image::CHANNELS;
use crate::probe::{self, Header, probe};
use crate::reduced::{FACTORS, Reduced, factor_keeping};
use crate::{Format, Image, ImageLimits, ImagingError, Interrupt, Orientation, Rotation};

pub use rotate::rotate;

/// Bytes for rows, tables and buffers of the decoding libraries: the share of a decode that does not grow with the image.
const WORKING_ROWS: u64 = 4 * 1024 * 1024;

/// Bytes for a process that decodes HEIC or AVIF: the program and the libraries, as far as they become its own.
const HEIF_PROCESS: u64 = 24 * 1024 * 1024;

/// The reason if a decoding library asks for more.
const MEMORY: &str = "it asks for more memory than its size explains";

/// Decodes a file to an upright RGB image.
///
/// Colour profiles are not applied: CMYK is converted by the plain formula, as the models' training images were.
///
/// # Errors
///
/// Those of [`EncodedImage::open`] and [`EncodedImage::decode`].
pub fn decode(bytes: &[u8], limits: &ImageLimits) -> Result<Image, ImagingError> {
    EncodedImage::open(bytes, limits)?.decode(Interrupt::NEVER)
}

/// A file in memory whose headers were read, once, and are within the limits. No pixel is decoded yet.
///
/// Decoding holds at most [`ImageLimits::max_decode_bytes`] at a time. What a file needs is known from its headers, as
/// output (three bytes a pixel; of a file that is decoded at a part of its size, of that part), what the format needs
/// besides, and 4 MiB for rows and tables:
///
/// | format | besides the output |
/// |---|---|
/// | JPEG, one scan | nothing |
/// | JPEG, several scans (progressive) | two bytes a coefficient of the whole image: 3 bytes a pixel at 4:2:0, 6 at 4:4:4, 8 of CMYK |
/// | PNG, TIFF, GIF, of any depth | nothing |
/// | BMP | one byte a pixel with 16 or 32 bits a pixel |
/// | WebP, lossy | 1.5 bytes a pixel; with alpha 3.5, or 8.25 where that is compressed |
/// | WebP, lossless | 4.75 bytes a pixel; with alpha 1.75; more where its codes take more |
/// | HEIC, AVIF | 6 bytes a pixel, with alpha 10; twice that with more than eight bits; the file, and 24 MiB |
/// | WebP, turned by EXIF onto its side, or smaller than its animation | at least the output once more |
///
/// ```
/// use likeness_imaging::{EncodedImage, Interrupt, ImageLimits};
///
/// # fn main() -> Result<(), likeness_imaging::ImagingError> {
/// // A GIF of one white pixel.
/// let bytes = b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
/// let image = EncodedImage::open(bytes, &ImageLimits::default())?;
/// assert_eq!((image.header().width, image.header().height), (1, 1));
/// assert_eq!(image.decode(Interrupt::NEVER)?.as_rgb8(), [255, 255, 255]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct EncodedImage<'a> {
    bytes: &'a [u8],
    header: Header,
    max_decode_bytes: u64,
    /// The details of its format beyond the header.
    content: Content<'a>,
}

#[derive(Debug)]
enum Content<'a> {
    Jpeg(jpeg::Jpeg<'a>),
    Png,
    WebP(webp::WebP<'a>),
    Bmp,
    Tiff(tiff::Tiff<'a>),
    Gif,
    Heif(HeifFile<'a>, Arc<dyn HeifDecoder>),
}

impl<'a> EncodedImage<'a> {
    /// Reads and checks a file's headers.
    ///
    /// # Errors
    ///
    /// Those of [`probe`](crate::probe()); [`ImagingError::Unsupported`] if the file uses a part of its format that is not decoded
    /// (arithmetic coding, floating-point samples, CIELAB, ...); [`ImagingError::Corrupt`] if its parts contradict each
    /// other.
    pub fn open(bytes: &'a [u8], limits: &ImageLimits) -> Result<Self, ImagingError> {
        let header = probe(bytes, limits)?;
        let content = match header.format {
            Format::Jpeg => Content::Jpeg(jpeg::Jpeg::open(bytes, probe::jpeg::Head::read(bytes)?)?),
            Format::Tiff => Content::Tiff(tiff::Tiff::open(bytes, &probe::tiff::Directory::of_file(bytes)?)?),
            Format::WebP => Content::WebP(webp::WebP::open(bytes, header)?),
            Format::Png => Content::Png,
            Format::Bmp => Content::Bmp,
            Format::Gif => Content::Gif,
            Format::Heic | Format::Avif => return Err(header.format.unsupported("it takes a decoder")),
        };
        Ok(Self {
            bytes,
            header,
            max_decode_bytes: limits.max_decode_bytes,
            content,
        })
    }

    /// Reads and checks a file's headers as [`open`](Self::open) does. HEIC and AVIF, which `open` rejects, are decoded by the
    /// decoder `heif`.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    pub fn open_with(
        bytes: &'a [u8],
        limits: &ImageLimits,
        heif: &Arc<dyn HeifDecoder>,
    ) -> Result<Self, ImagingError> {
        let Some(brand) = probe::heif_format(bytes) else {
            return Self::open(bytes, limits);
        };
        limits.check_bytes(bytes)?;
        let file = probe::heif::read(bytes, brand, limits)?;
        Ok(Self {
            bytes,
            header: Header {
                format: file.format,
                width: file.width,
                height: file.height,
                orientation: Orientation::Upright,
            },
            max_decode_bytes: limits.max_decode_bytes,
            content: Content::Heif(file, Arc::clone(heif)),
        })
    }

    /// Returns the bytes of the file.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the file's header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns the bytes that decoding the whole image holds at a time, at most. A lossless WebP whose codes take more is
    /// detected, and refused where that is too much, while it is decoded.
    #[must_use]
    pub fn decode_bytes(&self) -> u64 {
        self.needed(1)
    }

    /// Decodes the whole image to upright RGB.
    ///
    /// # Errors
    ///
    /// [`ImagingError::DecodeTooLarge`] before anything is allocated; [`ImagingError::Corrupt`] if the file is damaged or
    /// was cut short; [`ImagingError::Interrupted`] within milliseconds of the interrupt.
    pub fn decode(&self, interrupt: Interrupt<'_>) -> Result<Image, ImagingError> {
        self.decode_at(&self.header, 1, interrupt)
            .map(Reduced::into_image)
    }

    /// Decodes to an upright RGB image whose longest side is at least `longest_side` pixels, as far as the file has them
    /// and the limit on memory admits them, at the least cost.
    ///
    /// A JPEG file that is at least twice as large is decoded at a half, a quarter or an eighth of its size in either
    /// direction: of each block of 8x8 pixels only the 4x4, 2x2 or 1x1 lowest frequencies are transformed back, which is
    /// also the right filter for a smaller image. So is one that needs too much memory at a larger size; HEIC and AVIF are
    /// reduced for the latter reason only. Files of other formats are decoded at their own size.
    ///
    /// # Errors
    ///
    /// Those of [`decode`](Self::decode).
    pub fn decode_reduced(
        &self,
        longest_side: u32,
        interrupt: Interrupt<'_>,
    ) -> Result<Reduced<'static>, ImagingError> {
        self.decode_at(&self.header, self.factor(longest_side), interrupt)
    }

    /// Decodes as [`decode_reduced`](Self::decode_reduced), and turns the upright image by a rotation.
    ///
    /// Where the format allows it, rows are decoded to where they belong in the turned image. Of the others (BMP, GIF, HEIC,
    /// AVIF, WebP) a quarter turn needs twice the output.
    ///
    /// # Errors
    ///
    /// Those of [`decode`](Self::decode).
    pub fn decode_rotated(
        &self,
        longest_side: u32,
        rotation: Rotation,
        interrupt: Interrupt<'_>,
    ) -> Result<Reduced<'static>, ImagingError> {
        let (header, turned) = (&self.header, self.header.rotated(rotation));
        let factor = self.factor(longest_side);
        if let Content::Jpeg(_) | Content::Png | Content::Tiff(_) = self.content {
            return self.decode_at(&turned, factor, interrupt);
        }
        let (width, height) = (header.width.div_ceil(factor), header.height.div_ceil(factor));
        let needed = 2 * pixel_bytes(width, height) + WORKING_ROWS;
        if rotation.swaps_sides() && needed > self.max_decode_bytes {
            return Err(header.decode_too_large(needed, self.max_decode_bytes));
        }
        let image = self.decode_at(header, factor, interrupt)?.into_image();
        let image = rotate(Cow::Owned(image), rotation, interrupt)?;
        Ok(Reduced::new(image, &turned, factor))
    }

    /// Returns the factor of the reduction: the one that `longest_side` allows, or a larger one where the memory limit requires it.
    fn factor(&self, longest_side: u32) -> u32 {
        let wanted = match self.content {
            Content::Jpeg(_) => factor_keeping(self.header.width.max(self.header.height), longest_side),
            // Decoding takes as long at any size, so a reduction for speed gains nothing.
            Content::Heif(..) => 1,
            _ => return 1,
        };
        FACTORS
            .into_iter()
            .find(|factor| *factor >= wanted && self.needed(*factor) <= self.max_decode_bytes)
            .unwrap_or(8)
    }

    /// Bytes that decoding holds at a time, of so many pixels in either direction each one of the output.
    fn needed(&self, factor: u32) -> u64 {
        match &self.content {
            Content::Jpeg(jpeg) => jpeg.needed(factor),
            Content::Png | Content::Gif => pixel_bytes(self.header.width, self.header.height) + WORKING_ROWS,
            Content::WebP(webp) => webp.needed(),
            Content::Bmp => bmp::needed(self.bytes, &self.header),
            Content::Tiff(tiff) => tiff.needed(),
            Content::Heif(file, _) => {
                file.pixel_bytes(factor) + file.decoder_bytes() + HEIF_PROCESS + WORKING_ROWS
            }
        }
    }

    /// `header` is the file's, or one that turns the image further; only JPEG, PNG and TIFF follow the latter.
    fn decode_at(
        &self,
        header: &Header,
        factor: u32,
        interrupt: Interrupt<'_>,
    ) -> Result<Reduced<'static>, ImagingError> {
        let (bytes, max_bytes) = (self.bytes, self.max_decode_bytes);
        let needed = self.needed(factor);
        if needed > max_bytes {
            return Err(header.decode_too_large(needed, max_bytes));
        }
        interrupt.check()?;
        let fault = || header.format.corrupt("decoder fault");
        // Nothing is shared with the closure that could be left half done: it borrows the input and owns the rest.
        let pixels = catch_unwind(AssertUnwindSafe(|| match &self.content {
            Content::Jpeg(jpeg) => jpeg.decode(header.orientation, factor, max_bytes, interrupt),
            Content::Png => png::decode(bytes, header, interrupt),
            Content::WebP(webp) => webp.decode(max_bytes, interrupt),
            Content::Bmp => bmp::decode(bytes, header, interrupt),
            Content::Tiff(tiff) => tiff.decode(header.orientation, interrupt),
            Content::Gif => gif::decode(bytes, header, interrupt),
            Content::Heif(file, decoder) => decoder.decode(file, factor, interrupt),
        }))
        .unwrap_or_else(|payload| Err(payload.downcast().map_or_else(|_| fault(), |error| *error)))
        // A decoding library takes an interrupted read for damage.
        .map_err(|error| interrupt.check().err().map_or(error, ImagingError::from))?;
        let (width, height) = (header.width.div_ceil(factor), header.height.div_ceil(factor));
        let image = Image::from_rgb8(width, height, pixels).map_err(|_| fault())?;
        Ok(Reduced::new(image, header, factor))
    }
}

/// Bytes of RGB pixels.
fn pixel_bytes(width: u32, height: u32) -> u64 {
    u64::from(width) * u64::from(height) * CHANNELS as u64
}
