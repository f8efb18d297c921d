//! The links between layers, and an order in which they can be computed.

use std::collections::{BTreeMap, BTreeSet};

use super::ir::{Edge, Layer, Net};
use crate::OnnxError;

/// The graph by places in [`Net::layers`].
pub(super) struct Links {
    /// For each layer the layers that its input ports read, in the order of the ports.
    pub(super) sources: Vec<Vec<usize>>,
    /// All layers, each after those that it reads; the file's order where there is a choice.
    pub(super) order: Vec<usize>,
}

impl Links {
    /// # Errors
    /// Two layers of one id or name, an edge or an end of one that is missing, ends of one that do not agree, a cycle.
    pub(super) fn of(net: &Net) -> Result<Self, OnnxError> {
        let places = places(&net.layers)?;
        let layers = net.layers.iter();
        let mut slots: Vec<Vec<Option<usize>>> = layers.map(|layer| vec![None; layer.inputs.len()]).collect();
        for edge in &net.edges {
            let (from, to, input) = ends(net, &places, edge)?;
            if slots[to][input].replace(from).is_some() {
                let fault = format!("two edges lead to port {}", edge.to.1);
                return Err(net.layers[to].label.invalid(fault));
            }
        }
        let linked = |(slots, layer): (Vec<Option<usize>>, &Layer)| {
            let dangling = |id| layer.label.invalid(format!("no edge leads to port {id}"));
            let ports = slots.into_iter().zip(&layer.inputs);
            let linked = ports.map(|(slot, port)| slot.ok_or_else(|| dangling(port.id)));
            linked.collect()
        };
        let sources = slots.into_iter().zip(&net.layers).map(linked);
        let sources = sources.collect::<Result<Vec<_>, _>>()?;
        let order = order(&net.layers, &sources)?;
        Ok(Self { sources, order })
    }
}

/// The place of each layer by its id.
fn places(layers: &[Layer]) -> Result<BTreeMap<u32, usize>, OnnxError> {
    let mut places = BTreeMap::new();
    let mut names = BTreeSet::new();
    for (place, layer) in layers.iter().enumerate() {
        if places.insert(layer.label.id, place).is_some() {
            return Err(layer.label.invalid("another layer has the same id"));
        }
        // ONNX knows tensors by name only.
        if !names.insert(layer.label.name.as_str()) {
            return Err(layer.label.invalid("another layer has the same name"));
        }
    }
    Ok(places)
}

/// The places of the layers at the ends of an edge, and of the port at the second.
fn ends(net: &Net, places: &BTreeMap<u32, usize>, edge: &Edge) -> Result<(usize, usize, usize), OnnxError> {
    let (from_layer, from_port) = edge.from;
    let (to_layer, to_port) = edge.to;
    let dangling = |what: &str, layer: u32, port: u32| {
        OnnxError::Invalid(format!(
            "the edge from port {from_port} of layer {from_layer} to port {to_port} of layer {to_layer} dangles: \
             there is no {what} port {port} of layer {layer}"
        ))
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
        let (input, output) = (input.described(), output.described());
        let maker = &net.layers[from].label;
        let fault = format!("port {to_port} expects {input}, and {maker} makes {output}");
        return Err(net.layers[to].label.invalid(fault));
    }
    Ok((from, to, place))
}

fn order(layers: &[Layer], sources: &[Vec<usize>]) -> Result<Vec<usize>, OnnxError> {
    let mut readers = vec![Vec::new(); layers.len()];
    for (reader, read) in sources.iter().enumerate() {
        read.iter().for_each(|&source| readers[source].push(reader));
    }
    let mut waits_for: Vec<usize> = sources.iter().map(Vec::len).collect();
    let mut ready: BTreeSet<usize> = (0..layers.len()).filter(|&place| waits_for[place] == 0).collect();
    let mut order = Vec::with_capacity(layers.len());
    while let Some(place) = ready.pop_first() {
        order.push(place);
        for &reader in &readers[place] {
            waits_for[reader] -= 1;
            if waits_for[reader] == 0 {
                ready.insert(reader);
            }
        }
    }
    match layers.iter().zip(waits_for).find(|&(_, waits)| waits > 0) {
        None => Ok(order),
        Some((stuck, _)) => Err(stuck.label.invalid("it reads, directly or not, from a cycle")),
    }
}
