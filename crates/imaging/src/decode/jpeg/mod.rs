//! JPEG, by libjpeg-turbo in the guise of mozjpeg, whose decoder is the same.
//!
//! Its pixels are, bit for bit, those of OpenCV and Pillow: the models were trained on what this code has decoded. What
//! it shrugs off, such as the missing half of a file, is refused here: see [`errors`].

mod errors;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use mozjpeg::decompress::DecompressStarted;
use mozjpeg::{ColorSpace, Decompress};

use super::Stored;
use crate::picture::CHANNELS;
use crate::probe::jpeg::{Frame, Scans};
use crate::{Format, ImagingError};
use errors::Fault;

/// More scans than any encoder writes (the richest script of mozjpeg has about 20), few enough that a small file
/// cannot keep a worker busy by going over the same coefficients again and again.
const MAX_SCANS: usize = 64;

pub(super) fn decode(bytes: &[u8], stored: Stored) -> Result<Vec<u8>, ImagingError> {
    let frame = Frame::find(bytes)?;
    check_frame(&frame)?;
    check_scans(&Scans::survey(bytes, &frame), &frame)?;
    // Nothing is shared with the closure that could be left half done: it borrows the input and owns the rest.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        if frame.components.len() == 4 {
            read_cmyk(bytes, stored)
        } else {
            read_rgb(bytes, stored)
        }
    }));
    match outcome {
        Ok(pixels) => pixels,
        Err(payload) => match payload.downcast::<Fault>() {
            Ok(fault) => Err(corrupt(&fault.to_string())),
            Err(panic) => resume_unwind(panic),
        },
    }
}

fn corrupt(reason: &str) -> ImagingError {
    ImagingError::corrupt(Format::Jpeg, reason)
}

fn check_frame(frame: &Frame<'_>) -> Result<(), ImagingError> {
    let unsupported = |reason: String| Err(ImagingError::unsupported(Format::Jpeg, reason));
    match frame.coding {
        0..=2 => {}
        3 => return unsupported("lossless coding".to_owned()),
        5..=7 => return unsupported("hierarchical coding".to_owned()),
        _ => return unsupported("arithmetic coding".to_owned()),
    }
    if frame.precision != 8 {
        return unsupported(format!("{} bits a channel", frame.precision));
    }
    let count = frame.components.len();
    if !matches!(count, 1 | 3 | 4) {
        return unsupported(format!("{count} colour components"));
    }
    let factors = |shift: u8| {
        frame
            .components
            .iter()
            .map(move |component| (component[1] >> shift) & 0x0F)
    };
    for shift in [4, 0] {
        let largest = factors(shift).max().unwrap_or(0);
        if factors(shift).any(|factor| factor == 0) {
            return Err(corrupt("a component without samples"));
        }
        if factors(shift).any(|factor| largest % factor != 0) {
            return unsupported("fractional subsampling".to_owned());
        }
    }
    Ok(())
}

/// Refuses what libjpeg would decode for too long, or fill with grey without a warning.
///
/// Both read the same markers: where libjpeg would find its way differently, it does so with an error or a warning.
fn check_scans(scans: &Scans, frame: &Frame<'_>) -> Result<(), ImagingError> {
    if scans.count > MAX_SCANS {
        return Err(corrupt("it has too many scans"));
    }
    if scans.components.count_ones() as usize != frame.components.len() {
        return Err(corrupt("the scan of a colour component is missing"));
    }
    // In a single scan that brings each coefficient whole, libjpeg notices the first missing bit. Of several scans,
    // those that are missing could not be told from those that were never there.
    if scans.ended || (frame.is_sequential() && scans.count == 1) {
        Ok(())
    } else {
        Err(corrupt("the end of the image is missing"))
    }
}

/// Grey, YCbCr and RGB.
fn read_rgb(bytes: &[u8], stored: Stored) -> Result<Vec<u8>, ImagingError> {
    start(bytes, stored, ColorSpace::JCS_RGB)?
        .read_scanlines()
        .map_err(|error| refusal(&error))
}

/// CMYK and YCCK, row by row, so that the picture is never there in four channels.
///
/// Adobe's programs store how much of each ink is left out, and libjpeg passes that on. Like Pillow, this takes every
/// file for one of theirs.
fn read_cmyk(bytes: &[u8], stored: Stored) -> Result<Vec<u8>, ImagingError> {
    const INKS: usize = 4;
    let mut started = start(bytes, stored, ColorSpace::JCS_CMYK)?;
    let (width, height) = (started.width(), started.height());
    let mut row = vec![0; width * INKS];
    let mut pixels = vec![0; width * height * CHANNELS];
    for out in pixels.chunks_exact_mut(width * CHANNELS) {
        started
            .read_scanlines_into(&mut row)
            .map_err(|error| refusal(&error))?;
        let (out, _) = out.as_chunks_mut::<CHANNELS>();
        let (inks, _) = row.as_chunks::<INKS>();
        for (out, &[c, m, y, k]) in out.iter_mut().zip(inks) {
            *out = [c, m, y].map(|ink| under(ink, k));
        }
    }
    Ok(pixels)
}

/// The product of two shares of 255, rounded.
fn under(colour: u8, black: u8) -> u8 {
    ((u32::from(colour) * u32::from(black) + 127) / 255) as u8
}

/// Reads the header and, of a progressive file, all scans: what is left is one pass over the rows of the reduced picture.
fn start(
    bytes: &[u8],
    stored: Stored,
    colours: ColorSpace,
) -> Result<DecompressStarted<&[u8]>, ImagingError> {
    let mut decompress = Decompress::builder()
        .with_err(errors::manager())
        .from_mem(bytes)
        .map_err(|error| refusal(&error))?;
    if decompress.size() != (stored.width as usize, stored.height as usize) {
        return Err(corrupt("its headers contradict each other"));
    }
    decompress.scale(stored.reduction.eighths());
    let started = decompress
        .to_colorspace(colours)
        .map_err(|error| refusal(&error))?;
    let reduced = [stored.width, stored.height].map(|side| stored.reduction.of(side) as usize);
    if [started.width(), started.height()] == reduced {
        Ok(started)
    } else {
        Err(corrupt("its headers contradict each other"))
    }
}

fn refusal(error: &io::Error) -> ImagingError {
    corrupt(&error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ink_is_laid_over_black_as_by_pillow() {
        // Pillow: `nk - MULDIV255(ink, nk)`, with the amounts of ink and not what is left out.
        let muldiv255 = |a: u32, b: u32| {
            let product = a * b + 128;
            ((product >> 8) + product) >> 8
        };
        for colour in 0..=255_u8 {
            for black in 0..=255_u8 {
                let left = u32::from(black);
                let pillow = left - muldiv255(255 - u32::from(colour), left);
                assert_eq!(u32::from(under(colour, black)), pillow, "{colour} {black}");
            }
        }
    }
}
