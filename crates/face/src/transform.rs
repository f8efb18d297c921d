//! The transform that aligns a face.

use likeness_imaging::Affine;

/// Returns the similarity transform (rotation, one scale, translation; no reflection) that brings `from` nearest to `to`,
/// in the sense of least squares.
///
/// This is the solution of Umeyama (IEEE PAMI 13(4), 1991) without a singular value decomposition: in the plane a
/// similarity is the multiplication by a complex number, and the best one is the quotient of two sums.
///
/// `None` where all points of `from` are in one place or a coordinate is not finite.
#[must_use]
pub fn similarity_transform(from: &[[f64; 2]; 5], to: &[[f64; 2]; 5]) -> Option<Affine> {
    let mean = |points: &[[f64; 2]; 5]| {
        let sum = points
            .iter()
            .fold([0.0, 0.0], |sum, point| [sum[0] + point[0], sum[1] + point[1]]);
        [sum[0] / 5.0, sum[1] / 5.0]
    };
    let (center_from, center_to) = (mean(from), mean(to));
    let (mut real, mut imaginary, mut spread) = (0.0, 0.0, 0.0);
    for (a, b) in from.iter().zip(to) {
        let (ax, ay) = (a[0] - center_from[0], a[1] - center_from[1]);
        let (bx, by) = (b[0] - center_to[0], b[1] - center_to[1]);
        real += ax * bx + ay * by;
        imaginary += ax * by - ay * bx;
        spread += ax * ax + ay * ay;
    }
    let (real, imaginary) = (real / spread, imaginary / spread);
    // Also false where one of them is not a number.
    if !(real.is_finite() && imaginary.is_finite() && real.hypot(imaginary) > 0.0) {
        return None;
    }
    Some(Affine::new(
        real,
        -imaginary,
        center_to[0] - real * center_from[0] + imaginary * center_from[1],
        imaginary,
        real,
        center_to[1] - imaginary * center_from[0] - real * center_from[1],
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FACE: [[f64; 2]; 5] = [
        [30.0, 40.0],
        [70.0, 42.0],
        [50.0, 60.0],
        [35.0, 80.0],
        [66.0, 81.0],
    ];

    fn error_of(transform: &Affine, from: &[[f64; 2]; 5], to: &[[f64; 2]; 5]) -> f64 {
        from.iter()
            .zip(to)
            .map(|(a, b)| {
                let (x, y) = transform.apply(a[0], a[1]);
                (x - b[0]).powi(2) + (y - b[1]).powi(2)
            })
            .sum()
    }

    proptest! {
        #[test]
        fn a_similarity_is_found_again(
            angle in -3.1f64..3.1, scale in 0.05f64..20.0, dx in -500.0f64..500.0, dy in -500.0f64..500.0,
        ) {
            let (sin, cos) = angle.sin_cos();
            let to = FACE.map(|[x, y]| [scale * (cos * x - sin * y) + dx, scale * (sin * x + cos * y) + dy]);
            let found = similarity_transform(&FACE, &to).unwrap();
            prop_assert!(error_of(&found, &FACE, &to) < 1e-12 * scale.max(1.0).powi(2) * 1e6);
        }

        #[test]
        fn no_other_similarity_is_nearer(
            noise in prop::collection::vec(-8.0f64..8.0, 10),
            change in prop::array::uniform4(-0.05f64..0.05),
        ) {
            let mut to = FACE;
            for (value, noise) in to.iter_mut().flatten().zip(noise) {
                *value += noise;
            }
            let best = similarity_transform(&FACE, &to).unwrap();
            let (x0, y0) = best.apply(0.0, 0.0);
            let (x1, y1) = best.apply(1.0, 0.0);
            let (real, imaginary) = (x1 - x0 + change[0], y1 - y0 + change[1]);
            let (dx, dy) = (x0 + change[2], y0 + change[3]);
            let other = Affine::new(real, -imaginary, dx, imaginary, real, dy);
            prop_assert!(error_of(&best, &FACE, &to) <= error_of(&other, &FACE, &to) + 1e-9);
        }
    }

    #[test]
    fn a_mirrored_face_is_rotated_and_never_reflected() {
        let mirrored = FACE.map(|[x, y]| [-x, y]);
        let transform = similarity_transform(&FACE, &mirrored).unwrap();
        let (x0, y0) = transform.apply(0.0, 0.0);
        let (x1, y1) = transform.apply(1.0, 0.0);
        let (x2, y2) = transform.apply(0.0, 1.0);
        let determinant = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0);
        assert!(determinant > 0.0, "{determinant}");
    }

    #[test]
    fn landmarks_without_extent_cannot_be_aligned() {
        assert!(similarity_transform(&[[5.0, 5.0]; 5], &FACE).is_none());
        let mut broken = FACE;
        broken[2][0] = f64::NAN;
        assert!(similarity_transform(&broken, &FACE).is_none());
    }
}
