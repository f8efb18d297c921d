//! WebP: the RIFF chunks.

use super::Declared;
use crate::fields::Endian::Little;
use crate::{Format, ImagingError, Orientation};

/// `RIFF`, a length, `WEBP`.
const SIGNATURE: usize = 12;

/// Position, sides, duration and flags of an animation's frame.
const FRAME_HEADER: usize = 16;

/// The image of a file, or the first frame of an animation: the part that is decoded.
#[derive(Debug)]
pub(crate) struct First<'a> {
    /// Whether the file says what it has, and has the image among other chunks.
    pub(crate) extended: bool,
    /// Of an animation: where its frame lies. `None`: the file holds one image, which is all of it.
    pub(crate) frame: Option<Placed>,
    /// Whether there is alpha.
    pub(crate) alpha: bool,
    /// The data of the chunks `VP8 ` or `VP8L`, and of `ALPH` for the former.
    pub(crate) lossy: Option<&'a [u8]>,
    pub(crate) lossless: Option<&'a [u8]>,
    pub(crate) mask: Option<&'a [u8]>,
}

/// Where a frame lies in its animation, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) left: u32,
    pub(crate) top: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl<'a> First<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Option<Self> {
        const ALPHA: u8 = 0x10;
        const ANIMATION: u8 = 0x02;
        let all = bytes.get(SIGNATURE..)?;
        let head = chunks(all).next()?;
        let alone = Self {
            extended: false,
            frame: None,
            alpha: false,
            lossy: None,
            lossless: None,
            mask: None,
        };
        match head.kind {
            b"VP8 " => {
                return Some(Self {
                    lossy: Some(head.data),
                    ..alone
                });
            }
            b"VP8L" => {
                return Some(Self {
                    // Below its sides.
                    alpha: head.data.get(4)? & ALPHA != 0,
                    lossless: Some(head.data),
                    ..alone
                });
            }
            _ => {}
        }
        let flags = *head.data.first()?;
        let (frame, content) = if flags & ANIMATION == 0 {
            (None, all)
        } else {
            let data = chunks(all).find(|chunk| chunk.kind == b"ANMF")?.data;
            // Numbers of three bytes: positions in pairs of pixels, sides less one.
            let number = |at| Some(Little.u32(data, at)? & 0xFF_FFFF);
            let placed = Placed {
                left: 2 * number(0)?,
                top: 2 * number(3)?,
                width: number(6)? + 1,
                height: number(9)? + 1,
            };
            (Some(placed), data.get(FRAME_HEADER..)?)
        };
        let find = |kind: &[u8; 4]| {
            chunks(content)
                .find(|chunk| chunk.kind == kind)
                .map(|chunk| chunk.data)
        };
        let (lossless, mask) = (find(b"VP8L"), find(b"ALPH"));
        // In an animation each frame has alpha or not, whatever the flags of the file say.
        let may_have_alpha = frame.is_some() || flags & ALPHA != 0;
        let mask = mask.filter(|_| may_have_alpha && lossless.is_none());
        Some(Self {
            extended: true,
            frame,
            alpha: mask.is_some() || (may_have_alpha && lossless.is_some()),
            lossy: find(b"VP8 ").filter(|_| lossless.is_none()),
            lossless,
            mask,
        })
    }
}

pub(crate) fn declared(bytes: &[u8]) -> Result<Declared, ImagingError> {
    let (width, height) = chunks(bytes.get(SIGNATURE..).unwrap_or_default())
        .next()
        .and_then(|chunk| sides(&chunk))
        .ok_or_else(|| ImagingError::corrupt(Format::WebP, "it has no header that makes sense"))?;
    // The decoding library believes each frame's own header before it compares it with the canvas, so a small canvas
    // must not hide a large frame.
    if !chunks(&bytes[SIGNATURE..]).all(|chunk| fits(&chunk, width, height)) {
        return Err(ImagingError::corrupt(
            Format::WebP,
            "a frame is larger than the image",
        ));
    }
    let orientation = chunks(&bytes[SIGNATURE..])
        .find(|chunk| chunk.kind == b"EXIF")
        .map(|chunk| Orientation::from_exif_block(chunk.data))
        .unwrap_or_default();
    Ok(Declared {
        width,
        height,
        orientation,
    })
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
            // The second side's three bytes end the chunk, so it is read from one byte earlier.
            Some((
                (Little.u32(data, 4)? & 0xFF_FFFF) + 1,
                (Little.u32(data, 6)? >> 8) + 1,
            ))
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
