//! Which way up an image was stored.

use crate::image::CHANNELS;
use crate::probe::tiff;

/// How the stored pixels have to be turned to stand upright: the eight values of EXIF tag 0x0112 (TIFF tag 274).
///
/// The names say what is done to the stored image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Orientation {
    /// 1: stored upright.
    #[default]
    Upright,
    /// 2: mirrored left to right.
    FlipHorizontal,
    /// 3: half a turn.
    Rotate180,
    /// 4: mirrored top to bottom.
    FlipVertical,
    /// 5: rows become columns.
    Transpose,
    /// 6: a quarter turn clockwise.
    Rotate90,
    /// 7: rows become columns, and then half a turn.
    Transverse,
    /// 8: a quarter turn counter-clockwise.
    Rotate270,
}

impl Orientation {
    /// The orientation with that EXIF value; `None` for values that EXIF does not define.
    #[must_use]
    pub fn from_exif(value: u32) -> Option<Self> {
        Some(match value {
            1 => Self::Upright,
            2 => Self::FlipHorizontal,
            3 => Self::Rotate180,
            4 => Self::FlipVertical,
            5 => Self::Transpose,
            6 => Self::Rotate90,
            7 => Self::Transverse,
            8 => Self::Rotate270,
            _ => return None,
        })
    }

    /// The EXIF value, `1..=8`.
    #[must_use]
    pub fn to_exif(self) -> u8 {
        match self {
            Self::Upright => 1,
            Self::FlipHorizontal => 2,
            Self::Rotate180 => 3,
            Self::FlipVertical => 4,
            Self::Transpose => 5,
            Self::Rotate90 => 6,
            Self::Transverse => 7,
            Self::Rotate270 => 8,
        }
    }

    /// Whether width and height change places.
    #[must_use]
    pub fn swaps_sides(self) -> bool {
        matches!(
            self,
            Self::Transpose | Self::Rotate90 | Self::Transverse | Self::Rotate270
        )
    }

    /// Whether what is stored last comes first, from left to right and from top to bottom, once it stands upright.
    pub(crate) fn flips(self) -> (bool, bool) {
        match self {
            Self::Upright | Self::Transpose => (false, false),
            Self::FlipHorizontal | Self::Rotate90 => (true, false),
            Self::FlipVertical | Self::Rotate270 => (false, true),
            Self::Rotate180 | Self::Transverse => (true, true),
        }
    }

    /// The orientation that an EXIF block (a small TIFF file) names.
    ///
    /// A block that is broken, silent or out of range counts as upright, as it does for every browser: a phone that
    /// writes a bad tag must not cost its owner the check.
    pub(crate) fn from_exif_block(block: &[u8]) -> Self {
        // Some writers repeat the prefix that belongs to JPEG's APP1 alone.
        let block = block.strip_prefix(b"Exif\0\0").unwrap_or(block);
        tiff::Directory::first(block)
            .and_then(|directory| directory.number(tiff::ORIENTATION))
            .and_then(Self::from_exif)
            .unwrap_or_default()
    }

    /// The sides as seen after [`apply`](Self::apply).
    pub(crate) fn upright_size(self, width: u32, height: u32) -> (u32, u32) {
        if self.swaps_sides() {
            (height, width)
        } else {
            (width, height)
        }
    }

    /// Turns stored RGB pixels upright, in one pass; in place where the sides keep their places.
    pub(crate) fn apply(self, mut pixels: Vec<u8>, width: u32) -> Vec<u8> {
        let stride = width as usize * CHANNELS;
        match self {
            Self::Upright => {}
            Self::FlipHorizontal => pixels.chunks_exact_mut(stride).for_each(reverse_pixels),
            Self::Rotate180 => reverse_pixels(&mut pixels),
            Self::FlipVertical => {
                let mut rows = pixels.chunks_exact_mut(stride);
                while let (Some(top), Some(bottom)) = (rows.next(), rows.next_back()) {
                    top.swap_with_slice(bottom);
                }
            }
            Self::Transpose | Self::Rotate90 | Self::Transverse | Self::Rotate270 => {
                let mut turned = vec![0; pixels.len()];
                let height = pixels.len() / stride;
                self.place_rows(&pixels, &mut turned, (width as usize, height), 0);
                return turned;
            }
        }
        pixels
    }

    /// How far it is, in pixels of the upright image, from a stored pixel to the one right of it and to the one below it.
    /// The sides are those as stored.
    pub(crate) fn steps(self, width: usize, height: usize) -> (isize, isize) {
        let (width, height) = (width as isize, height as isize);
        match self {
            Self::Upright => (1, width),
            Self::FlipHorizontal => (-1, width),
            Self::Rotate180 => (-1, -width),
            Self::FlipVertical => (1, -width),
            Self::Transpose => (height, 1),
            Self::Rotate90 => (height, -1),
            Self::Transverse => (-height, -1),
            Self::Rotate270 => (-height, 1),
        }
    }

    /// Where a stored pixel lies in the upright image, in pixels from the first.
    pub(crate) fn index(self, (width, height): (usize, usize), x: usize, y: usize) -> usize {
        let (across, down) = self.steps(width, height);
        // With a step backwards the first stored pixel lies at the other end.
        let begin = |step: isize, count: usize| if step < 0 { -step * (count as isize - 1) } else { 0 };
        (begin(across, width) + begin(down, height) + x as isize * across + y as isize * down) as usize
    }

    /// Writes whole stored rows, the first of them at `top`, to where they belong in the upright image.
    pub(crate) fn place_rows(self, rows: &[u8], upright: &mut [u8], sides: (usize, usize), top: usize) {
        let (width, height) = sides;
        let (across, down) = self.steps(width, height);
        let (source, _) = rows.as_chunks::<CHANNELS>();
        let (target, _) = upright.as_chunks_mut::<CHANNELS>();
        let count = source.len() / width;
        for first in (0..count).step_by(BAND) {
            let last = count.min(first + BAND);
            let mut column = self.index(sides, 0, top + first) as isize;
            for x in 0..width {
                let mut to = column;
                for pixel in source[first * width + x..last * width].iter().step_by(width) {
                    target[to as usize] = *pixel;
                    to += down;
                }
                column += across;
            }
        }
    }
}

pub(crate) fn reverse_pixels(pixels: &mut [u8]) {
    let (pixels, _) = pixels.as_chunks_mut::<CHANNELS>();
    pixels.reverse();
}

/// Rows that become columns together: what is written of a column then fills whole cache lines, and what is read of the
/// rows stays in the first level of the cache.
pub(crate) const BAND: usize = 32;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One byte a pixel stands for the three of it.
    fn turn(orientation: Orientation, width: u32, values: &[u8]) -> Vec<u8> {
        let pixels = values
            .iter()
            .flat_map(|&value| [value, value + 100, value + 200])
            .collect();
        let turned = orientation.apply(pixels, width);
        for pixel in turned.chunks_exact(3) {
            assert_eq!(
                (pixel[1], pixel[2]),
                (pixel[0] + 100, pixel[0] + 200),
                "channels stay together"
            );
        }
        turned.chunks_exact(3).map(|pixel| pixel[0]).collect()
    }

    #[test]
    fn each_of_the_eight_values() {
        // Stored:  1 2 3
        //          4 5 6
        let stored = [1, 2, 3, 4, 5, 6];
        for (value, upright) in [
            (1, [1, 2, 3, 4, 5, 6]),
            (2, [3, 2, 1, 6, 5, 4]),
            (3, [6, 5, 4, 3, 2, 1]),
            (4, [4, 5, 6, 1, 2, 3]),
            (5, [1, 4, 2, 5, 3, 6]),
            (6, [4, 1, 5, 2, 6, 3]),
            (7, [6, 3, 5, 2, 4, 1]),
            (8, [3, 6, 2, 5, 1, 4]),
        ] {
            let orientation = Orientation::from_exif(value).unwrap();
            assert_eq!(u32::from(orientation.to_exif()), value);
            assert_eq!(turn(orientation, 3, &stored), upright, "{orientation:?}");
            assert_eq!(
                orientation.upright_size(3, 2),
                if value > 4 { (2, 3) } else { (3, 2) }
            );
        }
    }

    #[test]
    fn other_values_mean_nothing() {
        for value in [0, 9, 10, 255, 65_535, u32::MAX] {
            assert_eq!(Orientation::from_exif(value), None);
        }
    }

    /// An EXIF block with one tag.
    fn block(endian: &[u8; 2], kind: u8, value: u8) -> Vec<u8> {
        let mut block = endian.to_vec();
        if endian == b"II" {
            block.extend([
                42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, kind, 0, 1, 0, 0, 0, value, 0, 0, 0,
            ]);
        } else {
            block.extend([0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, kind, 0, 0, 0, 1]);
            block.extend(if kind == 4 {
                [0, 0, 0, value]
            } else {
                [0, value, 0, 0]
            });
        }
        block.extend([0, 0, 0, 0]);
        block
    }

    #[test]
    fn exif_blocks_of_either_byte_order_are_read() {
        for endian in [b"II", b"MM"] {
            for kind in [3, 4] {
                let orientation = Orientation::from_exif_block(&block(endian, kind, 6));
                assert_eq!(orientation, Orientation::Rotate90);
            }
        }
        let mut prefixed = b"Exif\0\0".to_vec();
        prefixed.extend(block(b"MM", 3, 8));
        assert_eq!(Orientation::from_exif_block(&prefixed), Orientation::Rotate270);
    }

    #[test]
    fn values_out_of_range_and_other_kinds_are_ignored() {
        assert_eq!(
            Orientation::from_exif_block(&block(b"II", 3, 0)),
            Orientation::Upright
        );
        assert_eq!(
            Orientation::from_exif_block(&block(b"II", 3, 9)),
            Orientation::Upright
        );
        // A text is no orientation.
        assert_eq!(
            Orientation::from_exif_block(&block(b"II", 2, 6)),
            Orientation::Upright
        );
    }

    #[test]
    fn a_block_cut_anywhere_is_ignored() {
        let whole = block(b"II", 3, 6);
        for length in 0..whole.len() {
            let found = Orientation::from_exif_block(&whole[..length]);
            // The value is complete with byte 20, and what follows it does not matter.
            let expected = if length < 20 {
                Orientation::Upright
            } else {
                Orientation::Rotate90
            };
            assert_eq!(found, expected, "cut at {length}");
        }
    }

    proptest! {
        #[test]
        fn no_exif_block_panics(mut block in proptest::collection::vec(any::<u8>(), 0..200), big: bool, huge: bool) {
            let magic: [u8; 4] = match (big, huge) {
                (false, false) => *b"II*\0",
                (false, true) => *b"II+\0",
                (true, false) => *b"MM\0*",
                (true, true) => *b"MM\0+",
            };
            block.splice(0..0, magic);
            let _ = Orientation::from_exif_block(&block);
        }

        #[test]
        fn turns_beyond_one_band_follow_the_definition(width in 1_u32..40, height in 1_u32..40) {
            let pixels: Vec<u8> = (0..width * height).flat_map(|i| [i as u8, (i >> 8) as u8, 7]).collect();
            let pixel = |pixels: &[u8], width: u32, x: u32, y: u32| {
                let at = (y * width + x) as usize * 3;
                [pixels[at], pixels[at + 1], pixels[at + 2]]
            };
            for value in 1..=8 {
                let orientation = Orientation::from_exif(value).unwrap();
                let turned = orientation.apply(pixels.clone(), width);
                let (new_width, _) = orientation.upright_size(width, height);
                for y in 0..height {
                    for x in 0..width {
                        let (right, below) = (width - 1 - x, height - 1 - y);
                        let (new_x, new_y) = match value {
                            1 => (x, y),
                            2 => (right, y),
                            3 => (right, below),
                            4 => (x, below),
                            5 => (y, x),
                            6 => (below, x),
                            7 => (below, right),
                            _ => (y, right),
                        };
                        prop_assert_eq!(
                            pixel(&turned, new_width, new_x, new_y), pixel(&pixels, width, x, y),
                            "value {} at {},{}", value, x, y
                        );
                    }
                }
            }
        }
    }
}
