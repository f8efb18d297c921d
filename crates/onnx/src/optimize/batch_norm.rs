//! Folds batch normalisation into the convolution or matrix product before it.

use crate::proto::{NodeProto, TensorProto};

use super::layer::Layer;
use super::net::Net;

/// ONNX's default.
const EPSILON: f32 = 1e-5;

pub(super) fn run(net: &mut Net) -> usize {
    let shapes = net.shapes();
    net.change_each(&["BatchNormalization"], |net, place| {
        let node = net.node(place)?;
        let layer = Layer::before(net, &shapes, node.input.first()?)?;
        let (scale, shift) = affine(net, node, layer.channels)?;
        layer.swallow(net, place, &scale, &shift)
    })
}

/// The factor and the summand of each channel.
fn affine(net: &Net, node: &NodeProto, channels: usize) -> Option<(Vec<f64>, Vec<f64>)> {
    let is_inference = node.int("training_mode", 0)? == 0
        && node.int("spatial", 1)? == 1
        // Before opset 14 these outputs mean training, whether or not they are read.
        && node.output.iter().skip(1).all(String::is_empty);
    if !is_inference || node.input.len() != 5 {
        return None;
    }
    let read = |index| {
        let is_fitting =
            |tensor: &&TensorProto| tensor.dims.len() == 1 && tensor.elements() == Some(channels);
        net.constant_input(node, index).filter(is_fitting)?.f32s()
    };
    let epsilon = f64::from(node.float("epsilon", EPSILON)?);
    fold(&read(1)?, &read(2)?, &read(3)?, &read(4)?, epsilon)
}

/// Returns the factor and the summand of each channel; `None` if a variance is not above 0.
pub(crate) fn fold(
    weight: &[f32],
    bias: &[f32],
    mean: &[f32],
    variance: &[f32],
    epsilon: f64,
) -> Option<(Vec<f64>, Vec<f64>)> {
    let channels = weight.iter().zip(bias).zip(mean).zip(variance);
    let folded = channels.map(|(((&weight, &bias), &mean), &variance)| {
        let variance = f64::from(variance) + epsilon;
        let scale = f64::from(weight) / variance.sqrt();
        (variance > 0.0).then(|| (scale, f64::from(bias) - f64::from(mean) * scale))
    });
    Some(folded.collect::<Option<Vec<_>>>()?.into_iter().unzip())
}

#[cfg(test)]
mod tests {
    use super::super::Pass;
    use super::super::tests::{after, constant, model, node, node_with, operators, values};
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
