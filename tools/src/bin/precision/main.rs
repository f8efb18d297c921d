//! What `scripts/quantize.py` needs of the product, and how fast its models are.
//!
//! `precision inputs OUT [DATA]` writes each model of the default pack, rewritten, to `OUT/MODEL.onnx`, rewritten without the
//! pass that 8 bits do not gain by to `OUT/int8-base/MODEL.onnx`, and what the product
//! gives it for images that are not those on which the variants are judged to `OUT/MODEL.3xHEIGHTxWIDTH.f32`: numbers of
//! 32 bits, lowest byte first, one image after the other.
//!
//! `precision time FOLDER` prints how fast the models in the folder are that are named `MODEL.VARIANT.onnx`, against
//! `MODEL.onnx`.

#![allow(clippy::print_stdout)]

mod inputs;
mod time;

use std::path::Path;

use likeness_engine::runtime::{LibrarySearch, Provider, Runtime};

/// Whatever goes wrong, for whoever started it.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = Runtime::load(&LibrarySearch::new(), Provider::Cpu)?;
    match arguments[..] {
        ["inputs", out] => inputs::write(&runtime, Path::new(out), Path::new("../shared/data")),
        ["inputs", out, data] => inputs::write(&runtime, Path::new(out), Path::new(data)),
        ["time", folder] => time::print(&runtime, Path::new(folder)),
        _ => Err("usage: precision inputs OUT [DATA] | precision time FOLDER".into()),
    }
}
