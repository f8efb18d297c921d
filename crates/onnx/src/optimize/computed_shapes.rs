//! Makes the shape of a `Reshape` a constant where it is computed from that of its own input, as exporters write a
//! flattening.

use crate::proto::{NodeProto, TensorProto};
use crate::shapes::{Dim, Shapes};

use super::net::Net;

pub(super) fn run(net: &mut Net) -> usize {
    let shapes = net.shapes();
    net.change_each(&["Reshape"], |net, place| {
        let node = net.node(place)?;
        // Not a constant.
        net.producer(node.input.get(1)?)?;
        let shape = constant_shape(node, &shapes)?;
        let base = node.output.first().cloned().unwrap_or_default();
        let name = net.fresh(&base, "shape");
        net.set_constant(TensorProto::of_i64(&name, &[shape.len() as i64], &shape));
        net.set_input(place, 1, name);
        Some(())
    })
}

/// The shape as a constant: 0 stands for the input's own size at that place, and one size may be inferred (-1).
fn constant_shape(node: &NodeProto, shapes: &Shapes) -> Option<Vec<i64>> {
    if node.int("allowzero", 0)? != 0 {
        return None;
    }
    let from = shapes.dims(node.input.first()?)?;
    let to = shapes.facts(node.input.get(1)?)?.contents.as_ref()?;
    let size = |(index, &dim): (usize, &Dim)| match dim {
        Dim::Known(size) => Some(size).filter(|&size| size > 0 || size == -1),
        Dim::Free(_) if from.get(index) == Some(&dim) => Some(0),
        // A size of 0 would copy, which -1 does not; but then there are no elements at all.
        Dim::Free(_) => Some(-1),
    };
    let shape: Vec<i64> = to.iter().enumerate().map(size).collect::<Option<_>>()?;
    (shape.iter().filter(|&&size| size == -1).count() <= 1).then_some(shape)
}

#[cfg(test)]
mod tests {
    use super::super::Pass;
    use super::super::tests::{after, model, node, node_with};
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
