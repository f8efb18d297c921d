//! WebP, by the `image-webp` crate: the image, or the first frame of an animation.

use std::borrow::Cow;
use std::time::Duration;

use image_webp::{DecodingError, WebPDecoder};

use super::canvas::{Canvas, turn};
use super::watched::Watched;
use super::{WORKING_ROWS, pixel_bytes};
use crate::flatten::drop_alpha;
use crate::image::CHANNELS;
use crate::probe::vp8;
use crate::probe::vp8l::{self, Refusal};
use crate::probe::webp::First;
use crate::{Format, Header, ImagingError, Interrupt, PixelRect};

/// Time that the library takes for a pixel at most, on a slow machine. It reads a lossy image's bytes before it decodes
/// them, and transforms a lossless image after it has read it. Neither can be interrupted, so neither begins without the
/// time for it.
const TIME_A_PIXEL: Duration = Duration::from_nanos(50);

/// A file whose chunks were read.
#[derive(Debug)]
pub(super) struct WebP<'a> {
    bytes: &'a [u8],
    first: First<'a>,
    header: Header,
    /// Where the first frame lies in the image as stored.
    placed: PixelRect,
}

impl<'a> WebP<'a> {
    pub(super) fn open(bytes: &'a [u8], header: Header) -> Result<Self, ImagingError> {
        let first = First::of(bytes).ok_or_else(|| Format::WebP.corrupt("it has no image"))?;
        let (width, height) = header.stored_size();
        let placed = first.frame.unwrap_or(PixelRect {
            left: 0,
            top: 0,
            width,
            height,
        });
        if placed.left.saturating_add(placed.width) > width
            || placed.top.saturating_add(placed.height) > height
        {
            return Err(Format::WebP.corrupt("a frame lies outside the image"));
        }
        if !first.lossy.is_none_or(vp8::holds_its_partitions) {
            return Err(Format::WebP.corrupt("its frame is damaged or was cut short"));
        }
        Ok(Self {
            bytes,
            first,
            header,
            placed,
        })
    }

    fn pixels(&self) -> u64 {
        u64::from(self.placed.width) * u64::from(self.placed.height)
    }

    fn is_whole(&self) -> bool {
        (self.placed.width, self.placed.height) == self.header.stored_size()
    }

    /// Bytes held at a time.
    ///
    /// A lossy image is decoded to planes of 1.5 bytes a pixel in whole blocks of 16 pixels a side, beside the buffer of 3
    /// or, with alpha, 4 bytes a pixel; alpha is decoded as a lossless image of 4 bytes a pixel, of which one is copied. A
    /// lossless image without alpha is decoded to 4 bytes a pixel beside the buffer of 3. Transforms and codes of a lossless
    /// image take three quarters of a byte a pixel; [`vp8l`] finds the images that need more. Copies of the file's bytes are
    /// made. To turn the image, or to place it in a larger one, takes the output beside the buffer.
    pub(super) fn needed(&self) -> u64 {
        let pixels = self.pixels();
        let buffer = pixels * if self.first.alpha { 4 } else { 3 };
        let blocks = |side: u32| u64::from(side.next_multiple_of(16));
        let decoding = if self.first.lossless.is_some() {
            self.tables() + if self.first.alpha { 0 } else { 4 * pixels }
        } else {
            let planes = blocks(self.placed.width) * blocks(self.placed.height) * 3 / 2;
            let mask = match self.first.mask {
                Some(mask) if mask.first().is_some_and(|head| head & 3 == 0) => pixels,
                Some(_) => 5 * pixels + self.tables(),
                None => 0,
            };
            planes + mask
        };
        let placing = if self.is_whole() && !self.header.orientation.swaps_sides() {
            0
        } else {
            pixel_bytes(self.header.width, self.header.height)
        };
        buffer + decoding.max(placing) + 2 * self.bytes.len() as u64 + WORKING_ROWS
    }

    /// Bytes that are reserved for transforms and codes of a lossless image. Few images need as many; a hostile one may need a
    /// thousand times as many.
    fn tables(&self) -> u64 {
        self.pixels() * 3 / 4
    }

    /// Reads a lossless image's codes, without keeping them, and refuses it if the library would take too much memory for
    /// them.
    fn check_tables(&self, max_bytes: u64, interrupt: Interrupt<'_>) -> Result<(), ImagingError> {
        const COMPRESSED: u8 = 1;
        let sides = (self.placed.width, self.placed.height);
        let (stream, sides) = match (self.first.lossless, self.first.mask) {
            (Some(image), _) => (image, None),
            (None, Some([head, stream @ ..])) if head & 3 == COMPRESSED => (stream, Some(sides)),
            _ => return Ok(()),
        };
        let besides = self.needed().saturating_sub(self.tables());
        let limit = max_bytes.saturating_sub(besides);
        match vp8l::working_bytes(stream, sides, limit, &mut || interrupt.is_due()) {
            Ok(_) => Ok(()),
            Err(Refusal::Interrupted) => Err(ImagingError::Interrupted),
            Err(Refusal::Damaged) => Err(Format::WebP.corrupt("its codes are damaged")),
            Err(Refusal::OverLimit(tables)) => Err(self.header.decode_too_large(besides + tables, max_bytes)),
        }
    }

    pub(super) fn decode(&self, max_bytes: u64, interrupt: Interrupt<'_>) -> Result<Vec<u8>, ImagingError> {
        let pixels = u32::try_from(self.pixels()).unwrap_or(u32::MAX);
        if !interrupt.leaves(TIME_A_PIXEL * pixels) {
            return Err(ImagingError::Interrupted);
        }
        self.check_tables(max_bytes, interrupt)?;
        let still = if self.first.extended {
            Cow::Owned(self.still())
        } else {
            Cow::Borrowed(self.bytes)
        };
        let mut decoder = WebPDecoder::new(Watched::new(&still, interrupt)).map_err(refusal)?;
        let PixelRect {
            left,
            top,
            width,
            height,
        } = self.placed;
        if decoder.dimensions() != (width, height) || decoder.has_alpha() != self.first.alpha {
            return Err(Format::WebP.contradiction());
        }
        let channels = if self.first.alpha { 4 } else { CHANNELS };
        let mut buffer = vec![0; width as usize * height as usize * channels];
        decoder.read_image(&mut buffer).map_err(refusal)?;
        if self.first.alpha {
            drop_alpha(&mut buffer);
        }
        let (orientation, size) = (self.header.orientation, self.header.stored_size());
        if self.is_whole() {
            return turn(orientation, size, buffer, &interrupt);
        }
        // The first frame of an animation has nothing behind it: the rest is white.
        let mut canvas = Canvas::new(orientation, size, 255);
        for (y, row) in buffer.chunks_exact(width as usize * CHANNELS).enumerate() {
            canvas.put(left as usize, top as usize + y, 1, row);
        }
        Ok(canvas.into_pixels())
    }

    /// The image, or the first frame of an animation, as a file of its own, so that the library decodes only chunks that were
    /// checked here. For an animation it would keep a canvas of four bytes a pixel beside the output.
    fn still(&self) -> Vec<u8> {
        const ALPHA: u8 = 0x10;
        let mut head = vec![if self.first.alpha { ALPHA } else { 0 }, 0, 0, 0];
        for side in [self.placed.width, self.placed.height] {
            head.extend(&(side - 1).to_le_bytes()[..3]);
        }
        let chunks = [
            (b"VP8X", Some(head.as_slice())),
            (b"ALPH", self.first.mask),
            (b"VP8 ", self.first.lossy),
            (b"VP8L", self.first.lossless),
        ];
        let mut file = b"RIFF\0\0\0\0WEBP".to_vec();
        for (kind, data) in chunks {
            let Some(data) = data else { continue };
            file.extend(kind);
            file.extend((data.len() as u32).to_le_bytes());
            file.extend(data);
            file.resize(file.len().next_multiple_of(2), 0);
        }
        let length = (file.len() as u32).saturating_sub(8).to_le_bytes();
        file[4..8].copy_from_slice(&length);
        file
    }
}

fn refusal(error: DecodingError) -> ImagingError {
    match error {
        DecodingError::UnsupportedFeature(feature) => Format::WebP.unsupported(feature),
        other => Format::WebP.corrupt(other.to_string()),
    }
}
