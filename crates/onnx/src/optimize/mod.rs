//! Optimization passes: changes of a graph that make ONNX Runtime's CPU provider run it faster.
//!
//! Each [`Pass`] can be skipped. A pass changes only what it knows: ONNX's own operators, in known versions, on constants
//! of `f32` that are in the file and belong to one node. Everything else, subgraphs and custom operators included, stays
//! as it is, and the model's results stay the same but for the rounding of single numbers.
//!
//! The choice of passes is measured. ONNX Runtime keeps feature maps in blocks of 8 or 16 channels as long as every
//! operator on the way supports blocks; one that does not, such as `PRelu` or a depthwise convolution of 103 channels,
//! costs itself and the reordering before and after it.

pub(crate) mod affine;
mod cache;
mod computed_shapes;
mod constants;
mod free_batch;
mod gates;
mod global_pool;
mod net;
mod pad_channels;
mod prelu;
mod removal;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use crate::proto::ModelProto;
use crate::{OnnxError, file};

pub use cache::cached;
use net::Net;

/// Channels in a block, at most (16 with AVX-512, otherwise 8): multiples of it fill blocks on every machine.
const BLOCK: usize = 16;

/// An optimization pass, in the order of application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Pass {
    /// Turns `Constant` nodes into constants of the graph, which the other passes read.
    ConstantNodes,
    /// Removes nodes that return their input.
    NoOps,
    /// Frees a batch that the file fixes at 1, where each image of a larger one gives what it gives by itself.
    FreeBatch,
    /// Makes the computed shape of a `Reshape` a constant.
    ComputedShapes,
    /// Folds batch normalisation into the convolution or matrix product before it.
    BatchNorm,
    /// Folds addition of and multiplication by a constant for each channel likewise.
    ChannelAffine,
    /// Turns pooling over the whole map into `GlobalAveragePool`.
    GlobalPool,
    /// Pads convolutions with channels of zeros up to a multiple of 16, where everything between them can follow.
    PadChannels,
    /// Replaces `PRelu` by operators that work on blocks, or at least on vectors.
    Prelu,
    /// Turns the product of a map and a number for each channel into one of two maps.
    Gates,
    /// Merges constants of the same values.
    SharedConstants,
    /// Removes nodes and constants that nothing reads.
    DeadCode,
}

/// Applies a pass and returns the number of changes.
type Run = fn(&mut Net) -> usize;

/// Each pass with its name in reports and on the command line, in order.
const PASSES: [(Pass, &str, Run); 12] = [
    (Pass::ConstantNodes, "constant-nodes", constants::from_nodes),
    (Pass::NoOps, "no-ops", removal::no_ops),
    (Pass::FreeBatch, "free-batch", free_batch::run),
    (Pass::ComputedShapes, "computed-shapes", computed_shapes::run),
    (Pass::BatchNorm, "batch-norm", affine::batch_norm),
    (Pass::ChannelAffine, "channel-affine", affine::channel_affine),
    (Pass::GlobalPool, "global-pool", global_pool::run),
    (Pass::PadChannels, "pad-channels", pad_channels::run),
    (Pass::Prelu, "prelu", prelu::run),
    (Pass::Gates, "gates", gates::run),
    (Pass::SharedConstants, "shared-constants", constants::share),
    (Pass::DeadCode, "dead-code", removal::dead_code),
];

impl Pass {
    /// Returns every pass, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        PASSES.into_iter().map(|(pass, ..)| pass)
    }

    /// Returns the name, as in reports and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        PASSES[self as usize].1
    }
}

impl fmt::Display for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Pass {
    type Err = OnnxError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::all().find(|pass| pass.as_str() == name);
        found.ok_or_else(|| OnnxError::UnknownPass {
            name: name.to_owned(),
            known: PASSES.map(|(_, name, _)| name).join(", "),
        })
    }
}

/// A set of passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passes([bool; PASSES.len()]);

impl Passes {
    /// Returns every pass.
    #[must_use]
    pub fn all() -> Self {
        Self([true; PASSES.len()])
    }

    /// Returns the passes that make a model smaller and simpler for every execution provider: all but those that keep ONNX
    /// Runtime's CPU kernels in blocks of channels and cost time elsewhere (docs/performance.md has the figures of
    /// OpenVINO).
    #[must_use]
    pub fn portable() -> Self {
        let blocks = [Pass::Prelu, Pass::PadChannels, Pass::Gates];
        blocks.into_iter().fold(Self::all(), Self::without)
    }

    /// Returns no pass.
    #[must_use]
    pub fn none() -> Self {
        Self([false; PASSES.len()])
    }

    /// Returns these and `pass`.
    #[must_use]
    pub fn with(mut self, pass: Pass) -> Self {
        self.0[pass as usize] = true;
        self
    }

    /// Returns these without `pass`.
    #[must_use]
    pub fn without(mut self, pass: Pass) -> Self {
        self.0[pass as usize] = false;
        self
    }
}

/// Why a model is not optimized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Skipped {
    /// An unknown version of ONNX's operators.
    #[error("the version of its ONNX operators is not known")]
    UnknownOpset,
    /// Every constant may be an input.
    #[error("its format is older than IR version 4")]
    OldFormat,
    /// Functions of its own.
    #[error("it has functions of its own")]
    Functions,
    /// Sparse constants, or annotations of quantization.
    #[error("it has sparse constants or annotations of quantization")]
    SparseOrQuantized,
    /// Nodes in an order that cannot be computed, or a name of two values.
    #[error("its nodes are in an order that cannot be computed, or a name is that of two values")]
    Malformed,
}

/// The result of an optimization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    changes: [usize; PASSES.len()],
    skipped: Option<Skipped>,
}

impl Report {
    /// Returns the number of changes by a pass.
    #[must_use]
    pub fn count(&self, pass: Pass) -> usize {
        self.changes[pass as usize]
    }

    /// Returns every pass with its number of changes, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Pass, usize)> + '_ {
        Pass::all().zip(self.changes)
    }

    /// Returns the number of all changes.
    #[must_use]
    pub fn total(&self) -> usize {
        self.changes.iter().copied().fold(0, usize::saturating_add)
    }

    /// Returns why the model as a whole was not optimized.
    #[must_use]
    pub fn skipped(&self) -> Option<Skipped> {
        self.skipped
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(reason) = self.skipped {
            return write!(f, "not optimized: {reason}");
        }
        if self.total() == 0 {
            return f.write_str("nothing to optimize");
        }
        let changed = self.iter().filter(|(_, count)| *count > 0);
        let changed: Vec<String> = changed.map(|(pass, count)| format!("{pass} {count}")).collect();
        f.write_str(&changed.join(", "))
    }
}

/// Optimizes a model. Its results stay the same but for rounding; the same model gives the same optimized model.
///
/// Never panics, whatever the model: an invalid one stays as it is. Constants grow by no more than half in each dimension.
pub fn optimize(model: &mut ModelProto, passes: &Passes) -> Report {
    let mut report = Report::default();
    match Net::take(model) {
        Ok(mut net) => {
            for (pass, _, run) in PASSES.into_iter().filter(|(pass, ..)| passes.0[*pass as usize]) {
                report.changes[pass as usize] = run(&mut net);
            }
            model.graph = Some(net.finish());
        }
        Err(reason) => report.skipped = Some(reason),
    }
    report
}

/// Optimizes the bytes of an ONNX file.
///
/// # Errors
/// As [`read`](crate::read).
pub fn optimize_bytes(onnx: &[u8], passes: &Passes) -> Result<(Vec<u8>, Report), OnnxError> {
    let mut model = file::read(onnx)?;
    let report = optimize(&mut model, passes);
    Ok((file::write(&model), report))
}
