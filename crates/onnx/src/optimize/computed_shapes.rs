//! A `Reshape` to a shape that is computed from its own input's, as exporters write a flattening, gets it as a constant.

use crate::proto::{NodeProto, TensorProto, attribute};
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

#[cfg(test)]
mod tests {
    use super::super::Pass;
    use super::super::testing::{after, model, node, node_with};
    use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};

    /// Flattens to `[sizes of x at these axes, rest]`, as PyTorch's exporter writes it.
    fn flatten(source: &str, axes: &[i64], rest: i64) -> (Option<Vec<i64>>, GraphProto) {
        let mut nodes: Vec<NodeProto> = vec![node("Relu", &["x"], "a"), node("Shape", &[source], "shape")];
        let mut constants = vec![
            TensorProto::of_i64("axis", &[1], &[0]),
            TensorProto::of_i64("rest", &[1], &[rest]),
        ];
        let mut parts = Vec::new();
        for axis in axes {
            let (index, size, part) = (
                format!("index{axis}"),
                format!("size{axis}"),
                format!("part{axis}"),
            );
            constants.push(TensorProto::of_i64(&index, &[], &[*axis]));
            nodes.push(node("Gather", &["shape", &index], &size));
            nodes.push(node("Unsqueeze", &[&size, "axis"], &part));
            parts.push(part);
        }
        let mut inputs: Vec<&str> = parts.iter().map(String::as_str).collect();
        inputs.push("rest");
        nodes.push(node_with(
            "Concat",
            &inputs,
            "to",
            vec![AttributeProto::int("axis", 0)],
        ));
        nodes.push(node("Reshape", &["a", "to"], "y"));
        let (graph, changed) = after(model(4, nodes, constants), Pass::ComputedShapes);
        let shape = graph.node.last().unwrap().input[1].as_str();
        let found = (changed == 1).then(|| graph.constants()[shape].i64s().unwrap());
        (found, graph)
    }

    #[test]
    fn a_flattening_by_the_inputs_own_sizes_needs_no_computing() {
        assert_eq!(flatten("a", &[0], -1).0, Some(vec![0, -1]));
        assert_eq!(flatten("x", &[0], 256).0, Some(vec![0, 256]));
        assert_eq!(flatten("a", &[0, 1], -1).0, Some(vec![0, 4, -1]));
        assert_eq!(flatten("a", &[-4], -1).0, Some(vec![0, -1]));
    }

    #[test]
    fn two_sizes_that_are_not_known_cannot_be_written_down() {
        // The batch as the second size is no copy of the second, and there is a -1 already.
        assert_eq!(flatten("a", &[1, 0], -1).0, None);
        // Nor is what is not computed.
        let nodes = vec![node("Reshape", &["x", "to"], "y")];
        let constants = vec![TensorProto::of_i64("to", &[2], &[0, -1])];
        assert_eq!(after(model(4, nodes, constants), Pass::ComputedShapes).1, 0);
    }
}
