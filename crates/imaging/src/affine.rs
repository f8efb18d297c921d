//! Affine maps of the plane.

/// An affine map of the plane: rotation, scaling, shearing, translation.
///
/// Coordinates are in pixels, `x` to the right and `y` down, and a pixel's centre lies at integer coordinates, as in
/// OpenCV's `warpAffine`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine {
    rows: [[f64; 3]; 2],
}

impl Affine {
    /// The map that leaves every point where it is.
    pub const IDENTITY: Self = Self::new(1.0, 0.0, 0.0, 0.0, 1.0, 0.0);

    /// The map `(x, y) -> (a x + b y + c, d x + e y + f)`.
    #[must_use]
    pub const fn new(a: f64, b: f64, c: f64, d: f64, e: f64, f: f64) -> Self {
        Self {
            rows: [[a, b, c], [d, e, f]],
        }
    }

    /// The two rows of the 2x3 matrix, `[[a, b, c], [d, e, f]]`.
    #[must_use]
    pub const fn rows(&self) -> [[f64; 3]; 2] {
        self.rows
    }

    /// Where the point `(x, y)` goes.
    #[must_use]
    pub fn apply(&self, x: f64, y: f64) -> (f64, f64) {
        let [[a, b, c], [d, e, f]] = self.rows;
        (a * x + b * y + c, d * x + e * y + f)
    }

    /// The map that undoes this one; `None` if this one squeezes the plane onto a line or a point, or if its numbers
    /// or its inverse's are not finite.
    #[must_use]
    pub fn inverse(&self) -> Option<Self> {
        let [[a, b, c], [d, e, f]] = self.rows;
        let determinant = a * e - b * d;
        let inverse = Self::new(
            e / determinant,
            -b / determinant,
            (b * f - c * e) / determinant,
            -d / determinant,
            a / determinant,
            (c * d - a * f) / determinant,
        );
        // A determinant of zero, and numbers that overflow on the way, show here as infinities or not-a-number.
        inverse
            .rows
            .iter()
            .flatten()
            .all(|number| number.is_finite())
            .then_some(inverse)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_quarter_turn_about_a_point() {
        // 90 degrees clockwise on the screen (y down) about (10, 20): (11, 20) goes to (10, 21).
        let turn = Affine::new(0.0, -1.0, 30.0, 1.0, 0.0, 10.0);
        assert_eq!(turn.apply(10.0, 20.0), (10.0, 20.0));
        assert_eq!(turn.apply(11.0, 20.0), (10.0, 21.0));
        assert_eq!(
            turn.inverse(),
            Some(Affine::new(0.0, 1.0, -10.0, -1.0, 0.0, 30.0))
        );
    }

    #[test]
    fn a_map_onto_a_line_has_no_inverse() {
        assert_eq!(Affine::new(1.0, 2.0, 3.0, 2.0, 4.0, 5.0).inverse(), None);
        assert_eq!(Affine::new(0.0, 0.0, 3.0, 0.0, 0.0, 5.0).inverse(), None);
        assert_eq!(Affine::new(f64::NAN, 0.0, 0.0, 0.0, 1.0, 0.0).inverse(), None);
        assert_eq!(
            Affine::new(1.0, 0.0, f64::INFINITY, 0.0, 1.0, 0.0).inverse(),
            None
        );
    }

    proptest! {
        #[test]
        fn the_inverse_undoes_the_map(
            scale in 0.05_f64..20.0,
            angle in -3.2_f64..3.2,
            shear in -0.5_f64..0.5,
            (c, f) in (-500.0_f64..500.0, -500.0_f64..500.0),
            (x, y) in (-1000.0_f64..1000.0, -1000.0_f64..1000.0),
        ) {
            let (sin, cos) = angle.sin_cos();
            let map = Affine::new(
                scale * cos, scale * (shear * cos - sin), c,
                scale * sin, scale * (shear * sin + cos), f,
            );
            let (there_x, there_y) = map.apply(x, y);
            let (back_x, back_y) = map.inverse().unwrap().apply(there_x, there_y);
            prop_assert!((back_x - x).abs() < 1e-6 && (back_y - y).abs() < 1e-6, "{back_x} {back_y}");
        }
    }
}
