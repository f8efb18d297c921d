//! EdgeFace-XS, which is no part of any checkout: among the shared test data, where there is a copy.

use std::path::{Path, PathBuf};

use crate::{Failed, Needed, ensure, shared};

/// The name of its file, and of the source in the manifest of `edge-1`.
pub const EDGEFACE: &str = "edgeface_xs.onnx";

/// Side of a crop in pixels.
const SIDE: usize = 112;
/// Numbers in an output.
const DIMENSIONS: usize = 512;

/// Returns the folder with EdgeFace-XS and its fixture, or the reason to skip what needs them.
///
/// # Errors
/// There is none.
pub fn edgeface() -> Needed<PathBuf> {
    let folder = shared().map(|shared| shared.join("optional/edgeface-xs"));
    folder
        .filter(|folder| folder.join(EDGEFACE).is_file())
        .ok_or("needs ../shared/optional/edgeface-xs")
}

/// A crop of a face and what EdgeFace-XS makes of it.
#[derive(Debug, Clone)]
pub struct EdgeFaceOutput {
    /// 112 x 112 pixels, red first.
    pub crop: Vec<u8>,
    /// Of no particular length.
    pub embedding: Vec<f32>,
}

/// Reads the fixture in that folder, which PyTorch made: `fixture_xs.npz`, of `crops_bgr_u8` and `embeddings`.
///
/// # Errors
/// A file that cannot be read, or another than that.
pub fn edgeface_fixture(folder: &Path) -> Result<Vec<EdgeFaceOutput>, Failed> {
    let bytes = std::fs::read(folder.join("fixture_xs.npz"))?;
    // An archive without compression: each array is there as it is.
    let magic = b"\x93NUMPY";
    let starts = bytes.windows(magic.len()).enumerate();
    let starts: Vec<usize> = starts
        .filter_map(|(at, found)| (found == magic).then_some(at))
        .collect();
    let [crops, embeddings] = starts[..] else {
        return Err(format!("{} arrays, not two", starts.len()).into());
    };
    let data = |start: usize, length: usize| {
        let head = bytes.get(start + 8..start + 10)?;
        let first = start + 10 + usize::from(u16::from_le_bytes([head[0], head[1]]));
        bytes.get(first..first + length)
    };
    let count = 8;
    let crops = data(crops, count * SIDE * SIDE * 3).ok_or("the crops end early")?;
    let embeddings = data(embeddings, count * DIMENSIONS * 4).ok_or("the outputs end early")?;
    let (fours, _) = embeddings.as_chunks::<4>();
    let numbers: Vec<f32> = fours.iter().map(|four| f32::from_le_bytes(*four)).collect();
    let outputs: Vec<EdgeFaceOutput> = crops
        .chunks_exact(SIDE * SIDE * 3)
        .zip(numbers.chunks_exact(DIMENSIONS))
        .map(|(crop, embedding)| EdgeFaceOutput {
            crop: crop
                .as_chunks::<3>()
                .0
                .iter()
                .flat_map(|[b, g, r]| [*r, *g, *b])
                .collect(),
            embedding: embedding.to_vec(),
        })
        .collect();
    ensure!(outputs.len() == count, "{} crops", outputs.len());
    Ok(outputs)
}
