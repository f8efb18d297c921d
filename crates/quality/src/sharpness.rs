//! How much fine detail a face has.

use crate::sample::Sample;

/// Variance of the coarser detail, in squared grey levels, below which there is nothing that could be sharp: a plain
/// surface shows only the rounding to whole levels.
const PLAIN: f64 = 1.0;

/// From the median of the absolute values of Gaussian noise to its standard deviation.
const MEDIAN_TO_DEVIATION: f64 = 1.4826;

/// The strength of the details of 2 to 8 pixels in units of that of those of 8 to 16, at a sample's size. Images of
/// the world have a constant ratio between the two, as far as the lens and the focus let them: so it depends neither
/// on contrast nor on the light.
///
/// The detail is that of the first three levels of the wavelet transform "à trous" with a linear spline. Of the finest
/// level, the noise is taken off: it is everywhere, whereas detail is in few places, so the median knows it.
pub(crate) fn sharpness(sample: &Sample) -> f64 {
    let (width, height) = (sample.width, sample.height);
    let grey: Vec<f32> = sample.luma.iter().map(|&luma| f32::from(luma)).collect();
    let soft = blurred(&grey, width, height, 1);
    let softer = blurred(&soft, width, height, 2);
    let softest = blurred(&softer, width, height, 4);
    let finest = difference(&grey, &soft);
    let noise = MEDIAN_TO_DEVIATION * median_size(&finest);
    let fine = (energy(&finest) - noise * noise).max(0.0) + energy(&difference(&soft, &softer));
    let coarse = energy(&difference(&softer, &softest));
    (fine / (coarse + PLAIN)).sqrt()
}

fn difference(fine: &[f32], coarse: &[f32]) -> Vec<f32> {
    fine.iter()
        .zip(coarse)
        .map(|(fine, coarse)| fine - coarse)
        .collect()
}

/// The mean square.
fn energy(detail: &[f32]) -> f64 {
    let sum: f32 = detail.iter().map(|value| value * value).sum();
    f64::from(sum) / detail.len().max(1) as f64
}

/// The median of the absolute values.
fn median_size(detail: &[f32]) -> f64 {
    let mut sizes: Vec<f32> = detail.iter().map(|value| value.abs()).collect();
    if sizes.is_empty() {
        return 0.0;
    }
    let middle = sizes.len() / 2;
    let (_, median, _) = sizes.select_nth_unstable_by(middle, f32::total_cmp);
    f64::from(*median)
}

/// Each pixel mixed with those `step` away, 1 : 2 : 1 in both directions; beyond the border with the last one.
fn blurred(values: &[f32], width: usize, height: usize, step: usize) -> Vec<f32> {
    let mut across = vec![0.0; values.len()];
    for (row, out) in values
        .chunks_exact(width.max(1))
        .zip(across.chunks_exact_mut(width.max(1)))
    {
        let last = row.len() - 1;
        // Within a step of either end.
        for x in (0..row.len().min(step)).chain(row.len().saturating_sub(step)..row.len()) {
            out[x] = mix(row[x.saturating_sub(step)], row[x], row[(x + step).min(last)]);
        }
        if row.len() > 2 * step {
            let (before, value, after) = (row, &row[step..], &row[2 * step..]);
            mix_all([before, value, after], &mut out[step..row.len() - step]);
        }
    }
    let mut both = vec![0.0; values.len()];
    for (y, out) in both.chunks_exact_mut(width.max(1)).enumerate() {
        let row = |y: usize| &across[y * width..(y + 1) * width];
        let (before, after) = (row(y.saturating_sub(step)), row((y + step).min(height - 1)));
        mix_all([before, row(y), after], out);
    }
    both
}

fn mix(before: f32, value: f32, after: f32) -> f32 {
    (before + 2.0 * value + after) / 4.0
}

fn mix_all([before, value, after]: [&[f32]; 3], out: &mut [f32]) {
    for (((out, &before), &value), &after) in out.iter_mut().zip(before).zip(value).zip(after) {
        *out = mix(before, value, after);
    }
}
