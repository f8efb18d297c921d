//! JPEG, by libjpeg-turbo in the guise of mozjpeg, whose decoder is the same.
//!
//! Its pixels are, bit for bit, those of OpenCV and Pillow: the models were trained on what this code has decoded. What
//! it shrugs off, such as the missing half of a file, is refused here: see [`errors`].

mod errors;
mod libjpeg;

use mozjpeg_sys::J_COLOR_SPACE;

use super::canvas::Canvas;
use super::{WORKING_ROWS, pixel_bytes};
use crate::flatten::under;
use crate::probe::jpeg::{Frame, Head, Scans};
use crate::{Format, ImagingError, Interrupt, Orientation};
use libjpeg::Decompressor;

/// More scans than any encoder writes (the richest script of mozjpeg has about 20), few enough that a small file
/// cannot keep a worker busy by going over the same coefficients again and again.
const MAX_SCANS: usize = 64;

/// Blocks that all scans together may bring: each costs some 30 ns however few bits it has, so that all take a second or
/// two. An image of 64 megapixels at 4:2:0 has as many in 26 scans of all its components.
const MAX_BLOCKS: u64 = 40_000_000;

/// A file whose markers were read.
#[derive(Debug)]
pub(super) struct Jpeg<'a> {
    bytes: &'a [u8],
    frame: Frame<'a>,
    /// Whether libjpeg has to keep the coefficients of the whole image until the last scan was read.
    keeps_coefficients: bool,
}

impl<'a> Jpeg<'a> {
    pub(super) fn open(bytes: &'a [u8], head: Head<'a>) -> Result<Self, ImagingError> {
        check_frame(&head.frame)?;
        let scans = Scans::survey(bytes, &head);
        check_scans(&scans, &head.frame)?;
        Ok(Self {
            bytes,
            keeps_coefficients: !head.frame.is_sequential() || scans.count > 1,
            frame: head.frame,
        })
    }

    /// Bytes held at a time, at that part of the size: the output, the coefficients where they are kept (two bytes each),
    /// and rows.
    pub(super) fn needed(&self, factor: u32) -> u64 {
        const BLOCK_BYTES: u64 = 128;
        let (width, height) = self.size(factor);
        let kept = if self.keeps_coefficients { BLOCK_BYTES } else { 0 };
        pixel_bytes(width, height) + blocks(&self.frame).sum::<u64>() * kept + WORKING_ROWS
    }

    /// The sides as stored, of so many pixels each one of the output.
    fn size(&self, factor: u32) -> (u32, u32) {
        (
            self.frame.width.div_ceil(factor),
            self.frame.height.div_ceil(factor),
        )
    }

    /// Decodes the pixels, or unwinds with an [`ImagingError`].
    pub(super) fn decode(
        &self,
        orientation: Orientation,
        factor: u32,
        max_bytes: u64,
        interrupt: Interrupt<'_>,
    ) -> Result<Vec<u8>, ImagingError> {
        let mut decompressor = Decompressor::open(self.bytes, max_bytes, interrupt);
        let is_cmyk = self.frame.components.len() == 4;
        let colours = if is_cmyk {
            J_COLOR_SPACE::JCS_CMYK
        } else {
            J_COLOR_SPACE::JCS_RGB
        };
        let size = self.size(factor);
        if decompressor.size() != self.size(1) || decompressor.start(8 / factor, colours) != size {
            return Err(Format::Jpeg.contradiction());
        }
        let mut read = |row: &mut [u8]| match decompressor.read_row(row) {
            true => Ok(()),
            false => Err(Format::Jpeg.contradiction()),
        };
        let mut canvas = Canvas::new(orientation, size, 0);
        if !is_cmyk {
            canvas.fill(&interrupt, |_, row| read(row))?;
            return Ok(canvas.into_pixels());
        }
        // Adobe's programs store how much of each ink is left out, and libjpeg passes that on. Like Pillow, this takes
        // every file for one of theirs.
        let mut inks = vec![0; size.0 as usize * 4];
        canvas.fill(&interrupt, |_, row| {
            read(&mut inks)?;
            let (inks, _) = inks.as_chunks();
            for (rgb, &[c, m, y, k]) in row.as_chunks_mut().0.iter_mut().zip(inks) {
                *rgb = [c, m, y].map(|ink| under(ink, k));
            }
            Ok(())
        })?;
        Ok(canvas.into_pixels())
    }
}

/// Blocks of 8x8 samples of each component, in whole groups as the factors ask for.
fn blocks(frame: &Frame<'_>) -> impl Iterator<Item = u64> {
    const SIDE: u64 = 8;
    let components = frame.components.iter();
    let components = components.map(|[_, factors, _]| (u64::from(factors >> 4), u64::from(factors & 0x0F)));
    let widest = components.clone().map(|(across, _)| across).max().unwrap_or(1);
    let highest = components.clone().map(|(_, down)| down).max().unwrap_or(1);
    let (width, height) = (frame.width, frame.height);
    let count = |side: u32, factor: u64, largest: u64| {
        let blocks = (u64::from(side) * factor).div_ceil(SIDE * largest);
        blocks.next_multiple_of(factor)
    };
    components.map(move |(across, down)| count(width, across, widest) * count(height, down, highest))
}

fn check_frame(frame: &Frame<'_>) -> Result<(), ImagingError> {
    let unsupported = |reason: String| Err(Format::Jpeg.unsupported(reason));
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
    for shift in [4, 0] {
        let factors = frame
            .components
            .iter()
            .map(|component| component[1] >> shift & 0x0F);
        let largest = factors.clone().max().unwrap_or(0);
        if factors.clone().any(|factor| factor == 0) {
            return Err(Format::Jpeg.corrupt("a component without samples"));
        }
        if factors.into_iter().any(|factor| largest % factor != 0) {
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
        return Err(Format::Jpeg.corrupt("it has too many scans"));
    }
    // There are one, three or four.
    let of_component = &scans.of_component[..frame.components.len()];
    if of_component.contains(&0) {
        return Err(Format::Jpeg.corrupt("the scan of a colour component is missing"));
    }
    let visited: u64 = blocks(frame)
        .zip(of_component)
        .map(|(blocks, scans)| blocks * *scans as u64)
        .sum();
    if visited > MAX_BLOCKS {
        return Err(ImagingError::TooManyScans {
            width: frame.width,
            height: frame.height,
            scans: scans.count,
        });
    }
    // In a single scan that brings each coefficient whole, libjpeg notices the first missing bit. Of several scans,
    // those that are missing could not be told from those that were never there.
    if scans.ended || (frame.is_sequential() && scans.count == 1) {
        Ok(())
    } else {
        Err(Format::Jpeg.corrupt("the end of the image is missing"))
    }
}
