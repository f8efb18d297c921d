//! The crop of an image for a liveness model.

use likeness_face::BoundingBox;
use likeness_imaging::PixelRect;
use likeness_packs::CropFit;

/// Returns the part of an image of `width` x `height` pixels that is `scale` times the face box, around the face's centre.
///
/// As the models' makers cut it (Minivision, Silent-Face-Anti-Spoofing): the scale shrinks to what the image holds,
/// the same for both directions; what reaches over a border is moved back inside, not cut off; corners are cut to
/// whole pixels and both belong to the crop. With [`CropFit::Widen`] a crop that had to shrink gets back, in the direction
/// that has room, what it lost: up to the area that `scale` asks for, and no longer than its other side.
#[must_use]
pub fn crop_rect(width: u32, height: u32, face: &BoundingBox, scale: f64, fit: CropFit) -> PixelRect {
    let right_most = f64::from(width.saturating_sub(1));
    let bottom_most = f64::from(height.saturating_sub(1));
    let (face_width, face_height) = (f64::from(face.width).max(1.0), f64::from(face.height).max(1.0));
    let held = scale.min(right_most / face_width).min(bottom_most / face_height);
    let (mut crop_width, mut crop_height) = (face_width * held, face_height * held);
    if fit == CropFit::Widen && held < scale {
        let area = face_width * face_height * scale * scale;
        if crop_width < crop_height {
            crop_width = longer(crop_width, crop_height, area, right_most);
        } else {
            crop_height = longer(crop_height, crop_width, area, bottom_most);
        }
    }
    let center = |start: f32, length: f32| f64::from(start) + f64::from(length) / 2.0;
    let (left, right) = inside(center(face.x, face.width), crop_width, right_most);
    let (top, bottom) = inside(center(face.y, face.height), crop_height, bottom_most);
    PixelRect {
        left,
        top,
        width: right - left + 1,
        height: bottom - top + 1,
    }
}

/// The shorter side of a crop, made longer until the crop has this area or is a square or the image ends.
fn longer(shorter: f64, other: f64, area: f64, available: f64) -> f64 {
    // A side of 0 is that of an image of one pixel.
    let wanted = if other > 0.0 { area / other } else { other };
    wanted.min(other).min(available).max(shorter)
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
        let rect = crop_rect(640, 480, &face(270.0, 180.0, 100.0, 120.0), 2.7, CropFit::Shrink);
        assert_eq!(
            (rect.left, rect.top, rect.width, rect.height),
            (185, 78, 271, 325)
        );
    }

    #[test]
    fn at_a_border_it_is_moved_and_keeps_its_size() {
        let rect = crop_rect(640, 480, &face(10.0, 180.0, 100.0, 120.0), 2.7, CropFit::Shrink);
        assert_eq!((rect.left, rect.width), (0, 271));
        let rect = crop_rect(640, 480, &face(530.0, 180.0, 100.0, 120.0), 2.7, CropFit::Shrink);
        assert_eq!((rect.left + rect.width, rect.width), (640, 271));
    }

    #[test]
    fn a_face_too_large_for_the_scale_gets_what_the_image_holds() {
        // 479 / 300 = 1.5967 times the box: the full height, 319 wide.
        let rect = crop_rect(640, 480, &face(220.0, 90.0, 200.0, 300.0), 4.0, CropFit::Shrink);
        assert_eq!((rect.top, rect.height), (0, 480));
        assert_eq!(rect.width, 320);
    }

    #[test]
    fn what_it_loses_in_height_it_gets_back_in_width() {
        // As above, but as wide as high: 4 times 200 x 300 would be much more.
        let rect = crop_rect(640, 480, &face(220.0, 90.0, 200.0, 300.0), 4.0, CropFit::Widen);
        assert_eq!((rect.left, rect.top, rect.width, rect.height), (80, 0, 480, 480));
        // Not above the area: 1.7 times 200 x 300 is 173,400, which is 362 times 479, from 138.998 to 501.002.
        let rect = crop_rect(640, 480, &face(220.0, 90.0, 200.0, 300.0), 1.7, CropFit::Widen);
        assert_eq!((rect.width, rect.height), (364, 480));
        // Not beyond the image.
        let rect = crop_rect(400, 480, &face(100.0, 90.0, 200.0, 300.0), 4.0, CropFit::Widen);
        assert_eq!((rect.left, rect.width, rect.height), (0, 400, 480));
        // A wide face gets higher.
        let rect = crop_rect(480, 640, &face(90.0, 220.0, 300.0, 200.0), 4.0, CropFit::Widen);
        assert_eq!((rect.top, rect.width, rect.height), (80, 480, 480));
    }

    #[test]
    fn a_crop_that_the_image_holds_is_the_same_either_way() {
        let small = face(270.0, 180.0, 100.0, 120.0);
        assert_eq!(
            crop_rect(640, 480, &small, 2.7, CropFit::Widen),
            crop_rect(640, 480, &small, 2.7, CropFit::Shrink)
        );
    }

    proptest! {
        #[test]
        fn it_lies_in_the_image_whatever_the_box(
            width in 1u32..3000, height in 1u32..3000,
            x in -4000.0f32..4000.0, y in -4000.0f32..4000.0, w in 0.0f32..5000.0, h in 0.0f32..5000.0,
            scale in 0.5f64..8.0, fit in prop::sample::select(vec![CropFit::Shrink, CropFit::Widen]),
        ) {
            let rect = crop_rect(width, height, &face(x, y, w, h), scale, fit);
            prop_assert!(rect.width >= 1 && rect.height >= 1);
            prop_assert!(rect.left + rect.width <= width && rect.top + rect.height <= height);
        }
    }
}
