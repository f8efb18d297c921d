//! A graph in optimization: nodes that can be changed, with an index of the producer and the readers of each value.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use indexmap::IndexMap;

use crate::proto::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use crate::shapes::{MAX_RANK, Shapes};

use super::Skipped;

/// Known versions of ONNX's own operators. Before 7, broadcasting had other rules.
const OPSETS: std::ops::RangeInclusive<i64> = 7..=23;
/// Since this version of the format, constants need not be inputs as well.
const LEAST_IR_VERSION: i64 = 4;
/// How often the passes may process all constants of a model, a limit for hostile ones.
const TIMES_CONSTANTS: usize = 16;
/// Work that any small model may take.
const WORK_ALWAYS: usize = 1 << 22;

/// A graph in optimization.
#[derive(Default)]
pub(super) struct Net {
    /// The rest of the graph, without nodes and constants.
    pub(super) rest: GraphProto,
    pub(super) opset: i64,
    nodes: Vec<Slot>,
    /// Constants in the order of the file, then those that were added.
    pub(super) constants: IndexMap<String, TensorProto>,
    producers: HashMap<String, usize>,
    /// For each value the nodes that read it, with the number of their inputs.
    readers: HashMap<String, BTreeMap<usize, usize>>,
    /// Values that are read outside of the nodes: outputs, and captures of subgraphs.
    pinned: HashSet<String>,
    /// Names of inputs: a constant of such a name is a default, which a run may override.
    inputs: HashSet<String>,
    names: HashSet<String>,
    work_left: usize,
}

struct Slot {
    node: Option<NodeProto>,
    /// Position in the graph: of the node in the file, then among its replacements.
    order: (usize, usize),
}

impl Net {
    /// Takes the graph out of a model; a model that is skipped stays as it is.
    pub(super) fn take(model: &mut ModelProto) -> Result<Self, Skipped> {
        let opset = opset(model).ok_or(Skipped::UnknownOpset)?;
        if model.ir_version < LEAST_IR_VERSION {
            return Err(Skipped::OldFormat);
        }
        let graph = model.graph.as_ref().ok_or(Skipped::Malformed)?;
        if !model.functions.is_empty() {
            return Err(Skipped::Functions);
        }
        if !graph.sparse_initializer.is_empty() || !graph.quantization_annotation.is_empty() {
            return Err(Skipped::SparseOrQuantized);
        }
        if !is_ordered(graph) {
            return Err(Skipped::Malformed);
        }
        let mut rest = model.graph.take().ok_or(Skipped::Malformed)?;
        let mut net = Self {
            opset,
            pinned: rest.output.iter().map(|output| output.name.clone()).collect(),
            inputs: rest.input.iter().map(|input| input.name.clone()).collect(),
            work_left: WORK_ALWAYS,
            ..Self::default()
        };
        for (index, node) in std::mem::take(&mut rest.node).into_iter().enumerate() {
            pin_captures(&node, &mut net.pinned, &mut net.names);
            net.insert(node, (index, 0));
        }
        for tensor in std::mem::take(&mut rest.initializer) {
            // A shape costs nothing to state, so only elements in the file count.
            let elements = tensor.elements().filter(|_| tensor.has_f32s());
            let work = elements.unwrap_or(0).saturating_mul(TIMES_CONSTANTS);
            net.work_left = net.work_left.saturating_add(work);
            net.set_constant(tensor);
        }
        net.rest = rest;
        net.names.extend(net.inputs.iter().cloned());
        net.pinned.extend(net.inputs.iter().cloned());
        Ok(net)
    }

    /// Returns the graph: nodes in order, and the types of the values that still exist.
    pub(super) fn finish(mut self) -> GraphProto {
        self.nodes.sort_by_key(|slot| slot.order);
        let mut graph = self.rest;
        graph.node = self.nodes.into_iter().filter_map(|slot| slot.node).collect();
        graph.initializer = self.constants.into_values().collect();
        let constants = graph.initializer.iter().map(|tensor| &tensor.name);
        let outputs = graph.node.iter().flat_map(|node| &node.output);
        let made: HashSet<&String> = outputs.chain(constants).collect();
        graph.value_info.retain(|info| made.contains(&info.name));
        graph
    }

    /// Infers the shapes of its values.
    pub(super) fn shapes(&self) -> Shapes {
        self.shapes_of(&self.rest.input)
    }

    /// Infers the shapes of its values, as if its inputs were these.
    pub(super) fn shapes_of(&self, inputs: &[ValueInfoProto]) -> Shapes {
        let places = self.places();
        let nodes = places.iter().filter_map(|&place| self.node(place));
        let constant = |name: &str| self.constant(name);
        Shapes::of(self.opset, inputs, constant, nodes, |_| None)
    }

    /// Applies a change at every node of ONNX's own operators of these names, and returns how often it was made.
    pub(super) fn change_each(
        &mut self,
        op_types: &[&str],
        mut change: impl FnMut(&mut Self, usize) -> Option<()>,
    ) -> usize {
        let mut places = self.places();
        places.retain(|&place| self.node(place).is_some_and(|node| node.is_any(op_types)));
        places.into_iter().filter_map(|place| change(self, place)).count()
    }

    /// Returns the places of the current nodes, in an order in which they can be computed.
    pub(super) fn places(&self) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.nodes.len())
            .filter(|&place| self.nodes[place].node.is_some())
            .collect();
        places.sort_by_key(|&place| self.nodes[place].order);
        places
    }

    pub(super) fn node(&self, place: usize) -> Option<&NodeProto> {
        self.nodes.get(place)?.node.as_ref()
    }

    /// Returns the place of the node that makes the value.
    pub(super) fn producer(&self, value: &str) -> Option<usize> {
        self.producers.get(value).copied()
    }

    /// Returns the node that makes the value.
    pub(super) fn maker(&self, value: &str) -> Option<&NodeProto> {
        self.node(self.producer(value)?)
    }

    /// Whether only [`readers`](Self::readers) read the value.
    pub(super) fn is_inner(&self, value: &str) -> bool {
        !self.pinned.contains(value)
    }

    /// Returns the places of the nodes that read the value.
    pub(super) fn readers(&self, value: &str) -> impl Iterator<Item = usize> + '_ {
        let readers = self.readers.get(value).into_iter();
        readers.flat_map(|readers| readers.keys().copied())
    }

    /// Whether exactly one input of one node reads the value.
    pub(super) fn is_read_once(&self, value: &str) -> bool {
        let readers = self.readers.get(value).filter(|_| self.is_inner(value));
        // Not summed up: each of thousands of readers may ask.
        readers.is_some_and(|readers| readers.len() == 1 && readers.values().eq([&1]))
    }

    /// Whether anything reads the value.
    pub(super) fn is_read(&self, value: &str) -> bool {
        !self.is_inner(value) || self.readers(value).next().is_some()
    }

    /// Returns the constant of this name. Excluded are defaults of inputs, and constants of more dimensions than any model
    /// has, which each of thousands of nodes may read.
    pub(super) fn constant(&self, name: &str) -> Option<&TensorProto> {
        let constant = self.constants.get(name);
        constant.filter(|tensor| tensor.dims.len() <= MAX_RANK && !self.inputs.contains(name))
    }

    /// Returns the constant that is this input of a node.
    pub(super) fn constant_input(&self, node: &NodeProto, index: usize) -> Option<&TensorProto> {
        self.constant(node.input.get(index)?)
    }

    /// Takes that many elements or names from the work that is left; `None` if it is too much.
    pub(super) fn spend(&mut self, elements: usize) -> Option<()> {
        self.work_left = self.work_left.checked_sub(elements)?;
        Some(())
    }

    /// Returns a new name like `base`.
    pub(super) fn fresh(&mut self, base: &str, what: &str) -> String {
        let mut name = format!("{base}/{what}");
        let mut count = 1usize;
        while !self.names.insert(name.clone()) {
            count += 1;
            name = format!("{base}/{what}_{count}");
        }
        name
    }

    /// Adds a constant, or replaces that of its name, as should be done with one that has a single reader.
    pub(super) fn set_constant(&mut self, tensor: TensorProto) {
        self.names.insert(tensor.name.clone());
        self.constants.insert(tensor.name.clone(), tensor);
    }

    /// Replaces a node by others, which are in order and make its outputs.
    pub(super) fn replace(&mut self, place: usize, nodes: Vec<NodeProto>) {
        let Some(order) = self.nodes.get(place).map(|slot| slot.order) else {
            return;
        };
        self.remove(place);
        for (index, node) in nodes.into_iter().enumerate() {
            self.insert(node, (order.0, order.1.saturating_add(index)));
        }
    }

    pub(super) fn remove(&mut self, place: usize) -> Option<NodeProto> {
        let node = self.nodes.get_mut(place)?.node.take()?;
        for output in &node.output {
            self.producers.remove(output);
        }
        for input in &node.input {
            if let Some(readers) = self.readers.get_mut(input)
                && let Some(count) = readers.get_mut(&place)
            {
                *count -= 1;
                if *count == 0 {
                    readers.remove(&place);
                }
            }
        }
        Some(node)
    }

    /// Changes a node in place.
    pub(super) fn edit(&mut self, place: usize, change: impl FnOnce(&mut NodeProto)) {
        if let Some(mut node) = self.remove(place) {
            change(&mut node);
            self.index(place, &node);
            self.nodes[place].node = Some(node);
        }
    }

    /// Lets a node read another value as an input that it has.
    pub(super) fn set_input(&mut self, place: usize, index: usize, value: String) {
        self.edit(place, |node| {
            if let Some(input) = node.input.get_mut(index) {
                *input = value;
            }
        });
    }

    /// Removes a node whose first output equals `input`. `None`, and nothing done, if one name would have to stand for two,
    /// or a long one would be read too often.
    pub(super) fn bypass(&mut self, place: usize, input: &str) -> Option<()> {
        let output = self.node(place)?.output.first()?.clone();
        let (gone, kept) = if self.is_inner(&output) {
            (output, input.to_owned())
        } else if self.is_inner(input) && self.producer(input).is_some() {
            (input.to_owned(), output)
        } else {
            return None;
        };
        let readers = self.readers.get(&gone).map_or(0, BTreeMap::len);
        self.spend(readers.saturating_add(1))?;
        let maker = self.producer(&gone).filter(|&maker| maker != place);
        let others = self.readers(&gone).chain(maker);
        let others = others.filter(|&other| other != place).collect();
        self.rename(&others, &gone, &kept)?;
        self.remove(place);
        if let Some(maker) = maker {
            self.producers.insert(kept, maker);
        }
        Some(())
    }

    /// Renames a value in these nodes. `None`, and nothing done, if that is too much work: all of their names are read, and
    /// a longer name takes its room as often as it is used.
    pub(super) fn rename(&mut self, places: &BTreeSet<usize>, from: &str, to: &str) -> Option<()> {
        let longer = to.len().saturating_sub(from.len());
        let nodes = places.iter().filter_map(|&place| self.node(place));
        let names = nodes.flat_map(|node| node.input.iter().chain(&node.output));
        let work = names.fold(0usize, |work, name| {
            work.saturating_add(if name == from { longer + 1 } else { 1 })
        });
        self.spend(work)?;
        for &place in places {
            self.edit(place, |node| {
                for name in node.input.iter_mut().chain(&mut node.output) {
                    if name == from {
                        to.clone_into(name);
                    }
                }
            });
        }
        Some(())
    }

    fn insert(&mut self, node: NodeProto, order: (usize, usize)) {
        self.index(self.nodes.len(), &node);
        let node = Some(node);
        self.nodes.push(Slot { node, order });
    }

    fn index(&mut self, place: usize, node: &NodeProto) {
        for input in node.input.iter().filter(|name| !name.is_empty()) {
            self.names.insert(input.clone());
            let readers = self.readers.entry(input.clone()).or_default();
            *readers.entry(place).or_default() += 1;
        }
        for output in node.output.iter().filter(|name| !name.is_empty()) {
            self.names.insert(output.clone());
            self.producers.insert(output.clone(), place);
        }
    }
}

/// The version of ONNX's own operators, if it is stated once and known.
fn opset(model: &ModelProto) -> Option<i64> {
    let sets = model.opset_import.iter();
    let mut own = sets.filter(|set| set.domain.is_empty() || set.domain == "ai.onnx");
    let version = own.next()?.version;
    (own.next().is_none() && OPSETS.contains(&version)).then_some(version)
}

/// Whether every name stands for one value, which is made before it is read.
fn is_ordered(graph: &GraphProto) -> bool {
    let constants: HashSet<&String> = graph.initializer.iter().map(|tensor| &tensor.name).collect();
    let inputs: HashSet<&String> = graph.input.iter().map(|input| &input.name).collect();
    let are_unique = constants.len() == graph.initializer.len() && inputs.len() == graph.input.len();
    let mut made = &constants | &inputs;
    are_unique
        && !constants.contains(&String::new())
        && graph.node.iter().all(|node| {
            let mut inputs = node.input.iter().filter(|name| !name.is_empty());
            let mut outputs = node.output.iter().filter(|name| !name.is_empty());
            inputs.all(|name| made.contains(name)) && outputs.all(|name| made.insert(name))
        })
        && graph.output.iter().all(|output| made.contains(&output.name))
}

/// Pins the values of the outer graph that subgraphs of a node read by name.
fn pin_captures(node: &NodeProto, pinned: &mut HashSet<String>, names: &mut HashSet<String>) {
    let attributes = node.attribute.iter();
    for graph in attributes.flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs)) {
        let own = graph.input.iter().chain(&graph.output).map(|value| &value.name);
        let own = own.chain(graph.initializer.iter().map(|tensor| &tensor.name));
        names.extend(own.cloned());
        pinned.extend(graph.output.iter().map(|output| output.name.clone()));
        for node in &graph.node {
            pinned.extend(node.input.iter().cloned());
            names.extend(node.output.iter().cloned());
            pin_captures(node, pinned, names);
        }
    }
}
