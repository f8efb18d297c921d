//! Each format as an encoder writes it: colours, depths, transparency, orientation.

// What cannot be made or read fails the test that asked for it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod samples;

use image::ExtendedColorType;
use jpeg_encoder::ColorType;
use likeness_imaging::{Format, Image, ImagingError, Limits, Orientation, decode, probe};
use samples::*;

fn decoded(bytes: &[u8]) -> Image {
    decode(bytes, &Limits::default()).unwrap()
}

fn wide(samples: &[u16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_ne_bytes()).collect()
}

#[test]
fn every_format_gives_back_its_image() {
    let image = slope(15, 11);
    for (name, bytes) in one_of_each(&image) {
        let found = decoded(&bytes);
        let tolerance = if name == "JPEG" { 6 } else { 0 };
        assert!(largest_difference(&found, &image) <= tolerance, "{name}");
        let header = probe(&bytes, &Limits::default()).unwrap();
        assert_eq!(
            (
                header.format.to_string().as_str(),
                header.width,
                header.height,
                header.orientation
            ),
            (name, 15, 11, Orientation::Upright)
        );
    }
}

#[test]
fn the_name_of_a_file_does_not_matter_and_what_follows_it_neither() {
    let image = slope(15, 11);
    for (name, mut bytes) in one_of_each(&image) {
        bytes.extend_from_slice(b"\r\n--boundary--\r\n");
        assert!(largest_difference(&decoded(&bytes), &image) <= 6, "{name}");
    }
}

#[test]
fn jpeg_of_every_kind() {
    let image = slope(37, 21);
    for (name, bytes) in jpeg_kinds(&image) {
        let difference = largest_difference(&decoded(&bytes), &image);
        // A step of red is 7 levels, and half or a quarter of the columns keep their own colour.
        let tolerance = match name {
            "4:2:0" | "4:2:2" => 16,
            "4:1:1" => 32,
            _ => 6,
        };
        assert!(difference <= tolerance, "{name}: {difference}");
    }
}

/// Written by Pillow 13.0 (libjpeg-turbo 3.2), which also decoded them to what is expected here: 19x13 pixels each, so
/// that neither side ends with a block, and the FNV-1a checksum of all their bytes in RGB.
#[test]
fn jpeg_pixels_are_those_of_pillow_and_opencv() {
    let checksum = |bytes: &[u8]| {
        bytes.iter().fold(0xCBF2_9CE4_8422_2325_u64, |sum, &byte| {
            (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        })
    };
    for (name, bytes, start, end, sum) in [
        (
            "baseline, 4:2:0",
            include_bytes!("samples/baseline-420.jpg").as_slice(),
            [0, 3, 11, 9, 15, 29, 14, 7, 38],
            [233, 249, 88, 243, 251, 70, 246, 251, 70],
            0xA72B_8A70_110F_C655,
        ),
        (
            "progressive, 4:2:2",
            include_bytes!("samples/progressive-422.jpg"),
            [4, 0, 7, 22, 8, 33, 26, 0, 48],
            [227, 254, 79, 238, 255, 47, 242, 255, 31],
            0x5942_3571_44FA_D116,
        ),
        (
            "CMYK",
            include_bytes!("samples/cmyk.jpg"),
            [0, 0, 2, 13, 0, 9, 26, 0, 24],
            [16, 18, 6, 0, 0, 0, 254, 255, 42],
            0xC04E_AF26_7DF8_F527,
        ),
    ] {
        let image = decoded(bytes);
        assert_eq!((image.width(), image.height()), (19, 13), "{name}");
        let pixels = image.as_rgb8();
        assert_eq!(pixels[..9], start, "{name}");
        assert_eq!(pixels[pixels.len() - 9..], end, "{name}");
        assert_eq!(checksum(pixels), sum, "{name}");
    }
}

#[test]
fn grey_jpeg_is_grey() {
    let ramp: Vec<u8> = (0..16 * 16).map(|index| index as u8).collect();
    let image = decoded(&jpeg_of(&ramp, 16, 16, ColorType::Luma));
    for (pixel, value) in image.as_rgb8().chunks_exact(3).zip(ramp) {
        assert!(
            pixel
                .iter()
                .all(|&channel| channel == pixel[0] && channel.abs_diff(value) <= 4)
        );
    }
}

#[test]
fn cmyk_and_ycck_are_converted() {
    // Orange: no cyan, half magenta, all yellow, a fifth black: (1 - ink) * (1 - black).
    let ink: Vec<u8> = [0, 128, 255, 51].repeat(64);
    for layout in [ColorType::Cmyk, ColorType::CmykAsYcck] {
        let image = decoded(&jpeg_of(&ink, 8, 8, layout));
        for (found, expected) in image.as_rgb8().iter().zip([204, 102, 0].repeat(64)) {
            assert!(found.abs_diff(expected) <= 3, "{found} for {expected}");
        }
    }
}

#[test]
fn rgb_jpeg_by_adobes_tag_is_not_taken_for_ycbcr() {
    // Three equal components are grey in RGB and would be far from it in YCbCr.
    let ramp: Vec<u8> = (0..64).map(|index| index * 4).collect();
    let rgb: Vec<u8> = ramp.iter().flat_map(|&value| [value, value, value]).collect();
    let as_ycbcr = jpeg_of(&rgb, 8, 8, ColorType::Ycbcr);
    let tag = b"Adobe\0\x64\0\0\0\0\0";
    let tagged = with_segment(&without_jfif(&as_ycbcr), 0xEE, tag);
    for (pixel, value) in decoded(&tagged).as_rgb8().chunks_exact(3).zip(ramp) {
        assert!(
            pixel.iter().all(|channel| channel.abs_diff(value) <= 4),
            "{pixel:?} for {value}"
        );
    }
    // JFIF knows no RGB: where both speak, libjpeg, and so every browser, believes JFIF.
    let both = with_segment(&as_ycbcr, 0xEE, tag);
    assert_eq!(decoded(&both), decoded(&as_ycbcr));
}

#[test]
fn adobes_transform_that_does_not_exist_means_ycbcr() {
    let image = slope(16, 16);
    let whole = jpeg(&image);
    for bytes in [&whole, &without_jfif(&whole)] {
        let odd = with_segment(bytes, 0xEE, b"Adobe\0\x64\0\0\0\0\x07");
        assert!(largest_difference(&decoded(&odd), &image) <= 6);
    }
}

#[test]
fn bytes_between_the_segments_of_a_jpeg_are_passed_over() {
    let image = slope(16, 16);
    let whole = jpeg(&image);
    let mut odd = whole[..2].to_vec();
    odd.extend([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xFF, 0xFF]);
    odd.extend(&whole[2..]);
    // What is no marker at all is not even a JPEG by its first three bytes, so the odd ones come behind a comment.
    let odd = with_segment(&odd, 0xFE, b"comment");
    assert_eq!(decoded(&odd), decoded(&whole));
    // Behind the last block of the only scan.
    let end = whole.len() - 2;
    let odd = [&whole[..end], &[0, 1, 2, 0xFF, 0, 3], &whole[end..]].concat();
    assert_eq!(decoded(&odd), decoded(&whole));
}

#[test]
fn versions_and_parameters_that_do_not_matter_are_passed_over() {
    let whole = jpeg(&slope(16, 16));
    let changed = |marker: u8, at: usize, value: u8| {
        let mut bytes = whole.clone();
        let start = bytes
            .windows(2)
            .position(|window| window == [0xFF, marker])
            .unwrap();
        bytes[start + at] = value;
        bytes
    };
    for (name, bytes) in [
        ("JFIF 9", changed(0xE0, 9, 9)),
        (
            "an end of the spectrum, in a sequential scan",
            changed(0xDA, 12, 0),
        ),
    ] {
        assert_ne!(bytes, whole, "{name}");
        assert_eq!(decoded(&bytes), decoded(&whole), "{name}");
    }
}

#[test]
fn kinds_of_jpeg_that_are_not_decoded_are_named() {
    let image = slope(8, 8);
    let with_frame = |at: usize, value: u8| {
        let mut bytes = jpeg(&image);
        let frame = bytes
            .windows(2)
            .position(|window| window == [0xFF, 0xC0])
            .unwrap();
        bytes[frame + at] = value;
        bytes
    };
    for (bytes, part) in [
        (with_frame(1, 0xC9), "arithmetic"),
        (with_frame(1, 0xC3), "lossless"),
        (with_frame(1, 0xC5), "hierarchical"),
        (with_frame(4, 12), "12 bits"),
        (with_frame(9, 2), "2 colour components"),
        // Luma sampled 3:1 beside chroma sampled 2:1.
        (
            {
                let mut bytes = with_frame(11, 0x31);
                let frame = bytes
                    .windows(2)
                    .position(|window| window == [0xFF, 0xC0])
                    .unwrap();
                bytes[frame + 14] = 0x21;
                bytes
            },
            "fractional",
        ),
    ] {
        match decode(&bytes, &Limits::default()) {
            Err(ImagingError::Unsupported {
                format: "JPEG",
                reason,
            }) => assert!(reason.contains(part), "{reason}"),
            other => panic!("{part}: {other:?}"),
        }
    }
}

#[test]
fn png_of_every_depth() {
    let opaque = [10, 20, 30, 40, 50, 60];
    let wide_opaque: Vec<u16> = opaque.iter().map(|&value| u16::from(value) * 257).collect();
    for (samples, width, layout, expected) in [
        (vec![7, 9], 2, ExtendedColorType::L8, vec![7, 7, 7, 9, 9, 9]),
        (
            vec![7, 255, 0, 51],
            2,
            ExtendedColorType::La8,
            vec![7, 7, 7, 204, 204, 204],
        ),
        (opaque.to_vec(), 2, ExtendedColorType::Rgb8, opaque.to_vec()),
        (
            vec![10, 20, 30, 255, 0, 100, 200, 51, 1, 2, 3, 0],
            3,
            ExtendedColorType::Rgba8,
            vec![10, 20, 30, 204, 224, 244, 255, 255, 255],
        ),
        (
            wide(&[7 * 257, 9 * 257]),
            2,
            ExtendedColorType::L16,
            vec![7, 7, 7, 9, 9, 9],
        ),
        (
            wide(&[0, 13_107]),
            1,
            ExtendedColorType::La16,
            vec![204, 204, 204],
        ),
        (wide(&wide_opaque), 2, ExtendedColorType::Rgb16, opaque.to_vec()),
        (
            wide(&[0, 25_700, 51_400, 13_107]),
            1,
            ExtendedColorType::Rgba16,
            vec![204, 224, 244],
        ),
    ] {
        let image = decoded(&png_of(&samples, width, 1, layout));
        assert_eq!(image.as_rgb8(), expected, "{layout:?}");
    }
}

#[test]
fn transparent_webp_is_laid_over_white() {
    let image = decoded(&webp_of(
        &[0, 100, 200, 51, 9, 9, 9, 0],
        2,
        1,
        ExtendedColorType::Rgba8,
    ));
    assert_eq!(image.as_rgb8(), [204, 224, 244, 255, 255, 255]);
}

#[test]
fn tiff_of_every_depth() {
    for (samples, layout, expected) in [
        (vec![7, 9], ExtendedColorType::L8, vec![7, 7, 7, 9, 9, 9]),
        (
            wide(&[7 * 257, 9 * 257]),
            ExtendedColorType::L16,
            vec![7, 7, 7, 9, 9, 9],
        ),
        (
            wide(&[257, 514, 771, 1028, 1285, 1542]),
            ExtendedColorType::Rgb16,
            vec![1, 2, 3, 4, 5, 6],
        ),
        (
            vec![1, 2, 3, 255, 4, 5, 6, 255],
            ExtendedColorType::Rgba8,
            vec![1, 2, 3, 4, 5, 6],
        ),
    ] {
        assert_eq!(
            decoded(&tiff_of(&samples, 2, 1, layout)).as_rgb8(),
            expected,
            "{layout:?}"
        );
    }
}

#[test]
fn what_a_gif_leaves_out_is_white() {
    // A canvas of 3x1, and a frame of one black pixel in its middle.
    let bytes =
        b"GIF89a\x03\0\x01\0\x80\0\0\0\0\0\xff\0\0,\x01\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;".as_slice();
    assert_eq!(decoded(bytes).as_rgb8(), [255, 255, 255, 0, 0, 0, 255, 255, 255]);
}

#[test]
fn a_bmp_from_top_to_bottom() {
    let image = slope(3, 2);
    let mut bytes = bmp(&image);
    let upside_down = decoded(&{
        bytes[22..26].copy_from_slice(&(-2_i32).to_le_bytes());
        bytes
    });
    assert_eq!(upside_down.as_rgb8()[..9], image.as_rgb8()[9..]);
    assert_eq!(upside_down.as_rgb8()[9..], image.as_rgb8()[..9]);
}

/// The stored image whose upright version is `upright`, by the definition of the eight values: where the stored
/// row 0 and column 0 are seen.
fn stored(upright: &Image, value: u16) -> Image {
    let (width, height) = (upright.width(), upright.height());
    let (stored_width, stored_height) = if value > 4 {
        (height, width)
    } else {
        (width, height)
    };
    let mut pixels = Vec::new();
    for row in 0..stored_height {
        for column in 0..stored_width {
            let (right, below) = (|x: u32| width - 1 - x, |y: u32| height - 1 - y);
            let (x, y) = match value {
                2 => (right(column), row),
                3 => (right(column), below(row)),
                4 => (column, below(row)),
                5 => (row, column),
                6 => (right(row), column),
                7 => (right(row), below(column)),
                8 => (row, below(column)),
                _ => (column, row),
            };
            let at = ((y * width + x) * 3) as usize;
            pixels.extend(&upright.as_rgb8()[at..at + 3]);
        }
    }
    Image::from_rgb8(stored_width, stored_height, pixels).unwrap()
}

#[test]
fn the_eight_orientations_stand_upright() {
    let upright = slope(21, 10);
    for value in 1..=8 {
        let turned = stored(&upright, value);
        for (name, bytes, tolerance) in [
            ("JPEG", with_exif(&jpeg(&turned), &exif(value)), 6),
            ("PNG", png_with_exif(&turned, exif(value)), 0),
            ("WebP", webp_with_exif(&turned, exif(value)), 0),
            ("TIFF", tiff_with_orientation(&turned, value), 0),
        ] {
            let header = probe(&bytes, &Limits::default()).unwrap();
            assert_eq!((header.width, header.height), (21, 10), "{name} {value}");
            assert_eq!(u16::from(header.orientation.to_exif()), value, "{name}");
            assert!(
                largest_difference(&decoded(&bytes), &upright) <= tolerance,
                "{name} {value}"
            );
        }
    }
}

#[test]
fn orientations_that_do_not_exist_are_ignored() {
    let image = slope(5, 3);
    for value in [0, 9, 255, 65_535] {
        for bytes in [
            png_with_exif(&image, exif(value)),
            webp_with_exif(&image, exif(value)),
            tiff_with_orientation(&image, value),
        ] {
            assert_eq!(decoded(&bytes), image, "{value}");
        }
        let jpeg = jpeg(&image);
        assert_eq!(
            decoded(&with_exif(&jpeg, &exif(value))),
            decoded(&jpeg),
            "{value}"
        );
    }
}

#[test]
fn broken_exif_costs_nothing_but_the_orientation() {
    let image = slope(5, 3);
    let jpeg = jpeg(&image);
    let far = [b"II*\0".as_slice(), &u32::MAX.to_le_bytes()].concat();
    let endless = [b"II*\0\x08\0\0\0\xff\xff".as_slice(), &[0xFF; 40]].concat();
    for block in [&b""[..], b"II", b"no exif at all", &far, &endless, &exif(6)[..12]] {
        assert_eq!(decoded(&with_exif(&jpeg, block)), decoded(&jpeg), "{block:?}");
        if !block.is_empty() {
            assert_eq!(
                decoded(&png_with_exif(&image, block.to_vec())),
                image,
                "{block:?}"
            );
        }
    }
}

#[test]
fn a_thumbnail_is_not_the_image() {
    let image = slope(24, 16);
    let thumbnail = [exif(3), jpeg(&slope(8, 8))].concat();
    let header = probe(&with_exif(&jpeg(&image), &thumbnail), &Limits::default()).unwrap();
    assert_eq!(
        (header.format, header.width, header.height),
        (Format::Jpeg, 24, 16)
    );
}
