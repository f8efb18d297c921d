//! Optimization passes: changes of a graph that make ONNX Runtime's CPU provider run it faster.
//!
//! Each [`Pass`] can be skipped. A pass changes only what it knows: ONNX's own operators, in known versions, on constants
//! of `f32` that are in the file and belong to one node. Everything else, subgraphs and custom operators included, stays
//! as it is, and the model's results stay the same but for the rounding of single numbers.
//!
//! The choice of passes is measured. ONNX Runtime keeps feature maps in blocks of 8 or 16 channels as long as every
//! operator on the way supports blocks; one that does not, such as `PRelu` or a depthwise convolution of 103 channels,
//! costs itself and the reordering before and after it.

pub(crate) mod batch_norm;
mod cache;
mod channel_affine;
mod computed_shapes;
mod constant_nodes;
mod dead_code;
mod gates;
mod global_pool;
mod layer;
mod net;
mod no_ops;
mod pad_channels;
mod prelu;
mod shared_constants;
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

impl Pass {
    /// Every pass, in order.
    pub const ALL: [Self; 11] = [
        Self::ConstantNodes,
        Self::NoOps,
        Self::ComputedShapes,
        Self::BatchNorm,
        Self::ChannelAffine,
        Self::GlobalPool,
        Self::PadChannels,
        Self::Prelu,
        Self::Gates,
        Self::SharedConstants,
        Self::DeadCode,
    ];

    /// Returns the name, as in reports and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.entry().0
    }

    /// The name, and the function that applies the pass and returns the number of changes.
    fn entry(self) -> (&'static str, fn(&mut Net) -> usize) {
        match self {
            Self::ConstantNodes => ("constant-nodes", constant_nodes::run),
            Self::NoOps => ("no-ops", no_ops::run),
            Self::ComputedShapes => ("computed-shapes", computed_shapes::run),
            Self::BatchNorm => ("batch-norm", batch_norm::run),
            Self::ChannelAffine => ("channel-affine", channel_affine::run),
            Self::GlobalPool => ("global-pool", global_pool::run),
            Self::PadChannels => ("pad-channels", pad_channels::run),
            Self::Prelu => ("prelu", prelu::run),
            Self::Gates => ("gates", gates::run),
            Self::SharedConstants => ("shared-constants", shared_constants::run),
            Self::DeadCode => ("dead-code", dead_code::run),
        }
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
        let found = Self::ALL.into_iter().find(|pass| pass.as_str() == name);
        found.ok_or_else(|| OnnxError::UnknownPass {
            name: name.to_owned(),
            known: Self::ALL.map(Self::as_str).join(", "),
        })
    }
}

/// A set of passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Passes {
    on: [bool; Pass::ALL.len()],
}

impl Passes {
    /// Returns every pass.
    #[must_use]
    pub fn all() -> Self {
        Self {
            on: [true; Pass::ALL.len()],
        }
    }

    /// Returns the passes that make a model smaller and simpler for every execution provider: all but those that keep ONNX
    /// Runtime's CPU kernels in blocks of channels and cost time elsewhere (docs/performance.md has the figures of
    /// OpenVINO).
    #[must_use]
    pub fn portable() -> Self {
        [Pass::Prelu, Pass::PadChannels, Pass::Gates]
            .into_iter()
            .fold(Self::all(), Self::without)
    }

    /// Returns no pass.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Returns these and `pass`.
    #[must_use]
    pub fn with(mut self, pass: Pass) -> Self {
        self.on[pass as usize] = true;
        self
    }

    /// Returns these without `pass`.
    #[must_use]
    pub fn without(mut self, pass: Pass) -> Self {
        self.on[pass as usize] = false;
        self
    }

    /// Whether `pass` is applied.
    #[must_use]
    pub fn contains(&self, pass: Pass) -> bool {
        self.on[pass as usize]
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
    changes: [usize; Pass::ALL.len()],
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
        Pass::ALL.into_iter().map(|pass| (pass, self.count(pass)))
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
        let changed = self.iter().filter(|(_, count)| *count > 0);
        let changed: Vec<String> = changed.map(|(pass, count)| format!("{pass} {count}")).collect();
        match changed.as_slice() {
            [] => f.write_str("nothing to optimize"),
            changed => f.write_str(&changed.join(", ")),
        }
    }
}

/// Optimizes a model. Its results stay the same but for rounding; the same model gives the same optimized model.
///
/// Never panics, whatever the model: an invalid one stays as it is. Constants grow by no more than half in each dimension.
pub fn optimize(model: &mut ModelProto, passes: &Passes) -> Report {
    let mut report = Report::default();
    let mut net = match Net::take(model) {
        Ok(net) => net,
        Err(reason) => {
            report.skipped = Some(reason);
            return report;
        }
    };
    for pass in Pass::ALL {
        if passes.contains(pass) {
            report.changes[pass as usize] = pass.entry().1(&mut net);
        }
    }
    model.graph = Some(net.finish());
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
