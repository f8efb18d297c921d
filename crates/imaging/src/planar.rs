//! Images as the tensors that models read.

use multiversion::multiversion;

use crate::Image;
use crate::image::CHANNELS;

/// The order of a tensor's colour planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChannelOrder {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red: the order of models that were trained on OpenCV's images.
    Bgr,
}

/// Writes the image as three planes of `f32`, one after the other (CHW), each row by row from the top.
///
/// A value `v` of `0..=255` of plane `p` becomes `(v - mean[p]) * scale[p]`; `order` says which colour plane 0, 1 and 2
/// are, and `mean` and `scale` follow that order.
///
/// # Panics
///
/// If `out` does not have exactly `3 * width * height` elements, which is a bug of the caller and not of the image.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+fma"))]
pub fn write_planar(image: &Image, order: ChannelOrder, mean: [f32; 3], scale: [f32; 3], out: &mut [f32]) {
    let pixels = image.as_rgb8();
    assert_eq!(out.len(), pixels.len(), "a tensor of another size than the image");
    let area = pixels.len() / CHANNELS;
    let (first, rest) = out.split_at_mut(area);
    let (second, third) = rest.split_at_mut(area);
    let (first_channel, third_channel) = match order {
        ChannelOrder::Rgb => (0, 2),
        ChannelOrder::Bgr => (2, 0),
    };
    let planes = first.iter_mut().zip(second).zip(third);
    let (pixels, _) = pixels.as_chunks::<CHANNELS>();
    for (pixel, ((first, second), third)) in pixels.iter().zip(planes) {
        *first = (f32::from(pixel[first_channel]) - mean[0]) * scale[0];
        *second = (f32::from(pixel[1]) - mean[1]) * scale[1];
        *third = (f32::from(pixel[third_channel]) - mean[2]) * scale[2];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_pixels() -> Image {
        Image::from_rgb8(2, 1, vec![10, 20, 30, 40, 50, 60]).unwrap()
    }

    #[test]
    fn planes_follow_the_channel_order() {
        let mut out = [0.0; 6];
        write_planar(&two_pixels(), ChannelOrder::Rgb, [0.0; 3], [1.0; 3], &mut out);
        assert_eq!(out, [10.0, 40.0, 20.0, 50.0, 30.0, 60.0]);
        write_planar(&two_pixels(), ChannelOrder::Bgr, [0.0; 3], [1.0; 3], &mut out);
        assert_eq!(out, [30.0, 60.0, 20.0, 50.0, 10.0, 40.0]);
    }

    #[test]
    fn mean_and_scale_belong_to_planes_and_not_to_colours() {
        let mut out = [0.0; 6];
        write_planar(
            &two_pixels(),
            ChannelOrder::Bgr,
            [30.0, 0.0, 0.0],
            [1.0, 0.5, 2.0],
            &mut out,
        );
        assert_eq!(out, [0.0, 30.0, 10.0, 25.0, 20.0, 80.0]);
    }

    #[test]
    #[should_panic(expected = "another size")]
    fn a_tensor_of_another_size_is_the_callers_bug() {
        write_planar(
            &two_pixels(),
            ChannelOrder::Rgb,
            [0.0; 3],
            [1.0; 3],
            &mut [0.0; 5],
        );
    }
}
