//! How long does it take to turn a file into an upright image?

#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use criterion::{Criterion, Throughput};
use likeness_engine::heif::SystemHeif;
use likeness_engine::imaging::{EncodedImage, HeifDecoder, ImageLimits, Interrupt, decode, probe};
use likeness_testing::program;

mod support;

fn main() {
    support::run(benches);
}

fn benches(criterion: &mut Criterion) {
    let limits = ImageLimits::default();
    let mut group = criterion.benchmark_group("decode");
    for (name, file) in [
        ("jpeg baseline 600x800", support::PHOTO),
        ("jpeg progressive 1536x1152", support::SELFIE),
        ("jpeg baseline 1536x2048", "faces/img3.jpg"),
        ("jpeg rotated by EXIF 600x800", "awkward-faces/exif6.jpg"),
        ("webp 1350x1800", "faces/img47.jpg"),
        ("png 600x800", "awkward-faces/rgb.png"),
    ] {
        let bytes = support::bytes(file);
        let header = probe(&bytes, &limits).unwrap();
        group.throughput(Throughput::Elements(
            u64::from(header.width) * u64::from(header.height),
        ));
        group.bench_function(name, |bencher| {
            bencher.iter(|| decode(black_box(&bytes), &limits).unwrap());
        });
    }
    // Both have the pixels of `support::SELFIE`.
    if let Ok(encoder) = program("heif-enc") {
        let system = SystemHeif::start(Some(env!("CARGO_BIN_EXE_likeness").into())).unwrap();
        let heif: Arc<dyn HeifDecoder> = Arc::new(system);
        for format in ["heic", "avif"] {
            let bytes = encoded(&encoder, format);
            group.bench_function(format!("{format} 1536x1152, in a process"), |bencher| {
                let open = || EncodedImage::open_with(black_box(&bytes), &limits, &heif).unwrap();
                bencher.iter(|| open().decode(Interrupt::NEVER).unwrap());
            });
        }
    }
    group.finish();
    let bytes = support::bytes(support::SELFIE);
    criterion.bench_function("probe jpeg 1536x1152", |bencher| {
        bencher.iter(|| probe(black_box(&bytes), &limits).unwrap());
    });
}

/// [`support::SELFIE`] in another format.
fn encoded(encoder: &Path, format: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (source, target) = (folder.path().join("source.jpg"), folder.path().join(format));
    std::fs::write(&source, support::bytes(support::SELFIE)).unwrap();
    let mut command = Command::new(encoder);
    command
        .args((format == "avif").then_some("-A"))
        .arg("-o")
        .args([&target, &source]);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.unwrap().success());
    std::fs::read(target).unwrap()
}
