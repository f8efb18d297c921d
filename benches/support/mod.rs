//! What the benches share: development images, and the models of the default pack.

// Each bench uses a part of it.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

use std::path::PathBuf;

use criterion::Criterion;
use image::RgbImage;
use image::imageops::{FilterType, crop_imm, resize};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use likeness_engine::default_passes;
use likeness_engine::imaging::{Image, ImageLimits, decode};
use likeness_engine::packs::{DEFAULT_PACK, Pack, StoreSearch};
use likeness_engine::runtime::{LibrarySearch, ModelSession, Outputs, Provider, Runtime, keep_freed_memory};
use mozjpeg::Decompress;
use ndarray::Array4;

/// A selfie-like portrait of 1536x1152 (progressive JPEG) and a photo of 600x800 (baseline) of the same person.
pub(crate) const SELFIE: &str = "faces/img2.jpg";
pub(crate) const PHOTO: &str = "faces/img11.jpg";

/// Runs benches, or says why not.
pub(crate) fn run(benches: impl FnOnce(&mut Criterion)) {
    if likeness_testing::shared().is_none() || !likeness_testing::has_models() {
        eprintln!("skipped: needs ../shared and models/store");
        return;
    }
    // As the program does.
    keep_freed_memory();
    let mut criterion = Criterion::default().configure_from_args();
    benches(&mut criterion);
    criterion.final_summary();
}

/// The bytes of a development image.
pub(crate) fn bytes(name: &str) -> Vec<u8> {
    let data: PathBuf = likeness_testing::shared().unwrap().join("data");
    std::fs::read(data.join(name)).unwrap()
}

/// A development image, decoded.
pub(crate) fn picture(name: &str) -> Image {
    decode(&bytes(name), &ImageLimits::default()).unwrap()
}

/// What executes the models: the provider of the environment, else the CPU.
pub(crate) fn provider() -> Provider {
    likeness_testing::provider().parse().unwrap()
}

/// What the models are opened from.
pub(crate) fn parts() -> (Runtime, Pack) {
    let runtime = Runtime::load(&LibrarySearch::new(), provider()).unwrap();
    (runtime, pack())
}

/// The default pack as the provider is given it.
pub(crate) fn pack() -> Pack {
    let pack = StoreSearch::new().find().unwrap().load(DEFAULT_PACK).unwrap();
    pack.optimized(&default_passes(provider()))
}

/// The liveness models of the default pack, and the sides of their inputs.
const LIVENESS: [(&str, usize); 5] = [
    ("minifasnet_v2", 80),
    ("minifasnet_v1se", 80),
    ("zalo_minifasnet_v2", 80),
    ("zalo_minifasnet_v1se", 80),
    ("facenox_9820", 128),
];

/// The model calls of a verification with nothing around them: two detector passes at 320 pixels, a batch of two
/// embeddings, five liveness models.
pub(crate) struct BareModels {
    detector: ModelSession,
    embedder: ModelSession,
    liveness: [(ModelSession, Array4<f32>); 5],
    portrait: Array4<f32>,
    crops: Array4<f32>,
}

impl BareModels {
    /// Sessions of one thread each.
    pub(crate) fn open() -> Self {
        let (runtime, pack) = parts();
        let open = |file: &str| runtime.open(file, pack.model(file).unwrap()).unwrap();
        Self {
            detector: open("yunet_n"),
            embedder: open("face-reidentification-retail-0095"),
            liveness: LIVENESS.map(|(file, side)| (open(file), pixels(1, side, side))),
            portrait: pixels(1, 320, 256),
            crops: pixels(2, 128, 128),
        }
    }

    /// All calls once.
    pub(crate) fn verification(&mut self) {
        self.detect();
        self.embed();
        self.judge();
    }

    /// Both detector passes.
    pub(crate) fn detect(&mut self) {
        for _ in 0..2 {
            infer(&mut self.detector, &self.portrait);
        }
    }

    /// The batch of two embeddings.
    pub(crate) fn embed(&mut self) {
        infer(&mut self.embedder, &self.crops);
    }

    /// All liveness models.
    pub(crate) fn judge(&mut self) {
        for (model, face) in &mut self.liveness {
            infer(model, face);
        }
    }
}

/// Runs a model once.
pub(crate) fn infer<'s>(session: &'s mut ModelSession, input: &Array4<f32>) -> Outputs<'s> {
    let (count, channels, height, width) = input.dim();
    session
        .run([count, channels, height, width], input.as_slice().unwrap())
        .unwrap()
}

/// Pixels of so many images.
pub(crate) fn pixels(count: usize, height: usize, width: usize) -> Array4<f32> {
    Array4::from_shape_simple_fn((count, 3, height, width), likeness_testing::noise())
}

/// As cameras of telephones write it, or better.
const QUALITY: u8 = 90;

/// The middle of a development image at another size, as a baseline JPEG with half the colours, like a camera's.
pub(crate) fn portrait(name: &str, width: u32, height: u32) -> Vec<u8> {
    let image = picture(name);
    let (own_width, own_height) = (image.width(), image.height());
    let pixels = RgbImage::from_raw(own_width, own_height, image.into_rgb8()).unwrap();
    let cut_width = own_width.min(own_height * width / height);
    let cut_height = own_height.min(own_width * height / width);
    let cut = crop_imm(
        &pixels,
        (own_width - cut_width) / 2,
        (own_height - cut_height) / 2,
        cut_width,
        cut_height,
    );
    let sized = resize(&cut.to_image(), width, height, FilterType::CatmullRom);
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, QUALITY);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder
        .encode(&sized, width as u16, height as u16, ColorType::Rgb)
        .unwrap();
    bytes
}

/// The pixels of a JPEG file at so many eighths of its size, by libjpeg-turbo with nothing around it.
pub(crate) fn bare_decode(bytes: &[u8], eighths: u8) -> Vec<[u8; 3]> {
    let mut decompress = Decompress::new_mem(bytes).unwrap();
    decompress.scale(eighths);
    decompress.rgb().unwrap().read_scanlines().unwrap()
}

/// The middle of measurements.
pub(crate) fn median<T: Copy + PartialOrd>(values: &[T]) -> T {
    let mut values = values.to_vec();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap());
    values[values.len() / 2]
}
