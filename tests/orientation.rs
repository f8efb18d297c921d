//! Images that lie on their side, without EXIF that says so, are judged as upright ones are; upright ones are left alone.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use likeness::decision::Score;
use likeness::{Engine, LivenessOptions, Verification, VerifyOptions};
use likeness_engine::detection::BoundingBox;
use likeness_engine::imaging::{Image, ImageLimits, Interrupt, Rotation, decode, rotate};
use likeness_testing::{Failed, Outcome, Suite, ensure};

/// Images of LFW that are turned.
const LFW: usize = 300;

/// The share of the turned images that may be judged otherwise than upright.
const EXCEPTIONS: f64 = 0.01;

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_shared_and_models("portraits_are_judged_alike_however_they_lie", |shared| {
        judged_alike(&images(&shared.join("data/faces"))?)
    });
    suite.with_shared_and_models("images_of_lfw_are_judged_alike_however_they_lie", |shared| {
        judged_alike(&some(&images(&shared.join("data/lfw-dev/images"))?, LFW))
    });
    for (name, folder) in [
        ("no_portrait_is_turned", "data/faces"),
        ("no_group_is_turned", "data/groups"),
        ("no_image_of_lfw_is_turned", "data/lfw-dev/images"),
        ("no_webcam_frame_is_turned", "data/liveness"),
    ] {
        suite.with_shared_and_models(name, move |shared| none_is_turned(&images(&shared.join(folder))?));
    }
    suite.run()
}

/// Workers of the engine, each with a thread of its own.
const WORKERS: usize = 2;

fn engine() -> Result<Engine, Failed> {
    Ok(Engine::builder().workers(WORKERS).build()?)
}

/// The images of a folder and its folders, by name.
fn images(folder: &Path) -> Result<Vec<PathBuf>, Failed> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(images(&path)?);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "jpg" || extension == "png")
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// So many of them, spread evenly.
fn some(paths: &[PathBuf], count: usize) -> Vec<PathBuf> {
    let step = (paths.len() / count).max(1);
    paths.iter().step_by(step).take(count).cloned().collect()
}

fn read(path: &Path) -> Result<Image, Failed> {
    Ok(decode(&std::fs::read(path)?, &ImageLimits::default())?)
}

fn judged_alike(paths: &[PathBuf]) -> Outcome {
    let engine = engine()?;
    let (mut turns, mut otherwise) = (0_u32, Vec::new());
    for path in paths {
        let image = read(path)?;
        let upright = engine.verify(&image, &image, &VerifyOptions::default())?;
        if upright.selfie.faces.is_empty() {
            continue;
        }
        for rotation in Rotation::ALL {
            let turned = rotate(Cow::Borrowed(&image), rotation, Interrupt::NEVER)?;
            let as_selfie = engine.verify(&turned, &image, &VerifyOptions::default())?;
            let as_photo = engine.verify(&image, &turned, &VerifyOptions::default())?;
            turns += 1;
            let faults = [
                difference(&upright, &as_selfie, rotation, true),
                difference(&upright, &as_photo, rotation, false),
            ];
            for fault in faults.into_iter().flatten() {
                otherwise.push(format!("{} by {rotation:?}: {fault}", path.display()));
            }
        }
    }
    ensure!(turns > 0, "no image was turned");
    ensure!(
        otherwise.len() as f64 <= EXCEPTIONS * 2.0 * f64::from(turns),
        "{} of {} verifications: {otherwise:#?}",
        otherwise.len(),
        2 * turns
    );
    Ok(())
}

/// What differs of a verification of the upright image when one of the two images is turned.
fn difference(
    upright: &Verification,
    turned: &Verification,
    rotation: Rotation,
    selfie: bool,
) -> Option<String> {
    let (as_was, report, code) = if selfie {
        (&upright.selfie, &turned.selfie, "ROTATED_IMAGE_IN_SELFIE")
    } else {
        (&upright.photo, &turned.photo, "ROTATED_IMAGE_IN_IMAGE")
    };
    if report.rotation != Some(rotation.inverse()) {
        return Some(format!("turned by {:?}", report.rotation));
    }
    if !turned
        .decision
        .details
        .iter()
        .any(|line| line.code.as_str() == code)
    {
        return Some(format!("no {code}"));
    }
    let Some(face) = report.faces.first() else {
        return Some("no face".to_owned());
    };
    let expected = turned_box(
        &as_was.faces[0].bounding_box,
        rotation,
        (as_was.size.width, as_was.size.height),
    );
    let iou = face.bounding_box.iou(&expected);
    if iou < 0.9 {
        return Some(format!("IoU {iou}"));
    }
    let confidence = |verification: &Verification| verification.face_match.map_or(0.0, Score::value);
    let liveness = |verification: &Verification| verification.liveness.map_or(0.0, Score::value);
    let (matched, live) = (
        confidence(upright) - confidence(turned),
        liveness(upright) - liveness(turned),
    );
    (matched.abs() > 0.02 || live.abs() > 0.05)
        .then(|| format!("confidence lower by {matched}, liveness by {live}"))
}

/// Where a box of an image lies in the turned one.
fn turned_box(of: &BoundingBox, rotation: Rotation, size: (u32, u32)) -> BoundingBox {
    let one = rotation.point((of.x, of.y), size);
    let other = rotation.point((of.x + of.width, of.y + of.height), size);
    BoundingBox {
        x: one.0.min(other.0),
        y: one.1.min(other.1),
        width: (one.0 - other.0).abs(),
        height: (one.1 - other.1).abs(),
    }
}

fn none_is_turned(paths: &[PathBuf]) -> Outcome {
    ensure!(!paths.is_empty(), "no images");
    let engine = engine()?;
    let turned_of = |paths: &[PathBuf]| -> Result<Vec<String>, Failed> {
        let mut turned = Vec::new();
        for path in paths {
            let check = engine.liveness(&read(path)?, &LivenessOptions::default())?;
            if let Some(rotation) = check.selfie.rotation {
                turned.push(format!("{} by {} degrees", path.display(), rotation.degrees()));
            }
        }
        Ok(turned)
    };
    let mut turned = Vec::new();
    std::thread::scope(|scope| -> Outcome {
        let parts = paths.chunks(paths.len().div_ceil(WORKERS));
        let parts: Vec<_> = parts.map(|part| scope.spawn(|| turned_of(part))).collect();
        for part in parts {
            turned.extend(part.join().map_err(|_| "a thread panicked")??);
        }
        Ok(())
    })?;
    ensure!(turned.is_empty(), "{turned:#?}");
    Ok(())
}
