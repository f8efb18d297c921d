//! Convolutions get channels of zeros up to a multiple of [`BLOCK`].
//!
//! The channels that are added start as 0, stay finite, and meet weights of 0 in the convolution that ends their way; so
//! what comes out is what came out before. All values that have to have the same number of channels are found first:
//! from the convolutions that make them, through what keeps channels apart, to the convolutions that mix them again. If
//! anything else reads one of them, all stay as they are.

use std::collections::HashSet;

use crate::proto::{NodeProto, TensorProto, attribute};

use super::net::Net;
use super::{BLOCK, layer};

mod families;

use families::Families;

/// Operators that keep channels apart, have nothing for each channel, and make something finite of 0.
const CHANNELWISE: [&str; 11] = [
    "Relu",
    "LeakyRelu",
    "Sigmoid",
    "Tanh",
    "Clip",
    "Elu",
    "HardSigmoid",
    "HardSwish",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
];

pub(super) fn run(net: &mut Net) -> usize {
    let places = net.places();
    let mut families = Families::default();
    for &place in &places {
        if let Some(node) = net.node(place) {
            place_in_family(net, node, &mut families);
        }
    }
    let padded: Vec<(usize, Padding)> = places
        .iter()
        .filter_map(|&place| Some((place, Padding::of(net, net.node(place)?, &mut families)?)))
        .collect();
    let elements = padded
        .iter()
        .fold(0usize, |sum, (_, padding)| sum.saturating_add(padding.elements));
    if !net.spend(elements) {
        return 0;
    }
    let mut changed_values = HashSet::new();
    let mut changed = 0;
    for (place, padding) in padded {
        changed_values.extend(
            net.node(place)
                .map(|node| node.output.clone())
                .unwrap_or_default(),
        );
        changed += usize::from(padding.kind == Kind::Mixing && padding.output.is_some());
        padding.apply(net, place);
    }
    net.forget_types(&changed_values);
    changed
}

/// What a node that can be padded is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A convolution that reads all channels for each that it makes.
    Mixing,
    /// A convolution that reads one channel for each that it makes.
    Depthwise,
    /// A `PRelu` with a slope for each channel.
    Slopes,
    /// Has nothing for each channel.
    Channelwise,
}

/// What the node is; `None` for anything that may not be padded.
fn kind(net: &Net, node: &NodeProto) -> Option<Kind> {
    if node.output.len() != 1 {
        return None;
    }
    if CHANNELWISE.iter().any(|op_type| node.is(op_type)) {
        return Some(Kind::Channelwise);
    }
    if node.is("Add") || node.is("Mul") {
        return (node.input.len() == 2).then_some(Kind::Channelwise);
    }
    let name = node.input.get(1)?;
    let tensor = net.constant(name).filter(|tensor| layer::has_f32s(tensor))?;
    if node.is("PRelu") {
        if tensor.len() == Some(1) {
            return Some(Kind::Channelwise);
        }
        let is_own = net.is_read_once(name) && tensor.dims.iter().skip(1).all(|&dim| dim == 1);
        return is_own.then_some(Kind::Slopes);
    }
    if !node.is("Conv") || !net.is_read_once(name) || tensor.dims.len() < 3 {
        return None;
    }
    if let Some(bias) = node.input.get(2).filter(|name| !name.is_empty()) {
        let bias = net.constant(bias).filter(|bias| layer::has_f32s(bias))?;
        if bias.dims.as_slice() != tensor.dims.get(..1)? {
            return None;
        }
    }
    match (attribute::int(node, "group", 1)?, tensor.dims.as_slice()) {
        (1, _) => Some(Kind::Mixing),
        (group, &[channels, 1, ..]) if group == channels => Some(Kind::Depthwise),
        _ => None,
    }
}

fn place_in_family(net: &Net, node: &NodeProto, families: &mut Families) {
    let values = || {
        node.input
            .iter()
            .chain(&node.output)
            .filter(|name| !name.is_empty())
    };
    let is_sum = node.is("Add") || node.is("Mul");
    for value in values().filter(|value| !net.is_inner(value) || net.producer(value).is_none()) {
        families.spoil(value);
    }
    if !is_sum {
        // Weights and bounds: who makes them has nothing to do with channels.
        node.input.iter().skip(1).for_each(|value| families.spoil(value));
    }
    let kind = kind(net, node);
    let (Some(kind), Some(input), Some(output)) = (kind, node.input.first(), node.output.first()) else {
        values().for_each(|value| families.spoil(value));
        return;
    };
    let dims = |tensor: &TensorProto| (tensor.dims.clone(), tensor.dims.len());
    let constant = node.input.get(1).and_then(|name| net.constant(name)).map(dims);
    match (kind, constant) {
        (Kind::Mixing, Some((dims, rank))) => {
            families.size(output, dims.first(), rank);
            families.size(input, dims.get(1), rank);
        }
        (Kind::Depthwise, Some((dims, rank))) => {
            families.size(input, dims.first(), rank);
            families.join(input, output);
        }
        (Kind::Slopes, Some((dims, rank))) => {
            // [C, 1, 1]: the batch is left out.
            families.size(input, dims.first(), rank.saturating_add(1));
            families.join(input, output);
        }
        _ => {
            families.join(input, output);
            if let Some(other) = node.input.get(1).filter(|_| is_sum) {
                families.join(input, other);
            }
        }
    }
}

/// How a node is to change.
struct Padding {
    kind: Kind,
    /// Channels that it is to read, and to make, where these change.
    input: Option<usize>,
    output: Option<usize>,
    /// Elements of its new weights.
    elements: usize,
}

impl Padding {
    fn of(net: &Net, node: &NodeProto, families: &mut Families) -> Option<Self> {
        let kind = kind(net, node)?;
        let input = node.input.first().and_then(|value| families.padded(value));
        let output = node.output.first().and_then(|value| families.padded(value));
        if input.is_none() && output.is_none() {
            return None;
        }
        let constant = node.input.get(1).and_then(|name| net.constant(name));
        let elements = match kind {
            Kind::Channelwise => 0,
            // Either side grows by half at most.
            _ => constant.and_then(TensorProto::len)?.checked_mul(3)?,
        };
        Some(Self {
            kind,
            input,
            output,
            elements,
        })
    }

    fn apply(&self, net: &mut Net, place: usize) -> Option<()> {
        if self.kind == Kind::Channelwise {
            return Some(());
        }
        let node = net.node(place)?;
        let weights = net.constant(node.input.get(1)?)?;
        let (name, mut dims, values) = (weights.name.clone(), weights.dims.clone(), weights.f32s()?);
        let before: Vec<usize> = dims
            .iter()
            .map(|&dim| usize::try_from(dim).ok())
            .collect::<Option<_>>()?;
        let outputs = self.output.unwrap_or(*before.first()?);
        let inputs = match self.kind {
            Kind::Mixing => self.input.unwrap_or(*before.get(1)?),
            _ => before.get(1).copied().unwrap_or(1),
        };
        let window: usize = before.iter().skip(2).product();
        let (row, new_row) = (before.get(1).copied().unwrap_or(1) * window, inputs * window);
        let filler = match self.kind {
            // So that one slope for all stays one.
            Kind::Slopes => values.last().copied().unwrap_or(0.0),
            _ => 0.0,
        };
        let mut padded = vec![filler; outputs * new_row];
        for (from, to) in values.chunks_exact(row).zip(padded.chunks_exact_mut(new_row)) {
            for (to, from) in to.iter_mut().zip(from) {
                *to = *from;
            }
        }
        *dims.first_mut()? = i64::try_from(outputs).ok()?;
        if let Some(dim) = dims.get_mut(1) {
            *dim = i64::try_from(inputs).ok()?;
        }
        net.replace_constant(TensorProto::of_f32(&name, &dims, &padded));
        if self.output.is_some() && self.kind != Kind::Slopes {
            pad_bias(net, place, outputs);
        }
        if self.kind == Kind::Depthwise {
            let group = i64::try_from(outputs).ok()?;
            net.edit(place, |node| {
                for attribute in node
                    .attribute
                    .iter_mut()
                    .filter(|attribute| attribute.name == "group")
                {
                    attribute.i = group;
                }
            });
        }
        Some(())
    }
}

fn pad_bias(net: &mut Net, place: usize, channels: usize) -> Option<()> {
    let old = net
        .node(place)?
        .input
        .get(2)
        .filter(|name| !name.is_empty())?
        .clone();
    let mut values = net.constant(&old)?.f32s()?;
    values.resize(channels, 0.0);
    let tensor = |name: &str| TensorProto::of_f32(name, &[i64::try_from(channels).unwrap_or(0)], &values);
    if net.is_read_once(&old) {
        net.replace_constant(tensor(&old));
    } else {
        let output = net.node(place)?.output.first()?.clone();
        let name = net.fresh(&output, "bias");
        net.add_constant(tensor(&name));
        net.edit(place, |node| {
            if let Some(bias) = node.input.get_mut(2) {
                *bias = name;
            }
        });
    }
    Some(())
}

/// To how many channels so many are padded: to whole blocks, unless that is more than half as many again.
fn whole_blocks(channels: usize) -> Option<usize> {
    let padded = channels.checked_next_multiple_of(BLOCK)?;
    let most = channels.checked_add(channels / 2)?;
    (padded != channels && padded <= most).then_some(padded)
}

#[cfg(test)]
mod tests {
    use super::super::Pass;
    use super::super::testing::{after, constant, model, node, node_with, values};
    use super::*;
    use crate::proto::{AttributeProto, GraphProto};

    #[test]
    fn channels_grow_to_whole_blocks_by_half_at_most() {
        assert_eq!(whole_blocks(103), Some(112));
        assert_eq!(whole_blocks(11), Some(16));
        assert_eq!(whole_blocks(10), None);
        assert_eq!(whole_blocks(64), None);
        assert_eq!(whole_blocks(usize::MAX), None);
    }

    /// To 13 channels, along each one, and back to two; `extra` comes before the last.
    fn bottleneck(extra: Vec<NodeProto>) -> (GraphProto, usize) {
        let constants = vec![
            constant("w", &[13, 3, 1, 1]),
            constant("b", &[13]),
            constant("slope", &[13, 1, 1]),
            constant("depthwise", &[13, 1, 3, 3]),
            constant("v", &[2, 13, 1, 1]),
            constant("u", &[13, 13, 1, 1]),
        ];
        let mut nodes = vec![
            node("Conv", &["x", "w", "b"], "a"),
            node("PRelu", &["a", "slope"], "c"),
            node_with(
                "Conv",
                &["c", "depthwise"],
                "d",
                vec![AttributeProto::int("group", 13)],
            ),
        ];
        nodes.extend(extra);
        nodes.push(node("Conv", &["d", "v"], "y"));
        after(model(3, nodes, constants), Pass::PadChannels)
    }

    fn dims<'g>(graph: &'g GraphProto, name: &str) -> &'g [i64] {
        &graph.constants()[name].dims
    }

    #[test]
    fn everything_between_two_mixing_convolutions_is_padded() {
        let (graph, changed) = bottleneck(Vec::new());
        assert_eq!(changed, 1);
        assert_eq!(dims(&graph, "w"), [16, 3, 1, 1]);
        assert_eq!(dims(&graph, "b"), [16]);
        assert_eq!(dims(&graph, "slope"), [16, 1, 1]);
        assert_eq!(dims(&graph, "depthwise"), [16, 1, 3, 3]);
        assert_eq!(dims(&graph, "v"), [2, 16, 1, 1]);
        assert_eq!(attribute::int(&graph.node[2], "group", 1), Some(16));
        assert_eq!(
            values(&graph, "a", 1)[36..],
            [36.5, 37.5, 38.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
        );
        let rows = values(&graph, "y", 1);
        assert_eq!(rows[12..17], [12.5, 0.0, 0.0, 0.0, 13.5]);
    }

    #[test]
    fn sums_are_padded_on_both_sides() {
        let extra = vec![
            node("Conv", &["c", "u"], "e"),
            node("Add", &["c", "e"], "f"),
            node("Conv", &["f", "t"], "g"),
        ];
        let mut constants = vec![
            constant("w", &[13, 3, 1, 1]),
            constant("u", &[13, 13, 1, 1]),
            constant("t", &[2, 13, 1, 1]),
        ];
        let mut nodes = vec![node("Conv", &["x", "w"], "c")];
        nodes.extend(extra);
        nodes.push(node("Relu", &["g"], "y"));
        let (graph, changed) = after(model(3, nodes, constants.split_off(0)), Pass::PadChannels);
        assert_eq!(changed, 2);
        assert_eq!(dims(&graph, "u"), [16, 16, 1, 1]);
        assert_eq!(values(&graph, "e", 1)[12..17], [12.5, 0.0, 0.0, 0.0, 13.5]);
    }

    #[test]
    fn another_reader_keeps_all_of_them_as_they_are() {
        for reader in [
            node("Shape", &["c"], "other"),
            node("Softmax", &["a"], "other"),
            node("Add", &["d", "x"], "other"),
            node("Clip", &["x", "d"], "other"),
            node("Mul", &["d", "b"], "other"),
            node("Conv", &["d", "v"], "other"),
        ] {
            assert_eq!(bottleneck(vec![reader.clone()]).1, 0, "{reader:?}");
        }
    }

    #[test]
    fn outputs_keep_their_channels() {
        let constants = vec![constant("w", &[13, 3, 1, 1])];
        let (_, changed) = after(
            model(3, vec![node("Conv", &["x", "w"], "y")], constants),
            Pass::PadChannels,
        );
        assert_eq!(changed, 0);
    }

    #[test]
    fn weights_that_do_not_fit_one_another_stay() {
        let constants = vec![constant("w", &[13, 3, 1, 1]), constant("v", &[2, 14, 1, 1])];
        let nodes = vec![node("Conv", &["x", "w"], "a"), node("Conv", &["a", "v"], "y")];
        assert_eq!(after(model(3, nodes, constants), Pass::PadChannels).1, 0);
    }
}
