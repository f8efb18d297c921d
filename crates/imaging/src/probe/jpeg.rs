//! JPEG: the marker segments before, between and behind the scans (ITU-T T.81, annex B).

use memchr::memchr;

use super::Endian::Big;
use super::{Declared, tiff};
use crate::{Format, ImagingError, Orientation};

/// Bytes of the marker that every JPEG begins with.
const SOI_BYTES: usize = 2;

const MARKER_EOI: u8 = 0xD9;
const MARKER_SOS: u8 = 0xDA;
const MARKER_APP1: u8 = 0xE1;

/// The segments before the first scan, as far as they matter.
#[derive(Debug)]
pub(crate) struct Head<'a> {
    pub(crate) frame: Frame<'a>,
    orientation: Orientation,
    /// Where the first scan's marker stands.
    first_scan: Option<usize>,
}

impl<'a> Head<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, ImagingError> {
        let (mut frame, mut exif, mut first_scan) = (None, None, None);
        for segment in segments(bytes, SOI_BYTES) {
            match segment.marker {
                0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF if frame.is_none() => {
                    frame = Some(Frame::of(&segment));
                }
                MARKER_APP1 if exif.is_none() => exif = segment.payload.strip_prefix(b"Exif\0\0"),
                MARKER_SOS => {
                    first_scan = Some(segment.start);
                    break;
                }
                MARKER_EOI => break,
                _ => {}
            }
        }
        let frame = frame.flatten();
        Ok(Self {
            frame: frame.ok_or_else(|| Format::Jpeg.corrupt("it has no frame header"))?,
            orientation: exif.map(tiff::exif_orientation).unwrap_or_default(),
            first_scan,
        })
    }

    pub(crate) fn declared(&self) -> Declared {
        ((self.frame.width, self.frame.height), self.orientation)
    }
}

/// The frame header (SOFn).
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// The low half of the marker: how the frame is coded.
    pub(crate) coding: u8,
    /// Bits a sample.
    pub(crate) precision: u8,
    /// Three bytes a component: its name, its sampling factors (horizontal, vertical), its quantisation table.
    pub(crate) components: &'a [[u8; 3]],
}

impl<'a> Frame<'a> {
    fn of(segment: &Segment<'a>) -> Option<Self> {
        let payload = segment.payload;
        let (components, _) = payload.get(6..)?.as_chunks();
        Some(Self {
            width: Big.u16(payload, 3)?.into(),
            height: Big.u16(payload, 1)?.into(),
            coding: segment.marker & 0x0F,
            precision: *payload.first()?,
            components: components.get(..usize::from(*payload.get(5)?))?,
        })
    }

    /// Baseline and extended sequential: each coefficient comes once and whole.
    pub(crate) fn is_sequential(&self) -> bool {
        matches!(self.coding, 0 | 1)
    }
}

/// A marker segment.
struct Segment<'a> {
    marker: u8,
    /// What follows the length.
    payload: &'a [u8],
    /// Where its marker's first byte stands.
    start: usize,
}

/// The segments from a position on, those between scans and the end of the image included. They end early where the file
/// does. Bytes that belong to no segment are skipped over, as every browser does.
fn segments(bytes: &[u8], mut at: usize) -> impl Iterator<Item = Segment<'_>> {
    std::iter::from_fn(move || {
        let (marker, after) = next_marker(bytes, at)?;
        let payload = match marker {
            MARKER_EOI => &[],
            _ => {
                let length = usize::from(Big.u16(bytes, after)?);
                bytes.get(after + 2..after + length.max(2))?
            }
        };
        at = after + 2 + payload.len();
        Some(Segment {
            marker,
            payload,
            start: after - 2,
        })
    })
}

/// The next marker that is not a fill byte, a stuffed byte, a restart or another one without a segment, and the
/// position behind it.
fn next_marker(bytes: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        at += memchr(0xFF, bytes.get(at..)?)? + 1;
        match bytes.get(at)? {
            // Stuffing, TEM, RSTn, SOI.
            0x00 | 0x01 | 0xD0..=0xD8 => at += 1,
            0xFF => {}
            &marker => return Some((marker, at + 1)),
        }
    }
}

/// The scans from outside, without decoding them.
pub(crate) struct Scans {
    /// How many there are.
    pub(crate) count: usize,
    /// In how many of them each component is, in the order of the frame header.
    pub(crate) of_component: [usize; 4],
    /// Whether the end of the image is marked.
    pub(crate) ended: bool,
}

impl Scans {
    pub(crate) fn survey(bytes: &[u8], head: &Head<'_>) -> Self {
        let mut scans = Self {
            count: 0,
            of_component: [0; 4],
            ended: false,
        };
        let Some(first) = head.first_scan else {
            return scans;
        };
        for segment in segments(bytes, first) {
            match segment.marker {
                MARKER_EOI => {
                    scans.ended = true;
                    break;
                }
                MARKER_SOS => scans.count += 1,
                _ => continue,
            }
            let (named, selectors) = segment.payload.split_first().unwrap_or((&0, &[]));
            for selector in selectors.chunks_exact(2).take(usize::from(*named)) {
                let mut components = head.frame.components.iter();
                let position = components.position(|component| component[0] == selector[0]);
                if let Some(count) = position.and_then(|position| scans.of_component.get_mut(position)) {
                    *count += 1;
                }
            }
        }
        scans
    }
}
