//! Cohorts: what a face is compared with to find out how alike its like are.
//!
//! A face's level is the mean of its `k` largest cosines with the centroids of a cohort of many people. The normalised
//! similarity of two faces is their cosine less the mean of their levels: people of whom many look alike, to the embedder,
//! have high levels, so that a threshold stands for about the same false match rate within every group. What that does
//! not do: docs/evaluate.md, "Cohort".

use likeness_packs::MAX_COHORT_BYTES;
use sha2::{Digest, Sha256};

use crate::encoding::{append_numbers, check_dimensions, head, numbers, read_head, read_number};
use crate::{Embedding, EmbeddingBinding, EmbeddingError};

/// Fewest centroids: with fewer, a level says more about single people than about a population.
pub const MIN_CENTROIDS: usize = 64;

const MAGIC: &[u8; 8] = b"LKCOHORT";
const VERSION: u32 = 1;
const MAX_CENTROIDS: usize = 65_536;

/// Why a cohort cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CohortError {
    /// The bytes are not a cohort file, or a damaged one.
    #[error("not a cohort file: {0}")]
    Invalid(String),
    /// It was made with another embedder: its cosines mean nothing here.
    #[error("the cohort was made with another embedder: make one with `likeness calibrate cohort`")]
    OtherEmbedder,
    /// It was made of faces that were aligned in another way.
    #[error("the cohort was made with another alignment: make one with `likeness calibrate cohort`")]
    OtherAlignment,
}

/// The similarity of two faces.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Similarity {
    /// The cosine of their embeddings, -1..=1.
    pub cosine: f32,
    /// The cosine less the mean of both levels, -2..=2; `None` without a cohort.
    pub normalised: Option<f32>,
}

impl Similarity {
    /// Returns the similarity of two faces from their cosine and their levels, which are `None` without a cohort.
    #[must_use]
    pub fn new(cosine: f32, level: Option<f32>, other_level: Option<f32>) -> Self {
        let levels = level.zip(other_level);
        Self {
            cosine,
            normalised: levels.map(|(level, other)| cosine - (level + other) / 2.0),
        }
    }

    /// Returns the similarity that a calibration is about: the normalised one where there is a cohort, else the cosine.
    #[must_use]
    pub fn value(&self) -> f32 {
        self.normalised.unwrap_or(self.cosine)
    }
}

/// Centroids of the embeddings of many people, none of whom is a person.
#[derive(Clone, PartialEq)]
pub struct Cohort {
    binding: EmbeddingBinding,
    k: usize,
    dimensions: usize,
    /// Of unit length each, one after the other.
    centroids: Vec<f32>,
    sha256: String,
}

impl Cohort {
    /// Returns the bytes of a cohort file.
    ///
    /// # Errors
    /// [`CohortError::Invalid`] for fewer centroids than [`MIN_CENTROIDS`], for more than fit into a file, for a `k` of 0 or
    /// above their number, or for centroids of different lengths.
    pub fn encode(
        binding: &EmbeddingBinding,
        k: usize,
        centroids: &[Embedding],
    ) -> Result<Vec<u8>, CohortError> {
        let dimensions = centroids.first().map_or(0, |first| first.values().len());
        if centroids.iter().any(|one| one.values().len() != dimensions) {
            return Err(invalid("the centroids have different lengths"));
        }
        let mut bytes = head(MAGIC, VERSION, binding);
        for number in [dimensions, k, centroids.len()] {
            bytes.extend(u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
        }
        for centroid in centroids {
            append_numbers(&mut bytes, centroid.values());
        }
        Self::parse(&bytes).map(|_| bytes)
    }

    /// Reads the bytes of a cohort file: magic `LKCOHORT`, version 1 (u32), the digests of embedder and alignment (32 bytes
    /// each), dimensions, k and count (u32 each), then count times dimensions numbers in half precision; little-endian.
    ///
    /// # Errors
    /// [`CohortError::Invalid`], with the reason.
    pub fn parse(bytes: &[u8]) -> Result<Self, CohortError> {
        if bytes.len() as u64 > MAX_COHORT_BYTES {
            return Err(invalid(format!("it has more than {MAX_COHORT_BYTES} bytes")));
        }
        let mut rest = bytes;
        let binding = read_head(&mut rest, MAGIC, VERSION).map_err(invalid)?;
        let mut number = || read_number(&mut rest).map_err(invalid);
        let (dimensions, k, count) = (number()?, number()?, number()?);
        check_dimensions(dimensions).map_err(invalid)?;
        if !(MIN_CENTROIDS..=MAX_CENTROIDS).contains(&count) {
            return Err(invalid(format!(
                "a cohort has {MIN_CENTROIDS} to {MAX_CENTROIDS} centroids, not {count}"
            )));
        }
        if !(1..=count).contains(&k) {
            return Err(invalid(format!("k must be 1 to {count}, not {k}")));
        }
        // Below 2^33: no overflow where a size has 64 bits, and compared with the length before it is used.
        let expected = dimensions as u64 * count as u64 * 2;
        if rest.len() as u64 != expected {
            return Err(invalid(format!(
                "{expected} bytes of centroids expected, {} found",
                rest.len()
            )));
        }
        let mut centroids = numbers(rest);
        for centroid in centroids.chunks_exact_mut(dimensions) {
            let unit = Embedding::new(centroid.to_vec())
                .map_err(|_| invalid("a centroid is all zeros or not finite"))?;
            centroid.copy_from_slice(unit.values());
        }
        Ok(Self {
            binding,
            k,
            dimensions,
            centroids,
            sha256: format!("{:x}", Sha256::digest(bytes)),
        })
    }

    /// Checks that the cohort goes with embeddings of this binding.
    ///
    /// # Errors
    /// [`CohortError::OtherEmbedder`], [`CohortError::OtherAlignment`].
    pub fn check(&self, binding: &EmbeddingBinding) -> Result<(), CohortError> {
        if self.binding.embedder != binding.embedder {
            return Err(CohortError::OtherEmbedder);
        }
        if self.binding.alignment != binding.alignment {
            return Err(CohortError::OtherAlignment);
        }
        Ok(())
    }

    /// Returns the SHA-256 of its file, by which calibrations name it: 64 hexadecimal digits in lower case.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Returns the number of centroids.
    #[must_use]
    pub fn centroids(&self) -> usize {
        self.centroids.len() / self.dimensions
    }

    /// Returns how many of a face's cosines its level is the mean of.
    #[must_use]
    pub fn k(&self) -> usize {
        self.k
    }

    /// Returns the level of a face, -1..=1: the mean of its k largest cosines with the centroids.
    ///
    /// # Errors
    /// [`EmbeddingError::Dimensions`] for an embedding of another length.
    pub fn level(&self, embedding: &Embedding) -> Result<f32, EmbeddingError> {
        let values = embedding.values();
        if values.len() != self.dimensions {
            return Err(EmbeddingError::Dimensions(values.len(), self.dimensions));
        }
        Ok(self.level_of(values))
    }

    /// Returns the level of a vector of unit length, of as many numbers as the centroids have.
    #[must_use]
    pub fn level_of(&self, values: &[f32]) -> f32 {
        let mut cosines: Vec<f64> = self
            .centroids
            .chunks_exact(self.dimensions)
            .map(|centroid| {
                let products = centroid.iter().zip(values);
                products.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
            })
            .collect();
        cosines.sort_unstable_by(|a, b| b.total_cmp(a));
        (cosines.iter().take(self.k).sum::<f64>() / self.k as f64) as f32
    }

    /// Returns the similarity of two faces, cosine and normalised.
    ///
    /// # Errors
    /// [`EmbeddingError::Dimensions`] for embeddings of another length.
    pub fn similarity(&self, a: &Embedding, b: &Embedding) -> Result<Similarity, EmbeddingError> {
        let levels = (self.level(a)?, self.level(b)?);
        Ok(Similarity::new(a.similarity(b)?, Some(levels.0), Some(levels.1)))
    }
}

impl std::fmt::Debug for Cohort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cohort({} centroids, k {})", self.centroids(), self.k)
    }
}

fn invalid(reason: impl Into<String>) -> CohortError {
    CohortError::Invalid(reason.into())
}

#[cfg(test)]
mod tests {
    use likeness_packs::Manifest;
    use proptest::prelude::*;

    use super::*;

    const BINDING: EmbeddingBinding = EmbeddingBinding {
        embedder: [1; 32],
        alignment: [2; 32],
    };

    /// Axes of a space of 64 dimensions: one centroid for each.
    fn axes() -> Vec<Embedding> {
        let axis = |index| (0..64).map(|at| f32::from(u8::from(at == index))).collect();
        (0..64)
            .map(|index| Embedding::new(axis(index)).unwrap())
            .collect()
    }

    fn along(parts: &[(usize, f32)]) -> Embedding {
        let mut values = vec![0.0; 64];
        for &(axis, value) in parts {
            values[axis] = value;
        }
        Embedding::new(values).unwrap()
    }

    fn bytes() -> Vec<u8> {
        Cohort::encode(&BINDING, 2, &axes()).unwrap()
    }

    #[test]
    fn a_level_and_a_normalised_similarity_worked_by_hand() {
        let cohort = Cohort::parse(&bytes()).unwrap();
        assert_eq!((cohort.centroids(), cohort.k()), (64, 2));
        // The two largest cosines of a are 0.8 and 0.6, those of b 1 and 0.
        let (a, b) = (along(&[(3, 0.8), (5, 0.6)]), along(&[(3, 1.0)]));
        assert!((cohort.level(&a).unwrap() - 0.7).abs() < 1e-6);
        assert!((cohort.level(&b).unwrap() - 0.5).abs() < 1e-6);
        let similarity = cohort.similarity(&a, &b).unwrap();
        assert!((similarity.cosine - 0.8).abs() < 1e-6);
        assert!((similarity.value() - 0.2).abs() < 1e-6);
        let without = Similarity {
            normalised: None,
            ..similarity
        };
        assert_eq!(without.value(), similarity.cosine);
    }

    #[test]
    fn the_debug_form_shows_no_number_of_a_centroid() {
        let cohort = Cohort::parse(&bytes()).unwrap();
        assert_eq!(format!("{cohort:?}"), "Cohort(64 centroids, k 2)");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_named() {
        let good = bytes();
        let with = |at: usize, value: &[u8]| {
            let mut bytes = good.clone();
            bytes[at..at + value.len()].copy_from_slice(value);
            bytes
        };
        let end = good.len();
        for (bytes, expected) in [
            (with(0, b"X"), "does not begin with LKCOHORT"),
            (with(8, &[2]), "version 2 is not supported"),
            (with(76, &[0, 0, 0, 0]), "dimensions must be 1 to 65536, not 0"),
            (with(76, &[255; 4]), "dimensions must be 1 to 65536"),
            (with(80, &[0, 0, 0, 0]), "k must be 1 to 64, not 0"),
            (with(80, &[65]), "k must be 1 to 64, not 65"),
            (with(84, &[63]), "a cohort has 64 to 65536 centroids, not 63"),
            (with(84, &[65]), "8320 bytes of centroids expected, 8192 found"),
            (with(88, &[0, 0x7e]), "all zeros or not finite"),
            (with(88, &[0; 128]), "all zeros or not finite"),
            (
                good[..end - 1].to_vec(),
                "8192 bytes of centroids expected, 8191 found",
            ),
            (good[..70].to_vec(), "it ends early"),
            (vec![0; MAX_COHORT_BYTES as usize + 1], "it has more than"),
        ] {
            let error = Cohort::parse(&bytes).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(Cohort::encode(&BINDING, 8, &axes()[..63]).is_err());
        let mut uneven = axes();
        uneven.push(Embedding::new(vec![1.0]).unwrap());
        assert!(Cohort::encode(&BINDING, 8, &uneven).is_err());
    }

    #[test]
    fn a_cohort_goes_with_the_embeddings_that_it_was_made_of() {
        let manifest = Manifest::builtin("open-1").unwrap().unwrap();
        let binding = EmbeddingBinding::of(&manifest);
        let cohort = Cohort::parse(&Cohort::encode(&binding, 8, &axes()).unwrap()).unwrap();
        assert_eq!(cohort.check(&EmbeddingBinding::of(&manifest)), Ok(()));
        // The liveness models and the detector do not matter, nor how the pack is called.
        let mut other = manifest.clone();
        other.name = "other".to_owned();
        other.liveness.clear();
        assert_eq!(cohort.check(&EmbeddingBinding::of(&other)), Ok(()));
        other.embedders[0].input.mean[1] = 127.5;
        assert_eq!(
            cohort.check(&EmbeddingBinding::of(&other)),
            Err(CohortError::OtherEmbedder)
        );
        let mut smaller = manifest.clone();
        smaller.embedders[0].size = 112;
        let mut averaged = manifest.clone();
        averaged.embedders[0].area_averaging = true;
        for other in [smaller, averaged] {
            assert_eq!(
                cohort.check(&EmbeddingBinding::of(&other)),
                Err(CohortError::OtherAlignment)
            );
        }
        let other = Embedding::new(vec![1.0, 0.0]).unwrap();
        assert!(cohort.level(&other).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            header in prop::collection::vec(any::<u8>(), 0..16),
            cut in 0usize..8_280,
            flip in 0usize..8_280,
            to in any::<u8>(),
        ) {
            let mut bytes = bytes();
            bytes[flip] = to;
            bytes.truncate(cut);
            let _ = Cohort::parse(&bytes);
            let _ = Cohort::parse(&[MAGIC.as_slice(), &VERSION.to_le_bytes(), &[0; 64], &header].concat());
        }

        #[test]
        fn normalised_similarity_is_symmetric(
            a in prop::collection::vec(-1.0f32..1.0, 64),
            b in prop::collection::vec(-1.0f32..1.0, 64),
        ) {
            let (Ok(a), Ok(b)) = (Embedding::new(a), Embedding::new(b)) else { return Ok(()) };
            let cohort = Cohort::parse(&bytes()).unwrap();
            let similarity = cohort.similarity(&a, &b).unwrap();
            prop_assert_eq!(similarity, cohort.similarity(&b, &a).unwrap());
            prop_assert!((-2.0..=2.0).contains(&similarity.value()));
        }
    }
}
