//! Files that lie, end too early, or were never an image.

// What cannot be made or read fails the test that asked for it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod samples;

use likeness_imaging::{Format, Image, ImagingError, Limits, decode, probe, sniff};
use proptest::prelude::*;
use samples::*;

/// The file of that format with the sides of its header overwritten.
fn declaring(name: &str, width: u32, height: u32) -> Vec<u8> {
    let image = slope(8, 8);
    let (_, mut bytes) = one_of_each(&image)
        .into_iter()
        .find(|(found, _)| *found == name)
        .unwrap();
    let (short_width, short_height) = (width as u16, height as u16);
    match name {
        "JPEG" => {
            let frame = bytes
                .windows(2)
                .position(|window| window == [0xFF, 0xC0])
                .unwrap();
            bytes[frame + 5..frame + 7].copy_from_slice(&short_height.to_be_bytes());
            bytes[frame + 7..frame + 9].copy_from_slice(&short_width.to_be_bytes());
        }
        "PNG" => {
            bytes[16..20].copy_from_slice(&width.to_be_bytes());
            bytes[20..24].copy_from_slice(&height.to_be_bytes());
        }
        "WebP" => {
            let sides = (width - 1) | (height - 1) << 14;
            bytes[21..25].copy_from_slice(&sides.to_le_bytes());
        }
        "BMP" => {
            bytes[18..22].copy_from_slice(&width.to_le_bytes());
            bytes[22..26].copy_from_slice(&height.to_le_bytes());
        }
        "TIFF" => {
            bytes = tiff_with_orientation(&image, 1);
            bytes[18..22].copy_from_slice(&width.to_le_bytes());
            bytes[30..34].copy_from_slice(&height.to_le_bytes());
        }
        _ => {
            bytes[6..8].copy_from_slice(&short_width.to_le_bytes());
            bytes[8..10].copy_from_slice(&short_height.to_le_bytes());
        }
    }
    bytes
}

#[test]
fn a_header_that_claims_too_much_is_refused_by_its_word_alone() {
    for (name, largest) in [
        ("JPEG", 65_535),
        ("PNG", 2_147_483_647),
        ("WebP", 16_384),
        ("BMP", 2_147_483_647),
        ("TIFF", u32::MAX),
        ("GIF", 65_535),
    ] {
        let bytes = declaring(name, largest, largest);
        let refused = Err(ImagingError::TooLarge {
            width: largest,
            height: largest,
            max_side: 10_000,
            max_pixels: 64_000_000,
        });
        assert_eq!(probe(&bytes, &Limits::default()).map(|_| ()), refused, "{name}");
        assert_eq!(decode(&bytes, &Limits::default()).map(|_| ()), refused, "{name}");
        // The header is enough: nothing behind it is looked at.
        let head = &bytes[..bytes.len().min(if name == "JPEG" { bytes.len() } else { 140 })];
        assert_eq!(decode(head, &Limits::default()).map(|_| ()), refused, "{name}");
    }
}

#[test]
fn limits_hold_for_the_upright_image_on_both_sides() {
    let limits = Limits::default().with_max_side(20);
    for (width, height) in [(21, 4), (4, 21)] {
        for (name, bytes) in one_of_each(&slope(width, height)) {
            assert!(
                matches!(
                    decode(&bytes, &limits),
                    Err(ImagingError::TooLarge { max_side: 20, .. })
                ),
                "{name}"
            );
        }
    }
    for (name, bytes) in one_of_each(&slope(20, 20)) {
        assert!(decode(&bytes, &limits).is_ok(), "{name}");
        let fewer = limits.with_max_pixels(399);
        assert!(
            matches!(decode(&bytes, &fewer), Err(ImagingError::TooLarge { .. })),
            "{name}"
        );
        let shorter = limits.with_max_bytes(bytes.len() - 1);
        assert_eq!(
            decode(&bytes, &shorter),
            Err(ImagingError::TooManyBytes {
                bytes: bytes.len(),
                limit: bytes.len() - 1
            }),
            "{name}"
        );
    }
}

#[test]
fn sides_of_zero_are_damage() {
    for name in ["JPEG", "PNG", "BMP", "TIFF", "GIF"] {
        for (width, height) in [(0, 8), (8, 0)] {
            let outcome = decode(&declaring(name, width, height), &Limits::default());
            assert!(
                matches!(outcome, Err(ImagingError::Corrupt { .. })),
                "{name}: {outcome:?}"
            );
        }
    }
}

#[test]
fn a_small_canvas_does_not_hide_a_large_frame() {
    let large = webp(&slope(300, 300));
    let mut bytes = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x07\0\0\x07\0\0".to_vec();
    bytes.extend(&large[12..]);
    let riff = (bytes.len() as u32 - 8).to_le_bytes();
    bytes[4..8].copy_from_slice(&riff);
    let header = probe(&bytes, &Limits::default().with_max_side(100));
    assert!(
        matches!(
            header,
            Err(ImagingError::Corrupt {
                format: Format::WebP,
                ..
            })
        ),
        "{header:?}"
    );
}

#[test]
fn a_cut_png_is_refused_wherever_it_was_cut() {
    let bytes = png(&slope(13, 9));
    for length in 8..bytes.len() {
        let outcome = decode(&bytes[..length], &Limits::default());
        assert!(
            matches!(
                outcome,
                Err(ImagingError::Corrupt {
                    format: Format::Png,
                    ..
                })
            ),
            "cut at {length} of {}: {outcome:?}",
            bytes.len()
        );
    }
}

#[test]
fn a_png_with_a_wrong_byte_is_refused() {
    let bytes = png(&slope(13, 9));
    let whole = decode(&bytes, &Limits::default()).unwrap();
    for at in 8..bytes.len() {
        let mut wrong = bytes.clone();
        wrong[at] ^= 0x10;
        match decode(&wrong, &Limits::default()) {
            // Some bytes do not matter, such as the last chunk's checksum.
            Ok(image) => assert_eq!(image, whole, "byte {at}"),
            Err(error) => assert!(
                matches!(
                    error,
                    ImagingError::Corrupt { .. }
                        | ImagingError::TooLarge { .. }
                        | ImagingError::Unsupported { .. }
                ),
                "byte {at}: {error:?}"
            ),
        }
    }
}

#[test]
fn a_cut_jpeg_is_refused_wherever_it_was_cut() {
    let image = slope(40, 33);
    let noise = Image::from_rgb8(
        40,
        33,
        (0..40 * 33 * 3_u32)
            .map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect(),
    )
    .unwrap();
    let flat = Image::from_rgb8(40, 33, vec![90; 40 * 33 * 3]).unwrap();
    let files = [
        ("sloping", jpeg(&image)),
        ("noisy", jpeg(&noise)),
        ("flat", jpeg(&flat)),
        (
            "subsampled",
            jpeg_with(&image, |e| {
                e.set_sampling_factor(jpeg_encoder::SamplingFactor::F_2_2);
            }),
        ),
        (
            "own tables",
            jpeg_with(&noise, |e| e.set_optimized_huffman_tables(true)),
        ),
        ("restarts", jpeg_with(&image, |e| e.set_restart_interval(3))),
        ("progressive", jpeg_with(&image, |e| e.set_progressive(true))),
        (
            "noisy progressive",
            jpeg_with(&noise, |e| e.set_progressive(true)),
        ),
        (
            "grey",
            jpeg_of(&noise.as_rgb8()[..40 * 33], 40, 33, jpeg_encoder::ColorType::Luma),
        ),
    ];
    for (name, bytes) in files {
        let whole = decode(&bytes, &Limits::default()).unwrap();
        for length in 3..bytes.len() {
            match decode(&bytes[..length], &Limits::default()) {
                // Without the end marker, but with all bits that show before it, the image is whole.
                Ok(image) => {
                    assert!(
                        length >= bytes.len() - 3,
                        "{name} cut at {length} of {}",
                        bytes.len()
                    );
                    assert_eq!(image, whole, "{name} cut at {length} of {}", bytes.len());
                }
                Err(error) => assert!(
                    matches!(
                        error,
                        ImagingError::Corrupt {
                            format: Format::Jpeg,
                            ..
                        }
                    ),
                    "{name} cut at {length}: {error:?}"
                ),
            }
        }
    }
}

/// The positions behind the header of each scan.
fn scan_starts(jpeg: &[u8]) -> Vec<usize> {
    let headers = jpeg.windows(4).enumerate();
    headers
        .filter(|(_, bytes)| bytes[..2] == [0xFF, 0xDA])
        .map(|(at, bytes)| at + 2 + usize::from(u16::from_be_bytes([bytes[2], bytes[3]])))
        .collect()
}

#[test]
fn a_jpeg_that_was_cut_and_given_an_end_again_is_refused() {
    let image = slope(40, 33);
    for (name, bytes) in [
        ("sequential", jpeg(&image)),
        ("restarts", jpeg_with(&image, |e| e.set_restart_interval(3))),
        ("progressive", jpeg_with(&image, |e| e.set_progressive(true))),
    ] {
        let whole = decode(&bytes, &Limits::default()).unwrap();
        let starts = scan_starts(&bytes);
        assert_eq!(starts.len() > 1, name == "progressive");
        for length in starts[0]..bytes.len() - 2 {
            let cut = [&bytes[..length], &[0xFF, 0xD9]].concat();
            // A progressive file without its last scans, and one with fewer from the start, look the same.
            let between_scans = starts[1..].iter().any(|start| {
                let header = bytes[..*start]
                    .windows(2)
                    .rposition(|window| window == [0xFF, 0xC4] || window == [0xFF, 0xDA]);
                // Half a marker before the end marker is a byte to pass over.
                header.is_some_and(|header| length == header || length == header + 1)
            });
            match decode(&cut, &Limits::default()) {
                Ok(found) => assert!(
                    between_scans || (found == whole && length >= bytes.len() - 3),
                    "{name} cut at {length} of {}",
                    bytes.len()
                ),
                Err(error) => assert!(matches!(error, ImagingError::Corrupt { .. }), "{name}: {error:?}"),
            }
        }
    }
}

#[test]
fn a_jpeg_without_a_restart_marker_is_refused() {
    let bytes = jpeg_with(&slope(40, 33), |encoder| encoder.set_restart_interval(3));
    let at = bytes
        .windows(2)
        .position(|window| window == [0xFF, 0xD1])
        .unwrap();
    for replacement in [&[][..], &[0xFF, 0xD4]] {
        let wrong = [&bytes[..at], replacement, &bytes[at + 2..]].concat();
        let outcome = decode(&wrong, &Limits::default());
        assert!(
            matches!(outcome, Err(ImagingError::Corrupt { .. })),
            "{outcome:?}"
        );
    }
}

#[test]
fn a_jpeg_with_more_scans_than_anybody_writes_is_refused() {
    // The last refinement once more, and once more.
    let bytes = jpeg_with(&slope(24, 16), |encoder| encoder.set_progressive(true));
    let last = bytes
        .windows(2)
        .rposition(|window| window == [0xFF, 0xDA])
        .unwrap();
    let end = bytes.len() - 2;
    let repeated = [&bytes[..last], &bytes[last..end].repeat(80), &bytes[end..]].concat();
    let outcome = decode(&repeated, &Limits::default());
    assert!(
        matches!(&outcome, Err(ImagingError::Corrupt { reason, .. }) if reason.contains("too many scans")),
        "{outcome:?}"
    );
}

#[test]
fn a_sequential_jpeg_without_its_end_marker_is_whole() {
    let image = slope(40, 33);
    let bytes = jpeg(&image);
    let unended = &bytes[..bytes.len() - 2];
    assert_eq!(
        decode(unended, &Limits::default()),
        decode(&bytes, &Limits::default())
    );
}

#[test]
fn a_jpeg_without_the_scan_of_a_colour_is_refused() {
    // The encoder writes a scan a component where the settings keep it from interleaving them.
    let bytes = jpeg_with(&slope(24, 16), |encoder| encoder.set_progressive(true));
    let second = bytes
        .windows(2)
        .enumerate()
        .filter(|(_, w)| *w == [0xFF, 0xDA])
        .nth(1)
        .unwrap()
        .0;
    let mut cut = bytes[..second].to_vec();
    cut.extend([0xFF, 0xD9]);
    let outcome = decode(&cut, &Limits::default());
    assert!(
        matches!(outcome, Err(ImagingError::Corrupt { .. })),
        "{outcome:?}"
    );
}

#[test]
fn no_cut_of_any_format_panics() {
    for (name, bytes) in one_of_each(&slope(13, 9)) {
        for length in 0..bytes.len() {
            match decode(&bytes[..length], &Limits::default()) {
                Ok(image) => assert_eq!((image.width(), image.height()), (13, 9), "{name} cut at {length}"),
                Err(ImagingError::Empty) => assert_eq!(length, 0, "{name}"),
                Err(ImagingError::NotAnImage) => assert!(length < 18, "{name} cut at {length}"),
                Err(ImagingError::Corrupt { format, .. }) => assert_eq!(format.to_string(), name),
                Err(other) => panic!("{name} cut at {length}: {other:?}"),
            }
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_behind_a_signature_panic(
        start in prop::sample::select(vec![
            b"\xFF\xD8\xFF".to_vec(),
            b"\xFF\xD8\xFF\xC0\0\x11\x08\0\x10\0\x10\x03\x01\x22\0\x02\x11\x01\x03\x11\x01\xFF".to_vec(),
            b"\x89PNG\r\n\x1a\n".to_vec(),
            b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x10\0\0\0\x10".to_vec(),
            b"RIFF\x40\0\0\0WEBP".to_vec(),
            b"RIFF\x40\0\0\0WEBPVP8 \x30\0\0\0".to_vec(),
            b"RIFF\x40\0\0\0WEBPVP8L\x30\0\0\0\x2f".to_vec(),
            b"RIFF\x40\0\0\0WEBPVP8X\x0a\0\0\0".to_vec(),
            b"RIFF\x40\0\0\0WEBPVP8X\x0a\0\0\0\x12\0\0\0\x0f\0\0\x0f\0\0ANMF\x30\0\0\0".to_vec(),
            b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x10\0\0\0\x10\0\0\0".to_vec(),
            b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x0c\0\0\0".to_vec(),
            b"II*\0\x08\0\0\0".to_vec(),
            b"MM\0*\0\0\0\x08".to_vec(),
            b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0".to_vec(),
            b"GIF89a\x10\0\x10\0".to_vec(),
            b"\0\0\0\x20ftyp".to_vec(),
        ]),
        rest in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let bytes = [start, rest].concat();
        let limits = Limits::default().with_max_pixels(1_000_000);
        let _ = sniff(&bytes);
        if let (Ok(header), Ok(image)) = (probe(&bytes, &limits), decode(&bytes, &limits)) {
            prop_assert_eq!((header.width, header.height), (image.width(), image.height()));
        }
    }

    #[test]
    fn no_changed_file_panics(
        index in 0_usize..6,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let (_, mut bytes) = one_of_each(&slope(13, 9)).swap_remove(index);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let limits = Limits::default().with_max_pixels(1_000_000);
        match decode(&bytes, &limits) {
            Ok(image) => {
                let header = probe(&bytes, &limits).unwrap();
                prop_assert_eq!((header.width, header.height), (image.width(), image.height()));
            }
            Err(error) => prop_assert!(!matches!(error, ImagingError::BadBuffer { .. }), "{error:?}"),
        }
    }
}
