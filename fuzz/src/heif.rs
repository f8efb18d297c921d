//! The boxes of HEIC and AVIF files, without a decoder.

#[path = "../../crates/imaging/tests/samples/heif.rs"]
mod samples;

use std::sync::Arc;
use std::time::Duration;

use crate::Bound;
use libfuzzer_sys::Corpus;
use likeness_imaging::{EncodedImage, HeifDecoder, HeifFile, ImageLimits, ImagingError, Interrupt};
use samples::{Heif, Item, alpha, clap, grid, ispe};

/// Bounds of reading the boxes: tables of as many items as a file may have.
const BOUND: Bound = Bound {
    memory: 2 << 20,
    time: Duration::from_millis(500),
};

/// Returns grey pixels.
#[derive(Debug)]
struct Grey;

impl HeifDecoder for Grey {
    fn decode(&self, file: &HeifFile<'_>, factor: u32, _: Interrupt<'_>) -> Result<Vec<u8>, ImagingError> {
        Ok(vec![127; file.pixel_bytes(factor) as usize])
    }
}

/// Reads the boxes of an input; rejects what is of another format.
///
/// # Panics
/// If that exceeds [`BOUND`], or a size is beyond the limits.
#[must_use]
pub fn run(bytes: &[u8]) -> Corpus {
    let decoder: Arc<dyn HeifDecoder> = Arc::new(Grey);
    let limits = ImageLimits::default().with_max_side(1_000);
    if bytes.get(4..8) != Some(b"ftyp") {
        return Corpus::Reject;
    }
    if let Ok(image) = BOUND.keep(|| EncodedImage::open_with(bytes, &limits, &decoder)) {
        let (width, height) = (image.header().width, image.header().height);
        assert!((1..=1_000).contains(&width) && (1..=1_000).contains(&height));
        let decoded = image.decode_reduced(64, Interrupt::NEVER);
        assert!(decoded.is_ok(), "{decoded:?}");
    }
    Corpus::Keep
}

/// Files of one image, of two, of a grid and with alpha.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let image = |kind: &[u8; 4], configuration: (&[u8; 4], usize)| Item {
        kind: *kind,
        data: vec![1; 20],
        properties: vec![(*configuration.0, vec![0; configuration.1]), ispe(64, 64)],
    };
    let (hevc, av1) = (image(b"hvc1", (b"hvcC", 23)), image(b"av01", (b"av1C", 4)));
    let mut turned = hevc.clone();
    turned
        .properties
        .extend([clap(20, 10, 1, -2), (*b"irot", vec![1]), (*b"imir", vec![0])]);
    let mut mask = av1.clone();
    mask.properties.push(alpha());
    let whole = Item {
        kind: *b"grid",
        data: grid(2, 2, 120, 100),
        properties: vec![ispe(120, 100)],
    };
    let tiled = Heif {
        items: [vec![whole], vec![hevc.clone(); 4]].concat(),
        references: vec![(*b"dimg", 1, vec![2, 3, 4, 5])],
        ..Heif::of(hevc.clone())
    };
    let with_alpha = Heif {
        items: vec![av1.clone(), mask],
        references: vec![(*b"auxl", 2, vec![1])],
        ..Heif::of(av1.clone())
    };
    let files = [Heif::of(hevc), Heif::of(av1), Heif::of(turned), tiled, with_alpha];
    files.iter().map(Heif::bytes).collect()
}
