//! VP8: the sizes of the partitions of a lossy WebP's key frame (RFC 6386).
//!
//! The decoding library allocates a partition by the size that the frame declares, up to 16 MiB, before it reads it. The
//! number of partitions is within the arithmetically coded header, so that much of it is decoded here.

use super::Endian::Little;

/// Frame tag, start code and sides.
const HEAD_BYTES: usize = 10;

/// Whether the frame is a key frame and holds all partitions that it declares. The library reads other frames by another
/// layout before it refuses them.
pub(crate) fn holds_its_partitions(frame: &[u8]) -> bool {
    last_partition(frame).is_some()
}

fn last_partition(frame: &[u8]) -> Option<&[u8]> {
    let tag = Little.number(frame, 0, 3).filter(|tag| tag & 1 == 0)?;
    let (first, rest) = frame.get(HEAD_BYTES..)?.split_at_checked((tag >> 5) as usize)?;
    let (sizes, mut rest) = rest.split_at_checked(3 * (partition_count(first) - 1))?;
    for size in sizes.chunks_exact(3) {
        rest = rest.get(Little.number(size, 0, 3)? as usize..)?;
    }
    Some(rest)
}

/// How many partitions follow the first one, by its header (RFC 6386, 9.2 to 9.5 and 19.2).
fn partition_count(first: &[u8]) -> usize {
    let mut bits = Bits::new(first);
    // Color space and clamping.
    bits.number(2);
    if bits.flag() {
        let (updates_map, updates_data) = (bits.flag(), bits.flag());
        if updates_data {
            // Whether the values are absolute, then quantizers and filter levels, each with its sign.
            bits.number(1);
            bits.optional_numbers(4, 7 + 1);
            bits.optional_numbers(4, 6 + 1);
        }
        if updates_map {
            bits.optional_numbers(3, 8);
        }
    }
    // Type, level and sharpness of the filter.
    bits.number(1 + 6 + 3);
    // Whether its level is adjusted, and the adjustments are updated, each with its sign.
    if bits.flag() && bits.flag() {
        bits.optional_numbers(4 + 4, 6 + 1);
    }
    1 << bits.number(2)
}

/// The boolean entropy decoder (RFC 6386, 7.3), of bits that are as likely 0 as 1.
struct Bits<'a> {
    rest: std::slice::Iter<'a, u8>,
    /// Two bytes of the input, shifted by `shift` bits.
    value: u32,
    range: u32,
    shift: u32,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let mut bits = Self {
            rest: bytes.iter(),
            value: 0,
            range: 255,
            shift: 0,
        };
        bits.value = bits.byte() << 8;
        bits.value |= bits.byte();
        bits
    }

    /// Behind the end there are zeros.
    fn byte(&mut self) -> u32 {
        self.rest.next().copied().unwrap_or(0).into()
    }

    fn flag(&mut self) -> bool {
        let split = 1 + ((self.range - 1) >> 1);
        let set = self.value >= split << 8;
        if set {
            self.range -= split;
            self.value -= split << 8;
        } else {
            self.range = split;
        }
        while self.range < 128 {
            self.range <<= 1;
            self.value <<= 1;
            self.shift += 1;
            if self.shift == 8 {
                self.shift = 0;
                self.value |= self.byte();
            }
        }
        set
    }

    fn number(&mut self, bits: u32) -> u32 {
        (0..bits).fold(0, |number, _| number << 1 | u32::from(self.flag()))
    }

    /// Numbers that are each behind a flag.
    fn optional_numbers(&mut self, count: u32, bits: u32) {
        for _ in 0..count {
            if self.flag() {
                self.number(bits);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The start of a first partition that says that there are four.
    const OF_FOUR: [u8; 16] = [
        0x3E, 0x38, 0x6D, 0x2A, 0x90, 0x45, 0xA4, 0x22, 0xA1, 0x97, 0x0C, 0x97, 0x18, 0x40, 0x06, 0xC4,
    ];

    /// A frame with this first partition and what follows it.
    fn frame(first: &[u8], rest: &[u8]) -> Vec<u8> {
        let tag = (first.len() as u32) << 5 | 1 << 4;
        let mut frame = tag.to_le_bytes()[..3].to_vec();
        frame.extend([0x9D, 0x01, 0x2A, 16, 0, 16, 0]);
        frame.extend(first);
        frame.extend(rest);
        frame
    }

    #[test]
    fn partitions_are_counted_as_the_frame_codes_them() {
        assert_eq!(partition_count(&[0; 16]), 1);
        assert_eq!(partition_count(&OF_FOUR), 4);
    }

    #[test]
    fn a_partition_that_is_larger_than_the_file_is_noticed() {
        assert!(holds_its_partitions(&frame(&[0; 16], &[])));
        let rest = |sizes: [u8; 3]| [sizes[0], 0, 0, sizes[1], 0, 0, sizes[2], 0, 0, 7, 7, 7];
        assert!(holds_its_partitions(&frame(&OF_FOUR, &rest([1, 1, 1]))));
        assert!(holds_its_partitions(&frame(&OF_FOUR, &rest([1, 0, 2]))));
        assert!(!holds_its_partitions(&frame(&OF_FOUR, &rest([1, 1, 2]))));
        let mut large = rest([0, 0, 0]);
        large[5] = 0xF0;
        assert!(!holds_its_partitions(&frame(&OF_FOUR, &large)));
        assert!(!holds_its_partitions(&frame(&OF_FOUR, &[0; 8])));
        assert!(!holds_its_partitions(&frame(&[0; 16], &[])[..20]));
        assert!(!holds_its_partitions(&[]));
    }

    #[test]
    fn a_frame_that_is_no_key_frame_is_refused() {
        let mut frame = frame(&[0; 16], &[]);
        frame[0] |= 1;
        assert!(!holds_its_partitions(&frame));
    }
}
