//! Numbers as the HTTP contract writes them, in two ways.

use serde::{Deserialize, Serialize, Serializer};

/// Rounds to 4 decimals, halves away from zero: the result prints with 4 decimals at most and is never -0.0.
///
/// The engine returns finite numbers only; 0 stands for any other because JSON has none and `null` would break clients that
/// read a number.
fn rounded(value: f64) -> f64 {
    const STEPS: f64 = 10_000.0;
    let steps = (value * STEPS).round();
    match (value.is_finite(), steps.is_finite()) {
        (true, true) => steps / STEPS + 0.0,
        // So large that it has no decimals.
        (true, false) => value,
        (false, _) => 0.0,
    }
}

/// Declares a number that is rounded to 4 decimals.
macro_rules! rounded {
    ($(#[$attribute:meta])* $name:ident) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Deserialize)]
        #[serde(from = "f64")]
        pub struct $name(f64);

        impl $name {
            /// Returns the number as it is written.
            #[must_use]
            pub fn value(self) -> f64 {
                self.0
            }
        }

        impl From<f64> for $name {
            fn from(value: f64) -> Self {
                Self(rounded(value))
            }
        }

        impl From<f32> for $name {
            fn from(value: f32) -> Self {
                // Rounded after it is widened: 0.3 in single precision is 0.30000001192…
                Self::from(f64::from(value))
            }
        }
    };
}

rounded! {
    /// A number with 4 decimals at most that is always written with a decimal point: `0.0`, `63.2991`.
    #[derive(Serialize)]
    Decimal
}

rounded! {
    /// A number with 4 decimals at most that is written as a JSON integer where it is whole: `0`, `1`, `0.9999`.
    Number
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// From here on not every whole number is a double.
        const WHOLE: f64 = 9_007_199_254_740_992.0;
        if self.0.fract() == 0.0 && self.0.abs() < WHOLE {
            // Lossless: whole and within 53 bits.
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Decimal, Number};

    fn decimal(value: impl Into<Decimal>) -> String {
        serde_json::to_string(&value.into()).unwrap()
    }

    fn number(value: impl Into<Number>) -> String {
        serde_json::to_string(&value.into()).unwrap()
    }

    #[test]
    fn decimals_always_have_a_point() {
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "0.0"),
            (-0.000_01, "0.0"),
            (1.0, "1.0"),
            (63.2991, "63.2991"),
            (63.299_149, "63.2991"),
            (63.299_151, "63.2992"),
            (-3.5, "-3.5"),
            (10_000.0, "10000.0"),
            (0.000_04, "0.0"),
            (0.0001, "0.0001"),
        ] {
            assert_eq!(decimal(value), text, "{value}");
        }
    }

    #[test]
    fn numbers_are_integers_where_they_are_whole() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (0.999_96, "1"),
            (0.9999, "0.9999"),
            (0.00001, "0"),
            (0.5, "0.5"),
            (-2.0, "-2"),
        ] {
            assert_eq!(number(value), text, "{value}");
        }
    }

    #[test]
    fn single_precision_leaves_no_tail() {
        assert_eq!(decimal(0.3f32), "0.3");
        assert_eq!(decimal(235.086_4f32), "235.0864");
        assert_eq!(decimal(9_999.9f32), "9999.9004");
        assert_eq!(number(0.9885f32), "0.9885");
        assert_eq!(number(0.999_99f32), "1");
    }

    #[test]
    fn what_is_not_finite_is_still_a_number() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX] {
            assert!(decimal(value).parse::<f64>().unwrap().is_finite());
            assert!(number(value).parse::<f64>().unwrap().is_finite());
        }
    }

    #[test]
    fn both_read_integers_and_decimals() {
        for text in ["1", "1.0"] {
            assert_eq!(serde_json::from_str::<Decimal>(text).unwrap().value(), 1.0);
            assert_eq!(serde_json::from_str::<Number>(text).unwrap().value(), 1.0);
        }
    }
}
