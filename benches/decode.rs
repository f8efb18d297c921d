//! How long does it take to turn a file into an upright image?

#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
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
    if let Some((heif, files)) = heif() {
        for (name, bytes) in files {
            group.bench_function(name, |bencher| {
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

/// The decoder, and the image of [`support::SELFIE`] as HEIC and AVIF, where there is `heif-enc` to make them.
fn heif() -> Option<(Arc<dyn HeifDecoder>, Vec<(String, Vec<u8>)>)> {
    let encoder = program("heif-enc").ok()?;
    let system = SystemHeif::start(Some(env!("CARGO_BIN_EXE_likeness").into())).ok()?;
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source.jpg");
    std::fs::write(&source, support::bytes(support::SELFIE)).unwrap();
    let make = |format: &str| {
        let target = folder.path().join(format);
        let mut command = Command::new(&encoder);
        command
            .args((format == "avif").then_some("-A"))
            .arg("-o")
            .args([&target, &source]);
        let status = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "{status}");
        (
            format!("{format} 1536x1152, in a process"),
            std::fs::read(target).unwrap(),
        )
    };
    Some((Arc::new(system), vec![make("heic"), make("avif")]))
}
