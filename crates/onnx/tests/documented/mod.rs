//! Every operator of the sample computed in the plainest way, as OpenVINO's operation set `opset1` documents it.

use ndarray::{Array4, Axis, s};

/// As bits of `f16`, and their values.
const SCALE: ([u16; 2], [f32; 2]) = ([0x3800, 0xb400], [0.5, -0.25]);
const BIAS: ([u16; 4], [f32; 4]) = ([0x3c00, 0x3800, 0xb400, 0x3400], [1.0, 0.5, -0.25, 0.25]);
const SLOPE: ([u16; 1], [f32; 1]) = ([0x3400], [0.25]);
const OFFSET: f32 = 0.125;
const SLOPES: [f32; 4] = [0.1, 0.5, 2.0, -1.0];

/// `[4, 2, 3, 3]`: channels made, channels read, rows, columns.
fn kernel() -> Vec<f32> {
    (0..72u16).map(|i| (f32::from(i * 7 % 11) - 5.0) / 16.0).collect()
}

/// `[2, 3, 2, 3, 3]`: groups, channels made of each, channels read of each, rows, columns.
fn group_kernel() -> Vec<f32> {
    (0..108u16).map(|i| (f32::from(i * 5 % 13) - 6.0) / 8.0).collect()
}

/// The sample's `.bin`.
pub(crate) fn bin() -> Vec<u8> {
    let halves =
        |values: &[u16]| -> Vec<u8> { values.iter().flat_map(|value| value.to_le_bytes()).collect() };
    let floats =
        |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|value| value.to_le_bytes()).collect() };
    [
        halves(&SCALE.0),
        floats(&[OFFSET]),
        floats(&kernel()),
        halves(&BIAS.0),
        floats(&SLOPES),
        floats(&group_kernel()),
        halves(&SLOPE.0),
    ]
    .concat()
}

/// Two pictures, `[2, 2, 8, 8]`.
pub(crate) fn pictures() -> Array4<f32> {
    Array4::from_shape_fn((2, 2, 8, 8), |(n, c, y, x)| {
        let number = (n * 128 + c * 64 + y * 8 + x) * 31 % 17;
        (number as f32 - 8.0) / 4.0
    })
}

/// What the sample makes of pictures: `[N, 6, 2, 2]`.
pub(crate) fn answer(pictures: &Array4<f32>) -> Array4<f32> {
    let scaled = along_channels(pictures, |channel, value| value * SCALE.1[channel]);
    let shifted = scaled.mapv(|value| value + OFFSET);
    let convolved = convolution(&shifted, &kernel(), [1, 4, 2], 2);
    let biased = along_channels(&convolved, |channel, value| value + BIAS.1[channel]);
    let activated = along_channels(&biased, |channel, value| prelu(value, SLOPES[channel]));
    let grouped = convolution(&activated, &group_kernel(), [2, 3, 2], 1);
    let activated = grouped.mapv(|value| prelu(value, SLOPE.1[0]));
    let pooled = windows(&activated, |window| {
        window.into_iter().fold(f32::NEG_INFINITY, f32::max)
    });
    let mean = windows(&pooled, |window| window.iter().sum::<f32>() / 4.0);
    let gate = mean.mapv(|value| 1.0 / (1.0 + (-value).exp()));
    // `gate` has one row and one column, which are repeated.
    &pooled * &gate
}

fn along_channels(input: &Array4<f32>, each: impl Fn(usize, f32) -> f32) -> Array4<f32> {
    Array4::from_shape_fn(input.raw_dim(), |(n, c, y, x)| each(c, input[[n, c, y, x]]))
}

fn prelu(value: f32, slope: f32) -> f32 {
    if value < 0.0 { value * slope } else { value }
}

/// Kernels of three rows and columns, one row and column of zeros around.
fn convolution(
    input: &Array4<f32>,
    kernel: &[f32],
    [groups, made, read]: [usize; 3],
    stride: usize,
) -> Array4<f32> {
    let (batch, channels, height, width) = input.dim();
    assert_eq!(channels, groups * read);
    let mut padded = Array4::zeros((batch, channels, height + 2, width + 2));
    padded.slice_mut(s![.., .., 1..=height, 1..=width]).assign(input);
    let side = |side: usize| (side + 2 - 3) / stride + 1;
    Array4::from_shape_fn(
        (batch, groups * made, side(height), side(width)),
        |(n, c, y, x)| {
            let group = c / made;
            let mut sum = 0.0;
            for channel in 0..read {
                for (row, column) in (0..3).flat_map(|row| (0..3).map(move |column| (row, column))) {
                    let weight = kernel[((c * read + channel) * 3 + row) * 3 + column];
                    sum +=
                        weight * padded[[n, group * read + channel, y * stride + row, x * stride + column]];
                }
            }
            sum
        },
    )
}

/// Windows of two rows and columns that do not overlap.
fn windows(input: &Array4<f32>, of: impl Fn(Vec<f32>) -> f32) -> Array4<f32> {
    let (batch, channels, height, width) = input.dim();
    Array4::from_shape_fn((batch, channels, height / 2, width / 2), |(n, c, y, x)| {
        let picture = input.index_axis(Axis(0), n);
        of(picture
            .slice(s![c, 2 * y..2 * y + 2, 2 * x..2 * x + 2])
            .iter()
            .copied()
            .collect())
    })
}
