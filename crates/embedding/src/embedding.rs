//! Embeddings: a face as a direction.

use crate::EmbeddingError;

/// A face's embedding: a vector of unit length. Biometric data: its `Debug` form shows the length only, nothing in Likeness
/// logs one, and only [`FaceTemplate`](crate::FaceTemplate) writes one into a file, where that is asked for.
#[derive(Clone, PartialEq)]
pub struct Embedding {
    values: Vec<f32>,
}

impl Embedding {
    /// Scales a model's output to unit length.
    ///
    /// # Errors
    /// [`EmbeddingError::NoDirection`] for values that are not finite or all zero.
    pub fn new(mut values: Vec<f32>) -> Result<Self, EmbeddingError> {
        let squares = values.iter().map(|&value| f64::from(value).powi(2));
        let length = squares.sum::<f64>().sqrt();
        if !length.is_finite() || length <= f64::from(f32::MIN_POSITIVE) {
            return Err(EmbeddingError::NoDirection);
        }
        for value in &mut values {
            *value = (f64::from(*value) / length) as f32;
        }
        Ok(Self { values })
    }

    /// Joins embeddings of one face by several models: each times the root of its weight's share, one after the other. The
    /// [similarity](Self::similarity) of two that were joined with the same weights is the mean of the models'
    /// similarities, by weight.
    ///
    /// # Errors
    /// [`EmbeddingError::NoDirection`] where there is none, or no weight above 0.
    pub fn joined(parts: &[(f64, Self)]) -> Result<Self, EmbeddingError> {
        let total: f64 = parts.iter().map(|(weight, _)| weight).sum();
        let values = parts.iter().flat_map(|(weight, part)| {
            let root = (weight / total).sqrt();
            let values = part.values.iter();
            values.map(move |&value| (f64::from(value) * root) as f32)
        });
        Self::new(values.collect())
    }

    /// Returns the numbers, of unit length together.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Returns the cosine of the angle to another embedding: 1 for the same direction, about 0 for different people.
    ///
    /// # Errors
    /// [`EmbeddingError::Dimensions`] where the two have different lengths.
    pub fn similarity(&self, other: &Self) -> Result<f32, EmbeddingError> {
        if self.values.len() != other.values.len() {
            return Err(EmbeddingError::Dimensions(self.values.len(), other.values.len()));
        }
        let pairs = self.values.iter().zip(&other.values);
        let products = pairs.map(|(&a, &b)| f64::from(a) * f64::from(b));
        Ok(products.sum::<f64>().clamp(-1.0, 1.0) as f32)
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

    #[test]
    fn nothing_cannot_be_joined() {
        assert!(Embedding::joined(&[]).is_err());
        let one = Embedding::new(vec![1.0, 0.0]).unwrap();
        assert!(Embedding::joined(&[(0.0, one.clone())]).is_err());
        assert_eq!(Embedding::joined(&[(3.0, one.clone())]).unwrap(), one);
    }

    fn direction(numbers: usize) -> impl Strategy<Value = Embedding> {
        prop::collection::vec(-10.0f32..10.0, numbers).prop_filter_map("no direction", |values| {
            values
                .iter()
                .any(|value| value.abs() > 0.01)
                .then(|| Embedding::new(values).ok())?
        })
    }

    proptest! {
        #[test]
        fn the_similarity_of_joined_embeddings_is_the_weighted_mean(
            a in (direction(8), direction(5), direction(3)),
            b in (direction(8), direction(5), direction(3)),
            weights in prop::array::uniform3(0.01f64..100.0),
        ) {
            let [first, second, third] = weights;
            let mean = (first * f64::from(a.0.similarity(&b.0).unwrap())
                + second * f64::from(a.1.similarity(&b.1).unwrap())
                + third * f64::from(a.2.similarity(&b.2).unwrap()))
                / (first + second + third);
            let joined = |of: (Embedding, Embedding, Embedding)| {
                Embedding::joined(&[(first, of.0), (second, of.1), (third, of.2)]).unwrap()
            };
            let similarity = joined(a).similarity(&joined(b)).unwrap();
            prop_assert!((f64::from(similarity) - mean).abs() < 1e-5, "{similarity} {mean}");
        }

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
