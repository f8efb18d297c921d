//! Which layer reads what another makes, and an order in which they can be computed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::OpenVinoError;
use super::ir::{Edge, Layer, Net};

/// The graph by places in [`Net::layers`].
pub(super) struct Links {
    /// For each layer the layers that its input ports read, in the order of the ports.
    pub(super) sources: Vec<Vec<usize>>,
    /// All layers, each after those that it reads; the file's order where there is a choice.
    pub(super) order: Vec<usize>,
}

impl Links {
    /// # Errors
    /// Where two layers have the same id or name, where an edge or an end of one is missing, where the ends of one do
    /// not agree, and where the graph has a cycle.
    pub(super) fn of(net: &Net) -> Result<Self, OpenVinoError> {
        let places = places(&net.layers)?;
        let mut sources: Vec<Vec<Option<usize>>> = net
            .layers
            .iter()
            .map(|layer| vec![None; layer.inputs.len()])
            .collect();
        for edge in &net.edges {
            let (from, to, input) = ends(net, &places, edge)?;
            let slot = sources.get_mut(to).and_then(|slots| slots.get_mut(input));
            if slot.is_none_or(|slot| slot.replace(from).is_some()) {
                let (_, port) = edge.to;
                return Err(net.layers[to]
                    .label
                    .wrong(format!("two edges lead to port {port}")));
            }
        }
        let sources = sources
            .into_iter()
            .zip(&net.layers)
            .map(|(slots, layer)| {
                let ports = slots.into_iter().zip(&layer.inputs);
                ports
                    .map(|(slot, port)| {
                        slot.ok_or_else(|| layer.label.wrong(format!("no edge leads to port {}", port.id)))
                    })
                    .collect()
            })
            .collect::<Result<Vec<Vec<usize>>, _>>()?;
        let order = order(&net.layers, &sources)?;
        Ok(Self { sources, order })
    }
}

/// The place of each layer by its id.
fn places(layers: &[Layer]) -> Result<BTreeMap<u32, usize>, OpenVinoError> {
    let mut places = BTreeMap::new();
    let mut names = BTreeSet::new();
    for (place, layer) in layers.iter().enumerate() {
        if places.insert(layer.label.id, place).is_some() {
            return Err(layer.label.wrong("another layer has the same id"));
        }
        // ONNX knows tensors by name only.
        if !names.insert(layer.label.name.as_str()) {
            return Err(layer.label.wrong("another layer has the same name"));
        }
    }
    Ok(places)
}

/// The places of the layers at the ends of an edge, and of the port at the second.
fn ends(
    net: &Net,
    places: &BTreeMap<u32, usize>,
    edge: &Edge,
) -> Result<(usize, usize, usize), OpenVinoError> {
    let (from_layer, from_port) = edge.from;
    let (to_layer, to_port) = edge.to;
    let dangling = |what: &str, layer: u32, port: u32| OpenVinoError::Graph {
        reason: format!(
            "the edge from port {from_port} of layer {from_layer} to port {to_port} of layer {to_layer} dangles: \
             there is no {what} port {port} of layer {layer}"
        ),
    };
    let from = places.get(&from_layer).copied();
    let output = from.and_then(|from| net.layers[from].outputs.iter().find(|port| port.id == from_port));
    let (Some(from), Some(output)) = (from, output) else {
        return Err(dangling("output", from_layer, from_port));
    };
    let to = places.get(&to_layer).copied();
    let place = to.and_then(|to| net.layers[to].inputs.iter().position(|port| port.id == to_port));
    let (Some(to), Some(place)) = (to, place) else {
        return Err(dangling("input", to_layer, to_port));
    };
    let input = &net.layers[to].inputs[place];
    if (input.element, &input.dims) != (output.element, &output.dims) {
        return Err(net.layers[to].label.wrong(format!(
            "port {to_port} expects {} {:?}, and {} makes {} {:?}",
            input.element.name(),
            input.dims,
            net.layers[from].label,
            output.element.name(),
            output.dims
        )));
    }
    Ok((from, to, place))
}

fn order(layers: &[Layer], sources: &[Vec<usize>]) -> Result<Vec<usize>, OpenVinoError> {
    let mut readers = vec![Vec::new(); layers.len()];
    let mut waits_for = vec![0usize; layers.len()];
    for (reader, read) in sources.iter().enumerate() {
        waits_for[reader] = read.len();
        for &source in read {
            readers[source].push(reader);
        }
    }
    let mut ready: BinaryHeap<_> = (0..layers.len())
        .filter(|&place| waits_for[place] == 0)
        .map(Reverse)
        .collect();
    let mut order = Vec::with_capacity(layers.len());
    while let Some(Reverse(place)) = ready.pop() {
        order.push(place);
        for &reader in &readers[place] {
            waits_for[reader] -= 1;
            if waits_for[reader] == 0 {
                ready.push(Reverse(reader));
            }
        }
    }
    match waits_for.iter().position(|&waits| waits > 0) {
        None => Ok(order),
        Some(stuck) => Err(layers[stuck]
            .label
            .wrong("it reads, directly or not, from a cycle")),
    }
}
