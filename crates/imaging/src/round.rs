//! From means and mixtures of values back to values.

use multiversion::multiversion;

/// Each value to the nearest whole number, halves upwards; all are between 0 and 255.
#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma",
    "x86_64+avx2+bmi1+bmi2+fma"
))]
pub(crate) fn round(values: &[f32], out: &mut [u8]) {
    for (out, value) in out.iter_mut().zip(values) {
        *out = to_byte(*value);
    }
}

/// A value between 0 and 255 to the nearest whole number, halves upwards; a cast would saturate as well, one value at a
/// time.
#[inline]
fn to_byte(value: f32) -> u8 {
    // 2^23: added to it, a number loses what is behind the point, and its lowest bits are the whole number.
    const SHIFT: f32 = 8_388_608.0;
    let raised = value + 0.5;
    let nearest = (raised + SHIFT) - SHIFT;
    let floor = if nearest > raised { nearest - 1.0 } else { nearest };
    (floor + SHIFT).to_bits() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_rounded_up_and_everything_else_to_the_nearest() {
        for whole in 0..=255_u8 {
            let value = f32::from(whole);
            let below_half = (value + 0.5).next_down();
            let from_half = (value - 0.5).max(0.0);
            for near in [from_half, value, below_half] {
                let mut out = [0];
                // Half a step short of the half, adding the half rounds to the next number, as it would in a cast.
                let expected = (near + 0.5) as u8;
                round(&[near], &mut out);
                assert_eq!(out, [expected], "{near}");
            }
        }
    }
}
