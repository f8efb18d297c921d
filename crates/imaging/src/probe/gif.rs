//! GIF: the logical screen descriptor.

use super::Declared;
use crate::fields::Endian::Little;
use crate::{Format, ImagingError, Orientation};

pub(crate) fn declared(bytes: &[u8]) -> Result<Declared, ImagingError> {
    match (Little.u16(bytes, 6), Little.u16(bytes, 8)) {
        (Some(width), Some(height)) => Ok(Declared {
            width: width.into(),
            height: height.into(),
            orientation: Orientation::Upright,
        }),
        _ => Err(ImagingError::corrupt(Format::Gif, "it ends within its header")),
    }
}
