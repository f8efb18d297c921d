//! Small files of every format, made afresh so that a test can say what is in them.

// Each test binary uses some of them, and none is seen outside of it.
#![allow(dead_code, unreachable_pub)]
// A sample that cannot be made fails the test that asked for it.
#![allow(clippy::unwrap_used)]

use std::io::Cursor;

use image::codecs::bmp::BmpEncoder;
use image::codecs::gif::GifEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::tiff::TiffEncoder;
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use likeness_imaging::Image;

/// An image that no turn and no exchange of colours leaves as it is: red grows to the right, green downwards, and
/// blue stays.
pub fn slope(width: u32, height: u32) -> Image {
    let mut pixels = Vec::new();
    for y in 0..height {
        for x in 0..width {
            pixels.extend([(x * 255 / width) as u8, (y * 255 / height) as u8, 40]);
        }
    }
    Image::from_rgb8(width, height, pixels).unwrap()
}

/// A JPEG that differs from its image by a level or two.
pub fn jpeg(image: &Image) -> Vec<u8> {
    jpeg_with(image, |_| {})
}

/// The same with other settings of the encoder.
pub fn jpeg_with(image: &Image, settings: impl FnOnce(&mut Encoder<&mut Vec<u8>>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 98);
    encoder.set_sampling_factor(SamplingFactor::F_1_1);
    settings(&mut encoder);
    encoder
        .encode(
            image.as_rgb8(),
            image.width() as u16,
            image.height() as u16,
            ColorType::Rgb,
        )
        .unwrap();
    bytes
}

/// The ways in which a JPEG may be written, each with its name.
pub fn jpeg_kinds(image: &Image) -> [(&'static str, Vec<u8>); 6] {
    [
        (
            "4:2:0",
            jpeg_with(image, |encoder| {
                encoder.set_sampling_factor(SamplingFactor::F_2_2);
            }),
        ),
        (
            "4:2:2",
            jpeg_with(image, |encoder| {
                encoder.set_sampling_factor(SamplingFactor::F_2_1);
            }),
        ),
        (
            "4:1:1",
            jpeg_with(image, |encoder| {
                encoder.set_sampling_factor(SamplingFactor::F_4_1);
            }),
        ),
        (
            "progressive",
            jpeg_with(image, |encoder| encoder.set_progressive(true)),
        ),
        (
            "restarts",
            jpeg_with(image, |encoder| encoder.set_restart_interval(2)),
        ),
        (
            "own tables",
            jpeg_with(image, |encoder| encoder.set_optimized_huffman_tables(true)),
        ),
    ]
}

/// Other samples than RGB as a JPEG.
pub fn jpeg_of(samples: &[u8], width: u32, height: u32, layout: ColorType) -> Vec<u8> {
    let mut bytes = Vec::new();
    Encoder::new(&mut bytes, 98)
        .encode(samples, width as u16, height as u16, layout)
        .unwrap();
    bytes
}

pub fn png(image: &Image) -> Vec<u8> {
    png_of(
        image.as_rgb8(),
        image.width(),
        image.height(),
        ExtendedColorType::Rgb8,
    )
}

pub fn png_of(samples: &[u8], width: u32, height: u32, layout: ExtendedColorType) -> Vec<u8> {
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(samples, width, height, layout)
        .unwrap();
    bytes
}

pub fn png_with_exif(image: &Image, exif: Vec<u8>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = PngEncoder::new(&mut bytes);
    encoder.set_exif_metadata(exif).unwrap();
    encoder
        .write_image(
            image.as_rgb8(),
            image.width(),
            image.height(),
            ExtendedColorType::Rgb8,
        )
        .unwrap();
    bytes
}

pub fn webp(image: &Image) -> Vec<u8> {
    webp_of(
        image.as_rgb8(),
        image.width(),
        image.height(),
        ExtendedColorType::Rgb8,
    )
}

pub fn webp_of(samples: &[u8], width: u32, height: u32, layout: ExtendedColorType) -> Vec<u8> {
    let mut bytes = Vec::new();
    WebPEncoder::new_lossless(&mut bytes)
        .write_image(samples, width, height, layout)
        .unwrap();
    bytes
}

pub fn webp_with_exif(image: &Image, exif: Vec<u8>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = WebPEncoder::new_lossless(&mut bytes);
    encoder.set_exif_metadata(exif).unwrap();
    encoder
        .write_image(
            image.as_rgb8(),
            image.width(),
            image.height(),
            ExtendedColorType::Rgb8,
        )
        .unwrap();
    bytes
}

pub fn bmp(image: &Image) -> Vec<u8> {
    let mut bytes = Vec::new();
    BmpEncoder::new(&mut bytes)
        .write_image(
            image.as_rgb8(),
            image.width(),
            image.height(),
            ExtendedColorType::Rgb8,
        )
        .unwrap();
    bytes
}

pub fn tiff(image: &Image) -> Vec<u8> {
    tiff_of(
        image.as_rgb8(),
        image.width(),
        image.height(),
        ExtendedColorType::Rgb8,
    )
}

pub fn tiff_of(samples: &[u8], width: u32, height: u32, layout: ExtendedColorType) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    TiffEncoder::new(&mut bytes)
        .write_image(samples, width, height, layout)
        .unwrap();
    bytes.into_inner()
}

/// A TIFF written by hand, for the tags that the encoder does not write: one strip of RGB.
pub fn tiff_with_orientation(image: &Image, orientation: u16) -> Vec<u8> {
    let (width, height) = (image.width(), image.height());
    let entries: [(u16, u16, u32, u32); 10] = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        // Three numbers do not fit and stand behind the directory.
        (258, 3, 3, 8 + 2 + 10 * 12 + 4),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, 8 + 2 + 10 * 12 + 4 + 6),
        (274, 3, 1, orientation.into()),
        (277, 3, 1, 3),
        (278, 4, 1, height),
        (279, 4, 1, image.as_rgb8().len() as u32),
    ];
    let mut bytes = b"II*\0\x08\0\0\0\x0a\0".to_vec();
    for (tag, kind, count, value) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([0; 4]);
    bytes.extend([8, 0, 8, 0, 8, 0]);
    bytes.extend(image.as_rgb8());
    bytes
}

/// A GIF; its palette holds every colour as long as there are no more than 256.
pub fn gif(image: &Image) -> Vec<u8> {
    let mut bytes = Vec::new();
    GifEncoder::new(&mut bytes)
        .encode(
            image.as_rgb8(),
            image.width(),
            image.height(),
            ExtendedColorType::Rgb8,
        )
        .unwrap();
    bytes
}

/// An EXIF block that says nothing but the orientation.
pub fn exif(orientation: u16) -> Vec<u8> {
    let mut block = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01".to_vec();
    block.extend(orientation.to_be_bytes());
    block.extend([0; 6]);
    block
}

/// The JPEG with another segment directly behind its first marker.
pub fn with_segment(jpeg: &[u8], marker: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = jpeg[..2].to_vec();
    bytes.extend([0xFF, marker]);
    bytes.extend((payload.len() as u16 + 2).to_be_bytes());
    bytes.extend(payload);
    bytes.extend(&jpeg[2..]);
    bytes
}

/// The JPEG without the segment that the encoder writes first.
pub fn without_jfif(jpeg: &[u8]) -> Vec<u8> {
    assert_eq!(jpeg[2..4], [0xFF, 0xE0]);
    let length = usize::from(u16::from_be_bytes([jpeg[4], jpeg[5]]));
    [&jpeg[..2], &jpeg[4 + length..]].concat()
}

/// The JPEG with that EXIF block.
pub fn with_exif(jpeg: &[u8], block: &[u8]) -> Vec<u8> {
    with_segment(jpeg, 0xE1, &[b"Exif\0\0", block].concat())
}

/// The largest difference between two images of the same size.
pub fn largest_difference(left: &Image, right: &Image) -> u8 {
    assert_eq!((left.width(), left.height()), (right.width(), right.height()));
    left.as_rgb8()
        .iter()
        .zip(right.as_rgb8())
        .map(|(left, right)| left.abs_diff(*right))
        .max()
        .unwrap()
}

/// A file of each format, with its name.
pub fn one_of_each(image: &Image) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("JPEG", jpeg(image)),
        ("PNG", png(image)),
        ("WebP", webp(image)),
        ("BMP", bmp(image)),
        ("TIFF", tiff(image)),
        ("GIF", gif(image)),
    ]
}
