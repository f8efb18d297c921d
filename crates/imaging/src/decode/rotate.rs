//! Turns of whole images by right angles.

use std::borrow::Cow;

use super::canvas::{Canvas, turn};
use crate::image::CHANNELS;
use crate::{Image, ImagingError, Interrupt, Orientation, Rotation};

/// Returns an image turned by a rotation. Of an owned image, half a turn needs no second buffer.
///
/// # Errors
///
/// [`ImagingError::Interrupted`] within milliseconds of the interrupt.
pub fn rotate(
    image: Cow<'_, Image>,
    rotation: Rotation,
    interrupt: Interrupt<'_>,
) -> Result<Image, ImagingError> {
    let sides = (image.width(), image.height());
    let orientation = rotation.after(Orientation::Upright);
    let (width, height) = orientation.upright_size(sides.0, sides.1);
    let pixels = if rotation.swaps_sides() {
        let (pixels, stride) = (image.as_rgb8(), sides.0 as usize * CHANNELS);
        let mut canvas = Canvas::new(orientation, sides, 0);
        canvas.fill(&interrupt, |y, row| {
            row.copy_from_slice(&pixels[y * stride..][..stride]);
            Ok(())
        })?;
        canvas.into_pixels()
    } else {
        turn(orientation, sides, image.into_owned().into_rgb8(), &interrupt)?
    };
    Image::from_rgb8(width, height, pixels)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_rotation() -> impl Strategy<Value = Rotation> {
        prop::sample::select(Rotation::ALL.to_vec())
    }

    fn numbered(width: u32, height: u32) -> Image {
        let pixels = (0..width * height).flat_map(|i| [i as u8, (i >> 8) as u8, 7]);
        Image::from_rgb8(width, height, pixels.collect()).unwrap()
    }

    fn turned(image: &Image, rotation: Rotation) -> Image {
        rotate(Cow::Borrowed(image), rotation, Interrupt::NEVER).unwrap()
    }

    fn pixel(image: &Image, (x, y): (f32, f32)) -> &[u8] {
        let at = (y as usize * image.width() as usize + x as usize) * 3;
        &image.as_rgb8()[at..at + 3]
    }

    #[test]
    fn every_rotation_follows_every_orientation_as_quarter_turns_do() {
        let stored = numbered(3, 2);
        for value in 1..=8 {
            let orientation = Orientation::from_exif(value).unwrap();
            let by = |orientation: Orientation| {
                let pixels = stored.as_rgb8().to_vec();
                let (width, height) = orientation.upright_size(3, 2);
                let pixels = turn(orientation, (3, 2), pixels, &Interrupt::NEVER).unwrap();
                Image::from_rgb8(width, height, pixels).unwrap()
            };
            for rotation in Rotation::ALL {
                assert_eq!(
                    by(rotation.after(orientation)).as_rgb8(),
                    turned(&by(orientation), rotation).as_rgb8(),
                    "{orientation:?} {rotation:?}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn turning_back_gives_the_same_image(rotation in any_rotation(), width in 1_u32..70, height in 1_u32..70) {
            let image = numbered(width, height);
            prop_assert!(turned(&turned(&image, rotation), rotation.inverse()) == image);
        }

        #[test]
        fn points_go_where_their_pixels_go(
            rotation in any_rotation(), (width, x) in (1_u32..50).prop_flat_map(|side| (Just(side), 0..side)),
            (height, y) in (1_u32..50).prop_flat_map(|side| (Just(side), 0..side)),
        ) {
            let image = numbered(width, height);
            let rotated = turned(&image, rotation);
            let centre = (x as f32 + 0.5, y as f32 + 0.5);
            let place = rotation.point(centre, (width, height));
            prop_assert_eq!(pixel(&rotated, place), pixel(&image, centre));
            let back = rotation.inverse().point(place, (rotated.width(), rotated.height()));
            prop_assert_eq!(back, centre);
        }
    }
}
