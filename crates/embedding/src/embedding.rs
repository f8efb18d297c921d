//! A face as a direction.

use crate::EmbeddingError;

/// A face's embedding: a vector of unit length. Biometric data: its `Debug` form shows the length only, and nothing in
/// Likeness logs or stores one.
#[derive(Clone, PartialEq)]
pub struct Embedding {
    values: Vec<f32>,
}

impl Embedding {
    /// Scales a model's answer to unit length.
    ///
    /// # Errors
    /// [`EmbeddingError::NoDirection`] for values that are not finite or all zero.
    pub fn new(values: Vec<f32>) -> Result<Self, EmbeddingError> {
        let length = values
            .iter()
            .map(|&value| f64::from(value).powi(2))
            .sum::<f64>()
            .sqrt();
        if !length.is_finite() || length <= f64::from(f32::MIN_POSITIVE) {
            return Err(EmbeddingError::NoDirection);
        }
        let mut values = values;
        for value in &mut values {
            *value = (f64::from(*value) / length) as f32;
        }
        Ok(Self { values })
    }

    /// The numbers, of unit length together.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Cosine of the angle to another embedding: 1 for the same direction, about 0 for strangers.
    ///
    /// # Errors
    /// [`EmbeddingError::Dimensions`] where the two have different lengths.
    pub fn similarity(&self, other: &Self) -> Result<f32, EmbeddingError> {
        if self.values.len() != other.values.len() {
            return Err(EmbeddingError::Dimensions(self.values.len(), other.values.len()));
        }
        let product: f64 = self
            .values
            .iter()
            .zip(&other.values)
            .map(|(&a, &b)| f64::from(a) * f64::from(b))
            .sum();
        Ok(product.clamp(-1.0, 1.0) as f32)
    }
}

impl std::fmt::Debug for Embedding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Embedding({} numbers)", self.values.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn similarity_worked_by_hand() {
        let a = Embedding::new(vec![3.0, 4.0]).unwrap();
        assert_eq!(a.values(), [0.6, 0.8]);
        let b = Embedding::new(vec![4.0, 3.0]).unwrap();
        assert!((a.similarity(&b).unwrap() - 0.96).abs() < 1e-6);
        let opposite = Embedding::new(vec![-30.0, -40.0]).unwrap();
        assert!((a.similarity(&opposite).unwrap() + 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_vector_without_direction_is_refused() {
        for values in [
            vec![0.0; 4],
            vec![f32::NAN, 1.0],
            vec![f32::INFINITY, 1.0],
            vec![],
        ] {
            assert!(matches!(Embedding::new(values), Err(EmbeddingError::NoDirection)));
        }
    }

    #[test]
    fn embeddings_of_different_models_are_not_compared() {
        let a = Embedding::new(vec![1.0, 0.0]).unwrap();
        let b = Embedding::new(vec![1.0, 0.0, 0.0]).unwrap();
        assert!(matches!(a.similarity(&b), Err(EmbeddingError::Dimensions(2, 3))));
    }

    #[test]
    fn the_numbers_are_not_shown() {
        assert_eq!(
            format!("{:?}", Embedding::new(vec![0.25, 0.5]).unwrap()),
            "Embedding(2 numbers)"
        );
    }

    proptest! {
        #[test]
        fn similarity_is_symmetric_bounded_and_blind_to_length(
            a in prop::collection::vec(-10.0f32..10.0, 8),
            b in prop::collection::vec(-10.0f32..10.0, 8),
            factor in 0.1f32..10.0,
        ) {
            prop_assume!(a.iter().any(|v| v.abs() > 0.01) && b.iter().any(|v| v.abs() > 0.01));
            let scaled = Embedding::new(a.iter().map(|v| v * factor).collect()).unwrap();
            let (a, b) = (Embedding::new(a).unwrap(), Embedding::new(b).unwrap());
            let similarity = a.similarity(&b).unwrap();
            prop_assert!((-1.0..=1.0).contains(&similarity));
            prop_assert_eq!(similarity, b.similarity(&a).unwrap());
            prop_assert!((similarity - scaled.similarity(&b).unwrap()).abs() < 1e-5);
            prop_assert!((a.similarity(&a).unwrap() - 1.0).abs() < 1e-5);
        }
    }
}
