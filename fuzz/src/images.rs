//! Decoding a file of one format.

#[allow(dead_code)]
#[path = "../../crates/imaging/tests/bombs/mod.rs"]
mod bombs;
#[path = "../../crates/imaging/tests/samples/mod.rs"]
mod samples;

use std::time::{Duration, Instant};

use crate::Bound;
use image::ExtendedColorType;
use jpeg_encoder::ColorType;
use libfuzzer_sys::Corpus;
pub use likeness_imaging::Format;
use likeness_imaging::{EncodedImage, ImageLimits, ImagingError, Interrupt, decode, probe, sniff};
use samples::{
    bmp, exif, gif, jpeg, jpeg_kinds, jpeg_of, png, png_of, png_with_exif, slope, tiff, tiff_of,
    tiff_with_orientation, webp, webp_of, webp_with_exif, with_exif, without_jfif,
};

/// What one decode may hold. Small, so that mutated headers reach the limit.
const DECODE_BYTES: u64 = 8 << 20;

/// When a decode is interrupted.
const DEADLINE: Duration = Duration::from_millis(500);

/// Bounds of a decode: its limit of memory; its deadline, and the time that the service allows after it. The code is
/// instrumented and checked, and so several times slower than a release, which must not make a decode exceed them.
const BOUND: Bound = Bound {
    memory: DECODE_BYTES as usize,
    time: Duration::from_millis(1_000),
};

/// Fewer pixels than the service accepts, so that inputs decode fast.
fn limits() -> ImageLimits {
    ImageLimits::default()
        .with_max_pixels(1_000_000)
        .with_max_decode_bytes(DECODE_BYTES)
}

/// Decodes an input of this format; rejects other inputs.
///
/// # Panics
/// If a decode exceeds [`BOUND`] or the memory that it announced, or the header and the decoded image contradict each other.
#[must_use]
pub fn run(format: Format, bytes: &[u8]) -> Corpus {
    if sniff(bytes) != Ok(format) {
        return Corpus::Reject;
    }
    let limits = limits();
    let header = BOUND.keep(|| probe(bytes, &limits));
    let Ok(image) = BOUND.keep(|| EncodedImage::open(bytes, &limits)) else {
        return Corpus::Keep;
    };
    assert_eq!(header.as_ref(), Ok(image.header()));
    let interrupt = || Interrupt::NEVER.with_deadline(Instant::now() + DEADLINE);
    let announced = image.decode_bytes();
    let (decoded, held) = BOUND.measure(|| image.decode(interrupt()));
    match &decoded {
        Ok(decoded) => {
            assert!(
                held as u64 <= announced,
                "held {held} bytes, announced {announced}"
            );
            let header = image.header();
            assert_eq!((decoded.width(), decoded.height()), (header.width, header.height));
        }
        Err(error) => assert!(!matches!(error, ImagingError::BadBuffer { .. }), "{error}"),
    }
    if format == Format::Jpeg {
        let reduced = BOUND.keep(|| image.decode_reduced(64, interrupt()));
        assert!(
            matches!(reduced, Ok(_) | Err(ImagingError::Interrupted)) || decoded.is_err(),
            "decoded at full size only: {reduced:?}"
        );
    }
    Corpus::Keep
}

/// Small files of a format, of every kind that encoders and tests write.
#[must_use]
pub fn seeds(format: Format) -> Vec<Vec<u8>> {
    let made = bombs::small().into_iter();
    let made = made
        .filter(|(name, _)| *name == format.to_string())
        .map(|(_, file)| file);
    made.chain(encoded(format)).collect()
}

fn encoded(format: Format) -> Vec<Vec<u8>> {
    let small = slope(21, 13);
    let samples: Vec<u8> = (0..21 * 13 * 16_u32).map(|index| (index * 7) as u8).collect();
    let of = |write: fn(&[u8], u32, u32, ExtendedColorType) -> Vec<u8>, layouts: &[ExtendedColorType]| {
        let file = |&layout: &ExtendedColorType| {
            let length = 21 * 13 * usize::from(layout.bits_per_pixel()) / 8;
            write(&samples[..length], 21, 13, layout)
        };
        layouts.iter().map(file).collect::<Vec<_>>()
    };
    use ExtendedColorType::{L8, L16, La8, La16, Rgb8, Rgb16, Rgb32F, Rgba8, Rgba16, Rgba32F};
    match format {
        Format::Jpeg => {
            let whole = jpeg(&small);
            let mut files: Vec<_> = jpeg_kinds(&small).map(|(_, file)| file).into();
            for layout in [ColorType::Luma, ColorType::Cmyk, ColorType::CmykAsYcck] {
                let channels = if layout == ColorType::Luma { 1 } else { 4 };
                files.push(jpeg_of(&samples[..21 * 13 * channels], 21, 13, layout));
            }
            files.extend([with_exif(&whole, &exif(6)), without_jfif(&whole)]);
            // Not before a decode of libjpeg's can coverage of C be there.
            let decoded = decode(&whole, &limits());
            assert!(
                decoded.is_ok() && crate::covers_c(),
                "no coverage of C code: {decoded:?}"
            );
            files.push(whole);
            files
        }
        Format::Png => [
            of(png_of, &[L8, L16, La8, La16, Rgb8, Rgb16, Rgba8, Rgba16]),
            vec![png(&small), png_with_exif(&small, exif(5))],
        ]
        .concat(),
        Format::WebP => [
            of(webp_of, &[L8, La8, Rgb8, Rgba8]),
            vec![webp(&small), webp_with_exif(&small, exif(8))],
        ]
        .concat(),
        Format::Bmp => vec![bmp(&small)],
        Format::Tiff => [
            of(tiff_of, &[L8, L16, Rgb8, Rgb16, Rgba8, Rgba16, Rgb32F, Rgba32F]),
            vec![tiff(&small), tiff_with_orientation(&small, 7)],
        ]
        .concat(),
        _ => vec![gif(&small)],
    }
}

/// Defines the fuzz target of a format.
#[macro_export]
macro_rules! decode_target {
    ($format:ident) => {
        $crate::target!(
            || $crate::images::seeds($crate::images::Format::$format),
            |bytes| $crate::images::run($crate::images::Format::$format, bytes)
        );
    };
}
