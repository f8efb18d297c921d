//! What the encodings of cohorts and of face templates have in common: a head, and vectors in half precision; little-endian.
//! Reasons are texts, for the errors of either.

use half::f16;

use crate::EmbeddingBinding;

/// Most dimensions of an encoded vector.
pub(crate) const MAX_DIMENSIONS: usize = 65_536;

/// Bytes of a head: magic, version (u32), the digests of embedder and alignment.
pub(crate) const HEAD: usize = 8 + 4 + 2 * 32;

/// Returns a head.
pub(crate) fn head(magic: &[u8; 8], version: u32, binding: &EmbeddingBinding) -> Vec<u8> {
    let version = version.to_le_bytes();
    [&magic[..], &version, &binding.embedder, &binding.alignment].concat()
}

/// Reads a head of this magic and version.
pub(crate) fn read_head(rest: &mut &[u8], magic: &[u8; 8], version: u32) -> Result<EmbeddingBinding, String> {
    if take(rest)? != *magic {
        return Err(format!("it does not begin with {}", magic.escape_ascii()));
    }
    let found = u32::from_le_bytes(take(rest)?);
    if found != version {
        return Err(format!("version {found} is not supported, only {version}"));
    }
    Ok(EmbeddingBinding {
        embedder: take(rest)?,
        alignment: take(rest)?,
    })
}

/// Reads a number of 32 bits.
pub(crate) fn read_number(rest: &mut &[u8]) -> Result<usize, String> {
    Ok(u32::from_le_bytes(take(rest)?) as usize)
}

/// Checks the number of dimensions, before it is multiplied.
pub(crate) fn check_dimensions(dimensions: usize) -> Result<(), String> {
    if (1..=MAX_DIMENSIONS).contains(&dimensions) {
        return Ok(());
    }
    Err(format!(
        "dimensions must be 1 to {MAX_DIMENSIONS}, not {dimensions}"
    ))
}

/// Appends numbers in half precision.
pub(crate) fn append_numbers(bytes: &mut Vec<u8>, values: &[f32]) {
    let halves = values.iter().map(|&value| f16::from_f32(value).to_le_bytes());
    bytes.extend(halves.flatten());
}

/// Returns the numbers that [`append_numbers`] has appended.
pub(crate) fn numbers(bytes: &[u8]) -> Vec<f32> {
    let halves = bytes.as_chunks().0.iter();
    halves.map(|half| f16::from_le_bytes(*half).to_f32()).collect()
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], String> {
    let (first, others) = rest.split_first_chunk().ok_or("it ends early")?;
    *rest = others;
    Ok(*first)
}
