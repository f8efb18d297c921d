//! Small files that declare much: every format and depth at 64 megapixels, and those that make a decoder go round in
//! circles.

#![allow(unreachable_pub)]

use std::io::Write;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

/// A side of 64 megapixels.
const SIDE: u32 = 8000;

/// A file, and what a decoder may answer.
pub struct Bomb {
    pub name: String,
    pub expected: &'static str,
    pub make: Box<dyn FnOnce() -> Vec<u8> + Send>,
}

fn bomb(
    name: impl Into<String>,
    expected: &'static str,
    make: impl FnOnce() -> Vec<u8> + Send + 'static,
) -> Bomb {
    Bomb {
        name: name.into(),
        expected,
        make: Box::new(make),
    }
}

pub fn all() -> Vec<Bomb> {
    let mut all = Vec::new();
    pngs(&mut all);
    jpegs(&mut all);
    tiffs(&mut all);
    webps(&mut all);
    bmps(&mut all);
    gifs(&mut all);
    all
}

/// Small images of every layout that is decoded, with the format's name: where fuzzing starts from.
pub fn small() -> Vec<(&'static str, Vec<u8>)> {
    let (width, height) = (40, 30);
    let mut files = vec![
        ("JPEG", many_scans(width, height, 8)),
        ("JPEG", turned_jpeg(width, height, 6)),
        ("WebP", webp(&[(b"VP8L", vp8l(width, height, true))])),
        (
            "WebP",
            animation(width, height, (16, 16), b"VP8L", &vp8l(16, 16, true)),
        ),
        ("GIF", gif(width as u16, height as u16, false, None)),
        ("GIF", gif(width as u16, height as u16, true, None)),
        ("BMP", bmp(width, height, 8, 1, &[0, 1])),
        ("BMP", bmp(width, height, 4, 2, &[0, 1])),
    ];
    for bits in [1, 4, 8, 16, 24, 32] {
        let pixels = vec![0; 4 * (width * height) as usize];
        files.push(("BMP", bmp(width, height, bits, 0, &pixels)));
    }
    for (depth, colour) in [(1, 0), (4, 3), (8, 0), (8, 3), (8, 6), (16, 2), (16, 4)] {
        for interlaced in [false, true] {
            files.push(("PNG", png(width, height, depth, colour, interlaced)));
        }
    }
    for compression in [DEFLATE, LZW, PACK_BITS] {
        for tile in [None, Some((16, 16))] {
            for (bits, samples, photometric, planar) in [
                (1, 1, 0, false),
                (4, 1, 1, false),
                (8, 3, 2, true),
                (8, 4, 5, false),
                (16, 4, 2, false),
            ] {
                let layout = Layout {
                    bits,
                    samples,
                    photometric,
                    compression,
                    planar,
                    tile,
                    rows: 8,
                    ..RGB
                };
                files.push(("TIFF", layout.black(width, height)));
            }
        }
    }
    files
}

/// As many zeros, compressed.
fn zeros(length: u64) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    let block = [0; 1 << 16];
    let mut left = length;
    while left > 0 {
        let some = left.min(block.len() as u64);
        encoder.write_all(&block[..some as usize]).unwrap();
        left -= some;
    }
    encoder.finish().unwrap()
}

/// A stream of blocks without content, `blocks` of them, and nothing else: what comes out of it is an error in the end.
fn empty_blocks(blocks: usize) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    for _ in 0..blocks {
        stream.extend([0, 0, 0, 0xFF, 0xFF]);
    }
    stream
}

fn chunk(file: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    file.extend((data.len() as u32).to_be_bytes());
    let start = file.len();
    file.extend(kind);
    file.extend(data);
    let mut crc = Crc::new();
    crc.update(&file[start..]);
    file.extend(crc.sum().to_be_bytes());
}

/// A black PNG of this depth and colour type (0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha).
pub fn png(width: u32, height: u32, depth: u8, colour: u8, interlaced: bool) -> Vec<u8> {
    let channels = match colour {
        2 => 3,
        4 => 2,
        6 => 4,
        _ => 1,
    };
    let row = |pixels: u32| (u64::from(pixels) * channels * u64::from(depth)).div_ceil(8) + 1;
    let length = if interlaced {
        [
            (0, 0, 8, 8),
            (4, 0, 8, 8),
            (0, 4, 4, 8),
            (2, 0, 4, 4),
            (0, 2, 2, 4),
            (1, 0, 2, 2),
            (0, 1, 1, 2),
        ]
        .map(|(left, top, across, down): (u32, u32, u32, u32)| {
            row((width - left).div_ceil(across)) * u64::from((height - top).div_ceil(down))
        })
        .iter()
        .sum()
    } else {
        row(width) * u64::from(height)
    };
    png_of(width, height, depth, colour, interlaced, &zeros(length))
}

fn png_of(width: u32, height: u32, depth: u8, colour: u8, interlaced: bool, pixels: &[u8]) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = width.to_be_bytes().to_vec();
    header.extend(height.to_be_bytes());
    header.extend([depth, colour, 0, 0, u8::from(interlaced)]);
    chunk(&mut file, b"IHDR", &header);
    if colour == 3 {
        chunk(&mut file, b"PLTE", &[7; 3]);
        chunk(&mut file, b"tRNS", &[128]);
    }
    chunk(&mut file, b"IDAT", pixels);
    chunk(&mut file, b"IEND", &[]);
    file
}

fn pngs(all: &mut Vec<Bomb>) {
    for (colour, depths) in [
        (0, &[1, 2, 4, 8, 16][..]),
        (2, &[8, 16]),
        (3, &[1, 2, 4, 8]),
        (4, &[8, 16]),
        (6, &[8, 16]),
    ] {
        for &depth in depths {
            for interlaced in [false, true] {
                let name = format!(
                    "png_type_{colour}_{depth}_bits{}",
                    if interlaced { "_interlaced" } else { "" }
                );
                all.push(bomb(name, "ok", move || {
                    png(SIDE, SIDE, depth, colour, interlaced)
                }));
            }
        }
    }
    all.push(bomb("png_of_empty_blocks", "CORRUPT_IMAGE", || {
        png_of(SIDE, SIDE, 8, 2, false, &empty_blocks(3_000_000))
    }));
    // A profile and a text that blow up, before the pixels.
    all.push(bomb("png_with_a_large_profile", "ok", || {
        let pixels = png(100, 100, 8, 2, false);
        let mut file = pixels[..33].to_vec();
        let mut profile = b"icc\0\0".to_vec();
        profile.extend(zeros(600_000_000));
        chunk(&mut file, b"iCCP", &profile);
        let mut text = b"a\0\0".to_vec();
        text.extend(zeros(600_000_000));
        chunk(&mut file, b"zTXt", &text);
        file.extend(&pixels[33..]);
        file
    }));
}

fn jpeg_of(
    width: u32,
    height: u32,
    colours: ColorType,
    settings: impl FnOnce(&mut Encoder<&mut Vec<u8>>),
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 50);
    settings(&mut encoder);
    let channels = match colours {
        ColorType::Luma => 1,
        ColorType::Rgb => 3,
        _ => 4,
    };
    let pixels = vec![90; width as usize * height as usize * channels];
    encoder
        .encode(&pixels, width as u16, height as u16, colours)
        .unwrap();
    bytes
}

/// A grey JPEG that lies on its side.
pub fn turned_jpeg(width: u32, height: u32, orientation: u16) -> Vec<u8> {
    let jpeg = jpeg_of(width, height, ColorType::Rgb, |encoder| {
        encoder.set_sampling_factor(SamplingFactor::F_2_2);
    });
    let mut file = jpeg[..2].to_vec();
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01".to_vec();
    exif.extend(orientation.to_be_bytes());
    exif.extend([0; 6]);
    file.extend([0xFF, 0xE1]);
    file.extend((exif.len() as u16 + 2).to_be_bytes());
    file.extend(exif);
    file.extend(&jpeg[2..]);
    file
}

/// A progressive JPEG at 4:4:4 whose first scan brings the DC of all components, and each further one a bit of half of the
/// AC of one component: nearly no bytes, and every block is gone over each time.
pub fn many_scans(width: u32, height: u32, scans: usize) -> Vec<u8> {
    let mut file = vec![0xFF, 0xD8];
    let mut segment = |marker: u8, payload: &[u8]| {
        file.extend([0xFF, marker]);
        file.extend((payload.len() as u16 + 2).to_be_bytes());
        file.extend(payload);
    };
    let mut table = vec![0];
    table.extend([1; 64]);
    segment(0xDB, &table);
    let mut frame = vec![8];
    frame.extend((height as u16).to_be_bytes());
    frame.extend((width as u16).to_be_bytes());
    frame.extend([3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0]);
    segment(0xC2, &frame);
    // One code of one bit each: a difference of zero; the end of a band of 2^14 blocks and more.
    let mut code = |class: u8, symbol: u8| {
        let mut table = vec![class, 1];
        table.extend([0; 15]);
        table.push(symbol);
        segment(0xC4, &table);
    };
    code(0x00, 0);
    code(0x10, 0xE0);
    let blocks = width.div_ceil(8) as usize * height.div_ceil(8) as usize;
    // DC of all: a bit a block and component, all zero.
    file.extend([0xFF, 0xDA, 0, 12, 3, 1, 0, 2, 0, 3, 0, 0, 0, 0]);
    file.resize(file.len() + (3 * blocks).div_ceil(8), 0);
    let bands = [(1, 31), (32, 63)];
    for scan in 0..scans.saturating_sub(1) {
        let (first, last) = bands[scan / 3 % 2];
        // The highest bit the first time, and the next lower one each time it comes again.
        let time = (scan / 6) as u8;
        let low = 13 - time;
        let high = if time == 0 { 0 } else { low + 1 };
        let component = (scan % 3 + 1) as u8;
        file.extend([0xFF, 0xDA, 0, 8, 1, component, 0, first, last, high << 4 | low]);
        // A zero for the code, then fourteen bits of length, all zero: 2^14 blocks.
        let runs = blocks.div_ceil(1 << 14);
        file.resize(file.len() + (15 * runs).div_ceil(8), 0);
    }
    file.extend([0xFF, 0xD9]);
    file
}

fn jpegs(all: &mut Vec<Bomb>) {
    for (name, colours, sampling) in [
        ("grey", ColorType::Luma, SamplingFactor::F_1_1),
        ("420", ColorType::Rgb, SamplingFactor::F_2_2),
        ("444", ColorType::Rgb, SamplingFactor::F_1_1),
        ("cmyk", ColorType::Cmyk, SamplingFactor::F_1_1),
    ] {
        all.push(bomb(format!("jpeg_baseline_{name}"), "ok", move || {
            jpeg_of(SIDE, SIDE, colours, |encoder| {
                encoder.set_sampling_factor(sampling);
            })
        }));
        all.push(bomb(
            format!("jpeg_progressive_{name}"),
            "IMAGE_TOO_LARGE",
            move || {
                jpeg_of(SIDE, SIDE, colours, |encoder| {
                    encoder.set_sampling_factor(sampling);
                    encoder.set_progressive(true);
                })
            },
        ));
    }
    all.push(bomb("jpeg_progressive_420_of_24_megapixels", "ok", || {
        jpeg_of(6000, 4000, ColorType::Rgb, |encoder| {
            encoder.set_sampling_factor(SamplingFactor::F_2_2);
            encoder.set_progressive(true);
        })
    }));
    all.push(bomb(
        "jpeg_of_64_scans_of_64_megapixels",
        "IMAGE_TOO_LARGE",
        || many_scans(SIDE, SIDE, 64),
    ));
    all.push(bomb("jpeg_of_64_scans_of_16_megapixels", "ok", || {
        many_scans(4000, 4000, 64)
    }));
    all.push(bomb("jpeg_of_65_scans", "CORRUPT_IMAGE", || {
        many_scans(64, 64, 65)
    }));
}

/// Compressions by the values of the tag.
const NONE: u32 = 1;
const LZW: u32 = 5;
const DEFLATE: u32 = 8;
const PACK_BITS: u32 = 32_773;

/// How a TIFF is laid out.
#[derive(Clone, Copy)]
struct Layout {
    bits: u32,
    samples: u32,
    photometric: u32,
    format: u32,
    compression: u32,
    planar: bool,
    /// Rows of a strip, or sides of a tile.
    rows: u32,
    tile: Option<(u32, u32)>,
}

const RGB: Layout = Layout {
    bits: 8,
    samples: 3,
    photometric: 2,
    format: 1,
    compression: DEFLATE,
    planar: false,
    rows: 100,
    tile: None,
};

impl Layout {
    /// Bytes of a strip or tile of a plane, unpacked.
    fn chunk_bytes(&self, width: u32) -> u64 {
        let (width, rows) = self.tile.unwrap_or((width, self.rows));
        let samples = if self.planar { 1 } else { self.samples };
        (u64::from(width) * u64::from(samples) * u64::from(self.bits)).div_ceil(8) * u64::from(rows)
    }

    fn chunk_count(&self, width: u32, height: u32) -> usize {
        let (across, down) = self.tile.unwrap_or((width, self.rows));
        let planes = if self.planar { self.samples } else { 1 };
        (width.div_ceil(across) * height.div_ceil(down) * planes) as usize
    }

    /// A file whose strips or tiles are these bytes at these positions behind the first; the bytes come last.
    fn file(&self, width: u32, height: u32, chunks: &[(u32, u32)], data: &[u8]) -> Vec<u8> {
        let mut tags: Vec<(u16, Vec<u32>)> = vec![
            (256, vec![width]),
            (257, vec![height]),
            (258, vec![self.bits; self.samples as usize]),
            (259, vec![self.compression]),
            (262, vec![self.photometric]),
            (277, vec![self.samples]),
            (284, vec![if self.planar { 2 } else { 1 }]),
        ];
        let (offsets, lengths) = if let Some((across, down)) = self.tile {
            tags.extend([(322, vec![across]), (323, vec![down])]);
            (324, 325)
        } else {
            tags.push((278, vec![self.rows]));
            (273, 279)
        };
        tags.push((offsets, chunks.iter().map(|chunk| chunk.0).collect()));
        tags.push((lengths, chunks.iter().map(|chunk| chunk.1).collect()));
        tags.push((339, vec![self.format; self.samples as usize]));
        if self.samples == 4 && self.photometric == 2 {
            tags.push((338, vec![2]));
        }
        tags.sort_unstable_by_key(|tag| tag.0);
        let arrays: usize = tags
            .iter()
            .map(|(_, values)| if values.len() > 1 { 4 * values.len() } else { 0 })
            .sum();
        let directory = 8 + 2 + 12 * tags.len() + 4;
        let start = (directory + arrays) as u32;
        for (tag, values) in &mut tags {
            if *tag == offsets {
                values.iter_mut().for_each(|value| *value += start);
            }
        }
        let mut file = b"II*\0\x08\0\0\0".to_vec();
        file.extend((tags.len() as u16).to_le_bytes());
        let mut array = Vec::new();
        for (tag, values) in &tags {
            file.extend(tag.to_le_bytes());
            file.extend(4_u16.to_le_bytes());
            file.extend((values.len() as u32).to_le_bytes());
            if let [value] = values[..] {
                file.extend(value.to_le_bytes());
            } else {
                file.extend((directory as u32 + array.len() as u32).to_le_bytes());
                array.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            }
        }
        file.extend([0; 4]);
        file.extend(array);
        file.extend(data);
        file
    }

    /// A black image with strips or tiles of their own.
    fn black(&self, width: u32, height: u32) -> Vec<u8> {
        let chunk = match self.compression {
            DEFLATE => zeros(self.chunk_bytes(width)),
            LZW => weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
                .encode(&vec![0; self.chunk_bytes(width) as usize])
                .unwrap(),
            PACK_BITS => [0x81, 0].repeat(self.chunk_bytes(width).div_ceil(128) as usize),
            _ => vec![0; self.chunk_bytes(width) as usize],
        };
        let count = self.chunk_count(width, height);
        let chunks: Vec<(u32, u32)> = (0..count)
            .map(|number| ((number * chunk.len()) as u32, chunk.len() as u32))
            .collect();
        self.file(width, height, &chunks, &chunk.repeat(count))
    }
}

fn tiffs(all: &mut Vec<Bomb>) {
    for (colours, samples, photometric) in [
        ("grey", 1, 1),
        ("white_is_zero", 1, 0),
        ("rgb", 3, 2),
        ("rgba", 4, 2),
        ("cmyk", 4, 5),
    ] {
        for bits in [8, 16] {
            for planar in [false, true] {
                let layout = Layout {
                    bits,
                    samples,
                    photometric,
                    planar,
                    ..RGB
                };
                let name = format!(
                    "tiff_{colours}_{bits}_bits{}",
                    if planar { "_planar" } else { "" }
                );
                all.push(bomb(name, "ok", move || layout.black(SIDE, SIDE)));
            }
        }
    }
    for (name, layout) in [
        (
            "one_strip_of_16_bits",
            Layout {
                bits: 16,
                rows: SIDE,
                ..RGB
            },
        ),
        ("strips_of_a_row", Layout { rows: 1, ..RGB }),
        (
            "tiles_of_16_pixels",
            Layout {
                tile: Some((16, 16)),
                bits: 16,
                ..RGB
            },
        ),
        (
            "one_tile",
            Layout {
                tile: Some((8000, 8000)),
                bits: 16,
                ..RGB
            },
        ),
        (
            "grey_of_1_bit",
            Layout {
                bits: 1,
                samples: 1,
                photometric: 1,
                ..RGB
            },
        ),
        (
            "grey_of_4_bits_in_lzw",
            Layout {
                bits: 4,
                samples: 1,
                photometric: 1,
                compression: LZW,
                ..RGB
            },
        ),
        (
            "lzw",
            Layout {
                compression: LZW,
                bits: 16,
                ..RGB
            },
        ),
        (
            "pack_bits",
            Layout {
                compression: PACK_BITS,
                ..RGB
            },
        ),
    ] {
        all.push(bomb(format!("tiff_{name}"), "ok", move || {
            layout.black(SIDE, SIDE)
        }));
    }
    for (name, layout) in [
        (
            "floats",
            Layout {
                bits: 32,
                format: 3,
                ..RGB
            },
        ),
        (
            "floats_with_alpha",
            Layout {
                bits: 32,
                format: 3,
                samples: 4,
                ..RGB
            },
        ),
        (
            "half_floats",
            Layout {
                bits: 16,
                format: 3,
                ..RGB
            },
        ),
        (
            "doubles",
            Layout {
                bits: 64,
                format: 3,
                ..RGB
            },
        ),
        ("32_bits", Layout { bits: 32, ..RGB }),
        ("64_bits", Layout { bits: 64, ..RGB }),
        ("signed", Layout { format: 2, ..RGB }),
        (
            "jpeg_inside",
            Layout {
                compression: 7,
                ..RGB
            },
        ),
        (
            "fax",
            Layout {
                compression: 4,
                samples: 1,
                bits: 1,
                photometric: 0,
                ..RGB
            },
        ),
        ("a_hundred_samples", Layout { samples: 100, ..RGB }),
    ] {
        all.push(bomb(
            format!("tiff_{name}"),
            "UNSUPPORTED_IMAGE_FORMAT",
            move || layout.file(SIDE, SIDE, &vec![(0, 1); layout.chunk_count(SIDE, SIDE)], &[0; 8]),
        ));
    }
    // Strips and tiles that share their bytes, wholly or by one, or lie outside.
    let stream = || empty_blocks(50_000);
    for (name, layout) in [
        ("strips", Layout { rows: 1, ..RGB }),
        (
            "tiles",
            Layout {
                tile: Some((64, 64)),
                ..RGB
            },
        ),
        ("planes", Layout { planar: true, ..RGB }),
    ] {
        all.push(bomb(
            format!("tiff_{name}_of_the_same_bytes"),
            "CORRUPT_IMAGE",
            move || {
                let data = stream();
                let chunks = vec![(0, data.len() as u32); layout.chunk_count(1500, 1500)];
                layout.file(1500, 1500, &chunks, &data)
            },
        ));
        all.push(bomb(
            format!("tiff_{name}_that_overlap_by_a_byte"),
            "CORRUPT_IMAGE",
            move || {
                let data = stream();
                let chunks: Vec<_> = (0..layout.chunk_count(1500, 1500) as u32)
                    .map(|n| (10 * n, 11))
                    .collect();
                layout.file(1500, 1500, &chunks, &data)
            },
        ));
        all.push(bomb(
            format!("tiff_{name}_outside_of_the_file"),
            "CORRUPT_IMAGE",
            move || {
                let data = stream();
                let chunks: Vec<_> = (0..layout.chunk_count(1500, 1500) as u32)
                    .map(|n| (if n == 0 { data.len() as u32 } else { 10 * n }, 10))
                    .collect();
                layout.file(1500, 1500, &chunks, &data)
            },
        ));
    }
    // Each strip has bytes of its own, and a stream that goes on over those of all that follow.
    for (name, compression, no_op) in [
        ("deflate", DEFLATE, empty_blocks(600_000)),
        // Codes that clear the table, nine bits each.
        (
            "lzw",
            LZW,
            [0x80, 0x40, 0x20, 0x10, 0x08, 0x04, 0x02, 0x01, 0x00].repeat(300_000),
        ),
        ("pack_bits", PACK_BITS, vec![0x80; 3_000_000]),
    ] {
        let layout = Layout {
            rows: 1,
            compression,
            ..RGB
        };
        let data = no_op.clone();
        all.push(bomb(
            format!("tiff_no_ops_of_{name}_over_all_strips"),
            "CORRUPT_IMAGE",
            move || {
                let chunks: Vec<_> = (0..3000).map(|n| (1000 * n, 1000)).collect();
                layout.file(300, 3000, &chunks, &data)
            },
        ));
        all.push(bomb(
            format!("tiff_no_ops_of_{name}_in_one_strip"),
            "CORRUPT_IMAGE",
            move || {
                let layout = Layout { rows: 3000, ..layout };
                layout.file(300, 3000, &[(0, no_op.len() as u32)], &no_op)
            },
        ));
    }
    all.push(bomb(
        "tiff_of_tiles_far_larger_than_itself",
        "CORRUPT_IMAGE",
        || {
            let layout = Layout {
                tile: Some((1 << 20, 1 << 20)),
                ..RGB
            };
            layout.file(100, 100, &[(0, 8)], &[0; 8])
        },
    ));
    all.push(bomb(
        "tiff_of_more_strips_than_its_size_asks_for",
        "CORRUPT_IMAGE",
        || {
            let layout = Layout { rows: 100, ..RGB };
            layout.file(100, 100, &vec![(0, 0); 1_000_000], &[0; 8])
        },
    ));
    all.push(bomb("tiff_of_tiles_of_a_pixel", "CORRUPT_IMAGE", || {
        let layout = Layout {
            tile: Some((1, 1)),
            ..RGB
        };
        layout.file(1000, 1000, &vec![(0, 0); 1_000_000], &[0; 8])
    }));
    all.push(bomb("tiff_uncompressed_and_cut_short", "CORRUPT_IMAGE", || {
        Layout {
            compression: NONE,
            rows: SIDE,
            ..RGB
        }
        .file(SIDE, SIDE, &[(0, 1000)], &[0; 1000])
    }));
}

/// A WebP with these chunks.
fn webp(chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut file = b"RIFF\0\0\0\0WEBP".to_vec();
    for (kind, data) in chunks {
        file.extend(*kind);
        file.extend((data.len() as u32).to_le_bytes());
        file.extend(data);
        file.resize(file.len().next_multiple_of(2), 0);
    }
    let length = (file.len() as u32 - 8).to_le_bytes();
    file[4..8].copy_from_slice(&length);
    file
}

fn three_bytes(number: u32) -> [u8; 3] {
    let [a, b, c, _] = number.to_le_bytes();
    [a, b, c]
}

/// A lossless image of one colour: five codes of one symbol each, and no bit a pixel.
fn vp8l(width: u32, height: u32, alpha: bool) -> Vec<u8> {
    let mut data = vec![0x2F];
    data.extend(((width - 1) | (height - 1) << 14 | u32::from(alpha) << 28).to_le_bytes());
    // No transform, no cache, no groups; each code is simple (1), of one symbol (0), in one bit (0), which is 0.
    data.extend([0b1000_1000, 0b1000_1000, 0b0000_1000, 0, 0, 0, 0, 0]);
    data
}

/// An animation of one frame.
fn animation(width: u32, height: u32, frame: (u32, u32), chunk: &[u8; 4], image: &[u8]) -> Vec<u8> {
    let mut header = vec![0x12, 0, 0, 0];
    header.extend(three_bytes(width - 1));
    header.extend(three_bytes(height - 1));
    let mut data = vec![0; 6];
    data.extend(three_bytes(frame.0 - 1));
    data.extend(three_bytes(frame.1 - 1));
    data.extend([0; 4]);
    data.extend(*chunk);
    data.extend((image.len() as u32).to_le_bytes());
    data.extend(image);
    data.resize(data.len().next_multiple_of(2), 0);
    webp(&[(b"VP8X", header), (b"ANIM", vec![0; 6]), (b"ANMF", data)])
}

fn webps(all: &mut Vec<Bomb>) {
    for alpha in [false, true] {
        let name = if alpha { "_with_alpha" } else { "" };
        all.push(bomb(
            format!("webp_lossless_of_64_megapixels{name}"),
            "IMAGE_TOO_LARGE",
            move || webp(&[(b"VP8L", vp8l(SIDE, SIDE, alpha))]),
        ));
        all.push(bomb(
            format!("webp_lossless_of_24_megapixels{name}"),
            "ok",
            move || webp(&[(b"VP8L", vp8l(6000, 4000, alpha))]),
        ));
        all.push(bomb(
            format!("webp_animation_of_24_megapixels{name}"),
            "ok",
            move || animation(6000, 4000, (6000, 4000), b"VP8L", &vp8l(6000, 4000, alpha)),
        ));
    }
    all.push(bomb("webp_animation_of_a_small_frame", "ok", || {
        animation(SIDE, 7000, (16, 16), b"VP8L", &vp8l(16, 16, true))
    }));
    all.push(bomb("webp_lossy_of_64_megapixels", "IMAGE_TOO_LARGE", || {
        webp(&[(
            b"VP8 ",
            vec![0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x40, 0x1F, 0x40, 0x1F, 0, 0, 0, 0],
        )])
    }));
    all.push(bomb(
        "webp_of_a_frame_that_is_larger_than_its_animation",
        "CORRUPT_IMAGE",
        || animation(100, 100, (200, 200), b"VP8L", &vp8l(200, 200, true)),
    ));
}

/// A BMP with its information header and a grey palette.
fn bmp(width: u32, height: u32, bits: u16, compression: u32, pixels: &[u8]) -> Vec<u8> {
    let mut file = b"BM".to_vec();
    let palette = if bits <= 8 { 4 << bits } else { 0 };
    file.extend((54 + palette + pixels.len() as u32).to_le_bytes());
    file.extend([0; 4]);
    file.extend((54 + palette).to_le_bytes());
    file.extend(40_u32.to_le_bytes());
    file.extend(width.to_le_bytes());
    file.extend(height.to_le_bytes());
    file.extend(1_u16.to_le_bytes());
    file.extend(bits.to_le_bytes());
    file.extend(compression.to_le_bytes());
    file.extend([0; 20]);
    file.resize(file.len() + palette as usize, 7);
    file.extend(pixels);
    file
}

fn bmps(all: &mut Vec<Bomb>) {
    all.push(bomb("bmp_of_1_bit", "ok", || {
        bmp(SIDE, SIDE, 1, 0, &vec![0; 1000 * SIDE as usize])
    }));
    for (name, bits, compression) in [("8", 8, 1), ("4", 4, 2)] {
        all.push(bomb(format!("bmp_of_{name}_bits_in_runs"), "ok", move || {
            // The end of the image at once: all of it is black.
            bmp(SIDE, SIDE, bits, compression, &[0, 1])
        }));
        all.push(bomb(
            format!("bmp_of_{name}_bits_of_no_ops"),
            "CORRUPT_IMAGE",
            move || {
                // Moves by nothing.
                bmp(SIDE, SIDE, bits, compression, &[0, 2, 0, 0].repeat(3_000_000))
            },
        ));
    }
    for bits in [16, 24, 32] {
        let expected = if bits == 24 {
            "CORRUPT_IMAGE"
        } else {
            "IMAGE_TOO_LARGE"
        };
        all.push(bomb(
            format!("bmp_of_{bits}_bits_cut_short"),
            expected,
            move || bmp(SIDE, SIDE, bits, 0, &[0; 1000]),
        ));
    }
}

/// A GIF of one frame, of black pixels unless `data` is something else.
fn gif(width: u16, height: u16, interlaced: bool, data: Option<Vec<u8>>) -> Vec<u8> {
    let mut file = b"GIF89a".to_vec();
    file.extend(width.to_le_bytes());
    file.extend(height.to_le_bytes());
    file.extend([0x80, 0, 0, 0, 0, 0, 255, 255, 255]);
    file.push(0x2C);
    file.extend([0; 4]);
    file.extend(width.to_le_bytes());
    file.extend(height.to_le_bytes());
    file.extend([if interlaced { 0x40 } else { 0 }, 2]);
    let data = data.unwrap_or_else(|| {
        weezl::encode::Encoder::new(weezl::BitOrder::Lsb, 2)
            .encode(&vec![0; usize::from(width) * usize::from(height)])
            .unwrap()
    });
    for block in data.chunks(255) {
        file.push(block.len() as u8);
        file.extend(block);
    }
    file.extend([0, 0x3B]);
    file
}

fn gifs(all: &mut Vec<Bomb>) {
    for interlaced in [false, true] {
        let name = if interlaced { "gif_interlaced" } else { "gif" };
        all.push(bomb(name, "ok", move || {
            gif(SIDE as u16, SIDE as u16, interlaced, None)
        }));
    }
    all.push(bomb("gif_of_no_ops", "CORRUPT_IMAGE", || {
        // Codes of three bits that clear the table.
        gif(
            SIDE as u16,
            SIDE as u16,
            false,
            Some([0b0010_0100, 0b1001_0010, 0b0100_1001].repeat(4_000_000)),
        )
    }));
    all.push(bomb(
        "gif_with_a_frame_larger_than_itself",
        "CORRUPT_IMAGE",
        || {
            let mut file = gif(100, 100, false, None);
            file[6..10].copy_from_slice(&[50, 0, 50, 0]);
            file
        },
    ));
}
