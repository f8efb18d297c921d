//! Where in the image a face is.

use likeness_face::{BoundingBox, Face, Point, Pose};
use likeness_imaging::Image;

/// What a detector's box of a whole face reaches beyond the middle of its landmarks (halfway from the eyes to the
/// mouth), in units of the distance from the eyes to the mouth: to either side, up and down. Medians of the default
/// detector's boxes in the portraits and webcam frames of the development data.
const SIDE: f64 = 1.05;
const UP: f64 = 1.6;
const DOWN: f64 = 1.25;

/// By how much the landmarks of a head that is turned to the side are nearer to the side that it looks to than the
/// middle of its box, in the same units, times the sine of the yaw. Measured on 2,870 faces.
const YAW_SHIFT: f64 = 0.5;

/// The share of a face that lies within the image, 0..=1.
pub(crate) fn visible_share(image: &Image, face: &Face, pose: &Pose) -> f64 {
    let BoundingBox { x, y, width, height } = face.bounding_box;
    let (x, y) = (f64::from(x), f64::from(y));
    let (right, bottom) = (x + f64::from(width), y + f64::from(height));
    let boxed = part_inside(image, (x, right), (y, bottom));

    let [right_eye, left_eye, _, right_mouth, left_mouth] =
        face.landmarks.map(|Point { x, y }| (f64::from(x), f64::from(y)));
    let middle = |a: (f64, f64), b: (f64, f64)| (f64::midpoint(a.0, b.0), f64::midpoint(a.1, b.1));
    let (eyes, mouth) = (middle(right_eye, left_eye), middle(right_mouth, left_mouth));
    let unit = (eyes.0 - mouth.0).hypot(eyes.1 - mouth.1);
    let center = middle(eyes, mouth);
    // From there to the middle of the face, in the face's own directions.
    let (across, down) = (-YAW_SHIFT * pose.yaw.to_radians().sin(), (DOWN - UP) / 2.0);
    let (sin, cos) = pose.roll.to_radians().sin_cos();
    let center = (
        center.0 + (across * cos - down * sin) * unit,
        center.1 + (across * sin + down * cos) * unit,
    );
    let (half_width, half_height) = (SIDE * unit, f64::midpoint(UP, DOWN) * unit);
    let suggested = part_inside(
        image,
        (center.0 - half_width, center.0 + half_width),
        (center.1 - half_height, center.1 + half_height),
    );
    boxed.min(suggested)
}

/// The share of a rectangle that lies within the image. One without extent counts as a point.
fn part_inside(image: &Image, x: (f64, f64), y: (f64, f64)) -> f64 {
    part(x, f64::from(image.width())) * part(y, f64::from(image.height()))
}

fn part((low, high): (f64, f64), limit: f64) -> f64 {
    let inside = high.min(limit) - low.max(0.0);
    if inside < 0.0 {
        0.0
    } else if high > low {
        // The rounding of large coordinates may make the quotient a little more than 1.
        (inside / (high - low)).min(1.0)
    } else {
        1.0
    }
}

/// How far the middle of a box is from that of the image, in half sides.
pub(crate) fn off_centre(image: &Image, face: &BoundingBox) -> f64 {
    let off = |start: f32, length: f32, side: u32| {
        let half = f64::from(side) / 2.0;
        ((f64::from(start) + f64::from(length) / 2.0 - half) / half).abs()
    };
    off(face.x, face.width, image.width()).max(off(face.y, face.height, image.height()))
}

/// Returns the margin of a face in the middle of the largest crop of its proportions that the image holds, made longer to a
/// square where the image allows it, in units of the face; 0 where the face reaches beyond the image.
///
/// The liveness models' crops are limited by the image in the same way, and what they lose in height they get back in width.
pub(crate) fn surroundings(image: &Image, face: &BoundingBox) -> f64 {
    // A box without extent has all the room that there is.
    let (width, height) = (f64::from(face.width).max(1.0), f64::from(face.height).max(1.0));
    let held = (f64::from(image.width()) / width).min(f64::from(image.height()) / height);
    let (shorter, longer, available) = if width < height {
        (width * held, height * held, image.width())
    } else {
        (height * held, width * held, image.height())
    };
    let shorter = longer.min(f64::from(available)).max(shorter);
    (((shorter * longer / (width * height)).sqrt() - 1.0) / 2.0).max(0.0)
}
