//! Folds addition of, and multiplication by, a constant for each channel into the layer before.

use crate::proto::NodeProto;
use crate::shapes::Shapes;

use super::layer::Layer;
use super::net::Net;

pub(super) fn run(net: &mut Net) -> usize {
    let shapes = net.shapes();
    net.change_each(&["Add", "Sub", "Mul", "Div"], |net, place| {
        let (layer, scale, shift) = affine(net, &shapes, net.node(place)?)?;
        layer.swallow(net, place, &scale, &shift)
    })
}

/// The layer before the node, and the factor and the summand of each channel.
fn affine(net: &Net, shapes: &Shapes, node: &NodeProto) -> Option<(Layer, Vec<f64>, Vec<f64>)> {
    let ([first, second], [_]) = (node.input.as_slice(), node.output.as_slice()) else {
        return None;
    };
    let (value, constant, is_second) = match net.constant(second) {
        Some(constant) => (first, constant, true),
        None => (second, net.constant(first)?, false),
    };
    let layer = Layer::before(net, shapes, value)?;
    let values = layer.of_channels(constant)?;
    let all = |value: f64| vec![value; layer.channels];
    let each = |change: fn(f64) -> f64| values.iter().copied().map(change).collect();
    let (scale, shift) = match (node.op_type.as_str(), is_second) {
        ("Add", _) => (all(1.0), values),
        ("Mul", _) => (values, all(0.0)),
        ("Sub", true) => (all(1.0), each(|value| -value)),
        ("Sub", false) => (all(-1.0), values),
        ("Div", true) => (each(|value| 1.0 / value), all(0.0)),
        _ => return None,
    };
    Some((layer, scale, shift))
}

#[cfg(test)]
mod tests {
    use super::super::Pass;
    use super::super::tests::{after, constant, model, node, operators, values};
    use crate::proto::TensorProto;

    #[test]
    fn a_shape_without_elements_buys_no_work() {
        let names: Vec<String> = (0..100).map(|number| format!("a{number}")).collect();
        let mut nodes = vec![node("Conv", &["x", "w"], "a")];
        let mut from = "a";
        for name in &names {
            nodes.push(node("Add", &[from, "c"], name));
            from = name;
        }
        nodes.push(node("Relu", &[from], "y"));
        let claim = TensorProto {
            dims: vec![1 << 40],
            ..constant("claim", &[0])
        };
        let constants = vec![constant("w", &[1 << 18, 1, 1, 1]), constant("c", &[]), claim];
        let (_, changed) = after(model(1, nodes, constants), Pass::ChannelAffine);
        assert!((16..40).contains(&changed), "{changed}");
    }

    /// A convolution with weights of 0.5 and 1.5, then the operator.
    fn after_conv(op_type: &str, inputs: [&str; 2], dims: &[i64]) -> Option<(Vec<f32>, Vec<f32>)> {
        let len: i64 = dims.iter().product();
        let c: Vec<f32> = (0..len).map(|index| if index == 0 { 2.0 } else { 4.0 }).collect();
        let constants = vec![
            constant("w", &[2, 1, 1, 1]),
            TensorProto::of_f32("b", &[2], &[1.0, 1.0]),
            TensorProto::of_f32("c", dims, &c),
        ];
        let nodes = vec![node("Conv", &["x", "w", "b"], "a"), node(op_type, &inputs, "y")];
        let (graph, changed) = after(model(1, nodes, constants), Pass::ChannelAffine);
        (changed == 1).then(|| {
            assert_eq!(operators(&graph), "Conv");
            (values(&graph, "y", 1), values(&graph, "y", 2))
        })
    }

    #[test]
    fn the_four_operations_go_into_weights_and_bias() {
        let each = [1, 2, 1, 1];
        let expect = |w: [f32; 2], b: [f32; 2]| Some((w.to_vec(), b.to_vec()));
        assert_eq!(
            after_conv("Add", ["a", "c"], &each),
            expect([0.5, 1.5], [3.0, 5.0])
        );
        assert_eq!(
            after_conv("Add", ["c", "a"], &[2, 1, 1]),
            expect([0.5, 1.5], [3.0, 5.0])
        );
        assert_eq!(
            after_conv("Mul", ["a", "c"], &each),
            expect([1.0, 6.0], [2.0, 4.0])
        );
        assert_eq!(
            after_conv("Sub", ["a", "c"], &each),
            expect([0.5, 1.5], [-1.0, -3.0])
        );
        assert_eq!(
            after_conv("Sub", ["c", "a"], &each),
            expect([-0.5, -1.5], [1.0, 3.0])
        );
        assert_eq!(
            after_conv("Div", ["a", "c"], &each),
            expect([0.25, 0.375], [0.5, 0.25])
        );
        assert_eq!(after_conv("Mul", ["a", "c"], &[]), expect([1.0, 3.0], [2.0, 2.0]));
    }

    #[test]
    fn what_is_no_constant_for_each_channel_stays() {
        assert_eq!(after_conv("Div", ["c", "a"], &[1, 2, 1, 1]), None);
        assert_eq!(after_conv("Add", ["a", "c"], &[2]), None, "along the width");
        assert_eq!(
            after_conv("Add", ["a", "c"], &[1, 2, 8, 1]),
            None,
            "along the height too"
        );
        assert_eq!(
            after_conv("Add", ["a", "c"], &[2, 1, 1, 1]),
            None,
            "along the batch"
        );
        assert_eq!(
            after_conv("Add", ["a", "c"], &[1, 1, 1, 1, 1]),
            None,
            "another rank"
        );
    }

    #[test]
    fn a_constant_that_the_caller_may_replace_stays() {
        let constants = vec![constant("w", &[2, 1, 1, 1]), constant("c", &[1, 2, 1, 1])];
        let nodes = vec![node("Conv", &["x", "w"], "a"), node("Add", &["a", "c"], "y")];
        for default in ["w", "c"] {
            let mut model = model(1, nodes.clone(), constants.clone());
            let graph = model.graph.as_mut().unwrap();
            let mut input = graph.input[0].clone();
            input.name = default.to_owned();
            graph.input.push(input);
            assert_eq!(after(model, Pass::ChannelAffine).1, 0, "{default}");
        }
    }
}
