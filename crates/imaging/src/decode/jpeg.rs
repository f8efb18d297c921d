//! JPEG, by `zune-jpeg` in its strict mode.
//!
//! Its lenient mode fills what is missing with grey and says nothing, so that half a face would be compared. Its strict
//! mode refuses a few harmless things too; those are mended here before it sees them.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hasher};

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::Stored;
use crate::picture::CHANNELS;
use crate::probe::jpeg::{EOI, Frame, MARKER_APP14, SOI, Scans, Segment, Segments};
use crate::{Format, ImagingError};

/// More scans than any encoder writes (the richest script of mozjpeg has about 20), few enough that a small file
/// cannot keep a worker busy by going over the same coefficients again and again.
const MAX_SCANS: usize = 64;

pub(super) fn decode(bytes: &[u8], stored: Stored) -> Result<Vec<u8>, ImagingError> {
    let frame = Frame::find(bytes)?;
    check_frame(&frame)?;
    let scans = Scans::survey(bytes, &frame);
    if scans.components.count_ones() as usize != frame.components.len() {
        return Err(corrupt("the scan of a colour component is missing"));
    }
    let stream = mended(bytes, &frame);
    if scans.ended {
        let mut pixels = vec![0; stored.pixels() * CHANNELS];
        decode_into(&stream, stored, &mut pixels)?;
        Ok(pixels)
    } else if frame.is_sequential() && scans.count == 1 {
        decode_unended(&stream, stored)
    } else {
        // Of several scans, those that are missing could not be told from those that were never there.
        Err(corrupt("the end of the image is missing"))
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
        // libjpeg does not decode these either.
        if factors(shift).any(|factor| largest % factor != 0) {
            return unsupported("fractional subsampling".to_owned());
        }
    }
    Ok(())
}

/// The stream without what only strict mode minds: bytes between the header's segments, and a colour transform of
/// Adobe's that does not exist. Every other decoder passes over both. Borrowed where there is nothing to mend.
fn mended<'a>(bytes: &'a [u8], frame: &Frame<'_>) -> Cow<'a, [u8]> {
    let mut expected = SOI.len();
    let mut clean = true;
    for segment in Segments::of(bytes) {
        clean &= segment.start == expected && adobe_transform(&segment, frame).is_none();
        expected = segment.end;
    }
    if clean {
        return Cow::Borrowed(bytes);
    }
    let mut stream = Vec::with_capacity(bytes.len());
    stream.extend_from_slice(&SOI);
    for segment in Segments::of(bytes) {
        let from = stream.len();
        stream.extend_from_slice(&bytes[segment.start..segment.end]);
        if let Some(transform) = adobe_transform(&segment, frame)
            && let Some(byte) = stream[from..].get_mut(ADOBE_TRANSFORM)
        {
            *byte = transform;
        }
        expected = segment.end;
    }
    stream.extend_from_slice(&bytes[expected..]);
    Cow::Owned(stream)
}

/// Where Adobe's segment names the transform: marker, length, `Adobe`, version, two flags.
const ADOBE_TRANSFORM: usize = 2 + 2 + 5 + 2 + 2 + 2;

/// The transform to assume, as libjpeg does, where Adobe's segment names one that the number of components rules out.
fn adobe_transform(segment: &Segment<'_>, frame: &Frame<'_>) -> Option<u8> {
    if segment.marker != MARKER_APP14 || !segment.payload.starts_with(b"Adobe") {
        return None;
    }
    let named = *segment.payload.get(ADOBE_TRANSFORM - 4)?;
    match (frame.components.len(), named) {
        (_, 0) | (1, 1 | 2) | (3, 1) | (4, 2) => None,
        (4, _) => Some(2),
        _ => Some(1),
    }
}

/// A file that ends without the end marker: whole but for that, or cut?
///
/// If nothing but the marker is missing, it does not matter which bits follow the last ones. So it is decoded twice,
/// with only ones behind it and with only zeros, and believed if the pictures are the same. Ones are no code of any
/// Huffman table that follows the standard (T.81, annex C), so that reading on into them is an error by itself.
fn decode_unended(stream: &[u8], stored: Stored) -> Result<Vec<u8>, ImagingError> {
    // Half a marker, perhaps.
    let stream = stream.strip_suffix(&EOI[..1]).unwrap_or(stream);
    let mut pixels = vec![0; stored.pixels() * CHANNELS];
    let mut decode_with = |filler: [u8; 2]| {
        let mut ended = Vec::with_capacity(stream.len() + 2 * FILLER_PAIRS + EOI.len());
        ended.extend_from_slice(stream);
        ended.extend_from_slice([filler; FILLER_PAIRS].as_flattened());
        ended.extend_from_slice(&EOI);
        decode_into(&ended, stored, &mut pixels)?;
        let mut hasher = DefaultHasher::new();
        hasher.write(&pixels);
        Ok::<u64, ImagingError>(hasher.finish())
    };
    // Eight ones are written with a zero byte behind them, lest they be taken for a marker.
    if decode_with([0xFF, 0x00])? == decode_with([0x00, 0x00])? {
        Ok(pixels)
    } else {
        Err(corrupt("it was cut short"))
    }
}

/// More than a block of coefficients can take, so that the decoder does not meet the marker in the middle of one.
const FILLER_PAIRS: usize = 256;

fn decode_into(stream: &[u8], stored: Stored, pixels: &mut [u8]) -> Result<(), ImagingError> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(stored.width as usize)
        .set_max_height(stored.height as usize)
        .jpeg_set_max_scans(MAX_SCANS)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(stream), options);
    decoder.decode_headers().map_err(refusal)?;
    if decoder.dimensions() != Some((stored.width as usize, stored.height as usize)) {
        return Err(corrupt("it has two frame headers"));
    }
    decoder.decode_into(pixels).map_err(refusal)
}

fn refusal(error: DecodeErrors) -> ImagingError {
    match error {
        DecodeErrors::Unsupported(scheme) => ImagingError::unsupported(Format::Jpeg, format!("{scheme:?}")),
        DecodeErrors::ExhaustedData => corrupt("it was cut short"),
        other => ImagingError::corrupt(Format::Jpeg, format!("{other:?}").trim().trim_matches('"')),
    }
}
