//! A `Reshape` to a shape that is computed from its own input's, as exporters write a flattening, gets it as a constant.

use crate::onnx::proto::{NodeProto, TensorProto, attribute};
use crate::shapes::{Dim, Shapes};

use super::layer;
use super::net::Net;

pub(super) fn run(net: &mut Net) -> usize {
    let shapes = layer::shapes(net);
    let mut changed = 0;
    for place in net.places_of(&["Reshape"]) {
        let Some(node) = net.node(place) else {
            continue;
        };
        let is_computed = node
            .input
            .get(1)
            .is_some_and(|shape| net.producer(shape).is_some());
        let Some(shape) = constant_shape(node, &shapes).filter(|_| is_computed) else {
            continue;
        };
        let base = node.output.first().cloned().unwrap_or_default();
        let name = net.fresh(&base, "shape");
        let rank = i64::try_from(shape.len()).unwrap_or(i64::MAX);
        net.add_constant(TensorProto::of_i64(&name, &[rank], &shape));
        net.edit(place, |node| {
            if let Some(input) = node.input.get_mut(1) {
                *input = name;
            }
        });
        changed += 1;
    }
    changed
}

/// 0 stands for the input's own size at that place; one size may be left to be found.
fn constant_shape(node: &NodeProto, shapes: &Shapes) -> Option<Vec<i64>> {
    if attribute::int(node, "allowzero", 0)? != 0 {
        return None;
    }
    let from = shapes.dims(node.input.first()?)?;
    let to = shapes.facts(node.input.get(1)?)?.contents.as_ref()?;
    let mut shape = Vec::with_capacity(to.len());
    for (index, &dim) in to.iter().enumerate() {
        shape.push(match dim {
            Dim::Known(size) => Some(size).filter(|&size| size > 0 || size == -1)?,
            Dim::Free(_) if from.get(index) == Some(&dim) => 0,
            // If it were 0 it would copy, which -1 does not; but then there are no elements, and none are left out.
            Dim::Free(_) => -1,
        });
    }
    (shape.iter().filter(|&&size| size == -1).count() <= 1).then_some(shape)
}
