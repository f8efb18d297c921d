//! Pads convolutions with channels of zeros up to a multiple of [`BLOCK`].
//!
//! The added channels start as 0, stay finite, and meet weights of 0 in the convolution that mixes them again, so the
//! results stay the same. The values that must have the same number of channels are found first: from the convolutions
//! that make them, through operators that keep channels apart, to the convolutions that mix them. If anything else reads
//! one of them, all stay as they are.

use std::collections::{HashMap, HashSet};

use crate::proto::{NodeProto, TensorProto};

use super::BLOCK;
use super::net::Net;

pub(super) fn run(net: &mut Net) -> usize {
    let places = net.places();
    let mut families = Families::default();
    for node in places.iter().filter_map(|&place| net.node(place)) {
        place_in_family(net, node, &mut families);
    }
    let padding = |&place: &usize| Padding::of(net, place, &mut families);
    let paddings: Vec<Padding> = places.iter().filter_map(padding).collect();
    let elements = paddings.iter().map(|padding| padding.elements);
    if net.spend(elements.fold(0, usize::saturating_add)).is_none() {
        return 0;
    }
    let mut changed_values = HashSet::new();
    for padding in &paddings {
        let outputs = net.node(padding.place).map(|node| node.output.clone());
        changed_values.extend(outputs.unwrap_or_default());
        padding.apply(net);
    }
    // Their stated types.
    let types = &mut net.rest.value_info;
    types.retain(|info| !changed_values.contains(&info.name));
    let is_first = |padding: &&Padding| padding.kind == Kind::Mixing && padding.output.is_some();
    paddings.iter().filter(is_first).count()
}

/// The kind of a node that can be padded.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// A convolution that reads all channels for each output channel.
    Mixing,
    /// A convolution that reads one channel for each output channel.
    Depthwise,
    /// A `PRelu` with a slope for each channel.
    Slopes,
    /// No parameters for each channel.
    Channelwise,
}

/// The kind of the node; `None` if it cannot be padded.
fn kind(net: &Net, node: &NodeProto) -> Option<Kind> {
    if node.output.len() != 1 || node.input.is_empty() || !node.is_standard() {
        return None;
    }
    match node.op_type.as_str() {
        // These keep channels apart, have no parameters for each channel, and give a finite result for 0.
        "Relu" | "LeakyRelu" | "Sigmoid" | "Tanh" | "Clip" | "Elu" | "HardSigmoid" | "HardSwish"
        | "MaxPool" | "AveragePool" | "GlobalAveragePool" => return Some(Kind::Channelwise),
        "Add" | "Mul" => return (node.input.len() == 2).then_some(Kind::Channelwise),
        _ => {}
    }
    let tensor = net.constant_input(node, 1).filter(|tensor| tensor.has_f32s())?;
    let is_own = net.is_read_once(&tensor.name);
    if node.is("PRelu") {
        if tensor.elements() == Some(1) {
            return Some(Kind::Channelwise);
        }
        return (is_own && tensor.dims.iter().skip(1).all(|&dim| dim == 1)).then_some(Kind::Slopes);
    }
    if !node.is("Conv") || !is_own || tensor.dims.len() < 3 {
        return None;
    }
    if let Some(bias) = node.input(2) {
        let bias = net.constant(bias).filter(|bias| bias.has_f32s())?;
        if bias.dims.as_slice() != tensor.dims.get(..1)? {
            return None;
        }
    }
    match (node.int("group", 1)?, tensor.dims.as_slice()) {
        (1, _) => Some(Kind::Mixing),
        (group, &[channels, 1, ..]) if group == channels => Some(Kind::Depthwise),
        _ => None,
    }
}

fn place_in_family(net: &Net, node: &NodeProto, families: &mut Families) {
    let kind = kind(net, node);
    let is_sum = node.is_any(&["Add", "Mul"]);
    for (index, value) in node.input.iter().chain(&node.output).enumerate() {
        // Weights and bounds: their producers are independent of channels.
        let is_parameter = !is_sum && (1..node.input.len()).contains(&index);
        if kind.is_none() || is_parameter || !net.is_inner(value) || net.producer(value).is_none() {
            families.spoil(value);
        }
    }
    let (Some(kind), Some(input), Some(output)) = (kind, node.input.first(), node.output.first()) else {
        return;
    };
    let dims = net.constant_input(node, 1).map_or(&[][..], |tensor| &tensor.dims);
    match kind {
        Kind::Mixing => {
            families.size(output, dims.first(), dims.len());
            return families.size(input, dims.get(1), dims.len());
        }
        Kind::Depthwise => families.size(input, dims.first(), dims.len()),
        // [C, 1, 1]: the batch is left out.
        Kind::Slopes => families.size(input, dims.first(), dims.len() + 1),
        Kind::Channelwise if is_sum => families.join(input, &node.input[1]),
        Kind::Channelwise => {}
    }
    families.join(input, output);
}

/// The padding of a node.
struct Padding {
    place: usize,
    kind: Kind,
    /// New numbers of input and output channels, where they change.
    input: Option<usize>,
    output: Option<usize>,
    /// Elements of its new weights.
    elements: usize,
}

impl Padding {
    fn of(net: &Net, place: usize, families: &mut Families) -> Option<Self> {
        let node = net.node(place)?;
        let kind = kind(net, node)?;
        let input = families.padded(node.input.first()?);
        let output = families.padded(node.output.first()?);
        input.or(output)?;
        let elements = match kind {
            Kind::Channelwise => 0,
            // Either side grows by half at most.
            _ => net.constant_input(node, 1)?.elements()?.checked_mul(3)?,
        };
        Some(Self {
            place,
            kind,
            input,
            output,
            elements,
        })
    }

    fn apply(&self, net: &mut Net) -> Option<()> {
        if self.kind == Kind::Channelwise {
            return Some(());
        }
        let weights = net.constant_input(net.node(self.place)?, 1)?;
        let (name, mut dims, values) = (weights.name.clone(), weights.dims.clone(), weights.f32s()?);
        let size = |axis| usize::try_from(dims.get(axis).copied().unwrap_or(1)).ok();
        let (old_outputs, old_inputs) = (size(0)?, size(1)?);
        let outputs = self.output.unwrap_or(old_outputs);
        let inputs = self.input.filter(|_| self.kind == Kind::Mixing);
        let inputs = inputs.unwrap_or(old_inputs);
        let row = values.len().checked_div(old_outputs)?;
        let new_row = row.checked_div(old_inputs)? * inputs;
        let filler = match self.kind {
            // So that one slope for all stays one.
            Kind::Slopes => values.last().copied().unwrap_or(0.0),
            _ => 0.0,
        };
        let mut padded = Vec::with_capacity(outputs * new_row);
        for (index, kernel) in values.chunks_exact(row).enumerate() {
            padded.extend(kernel);
            padded.resize((index + 1) * new_row, filler);
        }
        padded.resize(outputs * new_row, filler);
        for (dim, size) in dims.iter_mut().zip([outputs, inputs]) {
            *dim = size as i64;
        }
        net.set_constant(TensorProto::of_f32(&name, &dims, &padded));
        if self.output.is_some() && self.kind != Kind::Slopes {
            pad_bias(net, self.place, outputs);
        }
        if self.kind == Kind::Depthwise {
            net.edit(self.place, |node| {
                let attributes = node.attribute.iter_mut();
                let groups = attributes.filter(|attribute| attribute.name == "group");
                groups.for_each(|group| group.i = outputs as i64);
            });
        }
        Some(())
    }
}

fn pad_bias(net: &mut Net, place: usize, channels: usize) -> Option<()> {
    let node = net.node(place)?;
    let (mut name, output) = (node.input(2)?.to_owned(), node.output.first()?.clone());
    let mut values = net.constant(&name)?.f32s()?;
    values.resize(channels, 0.0);
    if !net.is_read_once(&name) {
        name = net.fresh(&output, "bias");
    }
    net.set_constant(TensorProto::of_f32(&name, &[channels as i64], &values));
    net.set_input(place, 2, name);
    Some(())
}

/// The padded number of channels: whole blocks, unless that adds more than half.
fn whole_blocks(channels: usize) -> Option<usize> {
    let padded = channels.checked_next_multiple_of(BLOCK)?;
    let most = channels.checked_add(channels / 2)?;
    (padded != channels && padded <= most).then_some(padded)
}

/// Sets of values that must have the same number of channels, as a union-find structure.
#[derive(Default)]
struct Families {
    members: HashMap<String, usize>,
    families: Vec<Family>,
}

#[derive(Clone, Copy)]
struct Family {
    /// Itself at the root.
    parent: usize,
    /// Number of channels and of dimensions, once a convolution has determined them.
    size: Option<(usize, usize)>,
    /// Whether a node that cannot be padded reads or makes one of them.
    spoilt: bool,
}

impl Families {
    /// Records that the value must stay as it is.
    fn spoil(&mut self, value: &str) {
        let family = self.family(value);
        self.families[family].spoilt = true;
    }

    /// Records how many channels and dimensions the value has.
    fn size(&mut self, value: &str, channels: Option<&i64>, rank: usize) {
        let family = self.family(value);
        let family = &mut self.families[family];
        match channels.and_then(|&channels| usize::try_from(channels).ok()) {
            Some(channels) if family.size.is_none_or(|size| size == (channels, rank)) => {
                family.size = Some((channels, rank));
            }
            _ => family.spoilt = true,
        }
    }

    /// Records that both have the same number of channels.
    fn join(&mut self, a: &str, b: &str) {
        let (a, b) = (self.family(a), self.family(b));
        if a == b {
            return;
        }
        let (first, second) = (self.families[a], self.families[b]);
        let agree = first.size.is_none() || second.size.is_none() || first.size == second.size;
        self.families[a].parent = b;
        self.families[b].size = second.size.or(first.size);
        self.families[b].spoilt = first.spoilt || second.spoilt || !agree;
    }

    /// Returns the number of channels that the value is to be padded to.
    fn padded(&mut self, value: &str) -> Option<usize> {
        let family = self.family(value);
        let family = self.families[family];
        let (channels, _) = family.size.filter(|_| !family.spoilt)?;
        whole_blocks(channels)
    }

    fn family(&mut self, value: &str) -> usize {
        let next = self.families.len();
        let mut family = *self.members.entry(value.to_owned()).or_insert(next);
        if family == next {
            self.families.push(Family {
                parent: next,
                size: None,
                spoilt: false,
            });
        }
        while self.families[family].parent != family {
            // Path halving.
            let parent = self.families[family].parent;
            self.families[family].parent = self.families[parent].parent;
            family = parent;
        }
        family
    }
}

#[cfg(test)]
mod tests {
    use super::super::Pass;
    use super::super::tests::{after, constant, model, node, node_with, values};
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
        assert_eq!(graph.node[2].int("group", 1), Some(16));
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
