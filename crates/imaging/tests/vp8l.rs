//! The memory that the decoder needs for a lossless WebP is computed before it allocates any.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../src/probe/vp8l.rs"]
mod vp8l;

use std::io::Cursor;
use std::panic::catch_unwind;

use image::ImageDecoder;
use image::codecs::webp::{WebPDecoder, WebPEncoder};
use image::{ExtendedColorType, ImageEncoder};
use likeness_imaging::{ImageLimits, ImagingError, decode};
use likeness_testing::allocation::{Counting, Usage, measure};
use proptest::prelude::*;
use vp8l::{Refusal, working_bytes};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const UNLIMITED: u64 = u64::MAX;
/// The part of the bound that every stream has: the decoder itself.
const FIXED: u64 = 24 << 10;

// ---- Writing streams ----

const LENGTH_ORDER: [usize; 19] = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/// A code for code lengths.
const OF_LENGTHS: [u8; 19] = [4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5];

/// Bits, from each byte's lowest on.
#[derive(Default, Clone)]
struct Bits {
    bytes: Vec<u8>,
    used: usize,
}

impl Bits {
    fn put(&mut self, value: usize, bits: usize) -> &mut Self {
        for bit in 0..bits {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().unwrap() |= ((value >> bit & 1) as u8) << (self.used % 8);
            self.used += 1;
        }
        self
    }

    /// Writes a code of one symbol, which takes no bits.
    fn single(&mut self, symbol: usize) -> &mut Self {
        self.put(0b101, 3).put(symbol, 8)
    }

    fn singles(&mut self, symbols: [usize; 5]) -> &mut Self {
        for symbol in symbols {
            self.single(symbol);
        }
        self
    }

    /// Writes a code of two symbols, in this order.
    fn pair(&mut self, first: usize, second: usize) -> &mut Self {
        self.put(0b111, 3).put(first, 8).put(second, 8)
    }

    /// Writes a code as the length of each symbol, with runs of the last length and of zeros.
    fn lengths(&mut self, lengths: &[u8]) -> &mut Self {
        self.put(0, 1).put(15, 4);
        for symbol in LENGTH_ORDER {
            self.put(usize::from(OF_LENGTHS[symbol]), 3);
        }
        // All symbols of the alphabet, or the number of symbols less two in 2 + 2 * 4 bits.
        let mut written = Self::default();
        let (mut count, mut last) = (0, 8);
        let mut rest = lengths;
        while let Some(length) = rest.first().copied() {
            let run = rest.iter().take_while(|other| **other == length).count();
            let taken = match length {
                0 if run >= 11 => run.min(138),
                0 if run >= 3 => run.min(10),
                _ if length == last && run >= 3 => run.min(6),
                _ => 1,
            };
            match (length, taken) {
                (_, ..3) => written.symbol(&OF_LENGTHS, usize::from(length)),
                (0, 11..) => written.symbol(&OF_LENGTHS, 18).put(taken - 11, 7),
                (0, _) => written.symbol(&OF_LENGTHS, 17).put(taken - 3, 3),
                _ => written.symbol(&OF_LENGTHS, 16).put(taken - 3, 2),
            };
            if length != 0 {
                last = length;
            }
            count += 1;
            rest = &rest[taken..];
        }
        self.put(1, 1).put(4, 3).put(count - 2, 10);
        for bit in 0..written.used {
            self.put(usize::from(written.bytes[bit / 8] >> (bit % 8) & 1), 1);
        }
        self
    }

    /// Writes a code whose first `1 << length` symbols have that length. The lengths themselves take no bits.
    fn flat(&mut self, length: usize) -> &mut Self {
        let place = LENGTH_ORDER.iter().position(|at| *at == length).unwrap();
        self.put(0, 1)
            .put(place + 1 - 4, 4)
            .put(1 << (3 * place), 3 * place + 3);
        self.put(1, 1).put(5, 3).put((1 << length) - 2, 12)
    }

    /// Writes a symbol of the canonical code with these lengths.
    fn symbol(&mut self, lengths: &[u8], symbol: usize) -> &mut Self {
        let own = lengths[symbol];
        let before = |(other, length): &(usize, &u8)| **length < own || **length == own && *other < symbol;
        let code: usize = lengths
            .iter()
            .enumerate()
            .filter(|(_, length)| **length > 0)
            .filter(before)
            .map(|(_, length)| 1 << (own - length))
            .sum();
        self.put(reversed(code, usize::from(own)), usize::from(own))
    }
}

fn reversed(value: usize, bits: usize) -> usize {
    (0..bits).map(|bit| (value >> bit & 1) << (bits - 1 - bit)).sum()
}

/// The header of a stream with an alpha channel, which the decoder writes to the output without a frame buffer.
fn header(width: usize, height: usize) -> Bits {
    let mut bits = Bits::default();
    bits.put(0x2F, 8)
        .put(width - 1, 14)
        .put(height - 1, 14)
        .put(1, 1)
        .put(0, 3);
    bits
}

/// A stream of 16x16 pixels with `count` groups, each written by `group`.
fn groups(count: usize, cache_bits: Option<usize>, group: impl Fn(&mut Bits)) -> Vec<u8> {
    let mut bits = header(16, 16);
    headless_groups(&mut bits, count, cache_bits, group);
    bits.bytes
}

fn headless_groups(bits: &mut Bits, count: usize, cache_bits: Option<usize>, group: impl Fn(&mut Bits)) {
    bits.put(0, 1);
    put_cache(bits, cache_bits);
    // An entropy image of one pixel: the number of the last group.
    let last = count - 1;
    bits.put(1, 1)
        .put(7, 3)
        .put(0, 1)
        .singles([last & 255, last >> 8, 0, 0, 0]);
    for _ in 0..count {
        group(bits);
    }
    pixels(bits, 16 * 16);
}

fn put_cache(bits: &mut Bits, cache_bits: Option<usize>) {
    match cache_bits {
        Some(cache_bits) => bits.put(1, 1).put(cache_bits, 4),
        None => bits.put(0, 1),
    };
}

/// Writes `count` pixels of the first symbol of each code: zero bits, at most 60 a pixel.
fn pixels(bits: &mut Bits, count: usize) {
    bits.bytes.resize(bits.bytes.len() + count * 8, 0);
}

/// An entropy image of 256x256 blocks, all of the first group.
fn many_blocks() -> Vec<u8> {
    let mut bits = header(1024, 1024);
    bits.put(0, 2)
        .put(1, 1)
        .put(0, 3)
        .put(0, 1)
        .singles([0; 5])
        .singles([0; 5]);
    bits.bytes
}

/// 2048 symbols of 11 bits: a table and a tree of 70 KB, from 13 bytes.
fn deep_group(bits: &mut Bits) {
    bits.flat(11).single(0).single(0).single(0).single(0);
}

/// A symbol of each length, and a second one of 15 bits.
const STEEP: [u8; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 15];

/// Writes a sub-image of literals, copies and cached colours. The highest number in it is `highest`.
fn rich_sub_image(bits: &mut Bits, pixels: usize, highest: usize) {
    // 512 symbols of nine bits each: 256 colours, 24 copies, and 232 of the cache's 256 colours.
    const GREEN: [u8; 512] = [9; 512];
    const RED: [u8; 256] = [8; 256];
    put_cache(bits, Some(8));
    bits.lengths(&GREEN)
        .lengths(&RED)
        .pair(9, 5)
        .lengths(&STEEP)
        .lengths(&[1, 3, 3, 3, 3]);
    let mut left = pixels;
    for (green, red) in [(1, 0), (highest & 255, highest >> 8)] {
        bits.symbol(&GREEN, green)
            .symbol(&RED, red)
            .put(1, 1)
            .symbol(&STEEP, 14);
        left -= 1;
    }
    while left > 3 {
        // Prefix 4 and its extra bit: a length of 5, and the sixth distance, which is two pixels to the left.
        let length = if left > 8 { 5 } else { (left - 3).min(4) };
        bits.symbol(&GREEN, 256 + length - 1)
            .put(0, usize::from(length == 5));
        bits.symbol(&[1, 3, 3, 3, 3], 4).put(1, 1);
        left -= length;
    }
    while left > 0 {
        bits.symbol(&GREEN, 280 + left);
        left -= 1;
    }
}

const EVERYTHING_WIDTH: usize = 200;
const EVERYTHING_HEIGHT: usize = 120;
/// The palette packs four pixels into one.
const EVERYTHING_PIXELS: usize = EVERYTHING_WIDTH / 4 * EVERYTHING_HEIGHT;

/// Every transform with its sub-image, and that many groups of three kinds.
fn everything(groups: usize) -> Vec<u8> {
    let (width, height) = (EVERYTHING_WIDTH, EVERYTHING_HEIGHT);
    let mut bits = header(width, height);
    let blocks = |width: usize, size: usize| width.div_ceil(size) * height.div_ceil(size);
    // A palette of four colours: four pixels become one.
    bits.put(1, 1).put(3, 2).put(3, 8);
    rich_sub_image(&mut bits, 4, groups - 1);
    let packed = width / 4;
    bits.put(1, 1).put(0, 2).put(0, 3);
    rich_sub_image(&mut bits, blocks(packed, 4), groups - 1);
    bits.put(1, 1).put(2, 2);
    bits.put(1, 1).put(1, 2).put(1, 3);
    rich_sub_image(&mut bits, blocks(packed, 8), groups - 1);
    bits.put(0, 1);
    put_cache(&mut bits, Some(10));
    bits.put(1, 1).put(1, 3);
    rich_sub_image(&mut bits, blocks(packed, 8), groups - 1);
    // Runs of 1, 4 and 17 symbols without a code.
    let mut sparse = [0; 29];
    for (symbol, length) in [(0, 2), (1, 2), (3, 2), (8, 4), (9, 4), (10, 4), (28, 4)] {
        sparse[symbol] = length;
    }
    for group in 0..groups {
        match group % 3 {
            0 => bits
                .lengths(&STEEP)
                .single(1)
                .pair(2, 1)
                .lengths(&STEEP)
                .single(0),
            1 => bits.flat(8).flat(8).flat(8).lengths(&STEEP).pair(0, 1),
            _ => bits.flat(10).single(3).single(4).single(5).flat(5),
        };
    }
    pixels(&mut bits, EVERYTHING_PIXELS);
    bits.bytes
}

// ---- Files ----

/// The lossy part of a grey image of 16x16 pixels.
const LOSSY_16X16: &[u8] = &[
    0x50, 0x01, 0x00, 0x9D, 0x01, 0x2A, 0x10, 0x00, 0x10, 0x00, 0x07, 0x40, 0x96, 0x25, 0xA4, 0x00, 0x04,
    0x74, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
];

fn file(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut bytes = b"RIFF\0\0\0\0WEBP".to_vec();
    for (kind, data) in chunks {
        bytes.extend_from_slice(*kind);
        bytes.extend((data.len() as u32).to_le_bytes());
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len().next_multiple_of(2), 0);
    }
    let length = (bytes.len() as u32 - 8).to_le_bytes();
    bytes[4..8].copy_from_slice(&length);
    bytes
}

/// The content of a file's only chunk.
fn only_chunk(file: &[u8]) -> &[u8] {
    let length = u32::from_le_bytes(file[16..20].try_into().unwrap());
    &file[20..][..length as usize]
}

/// Decodes with the library. Returns whether it succeeded, and the bytes that it held beside output and frame buffer.
fn library(file: &[u8]) -> (bool, u64) {
    let mut output = Vec::new();
    let mut frame = 0;
    let (decoded, Usage { peak, .. }) = measure(|| {
        let Ok(decoder) = WebPDecoder::new(Cursor::new(file)) else {
            return false;
        };
        let (width, height) = decoder.dimensions();
        let pixels = width as usize * height as usize;
        frame = if decoder.color_type().has_alpha() {
            0
        } else {
            pixels * 4
        };
        output = vec![0; decoder.total_bytes() as usize];
        decoder.read_image(&mut output).is_ok()
    });
    (decoded, (peak - output.len()).saturating_sub(frame) as u64)
}

fn bound_of(data: &[u8]) -> Result<u64, Refusal> {
    working_bytes(data, None, UNLIMITED, &mut || false)
}

#[track_caller]
fn assert_agreement(name: &str, held: u64, bound: u64) {
    assert!(
        held <= bound,
        "{name}: the decoder holds {held}, the bound is {bound}"
    );
    assert!(
        bound - FIXED <= held * 2,
        "{name}: the decoder holds only {held}, the bound is {bound}"
    );
}

// ---- The bound and the decoder ----

#[test]
fn the_bound_covers_and_follows_the_decoder() {
    let pairs = |bits: &mut Bits| {
        for _ in 0..5 {
            bits.pair(1, 0);
        }
    };
    let flat = |bits: &mut Bits| {
        bits.flat(8).flat(8).flat(8).flat(8).flat(5);
    };
    let steep = |bits: &mut Bits| {
        bits.lengths(&STEEP)
            .lengths(&STEEP)
            .lengths(&STEEP)
            .lengths(&STEEP)
            .lengths(&STEEP);
    };
    for (name, stream) in [
        (
            "one group of single symbols",
            groups(1, None, |bits| {
                bits.singles([1, 2, 3, 4, 5]);
            }),
        ),
        (
            "the largest cache",
            groups(1, Some(11), |bits| {
                bits.singles([1, 2, 3, 4, 5]);
            }),
        ),
        (
            "5000 groups of single symbols",
            groups(5000, None, |bits| {
                bits.singles([1, 2, 3, 4, 5]);
            }),
        ),
        ("4096 groups of two symbols", groups(4096, None, pairs)),
        ("4097 groups of two symbols", groups(4097, None, pairs)),
        ("300 groups of tables", groups(300, Some(3), flat)),
        ("300 groups of long codes", groups(300, None, steep)),
        ("300 groups of large trees", groups(300, Some(11), deep_group)),
        ("65,536 blocks of one group", many_blocks()),
        ("every transform", everything(301)),
    ] {
        let bound = bound_of(&stream).unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
        let (decoded, held) = library(&file(&[(b"VP8L", &stream)]));
        assert!(decoded, "{name}");
        assert_agreement(name, held, bound);
    }
}

#[test]
fn the_bound_includes_the_colour_cache() {
    let single = |bits: &mut Bits| {
        bits.singles([0; 5]);
    };
    let without = bound_of(&groups(1, None, single)).unwrap();
    let with = bound_of(&groups(1, Some(11), single)).unwrap();
    assert!(with - without >= 4 << 11);
}

#[test]
fn the_bound_covers_and_follows_the_decoder_for_an_alpha_channel() {
    let mut bits = Bits::default();
    headless_groups(&mut bits, 300, Some(11), deep_group);
    let bound = working_bytes(&bits.bytes, Some((16, 16)), UNLIMITED, &mut || false).unwrap();
    let alpha = [&[1], &bits.bytes[..]].concat();
    let (decoded, held) = library(&file(&[
        (b"VP8X", &[0x10, 0, 0, 0, 15, 0, 0, 15, 0, 0]),
        (b"ALPH", &alpha),
        (b"VP8 ", LOSSY_16X16),
    ]));
    assert!(decoded);
    // Allowance for the lossy decoder's buffers.
    let lossy = 64 << 10;
    assert_agreement("alpha", held.saturating_sub(lossy), bound);
}

#[test]
fn the_bound_covers_and_follows_the_decoder_for_encoded_files() {
    let noise = |at: usize| ((at * 2_654_435_761) >> 7) as u8;
    for (layout, channels) in [(ExtendedColorType::Rgb8, 3), (ExtendedColorType::Rgba8, 4)] {
        for side in [1, 16, 300] {
            let samples: Vec<u8> = (0..side * side * channels).map(noise).collect();
            let mut bytes = Vec::new();
            WebPEncoder::new_lossless(&mut bytes)
                .write_image(&samples, side as u32, side as u32, layout)
                .unwrap();
            let (decoded, held) = library(&bytes);
            assert!(decoded);
            let bound = bound_of(only_chunk(&bytes)).unwrap();
            assert_agreement(&format!("{layout:?} {side}"), held, bound);
        }
    }
}

// ---- Decompression bombs ----

#[test]
fn a_file_of_one_megabyte_that_needs_gigabytes_is_refused_early() {
    let bomb = groups(65_536, Some(11), deep_group);
    assert!(bomb.len() < 1 << 20, "{}", bomb.len());
    let headless = {
        let mut bits = Bits::default();
        headless_groups(&mut bits, 65_536, Some(11), deep_group);
        bits.bytes
    };
    // A table of 4 KiB, and two nodes for each of 2048 symbols.
    let group = 4096 + 2 * 2048 * 16;
    assert!(bound_of(&bomb).unwrap() > 65_536 * group);
    let limit = 192 << 20;
    for (stream, sides) in [(&bomb, None), (&headless, Some((16, 16)))] {
        let (outcome, Usage { peak, .. }) = measure(|| working_bytes(stream, sides, limit, &mut || false));
        let Err(Refusal::OverLimit(bytes)) = outcome else {
            panic!("{outcome:?}");
        };
        // Parsing stops at the first group over the limit.
        assert!(bytes > limit && bytes < limit + 2 * group, "{bytes}");
        assert!(peak < 64 << 10, "{peak}");
    }
    // As decoding finds out.
    let mut alpha = vec![1];
    alpha.extend(&headless);
    let flags = [0x10, 0, 0, 0, 15, 0, 0, 15, 0, 0];
    for file in [
        file(&[(b"VP8L", &bomb)]),
        file(&[(b"VP8X", &flags), (b"ALPH", &alpha), (b"VP8 ", LOSSY_16X16)]),
    ] {
        let (outcome, Usage { peak, .. }) = measure(|| decode(&file, &ImageLimits::default()));
        assert!(
            matches!(outcome, Err(ImagingError::DecodeTooLarge { .. })),
            "{outcome:?}"
        );
        assert!(peak < 4 << 20, "{peak}");
    }
}

#[test]
fn a_large_sub_image_costs_the_parser_neither_memory_nor_time() {
    // The largest image in blocks of 4x4: 64 MiB for predictors, 64 MiB for colour transforms.
    let mut bits = header(1 << 14, 1 << 14);
    for kind in 0..2 {
        bits.put(1, 1)
            .put(kind, 2)
            .put(0, 3)
            .put(0, 1)
            .singles([1, 2, 3, 4, 5]);
    }
    bits.put(0, 1).put(0, 1).put(0, 1).singles([1, 2, 3, 4, 5]);
    let mut asked = 0;
    let (outcome, Usage { peak, .. }) = measure(|| {
        working_bytes(&bits.bytes, None, UNLIMITED, &mut || {
            asked += 1;
            false
        })
    });
    assert!(outcome.unwrap() > 128 << 20);
    assert!(peak < 64 << 10, "{peak}");
    // Pixels that take no bits take no time.
    assert_eq!(asked, 0);
    let limit = 64 << 20;
    assert!(matches!(
        working_bytes(&bits.bytes, None, limit, &mut || false),
        Err(Refusal::OverLimit(_))
    ));
}

#[test]
fn parsing_stops_when_interrupted() {
    let bomb = groups(65_536, Some(11), deep_group);
    let mut asked = 0;
    let outcome = working_bytes(&bomb, None, UNLIMITED, &mut || {
        asked += 1;
        asked == 3
    });
    assert_eq!((outcome, asked), (Err(Refusal::Interrupted), 3));
}

// ---- Damage ----

#[test]
fn a_stream_that_ends_before_its_pixels_is_damaged() {
    let whole = everything(6);
    let expected = bound_of(&whole).unwrap();
    let pixels = whole.len() - EVERYTHING_PIXELS * 8;
    let outcomes: Vec<_> = (0..pixels + 8).map(|length| bound_of(&whole[..length])).collect();
    let codes_end = outcomes.iter().position(Result::is_ok).unwrap();
    assert!(codes_end.abs_diff(pixels) < 2);
    for (length, outcome) in outcomes.into_iter().enumerate() {
        let wanted = if length < codes_end {
            Err(Refusal::Damaged)
        } else {
            Ok(expected)
        };
        assert_eq!(outcome, wanted, "{length} bytes");
    }
}

#[test]
fn violations_of_the_specification_are_damage() {
    let codes = |bits: &mut Bits| bits.singles([0, 0, 0, 0, 0]).bytes.clone();
    let whole = codes(header(1, 1).put(0, 3));
    assert!(bound_of(&whole).is_ok());
    let mut signature = whole.clone();
    signature[0] = 0x2E;
    let mut version = whole.clone();
    version[4] |= 1 << 5;
    let twice = codes(header(1, 1).put(0b101, 3).put(0b101, 3).put(0, 3));
    let cache_of = |bits| codes(header(1, 1).put(0, 1).put(1, 1).put(bits, 4).put(0, 1));
    let green = |lengths: &[u8]| {
        let mut bits = header(1, 1);
        codes(bits.put(0, 3).lengths(lengths))
    };
    for (name, stream) in [
        ("another signature", signature),
        ("another version", version),
        ("a transform twice", twice),
        ("a cache of no bits", cache_of(0)),
        ("a cache of twelve bits", cache_of(12)),
        ("no symbols", green(&[0, 0])),
        ("a code that is not full", green(&[2, 2, 2])),
        ("a code that is too full", green(&[1, 1, 1])),
        ("a distance beyond the alphabet", {
            header(1, 1).put(0, 3).singles([0, 0, 0, 0, 40]).bytes.clone()
        }),
    ] {
        assert_eq!(bound_of(&stream), Err(Refusal::Damaged), "{name}");
    }
    for sides in [(0, 1), (1, 0), (16_385, 1), (1, 16_385)] {
        let stream = &whole[5..];
        let outcome = working_bytes(stream, Some(sides), UNLIMITED, &mut || false);
        assert_eq!(outcome, Err(Refusal::Damaged), "{sides:?}");
    }
}

#[test]
fn an_oversubscribed_code_that_passes_the_decoders_check_is_damage() {
    // Twice the code space, with a code of 15 bits: the decoder's 16-bit sum wraps around to the expected value.
    let lengths = [&[1, 1, 1][..], &STEEP[1..]].concat();
    let mut bits = header(1, 1);
    bits.put(0, 3)
        .lengths(&lengths)
        .single(0)
        .single(0)
        .single(0)
        .single(0);
    assert_eq!(bound_of(&bits.bytes), Err(Refusal::Damaged));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_bytes_do_not_panic(data: Vec<u8>, sides: Option<(u32, u32)>, limit: u64) {
        let _ = working_bytes(&data, sides, limit, &mut || false);
        let headed = [&header(16, 16).bytes, &data[..]].concat();
        let _ = working_bytes(&headed, None, limit, &mut || false);
    }

    /// Flipped bits: the decoder stays within the bound, and fails for each refused stream.
    #[test]
    fn a_damaged_stream_is_refused_or_stays_within_its_bound(
        flipped in prop::collection::vec(any::<(prop::sample::Index, u8)>(), 1..4),
    ) {
        let mut stream = everything(301);
        let codes = stream.len() - EVERYTHING_PIXELS * 8;
        for (place, bits) in flipped {
            // Width and height stay.
            stream[5 + place.index(codes - 5)] ^= bits;
        }
        let file = file(&[(b"VP8L", &stream)]);
        match bound_of(&stream) {
            Ok(bound) => {
                let (_, held) = library(&file);
                prop_assert!(held <= bound, "the decoder holds {held}, the bound is {bound}");
            }
            Err(refusal) => {
                prop_assert_eq!(refusal, Refusal::Damaged);
                let decoded = catch_unwind(|| library(&file).0).unwrap_or(false);
                prop_assert!(!decoded, "the decoder accepts a refused stream");
            }
        }
    }
}
