//! Spoilt files, made of good ones by numbers that always come in the same order.

use crate::target::Input;

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
pub(crate) struct Random(u64);

impl Random {
    /// Of an input of a target.
    pub(crate) fn of(target: &str, number: u64) -> Self {
        let name = target.bytes().fold(0u64, |hash, byte| {
            hash.wrapping_mul(0x100_0000_01b3).wrapping_add(u64::from(byte))
        });
        let mut random = Self(name ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`; 0 where that is 0.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % (end.max(1) as u64)) as usize
    }

    fn one_of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

/// Numbers at which arithmetic ends or signs change.
const NUMBERS: &[u64] = &[
    0,
    1,
    2,
    3,
    7,
    8,
    16,
    127,
    128,
    255,
    256,
    32_767,
    32_768,
    65_535,
    65_536,
    16_777_216,
    16_777_217,
    2_147_483_647,
    2_147_483_648,
    4_294_967_295,
    4_294_967_296,
    i64::MAX as u64,
    1 << 63,
    u64::MAX,
];

/// Texts for the values of attributes: known words in wrong places, and numbers that are none.
const WORDS: &[&str] = &[
    "",
    "0",
    "1",
    "2",
    "-1",
    "1.5",
    "1e9",
    "11",
    "1,3,8,8",
    "1, 1, 1, 1",
    "1, 2, 1, 1",
    ", ,",
    "2, 2",
    "0, 0",
    "f16",
    "f32",
    "i64",
    "FP16",
    "FP32",
    "opset1",
    "opset8",
    "explicit",
    "same_upper",
    "numpy",
    "floor",
    "ceil",
    "true",
    "Parameter",
    "Const",
    "Convert",
    "Add",
    "Multiply",
    "Convolution",
    "GroupConvolution",
    "PReLU",
    "AvgPool",
    "MaxPool",
    "Sigmoid",
    "Result",
    "&amp;",
    "&#65;",
    "&x;",
    "\u{0}",
    "\u{feff}",
];

/// Values for keys of a manifest.
const TOML: &[&str] = &[
    "1",
    "-1",
    "0.5",
    "nan",
    "inf",
    "-inf",
    "1e308",
    "1e-320",
    "9223372036854775807",
    "true",
    "\"\"",
    "\"../x\"",
    "\"a/b\"",
    "\"\\u0000\"",
    "[]",
    "[[]]",
    "[nan, 1.0]",
    "[1.0, 0.0]",
    "{}",
    "{ a = 1 }",
    "{ from = \"onnx\" }",
    "{ from = \"onnx\", file = \"..\" }",
    "1979-05-27",
    "'''",
    "\"\"\"",
    "[",
    "{",
];

/// Texts that begin or end something in XML.
const MARKUP: &[&str] = &[
    "<!DOCTYPE x [<!ENTITY a \"b\">]>",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<?x ?>",
    "<layer>",
    "</layer>",
    "<rt_info>",
    "<port id=\"0\" precision=\"FP32\">",
    "</port>",
    "<dim>1</dim>",
    "<data />",
    "<edge />",
    "/>",
    ">",
    "<",
    "&",
    "\"",
];

/// The input of this number: one of the seeds with one to a dozen things done to its files.
pub(crate) fn input(seeds: &[Input], random: &mut Random) -> Input {
    // Large files cost time: the first of three draws that is small is taken.
    let mut seed = &seeds[random.below(seeds.len())];
    for _ in 0..3 {
        if size(seed) > 1 << 15 {
            seed = &seeds[random.below(seeds.len())];
        }
    }
    let mut input = seed.clone();
    // Mostly one: what is spoilt twice is refused for the first.
    let times = match random.below(8) {
        0 => 2 + random.below(10),
        1 | 2 => 2,
        _ => 1,
    };
    for _ in 0..times {
        // The first file is the one with the structure.
        let file = if random.below(16) == 0 {
            random.below(input.len())
        } else {
            0
        };
        let other = &seeds[random.below(seeds.len())][file];
        mutate(&mut input[file], other, random);
    }
    input
}

/// Bytes of an input.
pub(crate) fn size(input: &Input) -> usize {
    input.iter().map(Vec::len).sum()
}

fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    // Weights are no text, whatever they begin with.
    let is_text = bytes.first() == Some(&b'<');
    if is_text && random.below(4) > 0 {
        return mutate_text(bytes, other, random);
    }
    // A manifest begins with a comment or a key.
    let is_lines = bytes
        .first()
        .is_some_and(|&byte| byte == b'#' || byte.is_ascii_lowercase());
    if is_lines && random.below(8) > 0 {
        return mutate_lines(bytes, other, random);
    }
    let at = random.below(bytes.len());
    match random.below(9) {
        0 | 1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        2 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random.next() as u8;
            }
        }
        3 => {
            // A number over what is there, as it lies in memory.
            let number = NUMBERS[random.below(NUMBERS.len())].to_le_bytes();
            let width = 1 << random.below(4);
            for (byte, new) in bytes.iter_mut().skip(at).zip(&number[..width]) {
                *byte = *new;
            }
        }
        4 => {
            // A number as protobuf writes it, between what is there.
            let mut number = NUMBERS[random.below(NUMBERS.len())];
            let mut written = Vec::new();
            while number >= 0x80 {
                written.push(number as u8 | 0x80);
                number >>= 7;
            }
            written.push(number as u8);
            bytes.splice(at..at, written);
        }
        5 => bytes.truncate(at),
        6 => {
            let end = at + random.below(64.min(bytes.len() - at) + 1);
            bytes.drain(at..end);
        }
        7 => {
            let end = at + random.below(256.min(bytes.len() - at) + 1);
            let copy = bytes[at..end].repeat(1 + random.below(3));
            bytes.splice(end..end, copy);
        }
        _ => {
            let from = random.below(other.len());
            let end = from + random.below(512.min(other.len() - from) + 1);
            let replaced = at + random.below(512.min(bytes.len() - at) + 1);
            bytes.splice(at..replaced, other[from..end].iter().copied());
        }
    }
}

fn mutate_text(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(bytes.len());
    match random.below(8) {
        0 | 1 => {
            // A value of an attribute from elsewhere, in this file or another.
            let source = if random.below(2) == 0 {
                other
            } else {
                bytes.as_slice()
            };
            let from = random.below(source.len());
            if let (Some(to), Some(from)) = (value(bytes, at), value(source, from)) {
                let new = source[from].to_vec();
                bytes.splice(to, new);
            }
        }
        2 | 3 => {
            let word = random.one_of(WORDS);
            if let Some(to) = value(bytes, at) {
                bytes.splice(to, word.bytes());
            }
        }
        4 => {
            let number = NUMBERS[random.below(NUMBERS.len())].to_string();
            if let Some(to) = digits(bytes, at) {
                bytes.splice(to, number.bytes());
            }
        }
        5 => {
            // A tag, or an element without children, away.
            if let Some(tag) = between(bytes, at, b'<', b'>') {
                bytes.drain(tag);
            }
        }
        6 => {
            // A tag with what follows it, once more somewhere.
            if let Some(tag) = between(bytes, at, b'<', b'>') {
                let end = tag.end + random.below(400.min(bytes.len() - tag.end) + 1);
                let copy = bytes[tag.start..end].to_vec();
                let to = random.below(bytes.len());
                let to = between(bytes, to, b'<', b'>').map_or(to, |tag| tag.start);
                bytes.splice(to..to, copy);
            }
        }
        _ => {
            let markup = random.one_of(MARKUP);
            let at = between(bytes, at, b'<', b'>').map_or(at, |tag| tag.start);
            bytes.splice(at..at, markup.bytes());
        }
    }
}

/// Something that is done to a text of lines with keys and values.
fn mutate_lines(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(bytes.len());
    match random.below(8) {
        0 => {
            if let Some(line) = between(bytes, at, b'\n', b'\n') {
                bytes.drain(line.start..line.end - 1);
            }
        }
        1 | 2 => {
            // A line from elsewhere.
            if let (Some(to), Some(from)) = (
                between(bytes, at, b'\n', b'\n'),
                between(other, random.below(other.len()), b'\n', b'\n'),
            ) {
                bytes.splice(
                    to.start..to.start,
                    other[from.start..from.end - 1].iter().copied(),
                );
            }
        }
        3 => {
            let word = random.one_of(TOML);
            if let Some(to) = between(bytes, at, b'=', b'\n') {
                bytes.splice(to.start + 1..to.end - 1, word.bytes());
            }
        }
        4 => {
            let word = random.one_of(WORDS);
            if let Some(to) = value(bytes, at) {
                bytes.splice(to, word.bytes());
            }
        }
        5 => {
            let number = NUMBERS[random.below(NUMBERS.len())].to_string();
            if let Some(to) = digits(bytes, at) {
                bytes.splice(to, number.bytes());
            }
        }
        6 => {
            if let (Some(to), Some(from)) = (value(bytes, at), value(other, random.below(other.len()))) {
                bytes.splice(to, other[from].iter().copied());
            }
        }
        _ => {
            // A few lines once more, or gone.
            let from = between(bytes, at, b'\n', b'\n').map_or(at, |line| line.start);
            let end = from + random.below(400.min(bytes.len() - from) + 1);
            if random.below(2) == 0 {
                bytes.drain(from..end);
            } else {
                let copy = bytes[from..end].to_vec();
                bytes.splice(end..end, copy);
            }
        }
    }
}

/// The next value in quotation marks, without them.
fn value(bytes: &[u8], at: usize) -> Option<std::ops::Range<usize>> {
    let quoted = between(bytes, at, b'"', b'"')?;
    Some(quoted.start + 1..quoted.end - 1)
}

/// The next place that begins with one byte and ends with the other, both included.
fn between(bytes: &[u8], at: usize, begin: u8, end: u8) -> Option<std::ops::Range<usize>> {
    let start = at + bytes.get(at..)?.iter().position(|&byte| byte == begin)?;
    let length = bytes.get(start + 1..)?.iter().position(|&byte| byte == end)?;
    Some(start..start + length + 2)
}

/// The next number.
fn digits(bytes: &[u8], at: usize) -> Option<std::ops::Range<usize>> {
    let start = at + bytes.get(at..)?.iter().position(u8::is_ascii_digit)?;
    let length = bytes[start..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    Some(start..start + length)
}
