//! Face templates: the embedding of an enrolled reference as bytes, to compare with later without its photo.

use sha2::{Digest, Sha256};

use crate::encoding::{
    HEAD, MAX_DIMENSIONS, append_numbers, check_dimensions, head, numbers, read_head, read_number,
};
use crate::{Embedding, EmbeddingBinding};

const MAGIC: &[u8; 8] = b"LKFACETP";
const VERSION: u32 = 1;
/// Head and dimensions.
const HEADER: usize = HEAD + 4;
const CHECKSUM: usize = 32;

/// Most bytes of a template: 65,536 dimensions.
pub const MAX_TEMPLATE_BYTES: usize = HEADER + 2 * MAX_DIMENSIONS + CHECKSUM;

/// How far the length of a vector of unit length may be from 1 once its numbers are rounded to half precision, whose error is at
/// most 2^-11 (0.00049) of each number.
const LENGTH_TOLERANCE: f64 = 1e-3;

/// Why a template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The bytes are not a template, or a damaged one.
    #[error("not a face template: {0}")]
    Invalid(String),
    /// It was made with another embedder: its cosines mean nothing here.
    #[error(
        "the template was made with another embedder ({template}), this engine has {engine}: enrol the photo again with this \
         engine's pack, or verify with a pack of the template's embedder"
    )]
    OtherEmbedder {
        /// The template's embedder: the built-in packs that have it, and the first digits of its digest.
        template: String,
        /// The engine's, likewise.
        engine: String,
    },
    /// It was made of a face that was aligned in another way.
    #[error(
        "the template was made with another alignment ({template}) than this engine's ({engine}): enrol the photo again with \
         this engine's pack"
    )]
    OtherAlignment {
        /// First digits of the digest of the template's alignment.
        template: String,
        /// The same of the engine's.
        engine: String,
    },
    /// The engine's embedder is custom: nothing says whether it made the template.
    #[error("templates need the embedder of a pack, but this engine's embedder is custom")]
    CustomEmbedder,
}

/// The embedding of one face in half precision, and what it is bound to.
///
/// Biometric data: anyone who has it can compare faces with it, and can approximate the face. Its `Debug` form shows none of its
/// numbers. The encoding has a checksum against damage, which is no proof of origin: anyone can compute a valid one.
///
/// ```
/// use likeness_embedding::{Embedding, EmbeddingBinding, FaceTemplate};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let binding = EmbeddingBinding { embedder: [1; 32], alignment: [2; 32] };
/// let template = FaceTemplate::new(binding, &Embedding::new(vec![3.0, 4.0])?)?;
/// assert_eq!(FaceTemplate::parse(template.as_bytes())?, template);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq)]
pub struct FaceTemplate {
    binding: EmbeddingBinding,
    embedding: Embedding,
    bytes: Vec<u8>,
}

impl FaceTemplate {
    /// Makes the template of an embedding. It is rounded to half precision at once, so that it gives the same similarities
    /// before it is written and after it is read.
    ///
    /// # Errors
    /// [`TemplateError::Invalid`] for an embedding of more than 65,536 numbers.
    pub fn new(binding: EmbeddingBinding, embedding: &Embedding) -> Result<Self, TemplateError> {
        let values = embedding.values();
        let dimensions = u32::try_from(values.len()).unwrap_or(u32::MAX);
        let mut bytes = head(MAGIC, VERSION, &binding);
        bytes.extend(dimensions.to_le_bytes());
        append_numbers(&mut bytes, values);
        let checksum = Sha256::digest(&bytes);
        bytes.extend(checksum);
        Self::parse(&bytes)
    }

    /// Reads a template: magic `LKFACETP`, version 1 (u32), the digests of embedder and alignment (32 bytes each), dimensions
    /// (u32), so many numbers in half precision, and the SHA-256 of all before it; little-endian.
    ///
    /// # Errors
    /// [`TemplateError::Invalid`], with the reason.
    pub fn parse(bytes: &[u8]) -> Result<Self, TemplateError> {
        let mut rest = bytes;
        let binding = read_head(&mut rest, MAGIC, VERSION).map_err(invalid)?;
        let dimensions = read_number(&mut rest).map_err(invalid)?;
        check_dimensions(dimensions).map_err(invalid)?;
        // Below 2^18: no overflow, and compared with the length before it is used.
        let (expected, found) = (HEADER + dimensions * 2 + CHECKSUM, bytes.len());
        if found != expected {
            return Err(invalid(format!("{expected} bytes expected, {found} found")));
        }
        let (content, checksum) = bytes.split_at(expected - CHECKSUM);
        if Sha256::digest(content).as_slice() != checksum {
            return Err(invalid("its checksum is wrong: the file is damaged"));
        }
        let values = numbers(content.get(HEADER..).unwrap_or_default());
        let squares = values.iter().map(|&value| f64::from(value).powi(2));
        let length = squares.sum::<f64>().sqrt();
        // NaN is in no range.
        if !(1.0 - LENGTH_TOLERANCE..=1.0 + LENGTH_TOLERANCE).contains(&length) {
            return Err(invalid("its numbers are not a vector of unit length"));
        }
        let embedding = Embedding::new(values).map_err(|error| invalid(error.to_string()))?;
        Ok(Self {
            binding,
            embedding,
            bytes: bytes.to_vec(),
        })
    }

    /// Returns the encoding, as [`parse`](Self::parse) reads it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Checks that the template can be compared with embeddings of this binding.
    ///
    /// # Errors
    /// [`TemplateError::OtherEmbedder`], [`TemplateError::OtherAlignment`].
    pub fn check(&self, binding: &EmbeddingBinding) -> Result<(), TemplateError> {
        let (own, engine) = (&self.binding, binding);
        if own.embedder != engine.embedder {
            return Err(TemplateError::OtherEmbedder {
                template: described(own),
                engine: described(engine),
            });
        }
        if own.alignment != engine.alignment {
            return Err(TemplateError::OtherAlignment {
                template: digits(&own.alignment),
                engine: digits(&engine.alignment),
            });
        }
        Ok(())
    }

    /// Returns the embedding, of unit length.
    #[must_use]
    pub fn embedding(&self) -> &Embedding {
        &self.embedding
    }

    /// Returns what the embedding is bound to.
    #[must_use]
    pub fn binding(&self) -> &EmbeddingBinding {
        &self.binding
    }
}

impl std::fmt::Debug for FaceTemplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "FaceTemplate({:?}, embedder {})",
            self.embedding,
            digits(&self.binding.embedder)
        )
    }
}

/// Names an embedder: the built-in packs that have it, and the first digits of its digest.
fn described(binding: &EmbeddingBinding) -> String {
    let digits = digits(&binding.embedder);
    match binding.builtin_packs().as_slice() {
        [] => format!("{digits}, of no built-in pack"),
        packs => format!("{digits}, of {}", packs.join(", ")),
    }
}

/// Returns the first digits of a digest, which identify it in messages.
fn digits(digest: &[u8; 32]) -> String {
    digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

fn invalid(reason: impl Into<String>) -> TemplateError {
    TemplateError::Invalid(reason.into())
}

#[cfg(test)]
mod tests {
    use likeness_packs::Manifest;
    use proptest::prelude::*;

    use super::*;

    const BINDING: EmbeddingBinding = EmbeddingBinding {
        embedder: [0xab; 32],
        alignment: [2; 32],
    };

    fn template() -> FaceTemplate {
        FaceTemplate::new(BINDING, &Embedding::new(vec![0.0, 3.0, 4.0, 0.0]).unwrap()).unwrap()
    }

    /// Changes bytes and makes the checksum right again, as anyone can.
    fn with(at: usize, value: &[u8]) -> Vec<u8> {
        let mut bytes = template().as_bytes().to_vec();
        bytes[at..at + value.len()].copy_from_slice(value);
        let content = bytes.len() - CHECKSUM;
        let checksum = Sha256::digest(&bytes[..content]);
        bytes[content..].copy_from_slice(&checksum);
        bytes
    }

    #[test]
    fn the_encoding_byte_by_byte() {
        let template = template();
        let mut expected = b"LKFACETP\x01\0\0\0".to_vec();
        expected.extend([0xab; 32]);
        expected.extend([2; 32]);
        expected.extend([4, 0, 0, 0]);
        // 0.6 and 0.8 in half precision are 0x38cd and 0x3a66.
        expected.extend([0, 0, 0xcd, 0x38, 0x66, 0x3a, 0, 0]);
        let checksum = Sha256::digest(&expected);
        expected.extend(checksum);
        assert_eq!(template.as_bytes(), expected);
        assert_eq!(FaceTemplate::parse(&expected).unwrap(), template);
        assert!(expected.len() <= MAX_TEMPLATE_BYTES);
    }

    #[test]
    fn the_debug_form_shows_no_number_of_the_embedding() {
        assert_eq!(
            format!("{:?}", template()),
            "FaceTemplate(Embedding(4 numbers), embedder abababab)"
        );
    }

    #[test]
    fn what_is_wrong_with_a_template_is_named() {
        let good = template().as_bytes().to_vec();
        let mut flipped = good.clone();
        flipped[85] ^= 1;
        let longer = [&good[..], &[0]].concat();
        for (bytes, expected) in [
            (with(0, b"X"), "it does not begin with LKFACETP"),
            (with(8, &[2]), "version 2 is not supported, only 1"),
            (with(76, &[0]), "dimensions must be 1 to 65536, not 0"),
            (with(76, &[255; 4]), "dimensions must be 1 to 65536"),
            (with(76, &[5]), "122 bytes expected, 120 found"),
            (longer, "120 bytes expected, 121 found"),
            (flipped, "its checksum is wrong"),
            (with(80, &[0; 8]), "not a vector of unit length"),
            (with(80, &[0, 0x7e]), "not a vector of unit length"),
            (with(80, &[0, 0x7c]), "not a vector of unit length"),
            (with(80, &[0, 0x40]), "not a vector of unit length"),
            (good[..119].to_vec(), "120 bytes expected, 119 found"),
            (good[..70].to_vec(), "it ends early"),
            (vec![], "it ends early"),
        ] {
            let error = FaceTemplate::parse(&bytes).unwrap_err().to_string();
            assert!(error.starts_with("not a face template: "), "{error}");
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_template_of_another_embedder_is_refused_by_name() {
        let of = |name| EmbeddingBinding::of(&Manifest::builtin(name).unwrap().unwrap());
        let embedding = Embedding::new(vec![1.0, 2.0]).unwrap();
        let open = FaceTemplate::new(of("open-1"), &embedding).unwrap();
        // Both packs have the same embedder.
        assert_eq!(open.check(&of("open-2")), Ok(()));
        let error = open.check(&of("registry-1")).unwrap_err().to_string();
        assert!(error.contains("of open-2, open-1"), "{error}");
        assert!(
            error.contains("registry-1") && error.contains("enrol the photo again"),
            "{error}"
        );
        let error = template().check(&of("open-2")).unwrap_err().to_string();
        assert!(error.contains("abababab, of no built-in pack"), "{error}");
        let mut aligned = of("open-1");
        aligned.alignment = [7; 32];
        let error = open.check(&aligned).unwrap_err().to_string();
        assert!(
            error.contains("another alignment") && error.contains("07070707"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn a_template_returns_as_it_was_and_keeps_similarities(
            a in prop::collection::vec(-10.0f32..10.0, 1..300),
            seed in any::<[u8; 32]>(),
        ) {
            prop_assume!(a.iter().any(|value| value.abs() > 0.01));
            let embedding = Embedding::new(a).unwrap();
            let binding = EmbeddingBinding { embedder: seed, alignment: [3; 32] };
            let template = FaceTemplate::new(binding, &embedding).unwrap();
            let read = FaceTemplate::parse(template.as_bytes()).unwrap();
            prop_assert_eq!(&read, &template);
            prop_assert_eq!(read.binding(), &binding);
            // Each number is off by 2^-11 of itself at most.
            prop_assert!(read.embedding().similarity(&embedding).unwrap() > 0.999_999);
        }

        #[test]
        fn no_bytes_make_it_panic_and_no_damage_goes_unseen(
            at in 0usize..120, to in any::<u8>(), cut in 0usize..=120,
        ) {
            let good = template().as_bytes().to_vec();
            let mut damaged = good.clone();
            damaged[at] = to;
            damaged.truncate(cut);
            prop_assert_eq!(FaceTemplate::parse(&damaged).is_ok(), damaged == good);
            // Also with a checksum that fits.
            if let Ok(read) = FaceTemplate::parse(&with(at.min(87), &[to])) {
                prop_assert!(read.embedding().values().iter().all(|value| value.is_finite()));
            }
        }

        #[test]
        fn random_bytes_are_no_template(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(FaceTemplate::parse(&bytes).is_err());
            let header = [MAGIC.as_slice(), &VERSION.to_le_bytes(), &bytes].concat();
            prop_assert!(FaceTemplate::parse(&header).is_err());
        }
    }
}
