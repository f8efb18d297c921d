//! Images as the input tensors of models.

use likeness_imaging::Image;
use likeness_packs::{ChannelOrder, Preprocessing};
use multiversion::multiversion;

/// Writes an image as three planes of `f32`, one after the other (CHW), each row by row from the top.
///
/// A value `v` of `0..=255` of plane `p` becomes `(v - mean[p]) / std[p]`; the planes, `mean` and `std` follow the channel
/// order that the manifest names.
///
/// # Panics
/// If `out` does not have exactly `3 * width * height` elements, which is a bug of the calling program.
pub fn write_input(image: &Image, input: &Preprocessing, out: &mut [f32]) {
    assert_eq!(
        out.len(),
        image.as_rgb8().len(),
        "a tensor of another size than the image"
    );
    let (pixels, _) = image.as_rgb8().as_chunks();
    let channels = match input.channels {
        ChannelOrder::Rgb => [0, 1, 2],
        ChannelOrder::Bgr => [2, 1, 0],
    };
    write_planes(pixels, channels, input.mean, input.std.map(|std| 1.0 / std), out);
}

#[multiversion(targets("x86_64+avx2+bmi1+bmi2+fma"))]
fn write_planes(pixels: &[[u8; 3]], channels: [usize; 3], mean: [f32; 3], scale: [f32; 3], out: &mut [f32]) {
    let (first, rest) = out.split_at_mut(pixels.len());
    let (second, third) = rest.split_at_mut(pixels.len());
    let planes = first.iter_mut().zip(second).zip(third);
    let [first_channel, _, third_channel] = channels;
    for (pixel, ((first, second), third)) in pixels.iter().zip(planes) {
        *first = (f32::from(pixel[first_channel]) - mean[0]) * scale[0];
        *second = (f32::from(pixel[1]) - mean[1]) * scale[1];
        *third = (f32::from(pixel[third_channel]) - mean[2]) * scale[2];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_manifest() -> Preprocessing {
        let manifest = likeness_packs::Manifest::builtin("insightface-r50");
        manifest.unwrap().unwrap().detectors[0].input
    }

    fn written(channels: ChannelOrder, mean: [f32; 3], std: [f32; 3]) -> [f32; 6] {
        let image = Image::from_rgb8(2, 1, vec![10, 20, 30, 40, 50, 60]).unwrap();
        let mut input = of_manifest();
        (input.channels, input.mean, input.std) = (channels, mean, std);
        let mut out = [0.0; 6];
        write_input(&image, &input, &mut out);
        out
    }

    #[test]
    fn planes_follow_the_channel_order() {
        assert_eq!(
            written(ChannelOrder::Rgb, [0.0; 3], [1.0; 3]),
            [10.0, 40.0, 20.0, 50.0, 30.0, 60.0]
        );
        assert_eq!(
            written(ChannelOrder::Bgr, [0.0; 3], [1.0; 3]),
            [30.0, 60.0, 20.0, 50.0, 10.0, 40.0]
        );
    }

    #[test]
    fn mean_and_deviation_belong_to_planes_and_not_to_colours() {
        assert_eq!(
            written(ChannelOrder::Bgr, [30.0, 0.0, 0.0], [1.0, 2.0, 0.5]),
            [0.0, 30.0, 10.0, 25.0, 20.0, 80.0]
        );
    }

    #[test]
    #[should_panic(expected = "another size")]
    fn a_tensor_of_another_size_is_the_programs_bug() {
        let image = Image::from_rgb8(1, 1, vec![255, 127, 0]).unwrap();
        write_input(&image, &of_manifest(), &mut [0.0; 5]);
    }

    #[test]
    fn mean_and_deviation_are_those_of_the_manifest() {
        let image = Image::from_rgb8(1, 1, vec![255, 127, 0]).unwrap();
        let mut out = [0.0; 3];
        // RGB, (v - 127.5) / 128.
        write_input(&image, &of_manifest(), &mut out);
        assert_eq!(out, [127.5 / 128.0, -0.5 / 128.0, -127.5 / 128.0]);
    }
}
