//! What a decode costs: memory below its limit whatever the file, and time that ends with its deadline.
//!
//! Memory is counted where the C library hands it out, so that libjpeg's is among it. Time is that of the thread.

// What cannot be made or read fails the test that asked for it.
#![allow(clippy::unwrap_used)]

mod bombs;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod heap;

use std::fs;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use likeness_imaging::{EncodedImage, Image, ImagingError, Interrupt, Limits, Orientation, probe};
use likeness_testing::{Outcome, Suite, ensure, shared};

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod heap {
    /// Elsewhere nothing is counted.
    pub fn measure<T>(work: impl FnOnce() -> T) -> (T, usize) {
        (work(), 0)
    }
}

/// Time that the service has for a request by default.
const DEADLINE: Duration = Duration::from_secs(10);

/// Time that a thread may compute: a tenth of it is what most of the files take.
const TIME: Duration = Duration::from_secs(3);

/// What may pass after a deadline: the bound that the service promises.
const GRACE: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let mut suite = Suite::new();
    hostile_files(&mut suite);
    for bomb in bombs::all() {
        suite.test(format!("made::{}", bomb.name), move || {
            check(&(bomb.make)(), bomb.expected)
        });
    }
    suite.test("small_images_of_every_layout_are_decoded", || {
        for (number, (format, file)) in bombs::small().iter().enumerate() {
            check(file, "ok")
                .map_err(|error| format!("{format} {number}: {}", error.message().unwrap_or("")))?;
        }
        Ok(())
    });
    suite.test("a_decode_ends_with_its_deadline", deadline);
    suite.test("a_cancelled_decode_ends", cancelled);
    suite.test(
        "a_turned_jpeg_of_50_megapixels_is_decoded_without_a_second_image",
        turned,
    );
    suite.test("the_limit_is_the_one_that_was_set", other_limit);
    suite.test("what_is_too_large_is_decoded_at_a_part_of_its_size", reduced);
    suite.run()
}

/// A test for each line of `expected.csv`: file, format, size, what to answer.
fn hostile_files(suite: &mut Suite) {
    let table = shared().and_then(|shared| fs::read_to_string(shared.join("data/hostile/expected.csv")).ok());
    let Some(table) = table else {
        suite.with_shared("hostile::expected.csv", |_| {
            Err("expected.csv cannot be read".into())
        });
        return;
    };
    for line in table.lines().skip(1) {
        let fields: Vec<String> = line.split(',').map(|field| field.trim().to_owned()).collect();
        let [name, _, _, expected] = fields.try_into().unwrap();
        suite.with_shared(format!("hostile::{name}"), move |shared| {
            check(&fs::read(shared.join("data/hostile").join(&name))?, &expected)
        });
    }
}

/// Decodes a file, whose memory and time have to be within their bounds; `expected` is a list of outcomes, joined by `or`.
fn check(bytes: &[u8], expected: &str) -> Outcome {
    let limits = Limits::default();
    let before = cpu_time();
    let ((needed, outcome), held) = heap::measure(|| {
        let interrupt = Interrupt::NEVER.with_deadline(Instant::now() + DEADLINE);
        match EncodedImage::open(bytes, &limits) {
            Ok(image) => (image.decode_bytes(), image.decode(interrupt)),
            Err(error) => (0, Err(error)),
        }
    });
    let spent = cpu_time() - before;
    ensure!(spent < TIME, "took {spent:?}");
    ensure!(
        held as u64 <= limits.max_decode_bytes,
        "held {held} bytes, the limit is {}",
        limits.max_decode_bytes
    );
    ensure!(
        outcome.is_err() || held as u64 <= needed,
        "held {held} bytes and said {needed}"
    );
    let found = name(&outcome);
    ensure!(
        expected.split(" or ").any(|expected| expected == found),
        "{outcome:?} instead of {expected}"
    );
    Ok(())
}

/// As the service names the outcome.
fn name(outcome: &Result<Image, ImagingError>) -> &'static str {
    match outcome {
        Ok(_) => "ok",
        Err(ImagingError::Corrupt { .. }) => "CORRUPT_IMAGE",
        Err(ImagingError::Unsupported { .. }) => "UNSUPPORTED_IMAGE_FORMAT",
        Err(
            ImagingError::TooLarge { .. }
            | ImagingError::DecodeTooLarge { .. }
            | ImagingError::TooManyScans { .. },
        ) => "IMAGE_TOO_LARGE",
        Err(ImagingError::Interrupted) => "DEADLINE_EXCEEDED",
        Err(_) => "another error",
    }
}

/// Time that this thread has computed.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

/// As many scans as are allowed, of as large an image: some seconds.
fn deadline() -> Outcome {
    let bytes = bombs::many_scans(6000, 6000, 64);
    let limits = Limits::default().with_max_decode_bytes(1 << 30);
    let image = EncodedImage::open(&bytes, &limits)?;
    for time in [
        Duration::ZERO,
        Duration::from_millis(50),
        Duration::from_millis(400),
    ] {
        let before = cpu_time();
        let outcome = image.decode(Interrupt::NEVER.with_deadline(Instant::now() + time));
        let spent = cpu_time() - before;
        ensure!(outcome == Err(ImagingError::Interrupted), "{time:?}: {outcome:?}");
        ensure!(spent < time + GRACE, "{time:?}: took {spent:?}");
    }
    Ok(())
}

/// Another thread sets the flag once the decode has begun.
fn cancelled() -> Outcome {
    let bytes = bombs::many_scans(6000, 6000, 64);
    let limits = Limits::default().with_max_decode_bytes(1 << 30);
    let image = EncodedImage::open(&bytes, &limits)?;
    let flag = AtomicBool::new(false);
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| flag.store(true, Ordering::Relaxed));
        image.decode(Interrupt::NEVER.with_cancel_flag(&flag))
    });
    ensure!(outcome == Err(ImagingError::Interrupted), "{outcome:?}");
    Ok(())
}

fn turned() -> Outcome {
    for orientation in 5..=8 {
        let bytes = bombs::turned_jpeg(8660, 5774, orientation);
        let header = probe(&bytes, &Limits::default())?;
        ensure!(
            Orientation::from_exif(orientation.into()) == Some(header.orientation) && header.height == 8660,
            "{header:?}"
        );
        check(&bytes, "ok")?;
    }
    Ok(())
}

fn other_limit() -> Outcome {
    let bytes = bombs::png(1000, 1000, 8, 2, false);
    // Three bytes a pixel and four MiB.
    let needed = 3_000_000 + (4 << 20);
    let limits = Limits::default().with_max_decode_bytes(needed);
    ensure!(
        EncodedImage::open(&bytes, &limits)?
            .decode(Interrupt::NEVER)
            .is_ok(),
        "it has what it needs"
    );
    let limits = limits.with_max_decode_bytes(needed - 1);
    let error = EncodedImage::open(&bytes, &limits)?
        .decode(Interrupt::NEVER)
        .unwrap_err();
    ensure!(
        error.to_string() == "decoding the 1000x1000 PNG image needs 7 MiB of memory, the limit is 6 MiB",
        "{error}"
    );
    Ok(())
}

fn reduced() -> Outcome {
    // Output and coefficients of 36 megapixels at 4:4:4 are 309 MiB; at an eighth they are 208 MiB.
    let bytes = bombs::many_scans(6000, 6000, 2);
    let image = EncodedImage::open(&bytes, &Limits::default())?;
    ensure!(
        matches!(
            image.decode_reduced(64, Interrupt::NEVER),
            Err(ImagingError::DecodeTooLarge { .. })
        ),
        "the coefficients alone are too much"
    );
    let limits = Limits::default().with_max_decode_bytes(220 << 20);
    let image = EncodedImage::open(&bytes, &limits)?;
    let reduced = image.decode_reduced(u32::MAX, Interrupt::NEVER)?;
    ensure!(reduced.factor() == 4, "reduced by {}", reduced.factor());
    ensure!(image.decode(Interrupt::NEVER).is_err(), "the whole is too large");
    Ok(())
}
