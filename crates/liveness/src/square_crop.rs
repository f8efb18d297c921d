//! The square crop of an image for a liveness model.

use likeness_face::BoundingBox;
use likeness_imaging::{Image, crop_resize_mirrored};

/// Returns the square of `scale` times the longer side of the face box, around the face's centre, at `size` pixels a side.
///
/// As the makers of facenox cut it (face-antispoof-onnx): corner and side are cut to whole pixels, and what lies outside of the
/// image is mirrored.
#[must_use]
pub fn square_crop(image: &Image, face: &BoundingBox, scale: f64, size: u32) -> Image {
    let (left, top, side) = square(face, scale);
    crop_resize_mirrored(image, left, top, side, size)
}

/// Returns left, top and side of the square.
pub(crate) fn square(face: &BoundingBox, scale: f64) -> (i64, i64, u32) {
    let longer = f64::from(face.width).max(f64::from(face.height));
    // Casts cut towards zero, also below it, as theirs do.
    let corner =
        |low: f32, length: f32| (f64::from(low) + f64::from(length) / 2.0 - longer * scale / 2.0) as i64;
    let (left, top) = (corner(face.x, face.width), corner(face.y, face.height));
    (left, top, (longer * scale) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Image {
        let pixels = (0..40_u8).flat_map(|y| (0..50_u8).flat_map(move |x| [x, y, 7]));
        Image::from_rgb8(50, 40, pixels.collect()).unwrap()
    }

    fn corners(face: BoundingBox) -> [[u8; 2]; 2] {
        let crop = square_crop(&image(), &face, 1.5, 15);
        let (pixels, _) = crop.as_rgb8().as_chunks::<3>();
        [pixels[0], pixels[15 * 15 - 1]].map(|[x, y, _]| [x, y])
    }

    #[test]
    fn the_longer_side_counts_around_the_centre() {
        // Centre (25.4, 20.9), 15 pixels a side: from (17.9, 13.4).
        let face = BoundingBox {
            x: 22.4,
            y: 15.9,
            width: 6.0,
            height: 10.0,
        };
        assert_eq!(corners(face), [[17, 13], [31, 27]]);
    }

    #[test]
    fn below_zero_corners_are_cut_towards_zero_and_mirrored() {
        // From (-3.9, -1.5): three columns and one row are mirrored.
        let face = BoundingBox {
            x: -1.4,
            y: 1.0,
            width: 10.0,
            height: 10.0,
        };
        assert_eq!(corners(face), [[3, 1], [11, 13]]);
    }
}
