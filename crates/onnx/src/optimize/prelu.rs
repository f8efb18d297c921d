//! Replaces `PRelu`, whose kernel takes one number at a time and breaks the layout in blocks.
//!
//! - One slope for all: `LeakyRelu`, which ONNX Runtime fuses into the convolution before it.
//! - A slope for each of a multiple of 16 channels, after a convolution: products with a number for each channel are
//!   depthwise convolutions of 1x1, which keep the blocks. For slopes up to 1, x + relu((a - 1) x), in which the relu is
//!   fused into the convolution; otherwise a x + (1 - a) relu(x), in which the sum is.
//! - Anything else: max(x, a x) for slopes up to 1, otherwise relu(x) + a (x - relu(x)).

use std::collections::HashMap;

use crate::proto::{AttributeProto, NodeProto, TensorProto};
use crate::shapes::Shapes;

use super::BLOCK;
use super::net::Net;

/// The work that a node of few slopes counts for, since it becomes up to four: thousands of them must not take many times
/// the memory of the file. No known model has a hundred.
const LEAST_WORK: usize = 1 << 11;

/// Weights made of slopes, by the slopes and by what is made of them; nodes that share slopes share the weights.
type Weights = HashMap<(String, &'static str), String>;

pub(super) fn run(net: &mut Net) -> usize {
    let shapes = net.shapes();
    let mut weights = Weights::default();
    net.change_each(&["PRelu"], |net, place| {
        let slopes = net.constant_input(net.node(place)?, 1);
        let elements = slopes.and_then(TensorProto::elements).unwrap_or(0);
        net.spend(elements.max(LEAST_WORK))?;
        let prelu = Prelu::of(net, net.node(place)?)?;
        let first = *prelu.slopes.first()?;
        let nodes = if prelu.slopes.iter().all(|&slope| slope == first) {
            let alpha = vec![AttributeProto::float("alpha", first)];
            vec![NodeProto::new(
                "LeakyRelu",
                &[&prelu.input],
                &[&prelu.output],
                alpha,
            )]
        } else if prelu.is_in_blocks(net, &shapes) {
            prelu.on_blocks(net, &mut weights)
        } else {
            prelu.on_vectors(net)
        };
        net.replace(place, nodes);
        Some(())
    })
}

/// A `PRelu` of constant, finite slopes.
struct Prelu {
    input: String,
    output: String,
    slope: String,
    slopes: Vec<f32>,
    /// Number of channels, if there is one slope for each channel of a map.
    channels: Option<i64>,
}

impl Prelu {
    fn of(net: &Net, node: &NodeProto) -> Option<Self> {
        let ([input, slope], [output]) = (node.input.as_slice(), node.output.as_slice()) else {
            return None;
        };
        let tensor = net.constant(slope).filter(|tensor| tensor.has_f32s())?;
        let slopes = tensor.f32s()?;
        let channels = match *tensor.dims.as_slice() {
            [channels, 1, 1] | [1, channels, 1, 1] => Some(channels),
            _ => None,
        };
        slopes.iter().all(|slope| slope.is_finite()).then(|| Self {
            input: input.clone(),
            output: output.clone(),
            slope: slope.clone(),
            slopes,
            channels,
        })
    }

    /// Whether ONNX Runtime is likely to have the input in blocks of channels.
    fn is_in_blocks(&self, net: &Net, shapes: &Shapes) -> bool {
        let is_blocked = |node: &NodeProto| node.is("Add") || is_blocked_conv(net, node) == Some(true);
        self.channels.is_some_and(|channels| channels % BLOCK as i64 == 0)
            && shapes.dims(&self.input).is_some_and(|dims| dims.len() == 4)
            && net.maker(&self.input).is_some_and(is_blocked)
    }

    fn on_blocks(&self, net: &mut Net, weights: &mut Weights) -> Vec<NodeProto> {
        let (input, output) = (self.input.as_str(), self.output.as_str());
        let [scaled, positive] = ["scaled", "positive"].map(|what| net.fresh(output, what));
        if self.slopes.iter().all(|&slope| slope <= 1.0) {
            let less_one = self.weights(net, weights, "less_one", |slope| slope - 1.0);
            vec![
                self.per_channel(input, &less_one, &scaled),
                node("Relu", &[&scaled], &positive),
                node("Add", &[input, &positive], output),
            ]
        } else {
            let rest = net.fresh(output, "rest");
            let same = self.weights(net, weights, "same", |slope| slope);
            let one_less = self.weights(net, weights, "one_less", |slope| 1.0 - slope);
            vec![
                node("Relu", &[input], &positive),
                self.per_channel(&positive, &one_less, &rest),
                self.per_channel(input, &same, &scaled),
                node("Add", &[&rest, &scaled], output),
            ]
        }
    }

    /// Each channel times its weight.
    fn per_channel(&self, input: &str, weights: &str, output: &str) -> NodeProto {
        let attributes = vec![
            AttributeProto::int("group", self.slopes.len() as i64),
            AttributeProto::ints("kernel_shape", &[1, 1]),
        ];
        NodeProto::new("Conv", &[input, weights], &[output], attributes)
    }

    /// The name of the weights that `change` makes of the slopes.
    fn weights(
        &self,
        net: &mut Net,
        made: &mut Weights,
        what: &'static str,
        change: fn(f64) -> f64,
    ) -> String {
        let made = made.entry((self.slope.clone(), what)).or_insert_with(|| {
            let name = net.fresh(&self.slope, what);
            let values = self.slopes.iter().map(|&slope| change(f64::from(slope)) as f32);
            let values: Vec<f32> = values.collect();
            net.set_constant(TensorProto::of_f32(
                &name,
                &[values.len() as i64, 1, 1, 1],
                &values,
            ));
            name
        });
        made.clone()
    }

    fn on_vectors(&self, net: &mut Net) -> Vec<NodeProto> {
        let (input, output) = (self.input.as_str(), self.output.as_str());
        let scaled = net.fresh(output, "scaled");
        if self.slopes.iter().all(|&slope| slope <= 1.0) {
            return vec![
                node("Mul", &[input, &self.slope], &scaled),
                node("Max", &[input, &scaled], output),
            ];
        }
        let [positive, negative] = ["positive", "negative"].map(|what| net.fresh(output, what));
        vec![
            node("Relu", &[input], &positive),
            node("Sub", &[input, &positive], &negative),
            node("Mul", &[&negative, &self.slope], &scaled),
            node("Add", &[&positive, &scaled], output),
        ]
    }
}

fn node(op_type: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto::new(op_type, inputs, &[output], Vec::new())
}

/// Whether a convolution of maps works on blocks: its channels fill them, or it reads the image itself.
fn is_blocked_conv(net: &Net, node: &NodeProto) -> Option<bool> {
    let input_channels = *net.constant_input(node, 1)?.dims.get(1)?;
    let block = BLOCK as i64;
    let is_blocked = match node.int("group", 1)? {
        1 => input_channels < block / 2 || input_channels % block == 0,
        _ => input_channels == 1,
    };
    Some(node.is("Conv") && is_blocked)
}

#[cfg(test)]
mod tests {
    use super::super::Pass;
    use super::super::tests::{after, constant, model, node, operators, values};
    use super::*;
    use crate::proto::GraphProto;

    /// A convolution to as many channels as there are slopes, and a PRelu.
    fn optimized(dims: &[i64], slopes: &[f32]) -> (GraphProto, usize) {
        let channels = i64::try_from(slopes.len()).unwrap();
        let constants = vec![
            constant("w", &[channels, 3, 1, 1]),
            TensorProto::of_f32("slope", dims, slopes),
        ];
        let nodes = vec![
            node("Conv", &["x", "w"], "a"),
            node("PRelu", &["a", "slope"], "y"),
        ];
        after(model(3, nodes, constants), Pass::Prelu)
    }

    #[test]
    fn the_constants_limit_how_many_nodes_are_replaced() {
        let names: Vec<String> = (0..6000).map(|number| format!("p{number}")).collect();
        let mut nodes: Vec<NodeProto> = names
            .iter()
            .map(|name| node("PRelu", &["x", "slope"], name))
            .collect();
        nodes.push(node("Relu", &["p0"], "y"));
        let slope = TensorProto::of_f32("slope", &[2, 1, 1], &[-2.0, 2.0]);
        let (_, changed) = after(model(2, nodes, vec![slope]), Pass::Prelu);
        assert!((1000..5000).contains(&changed), "{changed}");
    }

    #[test]
    fn one_slope_is_a_leaky_relu() {
        for slopes in [&[-2.5][..], &[0.25; 5]] {
            let (graph, changed) = optimized(&[i64::try_from(slopes.len()).unwrap(), 1, 1], slopes);
            assert_eq!((operators(&graph).as_str(), changed), ("Conv LeakyRelu", 1));
            assert_eq!(graph.node[1].float("alpha", 0.0), Some(slopes[0]));
        }
    }

    #[test]
    fn slopes_up_to_one_of_whole_blocks_are_a_depthwise_convolution_with_a_relu() {
        let mut slopes = [0.25; 16];
        slopes[3] = -1.0;
        let (graph, _) = optimized(&[16, 1, 1], &slopes);
        assert_eq!(operators(&graph), "Conv Conv Relu Add");
        assert_eq!(graph.node[1].int("group", 1), Some(16));
        assert_eq!(values(&graph, "y/scaled", 1)[2..4], [-0.75, -2.0]);
    }

    #[test]
    fn larger_slopes_of_whole_blocks_are_two() {
        let mut slopes = [0.25; 16];
        slopes[3] = 3.0;
        let (graph, _) = optimized(&[1, 16, 1, 1], &slopes);
        assert_eq!(operators(&graph), "Conv Relu Conv Conv Add");
        assert_eq!(values(&graph, "y/rest", 1)[2..4], [0.75, -2.0]);
        assert_eq!(values(&graph, "y/scaled", 1)[2..4], [0.25, 3.0]);
    }

    #[test]
    fn other_slopes_are_vector_operations() {
        let (graph, _) = optimized(&[3, 1, 1], &[-2.0, 0.5, 1.0]);
        assert_eq!(operators(&graph), "Conv Mul Max");
        let (graph, _) = optimized(&[3, 1, 1], &[0.0, 0.5, 1.5]);
        assert_eq!(operators(&graph), "Conv Relu Sub Mul Add");
        let mut along_the_width = [0.25; 16];
        along_the_width[0] = 0.5;
        let (graph, _) = optimized(&[16], &along_the_width);
        assert_eq!(operators(&graph), "Conv Mul Max");
    }

    #[test]
    fn slopes_that_several_share_become_shared_weights() {
        let mut slopes = [0.25; 16];
        slopes[0] = 0.5;
        let constants = vec![
            constant("w", &[16, 3, 1, 1]),
            TensorProto::of_f32("slope", &[16, 1, 1], &slopes),
        ];
        let nodes = vec![
            node("Conv", &["x", "w"], "a"),
            node("PRelu", &["a", "slope"], "b"),
            node("PRelu", &["b", "slope"], "y"),
        ];
        let (graph, changed) = after(model(3, nodes, constants), Pass::Prelu);
        assert_eq!((changed, graph.initializer.len()), (2, 3));
    }

    #[test]
    fn slopes_that_are_no_finite_constants_of_f32_stay() {
        let nodes = vec![node("Relu", &["x"], "slope"), node("PRelu", &["x", "slope"], "y")];
        assert_eq!(after(model(3, nodes, Vec::new()), Pass::Prelu).1, 0);
        assert_eq!(optimized(&[1, 1, 1], &[f32::NAN]).1, 0);
        let mut half = constant("slope", &[1]);
        half.data_type = 10;
        let nodes = vec![node("PRelu", &["x", "slope"], "y")];
        assert_eq!(after(model(3, nodes, vec![half]), Pass::Prelu).1, 0);
    }
}
