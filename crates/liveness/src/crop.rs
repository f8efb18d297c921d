//! Which part of the picture a liveness model looks at.

use likeness_detection::BoundingBox;
use likeness_imaging::PixelRect;

/// The part of a picture of `width` x `height` pixels that is `scale` times the face box, around the face's centre.
///
/// As the models were trained (Minivision, Silent-Face-Anti-Spoofing): the scale shrinks to what the picture holds,
/// the same for both directions; what reaches over a border is moved back inside, not cut off; corners are cut to
/// whole pixels and both belong to the crop.
#[must_use]
pub fn crop_rect(width: u32, height: u32, face: &BoundingBox, scale: f64) -> PixelRect {
    let right_most = f64::from(width.saturating_sub(1));
    let bottom_most = f64::from(height.saturating_sub(1));
    let (face_width, face_height) = (f64::from(face.width).max(1.0), f64::from(face.height).max(1.0));
    let scale = scale.min(right_most / face_width).min(bottom_most / face_height);
    let (crop_width, crop_height) = (face_width * scale, face_height * scale);
    let (left, right) = inside(
        f64::from(face.x) + f64::from(face.width) / 2.0,
        crop_width,
        right_most,
    );
    let (top, bottom) = inside(
        f64::from(face.y) + f64::from(face.height) / 2.0,
        crop_height,
        bottom_most,
    );
    PixelRect {
        left,
        top,
        width: right - left + 1,
        height: bottom - top + 1,
    }
}

/// An interval of this length around a centre, moved to lie in `0..=last`, cut to whole pixels.
fn inside(center: f64, length: f64, last: f64) -> (u32, u32) {
    let (mut low, mut high) = (center - length / 2.0, center + length / 2.0);
    if low < 0.0 {
        (low, high) = (0.0, high - low);
    }
    if high > last {
        (low, high) = (low - (high - last), last);
    }
    let low = low.clamp(0.0, last) as u32;
    (low, (high.clamp(0.0, last) as u32).max(low))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn face(x: f32, y: f32, width: f32, height: f32) -> BoundingBox {
        BoundingBox { x, y, width, height }
    }

    #[test]
    fn in_the_middle_it_is_the_scaled_box() {
        // Centre (320, 240), 2.7 times 100 x 120 is 270 x 324: 185..455, 78..402.
        let rect = crop_rect(640, 480, &face(270.0, 180.0, 100.0, 120.0), 2.7);
        assert_eq!(
            (rect.left, rect.top, rect.width, rect.height),
            (185, 78, 271, 325)
        );
    }

    #[test]
    fn at_a_border_it_is_moved_and_keeps_its_size() {
        let rect = crop_rect(640, 480, &face(10.0, 180.0, 100.0, 120.0), 2.7);
        assert_eq!((rect.left, rect.width), (0, 271));
        let rect = crop_rect(640, 480, &face(530.0, 180.0, 100.0, 120.0), 2.7);
        assert_eq!((rect.left + rect.width, rect.width), (640, 271));
    }

    #[test]
    fn a_face_too_large_for_the_scale_gets_what_the_picture_holds() {
        // 479 / 300 = 1.5967 times the box: the full height, 319 wide.
        let rect = crop_rect(640, 480, &face(220.0, 90.0, 200.0, 300.0), 4.0);
        assert_eq!((rect.top, rect.height), (0, 480));
        assert_eq!(rect.width, 320);
    }

    proptest! {
        #[test]
        fn it_lies_in_the_picture_whatever_the_box(
            width in 1u32..3000, height in 1u32..3000,
            x in -4000.0f32..4000.0, y in -4000.0f32..4000.0, w in 0.0f32..5000.0, h in 0.0f32..5000.0,
            scale in 0.5f64..8.0,
        ) {
            let rect = crop_rect(width, height, &face(x, y, w, h), scale);
            prop_assert!(rect.width >= 1 && rect.height >= 1);
            prop_assert!(rect.left + rect.width <= width && rect.top + rect.height <= height);
        }
    }
}
