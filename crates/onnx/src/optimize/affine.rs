//! Folds what is affine for each channel into the convolution or matrix product before it.

use crate::proto::{NodeProto, TensorProto};
use crate::shapes::Shapes;

use super::net::Net;

/// ONNX's default of batch normalisation.
const EPSILON: f32 = 1e-5;

/// Folds batch normalisation.
pub(super) fn batch_norm(net: &mut Net) -> usize {
    let shapes = net.shapes();
    net.change_each(&["BatchNormalization"], |net, place| {
        let node = net.node(place)?;
        let layer = Layer::before(net, &shapes, node.input.first()?)?;
        let (scale, shift) = of_norm(net, node, layer.channels)?;
        layer.swallow(net, place, &scale, &shift)
    })
}

/// The factor and the summand of each channel.
fn of_norm(net: &Net, node: &NodeProto, channels: usize) -> Option<(Vec<f64>, Vec<f64>)> {
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
    fold_norm(&read(1)?, &read(2)?, &read(3)?, &read(4)?, epsilon)
}

/// Returns the factor and the summand of each channel; `None` if a variance is not above 0.
pub(crate) fn fold_norm(
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

/// Folds addition of, and multiplication by, a constant for each channel.
pub(super) fn channel_affine(net: &mut Net) -> usize {
    let shapes = net.shapes();
    net.change_each(&["Add", "Sub", "Mul", "Div"], |net, place| {
        let (layer, scale, shift) = of_operation(net, &shapes, net.node(place)?)?;
        layer.swallow(net, place, &scale, &shift)
    })
}

/// The layer before the node, and the factor and the summand of each channel.
fn of_operation(net: &Net, shapes: &Shapes, node: &NodeProto) -> Option<(Layer, Vec<f64>, Vec<f64>)> {
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

/// A node whose output channels (axis 1 of its output) have their own weights each, in a constant that nothing else reads.
pub(super) struct Layer {
    place: usize,
    kind: Kind,
    /// Output channels.
    pub(super) channels: usize,
    /// Dimensions of its output.
    rank: usize,
}

#[derive(PartialEq)]
enum Kind {
    Conv,
    /// With the axis of the weights that is the output's.
    Gemm(usize),
    MatMul,
}

impl Layer {
    /// Returns the layer that makes `value`, if a single node reads the value.
    pub(super) fn before(net: &Net, shapes: &Shapes, value: &str) -> Option<Self> {
        let place = net.producer(value).filter(|_| net.is_read_once(value))?;
        let node = net.node(place).filter(|node| node.output.len() == 1)?;
        let weights = node.input.get(1).filter(|name| net.is_read_once(name))?;
        let dims = &net.constant(weights)?.dims;
        if dims.iter().any(|&dim| dim <= 0) {
            return None;
        }
        let (kind, axis) = if node.is("Conv") && dims.len() >= 3 {
            (Kind::Conv, 0)
        } else if node.is("Gemm") && dims.len() == 2 {
            let axis = usize::from(node.int("transB", 0)? == 0);
            (Kind::Gemm(axis), axis)
        } else if node.is("MatMul") && dims.len() == 2 && shapes.dims(node.input.first()?)?.len() == 2 {
            (Kind::MatMul, 1)
        } else {
            return None;
        };
        Some(Self {
            place,
            kind,
            channels: usize::try_from(*dims.get(axis)?).ok()?,
            rank: dims.len(),
        })
    }

    /// Returns a constant's values as one for each channel, if it is broadcast over the layer's output that way.
    pub(super) fn of_channels(&self, tensor: &TensorProto) -> Option<Vec<f64>> {
        let offset = self.rank.checked_sub(tensor.dims.len())?;
        let is_fitting = |(axis, &dim): (usize, &i64)| {
            dim == 1 || axis + offset == 1 && usize::try_from(dim) == Ok(self.channels)
        };
        if !tensor.dims.iter().enumerate().all(is_fitting) {
            return None;
        }
        Some(match tensor.f32s()?.as_slice() {
            [value] => vec![f64::from(*value); self.channels],
            values => values.iter().copied().map(f64::from).collect(),
        })
    }

    /// Makes the layer compute `scale * y + shift` in the place of `y`, and removes the node after it, which did. `None`, and
    /// nothing done, if that cannot be.
    pub(super) fn swallow(&self, net: &mut Net, after: usize, scale: &[f64], shift: &[f64]) -> Option<()> {
        let node = net.node(self.place)?;
        let weights = net.constant_input(node, 1)?;
        let (name, dims, len) = (weights.name.clone(), weights.dims.clone(), weights.elements()?);
        let output = node.output.first().cloned().unwrap_or_default();
        if scale.len() != self.channels || shift.len() != self.channels {
            return None;
        }
        let beta = match self.kind {
            Kind::Gemm(_) => f64::from(node.float("beta", 1.0)?),
            _ => 1.0,
        };
        let bias = match node.input(2) {
            Some(name) => self.bias(net.constant(name)?)?,
            None => vec![0.0; self.channels],
        };
        net.spend(len)?;
        let mut values = net.constant(&name)?.f32s()?;
        let inner: usize = match self.kind {
            Kind::Conv | Kind::Gemm(0) => len.checked_div(self.channels)?,
            _ => 1,
        };
        for (index, value) in values.iter_mut().enumerate() {
            let channel = index.checked_div(inner)?.checked_rem(self.channels)?;
            *value = rounded(f64::from(*value) * scale.get(channel)?)?;
        }
        let channels = bias.iter().zip(scale).zip(shift);
        let bias = channels.map(|((bias, scale), shift)| rounded(beta * bias * scale + shift));
        let bias: Vec<f32> = bias.collect::<Option<_>>()?;
        net.set_constant(TensorProto::of_f32(&name, &dims, &values));
        let name = net.fresh(&output, "bias");
        net.set_constant(TensorProto::of_f32(&name, &[bias.len() as i64], &bias));
        let output = net.remove(after)?.output.into_iter().next();
        net.edit(self.place, |node| {
            node.output = output.into_iter().collect();
            node.input.truncate(2);
            node.input.push(name);
            node.attribute.retain(|attribute| attribute.name != "beta");
            if self.kind == Kind::MatMul {
                node.op_type = "Gemm".to_owned();
                node.attribute.clear();
            }
        });
        Some(())
    }

    /// Returns the layer's third input, for each channel.
    fn bias(&self, tensor: &TensorProto) -> Option<Vec<f64>> {
        match self.kind {
            Kind::Conv if tensor.dims.len() != 1 || tensor.elements() != Some(self.channels) => None,
            Kind::Conv => Some(tensor.f32s()?.into_iter().map(f64::from).collect()),
            _ => self.of_channels(tensor),
        }
    }
}

/// The nearest `f32`, if it is finite.
fn rounded(value: f64) -> Option<f32> {
    Some(value as f32).filter(|value| value.is_finite())
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
