//! Bytes to pixels.

mod bmp;
mod canvas;
mod gif;
mod jpeg;
mod png;
mod tiff;
mod watched;
mod webp;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::image::CHANNELS;
use crate::reduced::Reduction;
use crate::{Format, Header, Image, ImagingError, Interrupt, Limits, Orientation, Reduced, probe};

/// Bytes for rows, tables and buffers of the decoding libraries: the share of a decode that does not grow with the image.
const WORKING_ROWS: u64 = 4 * 1024 * 1024;

/// The reason if a decoding library asks for more.
const MEMORY: &str = "it asks for more memory than its size explains";

/// Decodes a file to an upright RGB image.
///
/// Colour profiles are not applied: CMYK is converted by the plain formula, as the models' training images were.
///
/// # Errors
///
/// Those of [`EncodedImage::open`] and [`EncodedImage::decode`].
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Image, ImagingError> {
    EncodedImage::open(bytes, limits)?.decode(Interrupt::NEVER)
}

/// A file in memory whose headers were read and are within the limits. Nothing of its pixels is decoded yet.
///
/// Decoding holds at most [`Limits::max_decode_bytes`] at a time. What a file needs is known from its headers, as
/// output (three bytes a pixel; of a JPEG that is decoded at a part of its size, of that part), what the format needs
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
/// | WebP, turned by EXIF onto its side, or smaller than its animation | at least the output once more |
///
/// ```
/// use likeness_imaging::{EncodedImage, Interrupt, Limits};
///
/// # fn main() -> Result<(), likeness_imaging::ImagingError> {
/// // A GIF of one white pixel.
/// let bytes = b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
/// let image = EncodedImage::open(bytes, &Limits::default())?;
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
}

impl<'a> EncodedImage<'a> {
    /// Reads a file's headers.
    ///
    /// # Errors
    ///
    /// Those of [`probe`]; [`ImagingError::Unsupported`] if the file uses a part of its format that is not decoded
    /// (arithmetic coding, floating-point samples, CIELAB, ...); [`ImagingError::Corrupt`] if its parts contradict each
    /// other.
    pub fn open(bytes: &'a [u8], limits: &Limits) -> Result<Self, ImagingError> {
        let header = probe(bytes, limits)?;
        let content = match header.format {
            Format::Jpeg => Content::Jpeg(jpeg::Jpeg::open(bytes)?),
            Format::Png => Content::Png,
            Format::WebP => Content::WebP(webp::WebP::open(bytes, header.stored_size(), header.orientation)?),
            Format::Bmp => Content::Bmp,
            Format::Tiff => Content::Tiff(tiff::Tiff::open(bytes)?),
            Format::Gif => Content::Gif,
        };
        Ok(Self {
            bytes,
            header,
            max_decode_bytes: limits.max_decode_bytes,
            content,
        })
    }

    /// What the file's header declares.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Bytes that decoding the whole image holds at a time, at most. A lossless WebP whose codes take more is found out, and
    /// refused where that is too much, as it is decoded.
    #[must_use]
    pub fn decode_bytes(&self) -> u64 {
        self.needed(Reduction::Whole)
    }

    /// Decodes the whole image to upright RGB.
    ///
    /// # Errors
    ///
    /// [`ImagingError::DecodeTooLarge`] before anything is allocated; [`ImagingError::Corrupt`] if the file is damaged or
    /// was cut short; [`ImagingError::Interrupted`] within milliseconds of the interrupt.
    pub fn decode(&self, interrupt: Interrupt<'_>) -> Result<Image, ImagingError> {
        self.decode_at(Reduction::Whole, interrupt)
            .map(Reduced::into_image)
    }

    /// Decodes to an upright RGB image whose longest side is at least `longest_side` pixels, as far as the file has them
    /// and the limit on memory admits them, at the least cost.
    ///
    /// A JPEG file that is at least twice as large is decoded at a half, a quarter or an eighth of its size in either
    /// direction: of each block of 8x8 pixels only the 4x4, 2x2 or 1x1 lowest frequencies are transformed back, which is
    /// also the right filter for a smaller image. So is one that needs too much memory at a larger size. Files of other
    /// formats are decoded at their own size.
    ///
    /// # Errors
    ///
    /// Those of [`decode`](Self::decode).
    pub fn decode_reduced(
        &self,
        longest_side: u32,
        interrupt: Interrupt<'_>,
    ) -> Result<Reduced<'static>, ImagingError> {
        let wanted = match self.content {
            Content::Jpeg(_) => Reduction::keeping(self.header.width.max(self.header.height), longest_side),
            _ => Reduction::Whole,
        };
        let reduction = match self.content {
            Content::Jpeg(_) => Reduction::ALL
                .into_iter()
                .filter(|reduction| reduction.factor() >= wanted.factor())
                .find(|reduction| self.needed(*reduction) <= self.max_decode_bytes)
                .unwrap_or(Reduction::Eighth),
            _ => wanted,
        };
        self.decode_at(reduction, interrupt)
    }

    /// Bytes that decoding holds at a time.
    fn needed(&self, reduction: Reduction) -> u64 {
        let (width, height) = self.header.stored_size();
        match &self.content {
            Content::Jpeg(jpeg) => jpeg.needed(reduction),
            Content::Png | Content::Gif => pixel_bytes(width, height) + WORKING_ROWS,
            Content::WebP(webp) => webp.needed(),
            Content::Bmp => bmp::needed(self.bytes, width, height),
            Content::Tiff(tiff) => tiff.needed(),
        }
    }

    fn decode_at(
        &self,
        reduction: Reduction,
        interrupt: Interrupt<'_>,
    ) -> Result<Reduced<'static>, ImagingError> {
        let Header {
            format,
            width,
            height,
            orientation,
        } = self.header;
        let needed = self.needed(reduction);
        if needed > self.max_decode_bytes {
            return Err(ImagingError::DecodeTooLarge {
                format,
                width,
                height,
                needed,
                limit: self.max_decode_bytes,
            });
        }
        interrupt.check()?;
        let (stored_width, stored_height) = self.header.stored_size();
        let stored = Stored {
            width: stored_width,
            height: stored_height,
            orientation,
            reduction,
        };
        let bytes = self.bytes;
        let pixels = catch_unwind(AssertUnwindSafe(|| match &self.content {
            Content::Jpeg(jpeg) => jpeg.decode(stored, self.max_decode_bytes, interrupt),
            Content::Png => png::decode(bytes, stored, interrupt),
            Content::WebP(webp) => webp.decode(self.max_decode_bytes, interrupt),
            Content::Bmp => bmp::decode(bytes, stored, interrupt),
            Content::Tiff(tiff) => tiff.decode(stored, interrupt),
            Content::Gif => gif::decode(bytes, stored, interrupt),
        }))
        // Nothing is shared with the closure that could be left half done: it borrows the input and owns the rest.
        .unwrap_or_else(|_| Err(ImagingError::corrupt(format, "decoder fault")))
        // A decoding library takes an interrupted read for damage.
        .map_err(|error| interrupt.check().err().map_or(error, ImagingError::from))?;
        Image::from_rgb8(reduction.of(width), reduction.of(height), pixels)
            .map(|image| Reduced::new(image, &self.header, reduction))
            .map_err(|_| ImagingError::corrupt(format, "decoder fault"))
    }
}

/// The image as it is stored, which the limits have already admitted.
#[derive(Debug, Clone, Copy)]
struct Stored {
    width: u32,
    height: u32,
    orientation: Orientation,
    /// What is made of it.
    reduction: Reduction,
}

/// Bytes of RGB pixels.
fn pixel_bytes(width: u32, height: u32) -> u64 {
    u64::from(width) * u64::from(height) * CHANNELS as u64
}

fn contradiction(format: Format) -> ImagingError {
    ImagingError::corrupt(format, "its headers contradict each other")
}
