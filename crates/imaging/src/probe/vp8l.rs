//! Lossless WebP: the memory that the decoder needs beside its frame buffers.
//!
//! A stream may declare up to 65,536 groups of five prefix codes, whatever the size of its image. `image-webp` 0.2
//! builds a table and a tree for each code, so that a file of 1 MB can take 4 GB. The number of groups and the lengths
//! of the codes are in the bit stream only. This module parses the stream up to its pixels (WebP lossless bitstream
//! specification) and adds up the decoder's allocations. It keeps no pixels:
//!
//! - The number of groups is the highest number in the entropy image plus one. Every colour of an image first appears
//!   as a literal; backward references and the colour cache only repeat colours. So the literals suffice.
//! - If the codes of a sub-image take no bits, its first pixel stands for all of them.

/// The reason why a stream must not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The stream is damaged before its pixels.
    Damaged,
    /// The decoder needs at least this many bytes, which is more than the limit.
    OverLimit(u64),
    /// `interrupted` returned true.
    Interrupted,
}

/// Returns an upper bound of the bytes that the decoder holds at a time for transforms, entropy image, colour cache and
/// prefix codes, including the allocator's overhead. Frame buffers and the output are not included.
///
/// `data` is the content of a `VP8L` chunk (`sides` is `None`), or the content of an `ALPH` chunk after its first byte:
/// it has no header, so `sides` gives its width and height. Parsing stops as soon as the bound exceeds `limit`.
/// `interrupted` is called every few thousand symbols.
///
/// # Errors
///
/// Fails with a [`Refusal`]. Do not pass a refused stream to the decoder: it accepts some damaged codes, then panics or
/// allocates memory that is not counted here.
pub(crate) fn working_bytes(
    data: &[u8],
    sides: Option<(u32, u32)>,
    limit: u64,
    interrupted: &mut dyn FnMut() -> bool,
) -> Result<u64, Refusal> {
    let mut parser = Parser {
        bits: Bits { data, position: 0 },
        held: 0,
        peak: 0,
        limit,
        steps: 0,
        interrupted,
    };
    parser.stream(sides)?;
    Ok(parser.peak)
}

/// The longest side: 14 bits hold the side minus one.
const MAX_SIDE: u32 = 1 << 14;
/// Green's alphabet: literal colours, lengths of copies (backward references), indices into the colour cache.
const COLOURS: u16 = 256;
const COPIES: u16 = 24;
const MAX_CACHE_BITS: u32 = 11;
const DISTANCES: u16 = 40;
const MAX_ALPHABET: usize = (COLOURS + COPIES) as usize + (1 << MAX_CACHE_BITS);
const MAX_CODE_LENGTH: usize = 15;
/// The order of the lengths of the code that encodes the code lengths.
const LENGTH_ORDER: [usize; 19] = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// The decoder looks up the first ten bits of a code in a table, and the rest in a tree.
const TABLE_BITS: usize = 10;
const NODE_BYTES: u64 = 16;
/// Five codes of 56 bytes each, without their tables and trees.
const GROUP_BYTES: u64 = 5 * 56;
/// The decoder itself, the palette's lookup table, and the buffers for reading one code.
const FIXED_BYTES: u64 = 24 << 10;

/// Returns the size of an allocation with the allocator's header and rounding.
fn block(bytes: u64) -> u64 {
    if bytes == 0 { 0 } else { bytes + 16 }
}

/// Returns the number of blocks of `1 << bits` pixels that cover a side.
fn covering(side: u32, bits: u32) -> u32 {
    side.div_ceil(1 << bits)
}

struct Parser<'a> {
    bits: Bits<'a>,
    /// The bytes that the decoder holds at this position of the stream.
    held: u64,
    peak: u64,
    limit: u64,
    steps: u32,
    interrupted: &'a mut dyn FnMut() -> bool,
}

impl Parser<'_> {
    fn stream(&mut self, sides: Option<(u32, u32)>) -> Result<(), Refusal> {
        self.hold(FIXED_BYTES)?;
        let (width, height) = match sides {
            Some(sides) => sides,
            None => self.header()?,
        };
        if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
            return Err(Refusal::Damaged);
        }
        let width = self.transforms(width, height)?;
        let colours = self.colour_cache()?;
        let groups = if self.bits.take(1)? == 1 {
            let blocks = self.blocks(width, height)?;
            let highest = self.sub_image(blocks)?;
            // The decoder converts the entropy image to a list of 16-bit group numbers.
            self.hold(block(2 * blocks))?;
            self.held -= block(4 * blocks);
            highest + 1
        } else {
            1
        };
        // The decoder's list of groups doubles as it grows; the old one and the new one coexist.
        let room = u64::from(groups.max(4).next_power_of_two());
        self.hold(block(room * GROUP_BYTES) + block(room / 2 * GROUP_BYTES))?;
        for _ in 0..groups {
            self.group(colours)?;
        }
        Ok(())
    }

    fn header(&mut self) -> Result<(u32, u32), Refusal> {
        let signature = self.bits.take(8)?;
        let sides = (self.bits.take(14)? + 1, self.bits.take(14)? + 1);
        let _has_alpha = self.bits.take(1)?;
        let version = self.bits.take(3)?;
        if signature == 0x2F && version == 0 {
            Ok(sides)
        } else {
            Err(Refusal::Damaged)
        }
    }

    /// Parses the transforms. Returns the width of the coded image: a small palette packs several pixels into one.
    fn transforms(&mut self, mut width: u32, height: u32) -> Result<u32, Refusal> {
        let mut seen = [false; 4];
        while self.bits.take(1)? == 1 {
            let kind = self.bits.take(2)?;
            if std::mem::replace(&mut seen[kind as usize], true) {
                return Err(Refusal::Damaged);
            }
            match kind {
                // Predictor and colour transform: a pixel for each block.
                0 | 1 => {
                    let blocks = self.blocks(width, height)?;
                    self.sub_image(blocks)?;
                }
                // Subtract green: no data.
                2 => {}
                _ => {
                    let colours = self.bits.take(8)? + 1;
                    self.sub_image(u64::from(colours))?;
                    let packed_bits = match colours {
                        ..=2 => 3,
                        3..=4 => 2,
                        5..=16 => 1,
                        _ => 0,
                    };
                    width = covering(width, packed_bits);
                }
            }
        }
        Ok(width)
    }

    /// Parses a block size. Returns the number of blocks that cover the image.
    fn blocks(&mut self, width: u32, height: u32) -> Result<u64, Refusal> {
        let bits = self.bits.take(3)? + 2;
        Ok(u64::from(covering(width, bits)) * u64::from(covering(height, bits)))
    }

    /// Parses the colour cache's size. Returns its number of colours, 0 without a cache.
    fn colour_cache(&mut self) -> Result<u16, Refusal> {
        if self.bits.take(1)? == 0 {
            return Ok(0);
        }
        let bits = self.bits.take(4)?;
        if !(1..=MAX_CACHE_BITS).contains(&bits) {
            return Err(Refusal::Damaged);
        }
        self.hold(block(4 << bits))?;
        Ok(1 << bits)
    }

    /// Parses a sub-image, whose pixels the decoder keeps. Returns the highest of its pixels' numbers.
    fn sub_image(&mut self, pixels: u64) -> Result<u32, Refusal> {
        self.hold(block(4 * pixels))?;
        let kept = self.held;
        let colours = self.colour_cache()?;
        self.hold(block(4 * GROUP_BYTES))?;
        let codes = self.group(colours)?;
        let highest = self.pixels(&codes, pixels)?;
        self.held = kept;
        Ok(highest)
    }

    /// Parses pixels. Returns the highest of their numbers, of which red is the high byte and green the low one.
    fn pixels(&mut self, codes: &[Code; 5], mut left: u64) -> Result<u32, Refusal> {
        let [green, red, blue, alpha, distance] = codes;
        if [green, red, blue, alpha].iter().all(|code| code.is_single()) {
            left = 1;
        }
        let mut highest = 0;
        while left > 0 {
            self.step()?;
            let symbol = green.read(&mut self.bits)?;
            if symbol < COLOURS {
                let number = u32::from(red.read(&mut self.bits)?) << 8 | u32::from(symbol);
                blue.read(&mut self.bits)?;
                alpha.read(&mut self.bits)?;
                highest = highest.max(number);
                left -= 1;
            } else if symbol < COLOURS + COPIES {
                let length = self.bits.prefixed(symbol - COLOURS)?;
                let distance = distance.read(&mut self.bits)?;
                self.bits.prefixed(distance)?;
                left = left.checked_sub(length).ok_or(Refusal::Damaged)?;
            } else {
                left -= 1;
            }
        }
        Ok(highest)
    }

    /// Parses the codes for green (with copies and `colours` indices), red, blue, alpha and distances.
    fn group(&mut self, colours: u16) -> Result<[Code; 5], Refusal> {
        Ok([
            self.code(COLOURS + COPIES + colours)?,
            self.code(COLOURS)?,
            self.code(COLOURS)?,
            self.code(COLOURS)?,
            self.code(DISTANCES)?,
        ])
    }

    fn code(&mut self, alphabet: u16) -> Result<Code, Refusal> {
        self.step()?;
        let code = if self.bits.take(1)? == 1 {
            self.simple_code()?
        } else {
            Code::new(&self.lengths(usize::from(alphabet))?)?
        };
        if code.symbols.iter().any(|symbol| *symbol >= alphabet) {
            return Err(Refusal::Damaged);
        }
        self.hold(code.bytes())?;
        Ok(code)
    }

    /// Parses a code that lists its one or two symbols. The decoder keeps their order.
    fn simple_code(&mut self) -> Result<Code, Refusal> {
        let two = self.bits.take(1)? == 1;
        let first_bits = if self.bits.take(1)? == 1 { 8 } else { 1 };
        let mut code = Code {
            counts: [0; MAX_CODE_LENGTH + 1],
            symbols: vec![self.bits.take(first_bits)? as u16],
        };
        if two {
            code.symbols.push(self.bits.take(8)? as u16);
            code.counts[1] = 2;
            // The decoder allocates a tree that it never uses.
            self.hold(block(3 * NODE_BYTES))?;
        }
        Ok(code)
    }

    /// Parses the code lengths of the symbols, which are encoded by a prefix code too. Trailing zeros may be left out.
    fn lengths(&mut self, alphabet: usize) -> Result<Vec<u8>, Refusal> {
        let mut of_lengths = [0; LENGTH_ORDER.len()];
        let written = 4 + self.bits.take(4)? as usize;
        for symbol in LENGTH_ORDER.iter().take(written) {
            of_lengths[*symbol] = self.bits.take(3)? as u8;
        }
        let code = Code::new(&of_lengths)?;
        let mut most = alphabet;
        if self.bits.take(1)? == 1 {
            let bits = 2 + 2 * self.bits.take(3)?;
            most = 2 + self.bits.take(bits)? as usize;
            if most > alphabet {
                return Err(Refusal::Damaged);
            }
        }
        let mut lengths = Vec::with_capacity(MAX_ALPHABET);
        let mut last = 8;
        for _ in 0..most {
            self.step()?;
            if lengths.len() == alphabet {
                break;
            }
            let (length, times) = match code.read(&mut self.bits)? {
                16 => (last, 3 + self.bits.take(2)?),
                17 => (0, 3 + self.bits.take(3)?),
                18 => (0, 11 + self.bits.take(7)?),
                length => (length as u8, 1),
            };
            if length != 0 {
                last = length;
            }
            lengths.resize(lengths.len() + times as usize, length);
            if lengths.len() > alphabet {
                return Err(Refusal::Damaged);
            }
        }
        Ok(lengths)
    }

    fn hold(&mut self, bytes: u64) -> Result<(), Refusal> {
        self.held += bytes;
        self.peak = self.peak.max(self.held);
        if self.peak > self.limit {
            return Err(Refusal::OverLimit(self.peak));
        }
        Ok(())
    }

    /// Counts a symbol. Calls `interrupted` every few thousand symbols.
    fn step(&mut self) -> Result<(), Refusal> {
        self.steps = self.steps.wrapping_add(1);
        if self.steps.is_multiple_of(4096) && (self.interrupted)() {
            return Err(Refusal::Interrupted);
        }
        Ok(())
    }
}

/// A canonical prefix code: the number of symbols of each length, and the symbols by length. The code of a single
/// symbol takes no bits.
struct Code {
    counts: [u16; MAX_CODE_LENGTH + 1],
    symbols: Vec<u16>,
}

impl Code {
    /// Builds the code from the length of each symbol, 0 to 15 bits.
    ///
    /// The code has to be complete. The decoder's own check overflows and accepts some oversubscribed codes.
    fn new(lengths: &[u8]) -> Result<Self, Refusal> {
        let mut counts = [0; MAX_CODE_LENGTH + 1];
        for length in lengths.iter().filter(|length| **length != 0) {
            counts[usize::from(*length)] += 1;
        }
        // The index of the first symbol of each length; the share of the code space, in units of 15-bit codes.
        let mut next = [0; MAX_CODE_LENGTH + 1];
        let (mut total, mut taken) = (0, 0);
        for (length, count) in counts.iter().enumerate() {
            next[length] = usize::from(total);
            total += count;
            taken += u32::from(*count) << (MAX_CODE_LENGTH - length);
        }
        if total == 0 || total > 1 && taken != 1 << MAX_CODE_LENGTH {
            return Err(Refusal::Damaged);
        }
        let mut symbols = vec![0; usize::from(total)];
        for (symbol, length) in lengths.iter().enumerate().filter(|(_, length)| **length != 0) {
            let place = &mut next[usize::from(*length)];
            symbols[*place] = symbol as u16;
            *place += 1;
        }
        Ok(Self { counts, symbols })
    }

    fn is_single(&self) -> bool {
        self.symbols.len() == 1
    }

    /// Returns the bytes that the decoder allocates for the code.
    fn bytes(&self) -> u64 {
        if self.is_single() {
            return 0;
        }
        let longest = self.counts.iter().rposition(|count| *count != 0).unwrap_or(0);
        let long: u64 = self.counts[TABLE_BITS + 1..].iter().copied().map(u64::from).sum();
        block(4 << longest.min(TABLE_BITS)) + block(2 * long * NODE_BYTES)
    }

    fn read(&self, bits: &mut Bits<'_>) -> Result<u16, Refusal> {
        if self.is_single() {
            return Ok(self.symbols[0]);
        }
        let ahead = bits.peek();
        // The distance from the first code of the current length; the number of symbols with shorter codes.
        let (mut above_first, mut shorter) = (0, 0);
        for length in 1..=MAX_CODE_LENGTH {
            let count = usize::from(self.counts[length]);
            above_first = 2 * above_first + (ahead >> (length - 1) & 1) as usize;
            if above_first < count {
                bits.take(length as u32)?;
                return Ok(self.symbols[shorter + above_first]);
            }
            above_first -= count;
            shorter += count;
        }
        Err(Refusal::Damaged)
    }
}

/// A reader of bits, least significant bit first.
struct Bits<'a> {
    data: &'a [u8],
    position: usize,
}

impl Bits<'_> {
    /// Returns the next 57 bits or more, zeros after the end.
    fn peek(&self) -> u64 {
        let rest = self.data.get(self.position / 8..).unwrap_or_default();
        let bytes = rest.first_chunk().copied().unwrap_or_else(|| {
            let mut bytes = [0; 8];
            bytes[..rest.len()].copy_from_slice(rest);
            bytes
        });
        u64::from_le_bytes(bytes) >> (self.position % 8)
    }

    /// Takes at most 32 bits.
    fn take(&mut self, bits: u32) -> Result<u32, Refusal> {
        let ahead = self.peek();
        self.position += bits as usize;
        if self.position.div_ceil(8) > self.data.len() {
            return Err(Refusal::Damaged);
        }
        Ok((ahead & ((1 << bits) - 1)) as u32)
    }

    /// Takes the extra bits of a length or distance. Returns its value.
    fn prefixed(&mut self, prefix: u16) -> Result<u64, Refusal> {
        if prefix < 4 {
            return Ok(u64::from(prefix) + 1);
        }
        let bits = u32::from(prefix - 2) >> 1;
        let base = u64::from(2 + (prefix & 1)) << bits;
        Ok(base + u64::from(self.take(bits)?) + 1)
    }
}
