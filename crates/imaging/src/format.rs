//! The formats that are decoded.

use std::fmt;

/// An image format that is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// JPEG: baseline and progressive, grey, YCbCr, RGB, CMYK and YCCK, eight bits a channel.
    Jpeg,
    /// PNG: every colour type and depth; alpha is laid over white. Of an animation, the default image.
    Png,
    /// WebP: lossy and lossless; alpha is laid over white. Of an animation, the first frame.
    WebP,
    /// Windows bitmap.
    Bmp,
    /// TIFF, its first page.
    Tiff,
    /// GIF, its first frame, laid over white.
    Gif,
    /// HEIC, the primary image, by a [`HeifDecoder`](crate::HeifDecoder); alpha is laid over white.
    Heic,
    /// AVIF, in the same way.
    Avif,
}

impl Format {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Bmp => "BMP",
            Self::Tiff => "TIFF",
            Self::Gif => "GIF",
            Self::Heic => "HEIC",
            Self::Avif => "AVIF",
        }
    }
}

impl fmt::Display for Format {
    /// Writes the usual name: `JPEG`, `PNG`, `WebP`, `BMP`, `TIFF`, `GIF`, `HEIC`, `AVIF`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}
