//! Files from other libraries' test suites, and one portrait stored in every way that we accept.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use likeness_imaging::{Image, ImagingError, Limits, decode, probe};
use likeness_testing::allocation::{Counting, measure};
use likeness_testing::{Failed, Outcome, Suite, ensure, shared};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What decoding may hold for each pixel, beside the file: the image, a copy of it in another form (16 bits and four
/// channels take 8 bytes), turned upright.
const BYTES_PER_PIXEL: usize = 3 + 8 + 3;

/// Tables and buffers of the decoders.
const FIXED_BYTES: usize = 4 << 20;

/// What refusing an image for its size may hold.
const REFUSAL_BYTES: usize = 1 << 20;

fn main() -> ExitCode {
    let mut suite = Suite::new();
    library_files(&mut suite);
    portraits(&mut suite);
    suite.run()
}

/// Reads a file of the set, with its name in the error.
fn read(path: &Path) -> Result<Vec<u8>, Failed> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// A test for each line of `expected.csv`: file, format, upright width and height, what to expect, note.
fn library_files(suite: &mut Suite) {
    let table = shared().and_then(|shared| fs::read_to_string(shared.join("data/awkward/expected.csv")).ok());
    let Some(table) = table else {
        suite.with_shared("awkward::expected.csv", |_| {
            Err("expected.csv cannot be read".into())
        });
        return;
    };
    for line in table.lines().skip(1).filter(|line| !line.trim().is_empty()) {
        let fields: Vec<String> = line.split(',').map(|field| field.trim().to_owned()).collect();
        let name = fields.first().cloned().unwrap_or_default();
        suite.with_shared(format!("awkward::{name}"), move |shared| {
            check_library_file(&shared.join("data/awkward").join(&name), &fields)
        });
    }
}

fn check_library_file(path: &Path, fields: &[String]) -> Outcome {
    let [_, format, width, height, expect, ..] = fields else {
        return Err("a line of expected.csv is too short".into());
    };
    let bytes = read(path)?;
    let (outcome, usage) = measure(|| decode(&bytes, &Limits::default()));
    let peak = usage.peak;
    check_outcome(&outcome, expect)?;
    let image = match outcome {
        Ok(image) => image,
        Err(ImagingError::TooLarge { .. }) => {
            ensure!(peak <= REFUSAL_BYTES, "refusing it took {peak} bytes");
            return Ok(());
        }
        Err(_) => return Ok(()),
    };
    let pixels = image.width() as usize * image.height() as usize;
    ensure!(
        peak <= pixels * BYTES_PER_PIXEL + FIXED_BYTES,
        "decoding {pixels} pixels took {peak} bytes"
    );
    let header = probe(&bytes, &Limits::default())?;
    let found = (header.width, header.height);
    ensure!(
        found == (image.width(), image.height()),
        "probed as {found:?} and decoded as {image:?}"
    );
    ensure!(
        format.is_empty() || header.format.to_string().eq_ignore_ascii_case(format),
        "{} instead of {format}",
        header.format
    );
    ensure!(
        width.is_empty() || format!("{}x{}", found.0, found.1) == format!("{width}x{height}"),
        "{found:?} instead of {width}x{height}"
    );
    Ok(())
}

fn check_outcome(outcome: &Result<Image, ImagingError>, expect: &str) -> Result<(), Failed> {
    let found = match outcome {
        Ok(_) => "ok",
        Err(ImagingError::Corrupt { .. }) => "corrupt",
        Err(ImagingError::Unsupported { .. }) => "unsupported",
        Err(ImagingError::TooLarge { .. }) => "too_large",
        Err(_) => "another error",
    };
    if expect.split("_or_").any(|expected| expected == found) {
        Ok(())
    } else {
        Err(format!("{outcome:?} instead of {expect}").into())
    }
}

/// How far a stored copy of the portrait may be from the first, as the mean absolute difference of a channel.
///
/// A wrong orientation costs 40 to 60 levels, swapped colours 15 or more, an inverted CMYK over 90. JPEG is decoded bit
/// for bit as by Pillow, which measures the differences that are allowed here, rounded up.
const PORTRAITS: &[(&str, f64)] = &[
    // The same JPEG with another tag.
    ("exif0_invalid.jpg", 0.0),
    ("exif1.jpg", 0.0),
    // Turned without loss; where the sides of a block do not line up with the image's, colours are sampled anew.
    ("exif2.jpg", 0.3),
    ("exif3.jpg", 0.3),
    ("exif4.jpg", 0.0),
    ("exif5.jpg", 0.4),
    ("exif6.jpg", 0.4),
    ("exif7.jpg", 0.4),
    ("exif8.jpg", 0.4),
    // The same coefficients in another order.
    ("progressive.jpg", 0.0),
    // The image that the first was made of, and what other coders made of it.
    ("lossless.webp", 0.25),
    ("lossy.webp", 1.0),
    ("rgb.bmp", 0.25),
    ("rgb.png", 0.25),
    ("rgb.tiff", 0.25),
    ("rgb16.png", 0.25),
    ("rgba.png", 0.25),
    ("cmyk.jpg", 0.3),
    // 256 colours.
    ("palette.png", 1.5),
    ("rgb.gif", 1.5),
];

/// The portrait without its colours, compared by brightness.
const GREY_PORTRAITS: &[(&str, f64)] = &[("grey.jpg", 0.02), ("grey.png", 0.15)];

fn portraits(suite: &mut Suite) {
    let mut test = |name: &'static str, check: fn(&Path, &str) -> Outcome| {
        suite.with_shared(format!("awkward-faces::{name}"), move |shared| {
            check(&shared.join("data/awkward-faces"), name)
        });
    };
    for &(name, _) in PORTRAITS.iter().chain(GREY_PORTRAITS) {
        test(name, check_portrait);
    }
    test("empty.jpg", |folder, name| {
        refused(folder, name, |error| *error == ImagingError::Empty)
    });
    test("text.jpg", |folder, name| {
        refused(folder, name, |error| *error == ImagingError::NotAnImage)
    });
    test("truncated_half.jpg", |folder, name| {
        refused(folder, name, |error| {
            matches!(error, ImagingError::Corrupt { .. })
        })
    });
    test("every file is known", every_file_is_known);
}

fn every_file_is_known(folder: &Path, _: &str) -> Result<(), Failed> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let known = PORTRAITS
            .iter()
            .chain(GREY_PORTRAITS)
            .any(|(known, _)| *known == name)
            || ["empty.jpg", "text.jpg", "truncated_half.jpg"].contains(&name.as_str());
        if !known {
            return Err(format!("no trial for {name}").into());
        }
    }
    Ok(())
}

fn refused(folder: &Path, name: &str, expected: fn(&ImagingError) -> bool) -> Result<(), Failed> {
    match decode(&read(&folder.join(name))?, &Limits::default()) {
        Err(error) if expected(&error) => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

fn check_portrait(folder: &Path, name: &str) -> Result<(), Failed> {
    let load = |name: &str| -> Result<Image, Failed> {
        let image = decode(&read(&folder.join(name))?, &Limits::default())?;
        if (image.width(), image.height()) != (600, 800) {
            return Err(format!("{name} is {image:?}").into());
        }
        Ok(image)
    };
    let (reference, image) = (load("exif1.jpg")?, load(name)?);
    let colour = PORTRAITS.iter().find(|(known, _)| *known == name);
    let (difference, tolerance) = match colour {
        Some(&(_, tolerance)) => (mean_difference(reference.as_rgb8(), image.as_rgb8()), tolerance),
        None => {
            let tolerance = GREY_PORTRAITS
                .iter()
                .find(|(known, _)| *known == name)
                .map_or(0.0, |entry| entry.1);
            (mean_difference(&luma(&reference), &luma(&image)), tolerance)
        }
    };
    if difference > tolerance {
        return Err(format!("{difference:.2} levels from exif1.jpg, {tolerance} are allowed").into());
    }
    Ok(())
}

fn mean_difference(left: &[u8], right: &[u8]) -> f64 {
    let sum: f64 = left
        .iter()
        .zip(right)
        .map(|(&left, &right)| f64::from(left.abs_diff(right)))
        .sum();
    sum / left.len() as f64
}

/// Brightness by ITU-R BT.601, which JPEG and Pillow use.
fn luma(image: &Image) -> Vec<u8> {
    image
        .as_rgb8()
        .chunks_exact(3)
        .map(|pixel| {
            let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(f64::from);
            (0.299 * r + 0.587 * g + 0.114 * b).round() as u8
        })
        .collect()
}
