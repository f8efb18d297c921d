//! Whether a face got too little light or too much.

use crate::sample::Sample;

/// From this luma on a pixel counts as overexposed, as ISO/IEC 29794-5 counts.
const OVEREXPOSED: u8 = 247;

/// Which part of the pixels is darker than the brightness. High enough for highlights on dark skin, low enough for
/// teeth and glasses not to stand for the face.
const BRIGHT: f64 = 0.95;

/// The 95th percentile of the luma, 0..=1.
pub(crate) fn brightness(sample: &Sample) -> f64 {
    let mut luma = sample.luma.clone();
    let rank = (luma.len().saturating_sub(1) as f64 * BRIGHT) as usize;
    if rank >= luma.len() {
        return 0.0;
    }
    let (_, value, _) = luma.select_nth_unstable(rank);
    f64::from(*value) / 255.0
}

/// The share of pixels that are too bright to show anything, 0..=1.
pub(crate) fn overexposed_share(sample: &Sample) -> f64 {
    let bright = sample.luma.iter().filter(|&&luma| luma >= OVEREXPOSED).count();
    bright as f64 / sample.luma.len().max(1) as f64
}
