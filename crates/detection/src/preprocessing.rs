//! Pixels as a manifest says that a model wants them.

use likeness_imaging::{self as imaging, Image};
use likeness_models::Preprocessing;

/// The colour order that a manifest names, as the imaging crate calls it.
#[must_use]
pub fn channel_order(order: likeness_models::ChannelOrder) -> imaging::ChannelOrder {
    match order {
        likeness_models::ChannelOrder::Rgb => imaging::ChannelOrder::Rgb,
        likeness_models::ChannelOrder::Bgr => imaging::ChannelOrder::Bgr,
    }
}

/// Writes an image as three planes of `f32` (CHW) into `out`, each value 0..=255 as `(value - mean) / std`, planes in the
/// order that the manifest names.
///
/// # Panics
/// If `out` does not have exactly `3 * width * height` elements, which is a bug of the caller and not of the image.
pub fn write_input(image: &Image, input: &Preprocessing, out: &mut [f32]) {
    let scale = input.std.map(|std| 1.0 / std);
    imaging::write_planar(image, channel_order(input.channels), input.mean, scale, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_deviation_are_those_of_the_manifest() {
        let manifest = likeness_models::Manifest::builtin("insightface-r50")
            .unwrap()
            .unwrap();
        let image = Image::from_rgb8(1, 1, vec![255, 127, 0]).unwrap();
        let mut out = [0.0; 3];
        // RGB, (v - 127.5) / 128.
        write_input(&image, &manifest.detectors[0].input, &mut out);
        assert_eq!(out, [127.5 / 128.0, -0.5 / 128.0, -127.5 / 128.0]);
    }
}
