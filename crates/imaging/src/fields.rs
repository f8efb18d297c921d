//! Numbers at positions of a file that nobody has vouched for.

/// The byte order of a file's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endian {
    Little,
    Big,
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

impl Endian {
    /// The 16-bit number at that position; `None` beyond the end.
    pub(crate) fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        array(bytes, at).map(match self {
            Self::Little => u16::from_le_bytes,
            Self::Big => u16::from_be_bytes,
        })
    }

    /// The 32-bit number at that position; `None` beyond the end.
    pub(crate) fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        array(bytes, at).map(match self {
            Self::Little => u32::from_le_bytes,
            Self::Big => u32::from_be_bytes,
        })
    }

    /// The 64-bit number at that position; `None` beyond the end.
    pub(crate) fn u64(self, bytes: &[u8], at: usize) -> Option<u64> {
        array(bytes, at).map(match self {
            Self::Little => u64::from_le_bytes,
            Self::Big => u64::from_be_bytes,
        })
    }

    /// The number that two bytes are.
    pub(crate) fn u16_of(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    /// The two bytes of a number.
    pub(crate) fn bytes_of(self, number: u16) -> [u8; 2] {
        match self {
            Self::Little => number.to_le_bytes(),
            Self::Big => number.to_be_bytes(),
        }
    }
}
