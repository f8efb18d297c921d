//! OpenVINO IR, version 11, to ONNX.
//!
//! An IR is two files: an `.xml` with layers, their ports and the edges between them, and a `.bin` with the constants. Of
//! OpenVINO's operation set `opset1` the operators below are supported, by the names of its documentation; they are those of
//! the models face-reidentification-retail-0095 and landmarks-regression-retail-0009.
//!
//! | OpenVINO | ONNX | accepted |
//! |---|---|---|
//! | Parameter-1 | the graph's input | one, `f32`, `[1, channels, rows, columns]`; the batch becomes free |
//! | Constant-1 (`Const`) | initializer | `f16` or `f32`, up to five dimensions, inside of the `.bin` |
//! | Convert-1 | nothing | of a constant of `f16` to `f32`; the initializer holds the `f32` |
//! | Add-1, Multiply-1 | Add, Mul | `auto_broadcast` `numpy`; one operand may be a constant, of one image |
//! | Convolution-1 | Conv | two dimensions, `auto_pad` `explicit`, the kernel a constant |
//! | GroupConvolution-1 | Conv with `group` | likewise; kernel `[G, O, I, rows, columns]` becomes `[G * O, I, rows, columns]` |
//! | PReLU-1 | PRelu | a constant slope of one number or of one a channel, which becomes `[channels, 1, 1]` |
//! | AvgPool-1 | AveragePool, `count_include_pad` 0 | `auto_pad` `explicit`, `rounding_type` `floor`, `exclude-pad` `true` |
//! | MaxPool-1 | MaxPool | `auto_pad` `explicit`, `rounding_type` `floor` |
//! | Sigmoid-1 | Sigmoid | |
//! | Result-1 | the graph's output | one, of something that is computed |
//!
//! Everything else is an error that names the layer and what is not supported. None of these operators reads whole
//! numbers, so constants of `i64` and `i32` are not accepted. The shape that each operator makes is computed and must be
//! the one that the file states. `rt_info`, which holds the file's history, is passed over.
//!
//! **Names.** A tensor is named as the layer that makes it: the input as the `Parameter`, an initializer as the `Convert`
//! or else the `Const`, the output as the layer that the `Result` reads. Models that Open Model Zoo made of PyTorch have
//! numbers for names: both models' input is `0`.
//!
//! What is read is bounded by the size of the files, whatever they say.

mod constants;
mod graph;
mod ir;
mod links;
#[cfg(test)]
mod tests;
mod xml;

use crate::proto::ModelProto;
use crate::{OnnxError, file};
use links::Links;

/// Imports an IR from the bytes of its `.xml` and of its `.bin`.
///
/// The same bytes give the same model. Input and output are `f32`, `[N, channels, rows, columns]` with any N.
///
/// # Errors
/// [`OnnxError`]; never panics, whatever the bytes.
pub fn import(xml: &[u8], bin: &[u8]) -> Result<ModelProto, OnnxError> {
    let net = ir::read(xml)?;
    let links = Links::of(&net)?;
    graph::convert(&net, &links, bin).map(file::model)
}
