//! Errors of images.

use crate::format::Format;
use crate::interrupt::Interrupted;

/// Why bytes did not become an image.
///
/// All but [`BadBuffer`](Self::BadBuffer), [`Decoder`](Self::Decoder) and [`Interrupted`](Self::Interrupted) are for the sender of the bytes to mend;
/// none carries any part of the image.
#[derive(Debug, thiserror::Error, Clone, PartialEq)]
#[non_exhaustive]
pub enum ImagingError {
    /// There are no bytes.
    #[error("the file is empty")]
    Empty,
    /// The bytes carry no signature of an image format.
    #[error("the file is not an image")]
    NotAnImage,
    /// An image format, or a variant of one, that is recognised and not decoded.
    #[error("{format} is not supported: {reason}")]
    Unsupported {
        /// The name of the format, such as `HEIC` or `TIFF`.
        format: &'static str,
        /// What about it is not supported, and what to send in its place.
        reason: String,
    },
    /// The file breaks the rules of its own format, or ends too early.
    #[error("the {format} file is damaged: {reason}")]
    Corrupt {
        /// The format that the signature announces.
        format: Format,
        /// What the decoder stumbled over.
        reason: String,
    },
    /// The file is longer than [`ImageLimits::max_bytes`](crate::ImageLimits::max_bytes).
    #[error("the file has {bytes} bytes, the limit is {limit}")]
    TooManyBytes {
        /// The length of the file in bytes.
        bytes: usize,
        /// The largest accepted length in bytes.
        limit: usize,
    },
    /// The header declares more pixels than the limits allow.
    #[error(
        "the image is {width}x{height} pixels, the limits are {max_side} on a side and {max_pixels} in all"
    )]
    TooLarge {
        /// The upright width in pixels.
        width: u32,
        /// The upright height in pixels.
        height: u32,
        /// The largest accepted width or height in pixels.
        max_side: u32,
        /// The largest accepted number of pixels.
        max_pixels: u64,
    },
    /// Decoding would take more memory than [`ImageLimits::max_decode_bytes`](crate::ImageLimits::max_decode_bytes).
    #[error(
        "decoding the {width}x{height} {format} image needs {} MiB of memory, the limit is {} MiB",
        .needed.div_ceil(MIB),
        .limit / MIB
    )]
    DecodeTooLarge {
        /// The format that the signature announces.
        format: Format,
        /// The upright width in pixels.
        width: u32,
        /// The upright height in pixels.
        height: u32,
        /// The bytes that decoding would hold at a time, the output among them.
        needed: u64,
        /// The bytes that it may hold.
        limit: u64,
    },
    /// A progressive JPEG goes over so large an image too often: decoding it would take seconds.
    #[error("the JPEG image of {width}x{height} pixels has too many scans for its size: {scans}")]
    TooManyScans {
        /// The stored width in pixels.
        width: u32,
        /// The stored height in pixels.
        height: u32,
        /// How many scans there are.
        scans: usize,
    },
    /// The [`Interrupt`](crate::Interrupt) was due before the image was decoded.
    #[error("decoding was interrupted: its deadline has passed, or it was cancelled")]
    Interrupted,
    /// The decoder of a format cannot run here: no fault of the image.
    #[error("the {format} decoder cannot run: {reason}")]
    Decoder {
        /// The format that it decodes.
        format: Format,
        /// What failed.
        reason: String,
    },
    /// [`Image::from_rgb8`](crate::Image::from_rgb8) was given a side of zero or a buffer of another length than
    /// `3 * width * height`. A bug of the embedding program, not of the image's sender.
    #[error("{found} bytes cannot be an image of {width}x{height} RGB pixels: expected {expected}")]
    BadBuffer {
        /// The width that was asked for, in pixels.
        width: u32,
        /// The height that was asked for, in pixels.
        height: u32,
        /// The bytes that such an image has.
        expected: u64,
        /// The bytes that were given.
        found: usize,
    },
}

impl From<Interrupted> for ImagingError {
    fn from(_: Interrupted) -> Self {
        Self::Interrupted
    }
}

const MIB: u64 = 1024 * 1024;

impl ImagingError {
    /// Of a decode that would hold too much: how much, rounded up, and what it may hold, rounded down, in MiB.
    #[must_use]
    pub fn decode_mib(&self) -> Option<(u64, u64)> {
        match self {
            Self::DecodeTooLarge { needed, limit, .. } => Some((needed.div_ceil(MIB), limit / MIB)),
            _ => None,
        }
    }
}

impl Format {
    /// Returns the error of a damaged file.
    #[must_use]
    pub fn corrupt(self, reason: impl Into<String>) -> ImagingError {
        let reason = reason.into();
        ImagingError::Corrupt { format: self, reason }
    }

    /// Returns the error of a file whose headers contradict each other.
    #[must_use]
    pub fn contradiction(self) -> ImagingError {
        self.corrupt("its headers contradict each other")
    }

    /// Returns the error of a variant that is not decoded.
    #[must_use]
    pub fn unsupported(self, reason: impl Into<String>) -> ImagingError {
        ImagingError::Unsupported {
            format: self.name(),
            reason: reason.into(),
        }
    }
}
