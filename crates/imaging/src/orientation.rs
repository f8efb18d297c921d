//! Orientation: which way up an image was stored.

/// How the stored pixels have to be turned to stand upright: the eight values of EXIF tag 0x0112 (TIFF tag 274).
///
/// The names say what is done to the stored image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Orientation {
    /// 1: stored upright.
    #[default]
    Upright = 1,
    /// 2: mirrored left to right.
    FlipHorizontal = 2,
    /// 3: half a turn.
    Rotate180 = 3,
    /// 4: mirrored top to bottom.
    FlipVertical = 4,
    /// 5: rows become columns.
    Transpose = 5,
    /// 6: a quarter turn clockwise.
    Rotate90 = 6,
    /// 7: rows become columns, and then half a turn.
    Transverse = 7,
    /// 8: a quarter turn counter-clockwise.
    Rotate270 = 8,
}

impl Orientation {
    /// Returns the orientation with that EXIF value; `None` for values that EXIF does not define.
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

    /// Returns the EXIF value, `1..=8`.
    #[must_use]
    pub fn to_exif(self) -> u8 {
        self as u8
    }

    /// Returns whether width and height change places.
    #[must_use]
    pub fn swaps_sides(self) -> bool {
        self.to_exif() >= 5
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

    /// The sides once the image stands upright; of an upright image, those as stored.
    pub(crate) fn upright_size(self, width: u32, height: u32) -> (u32, u32) {
        if self.swaps_sides() {
            (height, width)
        } else {
            (width, height)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
                let orientation = crate::probe::tiff::exif_orientation(&block(endian, kind, 6));
                assert_eq!(orientation, Orientation::Rotate90);
            }
        }
        let mut prefixed = b"Exif\0\0".to_vec();
        prefixed.extend(block(b"MM", 3, 8));
        assert_eq!(
            crate::probe::tiff::exif_orientation(&prefixed),
            Orientation::Rotate270
        );
    }

    #[test]
    fn values_out_of_range_and_other_kinds_are_ignored() {
        assert_eq!(
            crate::probe::tiff::exif_orientation(&block(b"II", 3, 0)),
            Orientation::Upright
        );
        assert_eq!(
            crate::probe::tiff::exif_orientation(&block(b"II", 3, 9)),
            Orientation::Upright
        );
        // A text is no orientation.
        assert_eq!(
            crate::probe::tiff::exif_orientation(&block(b"II", 2, 6)),
            Orientation::Upright
        );
    }

    #[test]
    fn a_block_cut_anywhere_is_ignored() {
        let whole = block(b"II", 3, 6);
        for length in 0..whole.len() {
            let found = crate::probe::tiff::exif_orientation(&whole[..length]);
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
            let _ = crate::probe::tiff::exif_orientation(&block);
        }
    }
}
