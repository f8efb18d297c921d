//! `--annotate`: what was found, drawn into the images.

use std::path::Path;

use image::{Rgb, RgbImage};
use likeness_testing::{Failed, Outcome, Suite, ensure, ensure_eq};

use super::{SAME_PERSON, UNSURE, run_on};

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_shared_and_models("annotate_draws_both_images_with_faces_and_crops", both);
    suite.with_shared_and_models("annotate_draws_what_has_no_face_or_lies_on_its_side", awkward);
    suite.with_shared_and_models("annotate_does_not_write_over_an_image", refused);
}

const FACE: Rgb<u8> = Rgb([86, 180, 233]);
const CROP: Rgb<u8> = Rgb([240, 228, 66]);

/// The upper left corner of the first image in a drawing.
const CORNER: (u32, u32) = (16, 56);

/// How many pixels of a colour are left of a column, and from there on.
fn sides(image: &RgbImage, colour: Rgb<u8>, column: u32) -> [usize; 2] {
    let mut counts = [0, 0];
    for (x, ..) in image.enumerate_pixels().filter(|(.., pixel)| **pixel == colour) {
        counts[usize::from(x >= column)] += 1;
    }
    counts
}

/// What the pixels of a colour reach from and to, as shares of an image of this size in a drawing: left, top, right, bottom.
fn extent(image: &RgbImage, colour: Rgb<u8>, (width, height): (f64, f64)) -> [f64; 4] {
    let mut found = [f64::MAX, f64::MAX, 0.0, 0.0];
    for (x, y, _) in image.enumerate_pixels().filter(|(.., pixel)| **pixel == colour) {
        let (x, y) = (f64::from(x - CORNER.0) / width, f64::from(y - CORNER.1) / height);
        found = [found[0].min(x), found[1].min(y), found[2].max(x), found[3].max(y)];
    }
    found
}

fn drawn(file: &Path) -> Result<RgbImage, Failed> {
    Ok(image::load_from_memory(&std::fs::read(file)?)?.into_rgb8())
}

fn both(shared: &Path) -> Outcome {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("out.png");
    let target = file.to_str().ok_or("a path that is not UTF-8")?;
    let images = [SAME_PERSON.0, SAME_PERSON.1];
    let plain = run_on(shared, &["verify"], &images)?;
    let ended = run_on(shared, &["verify", "--annotate", target], &images)?;
    ensure!(ended.code == Some(0) && ended.stderr.is_empty(), "{ended:?}");
    // Apart from the file all is as without it.
    ensure_eq!(ended.stdout, plain.stdout);
    let image = drawn(&file)?;
    // 1536x1152 and 600x800 pixels fit into 960x720 each, with gaps of 16 around.
    ensure_eq!(image.width(), 960 + 540 + 3 * 16);
    ensure!(
        (720..1_000).contains(&image.height()),
        "{} pixels high",
        image.height()
    );
    let second = CORNER.0 + 960 + 16;
    let (faces, crops) = (sides(&image, FACE, second), sides(&image, CROP, second));
    ensure!(faces[0] > 500 && faces[1] > 500, "{faces:?} pixels of faces");
    ensure!(crops[0] > 500 && crops[1] == 0, "{crops:?} pixels of crops");

    let ended = run_on(
        shared,
        &["liveness", "--json", "--annotate", target],
        &[UNSURE[0]],
    )?;
    ensure!(
        ended.code == Some(4) && ended.stdout.contains("faces_liveness"),
        "{ended:?}"
    );
    let crops = sides(&drawn(&file)?, CROP, 0)[1];
    ensure!(crops > 500, "{crops} pixels of crops");
    Ok(())
}

fn awkward(shared: &Path) -> Outcome {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("out.png");
    let target = file.to_str().ok_or("a path that is not UTF-8")?;
    let no_face = "awkward/Flag_of_the_Netherlands-16bit.png";
    let ended = run_on(shared, &["liveness", "--annotate", target], &[no_face])?;
    ensure!(ended.code == Some(4), "{ended:?}");
    let image = drawn(&file)?;
    let found = [FACE, CROP].map(|colour| sides(&image, colour, 0)[1]);
    // The legend names the colours in the colour of all words.
    ensure_eq!(found, [0, 0]);

    // A portrait on its side has the crops of the upright one, turned.
    let ended = run_on(shared, &["liveness", "--annotate", target], &[SAME_PERSON.1])?;
    ensure!(ended.code == Some(0), "{ended:?}");
    let [left, top, right, bottom] = extent(&drawn(&file)?, CROP, (540.0, 720.0));
    let turned = folder.path().join("turned.png");
    let upright = image::load_from_memory(&std::fs::read(shared.join("data").join(SAME_PERSON.1))?)?;
    upright.rotate90().save(&turned)?;
    let name = turned.to_str().ok_or("a path that is not UTF-8")?;
    let ended = run_on(shared, &["liveness", "--annotate", target], &[name])?;
    ensure!(ended.stdout.contains("ROTATED_IMAGE_IN_SELFIE"), "{ended:?}");
    let found = extent(&drawn(&file)?, CROP, (960.0, 720.0));
    let expected = [1.0 - bottom, left, 1.0 - top, right];
    let off = found
        .iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f64::max);
    ensure!(off < 0.02, "{found:?} instead of {expected:?}");
    Ok(())
}

fn refused(shared: &Path) -> Outcome {
    let folder = tempfile::tempdir()?;
    let copy = folder.path().join("selfie.png");
    let bytes = std::fs::read(shared.join("data").join(SAME_PERSON.1))?;
    std::fs::write(&copy, &bytes)?;
    let name = copy.to_str().ok_or("a path that is not UTF-8")?;
    for (target, says) in [
        (name, "is one of the input images"),
        ("out.jpg", "must end with .png"),
    ] {
        let ended = run_on(shared, &["liveness", "--annotate", target], &[name])?;
        ensure!(ended.code == Some(1) && ended.stderr.contains(says), "{ended:?}");
    }
    ensure_eq!(std::fs::read(&copy)?, bytes);
    let nowhere = folder.path().join("nowhere/out.png");
    let nowhere = nowhere.to_str().ok_or("a path that is not UTF-8")?;
    let ended = run_on(shared, &["liveness", "--annotate", nowhere], &[SAME_PERSON.1])?;
    ensure!(
        ended.code == Some(1) && ended.stderr.contains("cannot write"),
        "{ended:?}"
    );
    Ok(())
}
