//! JPEG at a part of its size.

// What cannot be made or read fails the test that asked for it.
#![allow(clippy::unwrap_used)]

mod samples;

use image::ExtendedColorType;
use jpeg_encoder::ColorType;
use likeness_imaging::{
    EncodedImage, Image, ImagingError, Interrupt, Limits, Orientation, Reduced, decode, shrink_area,
};
use samples::*;

fn decode_reduced(bytes: &[u8], limits: &Limits, longest_side: u32) -> Result<Reduced, ImagingError> {
    EncodedImage::open(bytes, limits)?.decode_reduced(longest_side, Interrupt::NEVER)
}

fn reduced(bytes: &[u8], longest_side: u32) -> Reduced {
    decode_reduced(bytes, &Limits::default(), longest_side).unwrap()
}

fn size(image: &Image) -> (u32, u32) {
    (image.width(), image.height())
}

#[test]
fn a_jpeg_is_no_larger_than_asked_for_by_a_factor_of_two() {
    let bytes = jpeg(&slope(330, 170));
    for (longest_side, factor, expected) in [
        (u32::MAX, 1, (330, 170)),
        (166, 1, (330, 170)),
        (165, 2, (165, 85)),
        (84, 2, (165, 85)),
        // Sides are rounded up.
        (83, 4, (83, 43)),
        (42, 8, (42, 22)),
        (0, 8, (42, 22)),
    ] {
        let found = reduced(&bytes, longest_side);
        assert_eq!(
            (found.factor(), size(found.image())),
            (factor, expected),
            "{longest_side}"
        );
        assert_eq!((found.whole_width(), found.whole_height()), (330, 170));
    }
}

#[test]
fn it_shows_what_the_whole_shows() {
    let image = slope(128, 96);
    // Not 4:1:1: the whole spreads its colours in steps, which no smaller image does.
    let others = jpeg_kinds(&image)
        .into_iter()
        .filter(|(name, _)| *name != "4:1:1");
    let kinds = std::iter::once(("4:4:4", jpeg(&image))).chain(others);
    for (name, bytes) in kinds {
        let whole = decode(&bytes, &Limits::default()).unwrap();
        for factor in [2, 4, 8] {
            let found = reduced(&bytes, 128 / factor);
            let expected = shrink_area(&whole, 128 / factor, 96 / factor);
            // Little more than the whole differs from what was encoded.
            let difference = largest_difference(found.image(), &expected);
            assert!(difference <= 8, "{name} at 1/{factor}: {difference}");
        }
    }
}

#[test]
fn grey_and_cmyk_too() {
    let grey: Vec<u8> = (0..64 * 64).map(|at| (at / 64 * 3) as u8).collect();
    let inks: Vec<u8> = grey.iter().flat_map(|&value| [value, 255, 128, 200]).collect();
    for (samples, layout) in [(grey, ColorType::Luma), (inks, ColorType::Cmyk)] {
        let bytes = jpeg_of(&samples, 64, 64, layout);
        let whole = decode(&bytes, &Limits::default()).unwrap();
        let difference = largest_difference(reduced(&bytes, 16).image(), &shrink_area(&whole, 16, 16));
        assert!(difference <= 4, "{layout:?}: {difference}");
    }
}

#[test]
fn a_turned_image_is_turned_at_its_smaller_size() {
    // Not a multiple of the factor: the column that stands for fewer pixels is the last as stored.
    let stored = jpeg(&slope(98, 51));
    for value in 1..=8 {
        let orientation = Orientation::from_exif(u32::from(value)).unwrap();
        let bytes = with_exif(&stored, &exif(value));
        let whole = decode(&bytes, &Limits::default()).unwrap();
        let found = reduced(&bytes, 25);
        assert_eq!(found.factor(), 4);
        assert_eq!(
            (found.whole_width(), found.whole_height()),
            size(&whole),
            "{orientation:?}"
        );
        // A reduced pixel, away from the border, is the mean of those that it says it stands for.
        let [x, y] = [5, 6];
        let (left, top) = found.to_whole(x as f32, y as f32);
        let mut sum = 0;
        for row in top as u32..top as u32 + 4 {
            for column in left as u32..left as u32 + 4 {
                sum += u32::from(whole.as_rgb8()[(row * whole.width() + column) as usize * 3]);
            }
        }
        let red = found.image().as_rgb8()[(y * found.image().width() + x) as usize * 3];
        assert!(
            (f64::from(sum) / 16.0 - f64::from(red)).abs() <= 2.0,
            "{orientation:?}: {} and {red}",
            sum / 16
        );
    }
}

#[test]
fn other_formats_keep_their_size() {
    let image = slope(64, 48);
    for (name, bytes) in one_of_each(&image) {
        let found = reduced(&bytes, 8);
        let factor = if name == "JPEG" { 8 } else { 1 };
        assert_eq!(found.factor(), factor, "{name}");
    }
    let wide = png_of(&[0; 2 * 64 * 48 * 3], 64, 48, ExtendedColorType::Rgb16);
    assert_eq!(size(reduced(&wide, 8).image()), (64, 48));
}

#[test]
fn what_is_damaged_is_refused_at_every_size() {
    let bytes = jpeg(&slope(330, 170));
    for longest_side in [330, 165, 80, 40] {
        assert!(decode_reduced(&bytes[..bytes.len() / 2], &Limits::default(), longest_side).is_err());
    }
}

#[test]
fn the_limits_are_about_the_whole() {
    let limits = Limits::default().with_max_side(300);
    assert!(decode_reduced(&jpeg(&slope(301, 10)), &limits, 20).is_err());
}
