//! JPEG: the marker segments before, between and behind the scans (ITU-T T.81, annex B).

use memchr::memchr;

use super::{Declared, tiff};
use crate::fields::Endian::Big;
use crate::{Format, ImagingError, Orientation};

/// Start of image, the two bytes that every JPEG begins with.
const SOI: [u8; 2] = [0xFF, 0xD8];

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
        for segment in Segments::of(bytes) {
            match segment.marker {
                0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF if frame.is_none() => {
                    frame = Some(Frame::of(&segment));
                }
                MARKER_APP1 if exif.is_none() => exif = segment.payload.strip_prefix(b"Exif\0\0"),
                MARKER_SOS => first_scan = Some(segment.start),
                _ => {}
            }
        }
        let frame = frame.flatten();
        Ok(Self {
            frame: frame.ok_or_else(|| ImagingError::corrupt(Format::Jpeg, "it has no frame header"))?,
            orientation: exif.map(tiff::exif_orientation).unwrap_or_default(),
            first_scan,
        })
    }

    pub(crate) fn declared(&self) -> Declared {
        Declared {
            width: self.frame.width,
            height: self.frame.height,
            orientation: self.orientation,
        }
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

/// A marker segment before the first scan.
struct Segment<'a> {
    marker: u8,
    /// What follows the length.
    payload: &'a [u8],
    /// Where its marker's first byte stands.
    start: usize,
}

/// The segments up to the first scan's header, that one included. They end early where the file does.
///
/// Bytes that belong to no segment are skipped over, as every browser does.
struct Segments<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Segments<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, at: SOI.len() }
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Segment<'a>> {
        let (marker, after) = next_marker(self.bytes, self.at)?;
        if marker == MARKER_EOI {
            self.at = self.bytes.len();
            return None;
        }
        let payload = segment_payload(self.bytes, after)?;
        self.at = if marker == MARKER_SOS {
            self.bytes.len()
        } else {
            after + 2 + payload.len()
        };
        Some(Segment {
            marker,
            payload,
            start: after - 2,
        })
    }
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

fn segment_payload(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let length = usize::from(Big.u16(bytes, at)?);
    bytes.get(at + 2..at + length.max(2))
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
        let Some(mut at) = head.first_scan else {
            return scans;
        };
        while let Some((marker, after)) = next_marker(bytes, at) {
            if marker == MARKER_EOI {
                scans.ended = true;
                break;
            }
            let Some(payload) = segment_payload(bytes, after) else {
                break;
            };
            if marker == MARKER_SOS {
                scans.count += 1;
                let named = payload.split_first().map_or(0, |(&count, _)| usize::from(count));
                for selector in payload.get(1..).unwrap_or_default().chunks_exact(2).take(named) {
                    let position = head
                        .frame
                        .components
                        .iter()
                        .position(|component| component[0] == selector[0]);
                    if let Some(count) = position.and_then(|position| scans.of_component.get_mut(position)) {
                        *count += 1;
                    }
                }
            }
            at = after + 2 + payload.len();
        }
        scans
    }
}
