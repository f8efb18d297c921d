//! WebP: the RIFF chunks.

use super::Endian::Little;
use super::{Declared, tiff};
use crate::{Format, ImagingError, PixelRect};

/// `RIFF`, a length, `WEBP`.
const SIGNATURE: usize = 12;

/// Position, sides, duration and flags of an animation's frame.
const FRAME_HEADER: usize = 16;

/// The image of a file, or the first frame of an animation: the part that is decoded.
#[derive(Debug)]
pub(crate) struct First<'a> {
    /// Whether the file says what it has, and has the image among other chunks.
    pub(crate) extended: bool,
    /// Where the frame of an animation lies in it. `None`: the file holds one image, which is all of it.
    pub(crate) frame: Option<PixelRect>,
    /// Whether there is alpha.
    pub(crate) alpha: bool,
    /// The data of the chunks `VP8 ` or `VP8L`, and of `ALPH` for the former.
    pub(crate) lossy: Option<&'a [u8]>,
    pub(crate) lossless: Option<&'a [u8]>,
    pub(crate) mask: Option<&'a [u8]>,
}

impl<'a> First<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Option<Self> {
        const ALPHA: u8 = 0x10;
        const ANIMATION: u8 = 0x02;
        let all = bytes.get(SIGNATURE..)?;
        let head = chunks(all).next()?;
        let extended = !matches!(head.kind, b"VP8 " | b"VP8L");
        let flags = match head.kind {
            b"VP8 " => 0,
            // Below its sides.
            b"VP8L" => *head.data.get(4)? & ALPHA,
            _ => *head.data.first()?,
        };
        let (frame, content) = if flags & ANIMATION == 0 {
            (None, all)
        } else {
            let data = chunks(all).find(|chunk| chunk.kind == b"ANMF")?.data;
            // Numbers of three bytes: positions in pairs of pixels, sides less one.
            let number = |at| Some(Little.number(data, at, 3)? as u32);
            let placed = PixelRect {
                left: 2 * number(0)?,
                top: 2 * number(3)?,
                width: number(6)? + 1,
                height: number(9)? + 1,
            };
            (Some(placed), data.get(FRAME_HEADER..)?)
        };
        let find = |kind: &[u8; 4]| {
            // A file that does not say what it has has one chunk.
            let mut chunks = chunks(content).take(if extended { usize::MAX } else { 1 });
            chunks.find(|chunk| chunk.kind == kind).map(|chunk| chunk.data)
        };
        let lossless = find(b"VP8L");
        // In an animation each frame has alpha or not, whatever the flags of the file say.
        let may_have_alpha = frame.is_some() || flags & ALPHA != 0;
        let mask = find(b"ALPH").filter(|_| may_have_alpha && lossless.is_none());
        Some(Self {
            extended,
            frame,
            alpha: mask.is_some() || (may_have_alpha && lossless.is_some()),
            lossy: find(b"VP8 ").filter(|_| lossless.is_none()),
            lossless,
            mask,
        })
    }
}

pub(crate) fn declared(bytes: &[u8]) -> Result<Declared, ImagingError> {
    let all = || chunks(bytes.get(SIGNATURE..).unwrap_or_default());
    let (width, height) = all()
        .next()
        .and_then(|chunk| sides(&chunk))
        .ok_or_else(|| Format::WebP.corrupt("it has no header that makes sense"))?;
    // The decoding library believes each frame's own header before it compares it with the canvas, so a small canvas
    // must not hide a large frame.
    if !all().all(|chunk| fits(&chunk, width, height)) {
        return Err(Format::WebP.corrupt("a frame is larger than the image"));
    }
    let exif = all().find(|chunk| chunk.kind == b"EXIF");
    let orientation = exif.map(|chunk| tiff::exif_orientation(chunk.data));
    Ok(((width, height), orientation.unwrap_or_default()))
}

fn sides(chunk: &Chunk<'_>) -> Option<(u32, u32)> {
    let data = chunk.data;
    match chunk.kind {
        // Three bytes of frame tag, the start code, and two sides of 14 bits below two of scaling (RFC 6386, 9.1).
        b"VP8 " if data.get(3..6)? == [0x9D, 0x01, 0x2A] => {
            let side = |at| Some(u32::from(Little.u16(data, at)? & 0x3FFF));
            Some((side(6)?, side(8)?))
        }
        // A signature byte, and two sides less one of 14 bits each.
        b"VP8L" if data.first()? == &0x2F => {
            let bits = Little.u32(data, 1)?;
            Some(((bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1))
        }
        // Four bytes of flags, and two sides less one of 24 bits each.
        b"VP8X" => {
            let side = |at| Some(Little.number(data, at, 3)? as u32 + 1);
            Some((side(4)?, side(7)?))
        }
        _ => None,
    }
}

struct Chunk<'a> {
    kind: &'a [u8],
    data: &'a [u8],
}

/// Whether what the chunk's own header declares, if it has one, is no larger than the image.
fn fits(chunk: &Chunk<'_>, width: u32, height: u32) -> bool {
    match chunk.kind {
        b"VP8 " | b"VP8L" => sides(chunk).is_none_or(|sides| sides.0 <= width && sides.1 <= height),
        b"ANMF" => chunks(chunk.data.get(FRAME_HEADER..).unwrap_or_default())
            .filter(|chunk| chunk.kind != b"ANMF")
            .all(|chunk| fits(&chunk, width, height)),
        _ => true,
    }
}

/// The chunks, each padded to an even length. The last one may be cut: it still tells the size.
fn chunks(mut rest: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    std::iter::from_fn(move || {
        let (kind, after) = rest.split_at_checked(4)?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let (data, after) = after.split_at_checked(length).unwrap_or((after, &[]));
        rest = if length % 2 == 1 {
            after.get(1..).unwrap_or_default()
        } else {
            after
        };
        Some(Chunk { kind, data })
    })
}
