//! BMP: the information header, old and new.

use super::Declared;
use crate::fields::Endian::Little;
use crate::{Format, ImagingError, Orientation};

pub(crate) fn declared(bytes: &[u8]) -> Result<Declared, ImagingError> {
    let (width, height) = sides(bytes).ok_or_else(|| {
        ImagingError::corrupt(Format::Bmp, "it ends within its header or has a negative width")
    })?;
    Ok(Declared {
        width,
        height,
        orientation: Orientation::Upright,
    })
}

fn sides(bytes: &[u8]) -> Option<(u32, u32)> {
    // OS/2's first header has 16-bit sides; all later ones are signed, and a negative height means top to bottom.
    if Little.u32(bytes, 14)? == 12 {
        Some((Little.u16(bytes, 18)?.into(), Little.u16(bytes, 20)?.into()))
    } else {
        let width = Little.u32(bytes, 18)?.cast_signed();
        let height = Little.u32(bytes, 22)?.cast_signed();
        Some((u32::try_from(width).ok()?, height.unsigned_abs()))
    }
}
