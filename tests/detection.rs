//! The default search is sure where selfies are difficult: a face that fills the frame or is cut by it, a small one in a
//! large image, several, none.

use std::path::Path;
use std::process::ExitCode;

use likeness::{EmbedOptions, Engine, VerifyOptions};
use likeness_engine::detection::{BoundingBox, Face};
use likeness_engine::imaging::{
    Affine, Image, Limits, PixelRect, crop_resize_bilinear, decode, shrink_area, warp_affine,
};
use likeness_testing::{Failed, Outcome, Suite, ensure};

/// Portraits of one large face each.
const PORTRAITS: [&str; 8] = [
    "img2.jpg",
    "img3.jpg",
    "img9.jpg",
    "img11.jpg",
    "img17.jpg",
    "img38.jpg",
    "img43.jpg",
    "img54.jpg",
];

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_shared_and_models(
        "a_face_that_fills_the_frame_or_is_cut_by_it_is_found",
        tight_crops,
    );
    suite.with_shared_and_models("a_face_of_40_pixels_is_found_in_the_largest_images", small_faces);
    suite.with_shared_and_models("a_turned_second_face_is_not_missed", turned_second_face);
    suite.with_shared_and_models("several_faces_are_found_largest_first", several_faces);
    suite.with_shared_and_models("images_without_a_face_show_none", no_face);
    suite.run()
}

fn portraits(shared: &Path) -> Result<Vec<(Image, Face)>, Failed> {
    let engine = Engine::builder().workers(1).build()?;
    PORTRAITS
        .iter()
        .map(|name| {
            let image = decode(
                &std::fs::read(shared.join("data/faces").join(name))?,
                &Limits::default(),
            )?;
            let face = primary(&engine, &image)?.ok_or_else(|| format!("no face in {name}"))?;
            Ok((image, face))
        })
        .collect()
}

fn primary(engine: &Engine, image: &Image) -> Result<Option<Face>, Failed> {
    let faces = engine.embed(image, &EmbedOptions::default())?;
    Ok(faces.first().map(|embedded| embedded.face))
}

fn tight_crops(shared: &Path) -> Outcome {
    let engine = Engine::builder().workers(1).build()?;
    for (name, (image, face)) in PORTRAITS.iter().zip(portraits(shared)?) {
        let face = face.bounding_box;
        for scale in [1.5, 1.0, 0.8] {
            let (width, height) = (face.width * scale, face.height * scale);
            let part = BoundingBox {
                x: face.x + (face.width - width) / 2.0,
                y: face.y + (face.height - height) / 2.0,
                width,
                height,
            }
            .clipped(image.width(), image.height());
            let rect = PixelRect {
                left: part.x as u32,
                top: part.y as u32,
                width: part.width as u32,
                height: part.height as u32,
            };
            // As large as a phone's selfie.
            let enlarged = 1800.0 / part.height;
            let crop = crop_resize_bilinear(&image, rect, (part.width * enlarged) as u32, 1800);
            let expected = BoundingBox {
                x: (face.x - part.x) * enlarged,
                y: (face.y - part.y) * enlarged,
                width: face.width * enlarged,
                height: face.height * enlarged,
            }
            .clipped(crop.width(), crop.height());
            let found = primary(&engine, &crop)?.ok_or_else(|| format!("{name} at {scale}: no face"))?;
            let overlap = found.bounding_box.iou(&expected);
            ensure!(
                overlap >= 0.7 && found.score >= 0.8,
                "{name} at {scale}: overlap {overlap}, {}",
                found.score
            );
        }
    }
    Ok(())
}

fn small_faces(shared: &Path) -> Outcome {
    let engine = Engine::builder().workers(1).build()?;
    for (name, (image, face)) in PORTRAITS.iter().zip(portraits(shared)?) {
        let ratio = 40.0 / face.bounding_box.width;
        let (width, height) = (image.width() as f32 * ratio, image.height() as f32 * ratio);
        let small = shrink_area(&image, width as u32, height as u32);
        for (canvas_width, canvas_height) in [(480, 640), (1280, 960), (3000, 4000), (5000, 5000)] {
            let (left, top) = (
                (canvas_width - small.width()) / 3,
                (canvas_height - small.height()) / 2,
            );
            let canvas = pasted(&small, canvas_width, canvas_height, left, top)?;
            let expected = BoundingBox {
                x: left as f32 + face.bounding_box.x * ratio,
                y: top as f32 + face.bounding_box.y * ratio,
                width: face.bounding_box.width * ratio,
                height: face.bounding_box.height * ratio,
            };
            let found =
                primary(&engine, &canvas)?.ok_or_else(|| format!("{name} in {canvas_width} px: no face"))?;
            let overlap = found.bounding_box.iou(&expected);
            ensure!(overlap >= 0.5, "{name} in {canvas_width} px: overlap {overlap}");
        }
    }
    Ok(())
}

/// The default search stops early, but not before a second face that is large enough to be a reason for review.
fn turned_second_face(shared: &Path) -> Outcome {
    let engine = Engine::builder().workers(1).build()?;
    let faces = portraits(shared)?;
    for (index, (name, (main, main_face))) in PORTRAITS.iter().zip(&faces).enumerate() {
        let (other, other_face) = &faces[(index + 1) % faces.len()];
        for degrees in [-30.0f64, 15.0, 30.0, 45.0] {
            let mut canvas = Image::from_rgb8(2000, 1500, vec![128; 2000 * 1500 * 3])?;
            canvas = placed(&canvas, main, main_face, (650.0, 750.0), 400.0, 0.0)?;
            canvas = placed(&canvas, other, other_face, (1550.0, 750.0), 225.0, degrees)?;
            let thorough = engine.embed(&canvas, &EmbedOptions::default().with_all_faces(true))?;
            let verified = engine.verify(&canvas, main, &VerifyOptions::default())?;
            ensure!(
                verified.selfie.faces_found >= thorough.len().min(2),
                "{name}, turned by {degrees}: {} of {} faces",
                verified.selfie.faces_found,
                thorough.len()
            );
        }
    }
    Ok(())
}

/// Puts the surroundings of a face into an image, the face's centre at a point, its width and angle as wanted.
fn placed(
    canvas: &Image,
    image: &Image,
    face: &Face,
    (x, y): (f64, f64),
    width: f64,
    degrees: f64,
) -> Result<Image, Failed> {
    let bounds = face.bounding_box;
    let (center_x, center_y) = (
        f64::from(bounds.x + bounds.width / 2.0),
        f64::from(bounds.y + bounds.height / 2.0),
    );
    let scale = width / f64::from(bounds.width);
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (a, b) = (scale * cos, scale * sin);
    let transform = Affine::new(
        a,
        -b,
        x - a * center_x + b * center_y,
        b,
        a,
        y - b * center_x - a * center_y,
    );
    let turned = warp_affine(image, &transform, canvas.width(), canvas.height());
    let mut pixels = canvas.as_rgb8().to_vec();
    let reach = width * 1.2;
    for row in 0..canvas.height() {
        for column in 0..canvas.width() {
            let inside = (f64::from(column) - x).hypot(f64::from(row) - y) < reach;
            let at = (row as usize * canvas.width() as usize + column as usize) * 3;
            let source = &turned.as_rgb8()[at..at + 3];
            if inside && source != [0, 0, 0] {
                pixels[at..at + 3].copy_from_slice(source);
            }
        }
    }
    Ok(Image::from_rgb8(canvas.width(), canvas.height(), pixels)?)
}

/// An image on a grey canvas.
fn pasted(image: &Image, width: u32, height: u32, left: u32, top: u32) -> Result<Image, Failed> {
    let mut pixels = vec![128; width as usize * height as usize * 3];
    let row_bytes = image.width() as usize * 3;
    for (row, source) in image.as_rgb8().chunks_exact(row_bytes).enumerate() {
        let begin = ((top as usize + row) * width as usize + left as usize) * 3;
        pixels[begin..begin + row_bytes].copy_from_slice(source);
    }
    Ok(Image::from_rgb8(width, height, pixels)?)
}

fn several_faces(shared: &Path) -> Outcome {
    let engine = Engine::builder().workers(1).build()?;
    // Counted by eye.
    for (name, people) in [
        ("couple.jpg", 2),
        ("2008_001322.jpg", 3),
        ("2007_007763.jpg", 7),
        ("bald_guys.jpg", 20),
    ] {
        let bytes = std::fs::read(shared.join("data/groups").join(name))?;
        let faces = engine.embed(&bytes, &EmbedOptions::default().with_all_faces(true))?;
        ensure!(faces.len() >= people, "{name}: {} of {people} faces", faces.len());
        let areas: Vec<f32> = faces.iter().map(|found| found.face.bounding_box.area()).collect();
        ensure!(areas.is_sorted_by(|a, b| a >= b), "{name}: {areas:?}");
    }
    Ok(())
}

fn no_face(shared: &Path) -> Outcome {
    let engine = Engine::builder().workers(1).build()?;
    let folder = shared.join("data/awkward");
    for name in [
        "Landscape_1.jpg",
        "Portrait_6.jpg",
        "5_webp_a.webp",
        "with-alpha.png",
        "Crash_test.gif",
    ] {
        let bytes = std::fs::read(folder.join(name))?;
        for options in [
            EmbedOptions::default(),
            EmbedOptions::default().with_all_faces(true),
        ] {
            let found = engine.embed(&bytes, &options)?;
            ensure!(
                found.is_empty(),
                "{name}: {} faces, the first at {:?}",
                found.len(),
                found[0].face.bounding_box
            );
        }
    }
    Ok(())
}
