//! Batch normalisation is folded into the convolution or matrix product before it.

use crate::proto::{NodeProto, TensorProto, attribute};

use super::layer::{self, Layer};
use super::net::Net;

/// Where the node does not say (ONNX's default).
const EPSILON: f32 = 1e-5;

pub(super) fn run(net: &mut Net) -> usize {
    let shapes = layer::shapes(net);
    let mut changed = 0;
    for place in net.places_of(&["BatchNormalization"]) {
        let Some(node) = net.node(place) else {
            continue;
        };
        let layer = node
            .input
            .first()
            .and_then(|input| Layer::before(net, &shapes, input));
        if let Some(layer) = layer
            && let Some((scale, shift)) = affine(net, node, layer.channels)
            && layer.scale(net, &scale, &shift)
        {
            layer.swallow(net, place);
            changed += 1;
        }
    }
    changed
}

/// What it multiplies each channel by, and what it adds then.
fn affine(net: &Net, node: &NodeProto, channels: usize) -> Option<(Vec<f64>, Vec<f64>)> {
    let is_inference = attribute::int(node, "training_mode", 0)? == 0
        && attribute::int(node, "spatial", 1)? == 1
        // Before opset 14 these are what says that it is for training, whether or not they are read.
        && node.output.iter().skip(1).all(String::is_empty);
    let [_, scale, bias, mean, variance] = node.input.as_slice() else {
        return None;
    };
    let read = |name: &String| {
        let is_fitting = |tensor: &&TensorProto| tensor.dims.len() == 1 && tensor.len() == Some(channels);
        net.constant(name).filter(is_fitting)?.f32s()
    };
    let (scale, bias, mean, variance) = (read(scale)?, read(bias)?, read(mean)?, read(variance)?);
    let epsilon = f64::from(attribute::float(node, "epsilon", EPSILON)?);
    let mut scales = Vec::with_capacity(channels);
    let mut shifts = Vec::with_capacity(channels);
    for (((scale, bias), mean), variance) in scale.iter().zip(&bias).zip(&mean).zip(&variance) {
        let variance = f64::from(*variance) + epsilon;
        if !(is_inference && variance > 0.0) {
            return None;
        }
        let scale = f64::from(*scale) / variance.sqrt();
        scales.push(scale);
        shifts.push(f64::from(*bias) - f64::from(*mean) * scale);
    }
    Some((scales, shifts))
}

#[cfg(test)]
mod tests {
    use super::super::Pass;
    use super::super::testing::{after, constant, model, node, node_with, operators, values};
    use crate::proto::{AttributeProto, NodeProto, TensorProto};

    fn norm(input: &str) -> NodeProto {
        node_with(
            "BatchNormalization",
            &[input, "scale", "bias", "mean", "variance"],
            "y",
            vec![AttributeProto::float("epsilon", 0.0)],
        )
    }

    /// 3 (v - 1) / 2 + 10 for one channel, 5 v - 5 for the other.
    fn statistics() -> Vec<TensorProto> {
        let tensor = |name, values: [f32; 2]| TensorProto::of_f32(name, &[2], &values);
        vec![
            tensor("scale", [3.0, 5.0]),
            tensor("bias", [10.0, 0.0]),
            tensor("mean", [1.0, 1.0]),
            tensor("variance", [4.0, 1.0]),
        ]
    }

    #[test]
    fn it_goes_into_the_weights_and_the_bias_of_a_convolution() {
        let mut constants = statistics();
        constants.push(constant("w", &[2, 1, 1, 1]));
        let (graph, changed) = after(
            model(1, vec![node("Conv", &["x", "w"], "a"), norm("a")], constants),
            Pass::BatchNorm,
        );
        assert_eq!((operators(&graph).as_str(), changed), ("Conv", 1));
        assert_eq!(values(&graph, "y", 1), [0.75, 7.5]);
        assert_eq!(values(&graph, "y", 2), [8.5, -5.0]);
    }

    #[test]
    fn a_matrix_product_becomes_one_with_a_bias() {
        let mut constants = statistics();
        constants.push(constant("w", &[64, 2]));
        let nodes = vec![
            node("Flatten", &["x"], "flat"),
            node("MatMul", &["flat", "w"], "a"),
            norm("a"),
        ];
        let (graph, changed) = after(model(1, nodes, constants), Pass::BatchNorm);
        assert_eq!((operators(&graph).as_str(), changed), ("Flatten Gemm", 1));
        assert_eq!(values(&graph, "y", 1)[..2], [0.75, 7.5]);
        assert_eq!(values(&graph, "y", 2), [8.5, -5.0]);
    }

    #[test]
    fn a_bias_that_is_scaled_itself_keeps_its_part() {
        let mut constants = statistics();
        constants.push(constant("w", &[2, 64]));
        constants.push(TensorProto::of_f32("b", &[1], &[2.0]));
        let gemm = vec![
            AttributeProto::int("transB", 1),
            AttributeProto::float("beta", 3.0),
        ];
        let nodes = vec![
            node("Flatten", &["x"], "flat"),
            node_with("Gemm", &["flat", "w", "b"], "a", gemm),
            norm("a"),
        ];
        let (graph, _) = after(model(1, nodes, constants), Pass::BatchNorm);
        assert_eq!(
            values(&graph, "y", 2),
            [3.0 * 2.0 * 1.5 + 8.5, 3.0 * 2.0 * 5.0 - 5.0]
        );
        assert!(graph.node[1].attribute("beta").is_none());
    }

    #[test]
    fn it_stays_where_the_convolution_is_read_elsewhere_or_the_weights_are_shared() {
        let mut constants = statistics();
        constants.push(constant("w", &[2, 1, 1, 1]));
        for inputs in [["x", "w"], ["u", "w"]] {
            let nodes = vec![
                node("Conv", &["x", "w"], "a"),
                node("Relu", &["x"], "u"),
                node("Conv", &inputs, "other"),
                node("Add", &["a", "other"], "unread"),
                norm("a"),
            ];
            let (_, changed) = after(model(1, nodes, constants.clone()), Pass::BatchNorm);
            assert_eq!(changed, 0);
        }
    }

    #[test]
    fn it_stays_where_it_puts_out_statistics_as_in_training() {
        for (outputs, expected) in [(&["y", "mean_of_batch"][..], 0), (&["y", ""], 1)] {
            let mut constants = statistics();
            constants.push(constant("w", &[2, 1, 1, 1]));
            let mut norm = norm("a");
            norm.output = outputs.iter().map(|&name| name.to_owned()).collect();
            let mut model = model(1, vec![node("Conv", &["x", "w"], "a"), norm], constants);
            model.opset_import[0].version = 9;
            assert_eq!(after(model, Pass::BatchNorm).1, expected, "{outputs:?}");
        }
    }

    #[test]
    fn it_stays_where_it_would_not_be_finite_or_is_for_training() {
        for (variance, training) in [(0.0, 0), (-1.0, 0), (4.0, 1)] {
            let mut constants = statistics();
            constants[3] = TensorProto::of_f32("variance", &[2], &[variance, 1.0]);
            constants.push(constant("w", &[2, 1, 1, 1]));
            let mut norm = norm("a");
            norm.attribute
                .push(AttributeProto::int("training_mode", training));
            let nodes = vec![node("Conv", &["x", "w"], "a"), norm];
            let (_, changed) = after(model(1, nodes, constants), Pass::BatchNorm);
            assert_eq!(changed, 0, "{variance} {training}");
        }
    }
}
