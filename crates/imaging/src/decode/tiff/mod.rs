//! TIFF: the strips or tiles of the first directory, a row at a time.
//!
//! The crate `tiff` decodes a strip or tile as a whole, which may be the whole image in 16 bits, reads on behind the end
//! of one, and cannot be interrupted. So this module reads the rows; libraries expand them.

mod stream;

use std::io::{self, Read};
use std::ops::Range;

use super::canvas::Canvas;
use super::watched::Watched;
use super::{WORKING_ROWS, pixel_bytes};
use crate::flatten::{Channels, Depth, to_rgb8};
use crate::image::CHANNELS;
use crate::probe::Endian;
use crate::probe::tiff::{Directory, IMAGE_LENGTH, IMAGE_WIDTH, Numbers};
use crate::{Format, ImagingError, Interrupt, Orientation};
use stream::{Expand, expand};

const BITS_PER_SAMPLE: u16 = 258;
const COMPRESSION: u16 = 259;
const PHOTOMETRIC: u16 = 262;
const STRIP_OFFSETS: u16 = 273;
const SAMPLES_PER_PIXEL: u16 = 277;
const ROWS_PER_STRIP: u16 = 278;
const STRIP_BYTE_COUNTS: u16 = 279;
const PLANAR_CONFIGURATION: u16 = 284;
const PREDICTOR: u16 = 317;
const TILE_WIDTH: u16 = 322;
const TILE_LENGTH: u16 = 323;
const TILE_OFFSETS: u16 = 324;
const TILE_BYTE_COUNTS: u16 = 325;
const EXTRA_SAMPLES: u16 = 338;
const SAMPLE_FORMAT: u16 = 339;

/// Samples of a pixel, those that are passed over included.
const MAX_SAMPLES: u32 = 8;

/// Strips and tiles of a file: as many as 64 megapixels have in tiles of 16 pixels a side, the smallest that TIFF allows.
const MAX_CHUNKS: u64 = 262_144;

/// A tile may be larger than a small image, but decoding the part outside the image takes time as well.
const MAX_TILE_SIDE: u32 = 4096;

/// A file whose first directory was read, with every strip or tile known to lie in the file and apart from the others.
#[derive(Debug)]
pub(super) struct Tiff<'a> {
    bytes: &'a [u8],
    width: usize,
    height: usize,
    channels: Channels,
    depth: Bits,
    /// Whether the low byte of 16 bits comes first.
    swapped: bool,
    /// Whether 0 is white.
    inverted: bool,
    /// Samples of a pixel that lie together, and in how many planes the others do.
    samples: usize,
    planes: usize,
    differences: bool,
    expand: Expand,
    /// Sides of a strip or tile.
    chunk_width: usize,
    chunk_height: usize,
    chunks: Chunks<'a>,
}

/// How samples are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bits {
    /// 1, 2 or 4 bits: several grey pixels in a byte.
    Packed(u8),
    Whole(Depth),
}

impl<'a> Tiff<'a> {
    pub(super) fn open(bytes: &'a [u8], directory: &Directory<'a>) -> Result<Self, ImagingError> {
        let one = |tag: u16, otherwise: u32| match directory.numbers(tag) {
            None => Ok(otherwise),
            Some(numbers) => numbers
                .get(0)
                .and_then(|number| u32::try_from(number).ok())
                .ok_or_else(|| corrupt("a tag has no value")),
        };
        let (width, height) = (one(IMAGE_WIDTH, 0)?, one(IMAGE_LENGTH, 0)?);
        let samples = one(SAMPLES_PER_PIXEL, 1)?;
        if !(1..=MAX_SAMPLES).contains(&samples) {
            return Err(unsupported(format!("{samples} samples a pixel")));
        }
        let depth = depth(directory)?;
        let expand = expand(one(COMPRESSION, 1)?)?;
        let differences = match one(PREDICTOR, 1)? {
            1 => false,
            2 if matches!(depth, Bits::Whole(_)) => true,
            other => return Err(unsupported(format!("the predictor {other}"))),
        };
        let planes = match one(PLANAR_CONFIGURATION, 1)? {
            1 => 1,
            2 => samples,
            other => return Err(corrupt(&format!("the planar configuration {other}"))),
        };
        let photometric = directory.number(PHOTOMETRIC);
        let channels = channels(photometric, samples, directory.numbers(EXTRA_SAMPLES))?;
        if matches!(depth, Bits::Packed(_)) && samples > 1 {
            return Err(unsupported("colours of less than 8 bits".to_owned()));
        }

        let tiled = directory.numbers(TILE_OFFSETS).is_some();
        let (chunk_width, chunk_height) = if tiled {
            (one(TILE_WIDTH, 0)?, one(TILE_LENGTH, 0)?)
        } else {
            (width, one(ROWS_PER_STRIP, height)?.min(height))
        };
        let largest = width.max(height).max(MAX_TILE_SIDE);
        if [width, height, chunk_width, chunk_height].contains(&0)
            || chunk_width > largest
            || chunk_height > largest
        {
            return Err(corrupt("its strips or tiles have no sides that make sense"));
        }
        let count = u64::from(width.div_ceil(chunk_width))
            * u64::from(height.div_ceil(chunk_height))
            * u64::from(planes);
        let (offsets, lengths) = if tiled {
            (TILE_OFFSETS, TILE_BYTE_COUNTS)
        } else {
            (STRIP_OFFSETS, STRIP_BYTE_COUNTS)
        };
        let (Some(offsets), Some(lengths)) = (directory.numbers(offsets), directory.numbers(lengths)) else {
            return Err(corrupt("it does not say where its pixels are"));
        };
        let chunks = Chunks { offsets, lengths };
        chunks.check(bytes.len(), count)?;
        Ok(Self {
            bytes,
            width: width as usize,
            height: height as usize,
            channels,
            depth,
            swapped: depth == Bits::Whole(Depth::Sixteen) && directory.endian == Endian::Little,
            inverted: photometric == Some(0),
            samples: (samples / planes) as usize,
            planes: planes as usize,
            differences,
            expand,
            chunk_width: chunk_width as usize,
            chunk_height: chunk_height as usize,
            chunks,
        })
    }

    /// Bytes held at a time: the output, and rows as they are packed, unpacked and as RGB.
    pub(super) fn needed(&self) -> u64 {
        let rows = self.packed_row() + self.chunk_width * (8 + CHANNELS);
        pixel_bytes(self.width as u32, self.height as u32) + rows as u64 + WORKING_ROWS
    }

    /// Bytes of a row of a strip or tile in one plane.
    fn packed_row(&self) -> usize {
        match self.depth {
            Bits::Packed(bits) => (self.chunk_width * usize::from(bits)).div_ceil(8),
            Bits::Whole(depth) => self.chunk_width * self.samples * depth.bytes(),
        }
    }

    pub(super) fn decode(
        &self,
        orientation: Orientation,
        interrupt: Interrupt<'_>,
    ) -> Result<Vec<u8>, ImagingError> {
        let mut canvas = Canvas::new(orientation, (self.width as u32, self.height as u32), 0);
        let across = self.width.div_ceil(self.chunk_width);
        let mut rows = Rows::of(self, interrupt);
        if self.chunk_width == self.width {
            canvas.fill(&interrupt, |y, rgb| {
                if y.is_multiple_of(self.chunk_height) {
                    rows.open(y / self.chunk_height)?;
                }
                rows.read(rgb)
            })?;
            return Ok(canvas.into_pixels());
        }
        let mut rgb = vec![0; self.chunk_width * CHANNELS];
        for number in 0..rows.in_plane {
            let left = number % across * self.chunk_width;
            let top = number / across * self.chunk_height;
            rows.open(number)?;
            for y in top..self.height.min(top + self.chunk_height) {
                interrupt.check()?;
                rows.read(&mut rgb)?;
                canvas.put(left, y, 1, &rgb);
            }
        }
        Ok(canvas.into_pixels())
    }
}

/// The rows of a strip or tile.
struct Rows<'a> {
    tiff: &'a Tiff<'a>,
    interrupt: Interrupt<'a>,
    /// Strips or tiles of a plane.
    in_plane: usize,
    /// What the strip or tile expands to, of each plane.
    streams: Vec<Box<dyn Read + 'a>>,
    /// A row as a stream gives it.
    packed: Vec<u8>,
    /// With the channels of a pixel together and nothing else.
    pixels: Vec<u8>,
}

impl<'a> Rows<'a> {
    fn of(tiff: &'a Tiff<'a>, interrupt: Interrupt<'a>) -> Self {
        let pixel = match tiff.depth {
            Bits::Packed(_) => 1,
            Bits::Whole(depth) => tiff.channels.count() * depth.bytes(),
        };
        Self {
            tiff,
            interrupt,
            in_plane: tiff.chunks.offsets.len() / tiff.planes,
            streams: Vec::new(),
            packed: vec![0; tiff.packed_row()],
            pixels: vec![0; tiff.chunk_width * pixel],
        }
    }

    /// Goes to the first row of a strip or tile.
    fn open(&mut self, number: usize) -> Result<(), ImagingError> {
        self.streams.clear();
        for plane in 0..self.tiff.planes {
            let range = self.tiff.chunks.get(plane * self.in_plane + number);
            let chunk = range.and_then(|range| self.tiff.bytes.get(range));
            let chunk = chunk.ok_or_else(|| corrupt("a strip or tile is missing"))?;
            let file = Watched::new(chunk, self.interrupt);
            self.streams.push((self.tiff.expand)(file));
        }
        Ok(())
    }

    /// Reads the next row as RGB.
    fn read(&mut self, rgb: &mut [u8]) -> Result<(), ImagingError> {
        let (tiff, packed, pixels) = (self.tiff, &mut self.packed, &mut self.pixels);
        let mut depth = Depth::Eight;
        for (plane, stream) in self.streams.iter_mut().enumerate() {
            stream.read_exact(packed).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => corrupt("a strip or tile was cut short"),
                _ => corrupt(&error.to_string()),
            })?;
            match tiff.depth {
                Bits::Packed(bits) => unpack(packed, bits, pixels),
                Bits::Whole(whole) => {
                    depth = whole;
                    tiff.place(plane, packed, depth.bytes(), pixels);
                }
            }
        }
        if tiff.inverted {
            pixels.iter_mut().for_each(|byte| *byte = !*byte);
        }
        to_rgb8(pixels, tiff.channels, depth, rgb);
        Ok(())
    }
}

impl Tiff<'_> {
    /// Writes what a plane has of the channels of a row to where it belongs: the first samples of a pixel, or one of them.
    /// Others are skipped.
    fn place(&self, plane: usize, packed: &mut [u8], sample: usize, pixels: &mut [u8]) {
        if self.swapped {
            for bytes in packed.as_chunks_mut().0 {
                *bytes = u16::from_le_bytes(*bytes).to_be_bytes();
            }
        }
        if self.differences {
            add_up(packed, self.samples, sample);
        }
        let pixel = self.channels.count() * sample;
        let (width, at) = if self.planes > 1 {
            (sample, plane * sample)
        } else {
            (pixel, 0)
        };
        if at < pixel {
            let from = packed.chunks_exact(self.samples * sample);
            for (to, from) in pixels.chunks_exact_mut(pixel).zip(from) {
                to[at..at + width].copy_from_slice(&from[..width]);
            }
        }
    }
}

/// Grey pixels of 1, 2 or 4 bits, the first in the highest ones, to bytes.
fn unpack(packed: &[u8], bits: u8, pixels: &mut [u8]) {
    let in_byte = usize::from(8 / bits);
    let largest = (1_u16 << bits) as u8 - 1;
    for (index, pixel) in pixels.iter_mut().enumerate() {
        let shift = 8 - bits * (index % in_byte + 1) as u8;
        *pixel = ((packed[index / in_byte] >> shift) & largest) * (255 / largest);
    }
}

/// Undoes the horizontal predictor: a sample, of so many bytes, was stored as its difference to that of the pixel before.
fn add_up(row: &mut [u8], samples: usize, sample: usize) {
    if sample == 1 {
        for index in samples..row.len() {
            row[index] = row[index].wrapping_add(row[index - samples]);
        }
        return;
    }
    let (row, _) = row.as_chunks_mut();
    for index in samples..row.len() {
        let sum = u16::from_be_bytes(row[index]).wrapping_add(u16::from_be_bytes(row[index - samples]));
        row[index] = sum.to_be_bytes();
    }
}

fn depth(directory: &Directory<'_>) -> Result<Bits, ImagingError> {
    const UNSIGNED: u64 = 1;
    const FLOAT: u64 = 3;
    let all = |tag| directory.numbers(tag).into_iter().flat_map(Numbers::iter);
    match all(SAMPLE_FORMAT).find(|format| *format != UNSIGNED) {
        None => {}
        Some(FLOAT) => return Err(unsupported("floating-point samples".to_owned())),
        Some(other) => return Err(unsupported(format!("the sample format {other}"))),
    }
    let mut bits = all(BITS_PER_SAMPLE);
    let first = bits.next().unwrap_or(1);
    if bits.any(|other| other != first) {
        return Err(unsupported("channels of different depths".to_owned()));
    }
    match first {
        1 | 2 | 4 => Ok(Bits::Packed(first as u8)),
        8 => Ok(Bits::Whole(Depth::Eight)),
        16 => Ok(Bits::Whole(Depth::Sixteen)),
        other => Err(unsupported(format!("{other} bits a sample"))),
    }
}

/// What the first samples of a pixel mean.
fn channels(
    photometric: Option<u32>,
    samples: u32,
    extra: Option<Numbers<'_>>,
) -> Result<Channels, ImagingError> {
    let (colours, with_alpha) = match photometric {
        Some(0 | 1) => (Channels::Grey, Channels::GreyAlpha),
        Some(2) => (Channels::Rgb, Channels::Rgba),
        Some(5) => (Channels::Cmyk, Channels::Cmyk),
        Some(other) => return Err(unsupported(format!("the colour space {other}"))),
        None => return Err(corrupt("it does not say its colour space")),
    };
    let has_alpha = match extra {
        // Premultiplied or not: both are laid over white alike.
        Some(extra) => matches!(extra.get(0), Some(1 | 2)),
        None => photometric == Some(2) && samples == 4,
    };
    let found = if samples as usize > colours.count() && has_alpha {
        with_alpha
    } else {
        colours
    };
    if (samples as usize) < found.count() {
        return Err(corrupt("a pixel has fewer samples than colours"));
    }
    Ok(found)
}

/// Where the strips or tiles lie in the file.
#[derive(Debug)]
struct Chunks<'a> {
    offsets: Numbers<'a>,
    lengths: Numbers<'a>,
}

impl Chunks<'_> {
    fn get(&self, number: usize) -> Option<Range<usize>> {
        let offset = usize::try_from(self.offsets.get(number)?).ok()?;
        let length = usize::try_from(self.lengths.get(number)?).ok()?;
        Some(offset..offset.checked_add(length)?)
    }

    /// Checks that there are `count` of them, all in a file of so many bytes, each with bytes of its own: a small file whose
    /// strips are all the same bytes would cost as much as a large one.
    fn check(&self, file: usize, count: u64) -> Result<(), ImagingError> {
        if count > MAX_CHUNKS {
            return Err(corrupt("it has too many strips or tiles"));
        }
        if self.offsets.len() as u64 != count || self.lengths.len() as u64 != count {
            return Err(corrupt("it has not as many strips or tiles as its size asks for"));
        }
        let range = |number: usize| {
            let range = self.get(number).filter(|range| range.end <= file)?;
            Some((u32::try_from(range.start).ok()?, u32::try_from(range.end).ok()?))
        };
        let ranges: Option<Vec<(u32, u32)>> = (0..self.offsets.len()).map(range).collect();
        let mut ranges = ranges.ok_or_else(|| corrupt("a strip or tile lies outside the file"))?;
        ranges.sort_unstable();
        if ranges.windows(2).any(|pair| pair[0].1 > pair[1].0) {
            return Err(corrupt("its strips or tiles overlap"));
        }
        Ok(())
    }
}

fn corrupt(reason: &str) -> ImagingError {
    Format::Tiff.corrupt(reason)
}

fn unsupported(reason: String) -> ImagingError {
    Format::Tiff.unsupported(reason)
}
