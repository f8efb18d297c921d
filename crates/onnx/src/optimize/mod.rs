//! Rewriting graphs into what ONNX Runtime's CPU provider runs faster.
//!
//! Each rewrite is a [`Pass`] that can be left out. A pass changes only what it is sure of: operators of ONNX's own, of
//! versions known here, on constants of `f32` that are in the file and belong to one node. Everything else, subgraphs
//! and operators of other domains included, stays as it is, and what a model computes stays the same but for the
//! rounding of single numbers.
//!
//! What is fast was measured. ONNX Runtime keeps the maps of convolutions in blocks of 8 or 16 channels as long as every
//! operator on the way can work on blocks; one that cannot, such as `PRelu` or a depthwise convolution of 103 channels,
//! costs itself and the reordering before and after it.

mod batch_norm;
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
mod testing;

use std::fmt;
use std::str::FromStr;

use crate::file::{self, OnnxError};
use crate::proto::ModelProto;

pub use cache::cached;
use net::Net;

/// Channels in a block, at most (16 with AVX-512, otherwise 8): multiples of it fill blocks on every machine.
const BLOCK: usize = 16;

/// A rewrite, in the order in which they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Pass {
    /// `Constant` nodes become constants of the graph, which the other passes look at.
    ConstantNodes,
    /// Nodes that hand on what they are given are taken out.
    NoOps,
    /// A `Reshape` to a shape that nodes compute gets it as a constant.
    ComputedShapes,
    /// Batch normalisation is folded into the convolution or matrix product before it.
    BatchNorm,
    /// Addition of and multiplication by constants of each channel are, too.
    ChannelAffine,
    /// Pooling over the whole map becomes `GlobalAveragePool`.
    GlobalPool,
    /// Convolutions get channels of zeros up to a multiple of 16, where all that lies between can.
    PadChannels,
    /// `PRelu` becomes what works on blocks or at least on vectors.
    Prelu,
    /// Multiplication of a map by a number for each channel becomes one of two maps.
    Gates,
    /// Constants of the same values become one.
    SharedConstants,
    /// Nodes and constants that nothing reads are dropped.
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

    /// The name, as in reports and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConstantNodes => "constant-nodes",
            Self::NoOps => "no-ops",
            Self::ComputedShapes => "computed-shapes",
            Self::BatchNorm => "batch-norm",
            Self::ChannelAffine => "channel-affine",
            Self::GlobalPool => "global-pool",
            Self::PadChannels => "pad-channels",
            Self::Prelu => "prelu",
            Self::Gates => "gates",
            Self::SharedConstants => "shared-constants",
            Self::DeadCode => "dead-code",
        }
    }

    /// Makes the rewrite wherever it can be made, and says in how many places that was.
    fn run(self, net: &mut Net) -> usize {
        match self {
            Self::ConstantNodes => constant_nodes::run(net),
            Self::NoOps => no_ops::run(net),
            Self::ComputedShapes => computed_shapes::run(net),
            Self::BatchNorm => batch_norm::run(net),
            Self::ChannelAffine => channel_affine::run(net),
            Self::GlobalPool => global_pool::run(net),
            Self::PadChannels => pad_channels::run(net),
            Self::Prelu => prelu::run(net),
            Self::Gates => gates::run(net),
            Self::SharedConstants => shared_constants::run(net),
            Self::DeadCode => dead_code::run(net),
        }
    }
}

impl fmt::Display for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// There is no pass of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no rewriting pass '{name}'; there are {}", Pass::ALL.map(Pass::as_str).join(", "))]
pub struct UnknownPass {
    /// What was asked for.
    pub name: String,
}

impl FromStr for Pass {
    type Err = UnknownPass;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        all.find(|pass| pass.as_str() == name).ok_or_else(|| UnknownPass {
            name: name.to_owned(),
        })
    }
}

/// Which passes are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Passes {
    on: [bool; Pass::ALL.len()],
}

impl Passes {
    /// Every pass.
    #[must_use]
    pub fn all() -> Self {
        Self {
            on: [true; Pass::ALL.len()],
        }
    }

    /// Those that make a model smaller and plainer whatever executes it. Left out are those whose gain is that ONNX
    /// Runtime's CPU kernels stay in blocks of channels, and which cost elsewhere (docs/performance.md has the figures of
    /// OpenVINO).
    #[must_use]
    pub fn portable() -> Self {
        [Pass::Prelu, Pass::PadChannels, Pass::Gates]
            .into_iter()
            .fold(Self::all(), Self::without)
    }

    /// No pass.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// These and `pass`.
    #[must_use]
    pub fn with(mut self, pass: Pass) -> Self {
        self.on[pass as usize] = true;
        self
    }

    /// These but not `pass`.
    #[must_use]
    pub fn without(mut self, pass: Pass) -> Self {
        self.on[pass as usize] = false;
        self
    }

    /// Whether `pass` is made.
    #[must_use]
    pub fn contains(&self, pass: Pass) -> bool {
        self.on[pass as usize]
    }
}

/// Why a model was left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeftAlone {
    /// It asks for a version of ONNX's operators that is not known here.
    UnknownOpset,
    /// Its format is older than IR version 4: every constant may be an input.
    OldFormat,
    /// It brings functions of its own.
    Functions,
    /// It has sparse constants or annotations of quantisation.
    SparseOrQuantized,
    /// Its nodes are in no order in which they can be computed, or a name stands for two values.
    Malformed,
}

impl fmt::Display for LeftAlone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownOpset => "it asks for a version of ONNX's operators that is not known here",
            Self::OldFormat => "its format is older than IR version 4",
            Self::Functions => "it brings functions of its own",
            Self::SparseOrQuantized => "it has sparse constants or annotations of quantisation",
            Self::Malformed => {
                "its nodes are in no order that can be computed, or a name stands for two values"
            }
        })
    }
}

/// What was rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    changes: [usize; Pass::ALL.len()],
    left_alone: Option<LeftAlone>,
}

impl Report {
    /// In how many places the pass changed the model.
    #[must_use]
    pub fn count(&self, pass: Pass) -> usize {
        self.changes[pass as usize]
    }

    /// Every pass with the number of places that it changed, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Pass, usize)> + '_ {
        Pass::ALL.into_iter().map(|pass| (pass, self.count(pass)))
    }

    /// In how many places the model was changed in all.
    #[must_use]
    pub fn total(&self) -> usize {
        self.changes
            .iter()
            .fold(0, |sum, &count| sum.saturating_add(count))
    }

    /// Why nothing was changed, where the model as a whole is one to leave alone.
    #[must_use]
    pub fn left_alone(&self) -> Option<LeftAlone> {
        self.left_alone
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(reason) = self.left_alone {
            return write!(f, "left as it is: {reason}");
        }
        let changed: Vec<String> = self
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(pass, count)| format!("{pass} {count}"))
            .collect();
        if changed.is_empty() {
            f.write_str("nothing to rewrite")
        } else {
            f.write_str(&changed.join(", "))
        }
    }
}

/// Rewrites a model. It computes the same as before, but for rounding; the same model gives the same result.
///
/// Never panics, whatever the model: one that makes no sense is left as it is. Constants grow by no more than half in
/// each dimension.
pub fn optimize(model: &mut ModelProto, passes: &Passes) -> Report {
    let mut report = Report::default();
    let mut net = match Net::take(model) {
        Ok(net) => net,
        Err(reason) => {
            report.left_alone = Some(reason);
            return report;
        }
    };
    for pass in Pass::ALL {
        if passes.contains(pass) {
            report.changes[pass as usize] = pass.run(&mut net);
        }
    }
    model.graph = Some(net.finish());
    report
}

/// Rewrites the bytes of an ONNX file.
///
/// # Errors
/// What [`file::read`] refuses.
pub fn optimize_bytes(onnx: &[u8], passes: &Passes) -> Result<(Vec<u8>, Report), OnnxError> {
    let mut model = file::read(onnx)?;
    let report = optimize(&mut model, passes);
    Ok((file::write(&model), report))
}
