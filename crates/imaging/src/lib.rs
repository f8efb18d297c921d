//! Bytes to an upright RGB image: formats, EXIF orientation, limits, resize, warp, crop.
//!
//! Every byte that reaches this crate may be hostile. [`probe`] reads a file's header without allocating a pixel,
//! [`EncodedImage`] refuses what the headers declare beyond the [`ImageLimits`] before anything is allocated, the memory of a
//! decode among them; a decode ends within milliseconds of its [`Interrupt`]; and a fault inside a decoding library comes
//! back as [`ImagingError::Corrupt`] instead of crossing the border as a panic. HEIC and AVIF are decoded where the program
//! brings a [`HeifDecoder`].
//!
//! An [`Image`] is always upright, always RGB with eight bits a channel, and always without padding between rows, so
//! that no later stage has to ask. The operations on it ([`shrink_area`], [`crop_resize_bilinear`],
//! [`crop_resize_mirrored`], [`warp_affine`], [`pad_to`]) agree with OpenCV's to within rounding, because the models were
//! trained on images that OpenCV had prepared.
//!
//! ```
//! use likeness_imaging::{ImageLimits, Image, decode, shrink_area};
//!
//! # fn main() -> Result<(), likeness_imaging::ImagingError> {
//! // A GIF of one white pixel.
//! let bytes = b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
//! let image: Image = decode(bytes, &ImageLimits::default())?;
//! assert_eq!((image.width(), image.height()), (1, 1));
//! assert_eq!(shrink_area(&image, 1, 1).as_rgb8(), [255, 255, 255]);
//! # Ok(())
//! # }
//! ```

mod averaged;
mod decode;
mod error;
mod flatten;
mod format;
mod heif;
mod image;
mod interrupt;
mod limits;
mod mirrored;
mod orientation;
mod probe;
mod reduced;
mod resample;
mod rotation;
mod warp;

pub use averaged::warp_affine_averaged;
pub use decode::{EncodedImage, decode, rotate};
pub use error::ImagingError;
pub use flatten::rgba_over_white;
pub use format::Format;
pub use heif::{HeifDecoder, HeifFile};
pub use image::{Image, pad_to, with_border};
pub use interrupt::{Interrupt, Interrupted};
pub use limits::ImageLimits;
pub use mirrored::crop_resize_mirrored;
pub use orientation::Orientation;
pub use probe::{Header, probe, sniff};
pub use reduced::Reduced;
pub use resample::{PixelRect, crop_resize_bilinear, shrink_area};
pub use rotation::Rotation;
pub use warp::{Affine, warp_affine};
