//! JPEG, by libjpeg-turbo in the guise of mozjpeg, whose decoder is the same.
//!
//! Its pixels are, bit for bit, those of OpenCV and Pillow: the models were trained on what this code has decoded. What
//! it shrugs off, such as the missing half of a file, is refused here: see [`errors`].

mod errors;
mod libjpeg;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use mozjpeg_sys::J_COLOR_SPACE;

use super::canvas::Canvas;
use super::{Stored, WORKING_ROWS, contradiction, pixel_bytes};
use crate::flatten::under;
use crate::image::CHANNELS;
use crate::probe::jpeg::{Frame, Scans};
use crate::reduced::Reduction;
use crate::{Format, ImagingError, Interrupt};
use errors::Fault;
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
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, ImagingError> {
        let frame = Frame::find(bytes)?;
        check_frame(&frame)?;
        let scans = Scans::survey(bytes, &frame);
        check_scans(&scans, &frame)?;
        Ok(Self {
            bytes,
            keeps_coefficients: !frame.is_sequential() || scans.count > 1,
            frame,
        })
    }

    /// Bytes held at a time: the output, the coefficients where they are kept (two bytes each), and rows.
    pub(super) fn needed(&self, reduction: Reduction) -> u64 {
        const BLOCK_BYTES: u64 = 128;
        let output = pixel_bytes(reduction.of(self.frame.width), reduction.of(self.frame.height));
        let coefficients = if self.keeps_coefficients {
            blocks(&self.frame).sum::<u64>() * BLOCK_BYTES
        } else {
            0
        };
        output + coefficients + WORKING_ROWS
    }

    pub(super) fn decode(
        &self,
        stored: Stored,
        max_bytes: u64,
        interrupt: Interrupt<'_>,
    ) -> Result<Vec<u8>, ImagingError> {
        // Nothing is shared with the closure that could be left half done: it borrows the input and owns the rest.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.read(stored, max_bytes, interrupt)));
        match outcome {
            Ok(pixels) => pixels,
            Err(payload) => match payload.downcast::<Fault>() {
                Ok(fault) => Err(match *fault {
                    Fault::Interrupted => ImagingError::Interrupted,
                    Fault::Message(_) => corrupt(&fault.to_string()),
                }),
                Err(panic) => resume_unwind(panic),
            },
        }
    }

    fn read(
        &self,
        stored: Stored,
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
        let Stored {
            width,
            height,
            reduction,
            orientation,
        } = stored;
        let reduced = (reduction.of(width), reduction.of(height));
        if decompressor.size() != (width, height)
            || decompressor.start(reduction.eighths(), colours) != reduced
        {
            return Err(contradiction(Format::Jpeg));
        }
        let mut canvas = Canvas::new(orientation, reduced.0, reduced.1, 0);
        if !is_cmyk {
            canvas.fill(&interrupt, |_, row| read_row(&mut decompressor, row))?;
            return Ok(canvas.into_pixels());
        }
        // Adobe's programs store how much of each ink is left out, and libjpeg passes that on. Like Pillow, this takes
        // every file for one of theirs.
        const INKS: usize = 4;
        let mut inks = vec![0; reduced.0 as usize * INKS];
        canvas.fill(&interrupt, |_, row| {
            read_row(&mut decompressor, &mut inks)?;
            let (row, _) = row.as_chunks_mut::<CHANNELS>();
            let (inks, _) = inks.as_chunks::<INKS>();
            for (rgb, &[c, m, y, k]) in row.iter_mut().zip(inks) {
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
    let factors = |component: &[u8; 3]| (u64::from(component[1] >> 4), u64::from(component[1] & 0x0F));
    let components = frame.components.iter().map(factors);
    let widest = components.clone().map(|(across, _)| across).max().unwrap_or(1);
    let highest = components.clone().map(|(_, down)| down).max().unwrap_or(1);
    let (width, height) = (frame.width, frame.height);
    let count = |side: u32, factor: u64, largest: u64| {
        (u64::from(side) * factor)
            .div_ceil(SIDE * largest)
            .next_multiple_of(factor)
    };
    components.map(move |(across, down)| count(width, across, widest) * count(height, down, highest))
}

fn read_row(decompressor: &mut Decompressor<'_>, row: &mut [u8]) -> Result<(), ImagingError> {
    if decompressor.read_row(row) {
        Ok(())
    } else {
        Err(contradiction(Format::Jpeg))
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
    let of_component = scans
        .of_component
        .get(..frame.components.len())
        .unwrap_or_default();
    if of_component.contains(&0) {
        return Err(corrupt("the scan of a colour component is missing"));
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
        Err(corrupt("the end of the image is missing"))
    }
}
