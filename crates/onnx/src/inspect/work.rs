//! Counting operations.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::shapes::{Dim, Shapes};

use super::Assumptions;

/// Operations of one run, of convolutions and matrix products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Work {
    /// Multiply-accumulates.
    pub macs: u64,
    /// Convolutions and matrix products that are not in `macs`, because their shapes are unknown.
    pub uncounted: usize,
}

impl Work {
    /// Returns the floating-point operations: two for each multiply-accumulate.
    #[must_use]
    pub fn flops(&self) -> u64 {
        self.macs.saturating_mul(2)
    }

    pub(super) fn of(opset: i64, graph: &GraphProto, assumptions: Assumptions) -> Self {
        let constants: BTreeMap<&str, &TensorProto> = graph.constants();
        // Values of `Constant` nodes, which shapes may be computed from.
        let nodes = graph.node.iter().filter(|node| node.is("Constant"));
        let of_nodes: HashMap<&str, &TensorProto> = nodes
            .filter_map(|node| {
                Some((
                    node.output.first()?.as_str(),
                    node.attribute("value")?.t.as_ref()?,
                ))
            })
            .collect();
        let constant = |name: &str| constants.get(name).or_else(|| of_nodes.get(name)).copied();
        let Assumptions { batch, side } = assumptions;
        let size_of = |axis| Some(i64::from(if axis == 0 { batch } else { side }));
        let shapes = Shapes::of(opset, &graph.input, constant, graph.node.iter(), size_of);
        let mut work = Self::default();
        for node in &graph.node {
            if node.is_any(&["Conv", "ConvTranspose", "Gemm", "MatMul"]) {
                match macs(node, &shapes) {
                    Some(macs) => work.macs = work.macs.saturating_add(macs),
                    None => work.uncounted += 1,
                }
            }
        }
        work
    }
}

/// Multiply-accumulates of a node: elements that it makes, times products that go into each.
fn macs(node: &NodeProto, shapes: &Shapes) -> Option<u64> {
    let sizes = |value: Option<&String>| -> Option<Vec<u64>> {
        let known = |dim: &Dim| dim.known().and_then(|size| u64::try_from(size).ok());
        shapes.dims(value?)?.iter().map(known).collect()
    };
    let first = sizes(node.input.first())?;
    let weights = sizes(node.input.get(1))?;
    let product = |sizes: &[u64]| sizes.iter().copied().try_fold(1u64, u64::checked_mul);
    match node.op_type.as_str() {
        "Conv" => product(&sizes(node.output.first())?)?.checked_mul(product(weights.get(1..)?)?),
        // Each element of the input meets its group's share of the weights.
        "ConvTranspose" => product(&first)?.checked_mul(product(weights.get(1..)?)?),
        "Gemm" => {
            let inner = usize::from(node.int("transA", 0)? == 0);
            product(&sizes(node.output.first())?)?.checked_mul(*first.get(inner)?)
        }
        _ => product(&sizes(node.output.first())?)?.checked_mul(*first.last()?),
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} MFLOPs", self.flops() as f64 / 1e6)?;
        if self.uncounted > 0 {
            write!(f, ", {} operators not counted (unknown shapes)", self.uncounted)?;
        }
        Ok(())
    }
}
