//! A graph taken apart for rewriting: nodes that can be changed, with who makes and who reads each value kept up to date.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::proto::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};

use crate::shapes::MAX_RANK;

use super::{LeftAlone, layer};

/// Versions of ONNX's own operators whose meaning the passes know. Before 7, operators that broadcast did so otherwise.
const OPSETS: std::ops::RangeInclusive<i64> = 7..=23;
/// From this version of the format on, constants need not be inputs as well.
const LEAST_IR_VERSION: i64 = 4;
/// How often the passes may go over all constants of a model, so that a hostile one ends.
const TIMES_CONSTANTS: usize = 16;
/// So that small models are not held back.
const WORK_ALWAYS: usize = 1 << 22;

/// A graph being rewritten.
pub(super) struct Net {
    /// What the passes leave as it is, without nodes and constants.
    rest: GraphProto,
    opset: i64,
    nodes: Vec<Slot>,
    constants: BTreeMap<String, TensorProto>,
    /// Constants in the order of the file, then those that were added.
    constant_order: Vec<String>,
    producers: HashMap<String, usize>,
    /// For each value the nodes that read it, and how often each does.
    readers: HashMap<String, BTreeMap<usize, usize>>,
    /// Values that somebody outside of the nodes reads: outputs, subgraphs.
    pinned: HashSet<String>,
    /// Names of inputs: a constant of such a name is a default, which the caller may replace.
    inputs: HashSet<String>,
    names: HashSet<String>,
    work_left: usize,
}

struct Slot {
    node: Option<NodeProto>,
    /// Position in the graph: of the node in the file, then among those that replace it.
    order: (usize, usize),
}

impl Net {
    /// Takes the graph out of a model, unless the model is one to leave alone; then it stays as it is.
    pub(super) fn take(model: &mut ModelProto) -> Result<Self, LeftAlone> {
        let opset = opset(model)?;
        if model.ir_version < LEAST_IR_VERSION {
            return Err(LeftAlone::OldFormat);
        }
        let graph = model.graph.as_ref().ok_or(LeftAlone::Malformed)?;
        if !model.functions.is_empty() {
            return Err(LeftAlone::Functions);
        }
        if !graph.sparse_initializer.is_empty() || !graph.quantization_annotation.is_empty() {
            return Err(LeftAlone::SparseOrQuantized);
        }
        check_order(graph)?;
        let mut rest = model.graph.take().ok_or(LeftAlone::Malformed)?;
        let mut net = Self {
            opset,
            nodes: Vec::with_capacity(rest.node.len()),
            constants: BTreeMap::new(),
            constant_order: Vec::new(),
            producers: HashMap::new(),
            readers: HashMap::new(),
            pinned: rest.output.iter().map(|output| output.name.clone()).collect(),
            inputs: rest.input.iter().map(|input| input.name.clone()).collect(),
            names: HashSet::new(),
            work_left: WORK_ALWAYS,
            rest: GraphProto::default(),
        };
        for (index, node) in std::mem::take(&mut rest.node).into_iter().enumerate() {
            for attribute in &node.attribute {
                for graph in attribute.g.iter().chain(&attribute.graphs) {
                    pin_captures(graph, &mut net.pinned, &mut net.names);
                }
            }
            net.insert(node, (index, 0));
        }
        for tensor in std::mem::take(&mut rest.initializer) {
            // What a constant says of its shape costs nothing, so the elements must be there to count.
            let elements = tensor.len().filter(|_| layer::has_f32s(&tensor));
            let work = elements.unwrap_or(0).saturating_mul(TIMES_CONSTANTS);
            net.work_left = net.work_left.saturating_add(work);
            net.constant_order.push(tensor.name.clone());
            net.names.insert(tensor.name.clone());
            net.constants.insert(tensor.name.clone(), tensor);
        }
        net.rest = rest;
        net.names.extend(net.inputs.iter().cloned());
        net.pinned.extend(net.inputs.iter().cloned());
        Ok(net)
    }

    /// The graph again: nodes in order, and types of the values that there still are.
    pub(super) fn finish(mut self) -> GraphProto {
        self.nodes.sort_by_key(|slot| slot.order);
        let mut graph = self.rest;
        graph.node = self.nodes.into_iter().filter_map(|slot| slot.node).collect();
        for name in self.constant_order {
            graph.initializer.extend(self.constants.remove(&name));
        }
        let made: HashSet<&str> = graph
            .node
            .iter()
            .flat_map(|node| &node.output)
            .chain(graph.initializer.iter().map(|tensor| &tensor.name))
            .map(String::as_str)
            .collect();
        graph.value_info.retain(|info| made.contains(info.name.as_str()));
        graph
    }

    pub(super) fn opset(&self) -> i64 {
        self.opset
    }

    pub(super) fn inputs(&self) -> &[ValueInfoProto] {
        &self.rest.input
    }

    /// Places of the nodes there are now, in an order in which they can be computed.
    pub(super) fn places(&self) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.nodes.len())
            .filter(|&place| self.nodes[place].node.is_some())
            .collect();
        places.sort_by_key(|&place| self.nodes[place].order);
        places
    }

    /// Those of ONNX's own operators of one of these names.
    pub(super) fn places_of(&self, op_types: &[&str]) -> Vec<usize> {
        let mut places = self.places();
        places.retain(|&place| {
            self.node(place)
                .is_some_and(|node| op_types.iter().any(|op_type| node.is(op_type)))
        });
        places
    }

    pub(super) fn node(&self, place: usize) -> Option<&NodeProto> {
        self.nodes.get(place)?.node.as_ref()
    }

    /// Where the value is made, if by a node.
    pub(super) fn producer(&self, value: &str) -> Option<usize> {
        self.producers.get(value).copied()
    }

    /// Whether the value is read by nobody but nodes that are in [`readers`](Self::readers).
    pub(super) fn is_inner(&self, value: &str) -> bool {
        !self.pinned.contains(value)
    }

    /// The nodes that read the value.
    pub(super) fn readers(&self, value: &str) -> impl Iterator<Item = usize> + '_ {
        self.readers
            .get(value)
            .into_iter()
            .flat_map(|readers| readers.keys().copied())
    }

    /// Whether exactly one input of one node is all that reads the value.
    pub(super) fn is_read_once(&self, value: &str) -> bool {
        self.is_inner(value)
            && self
                .readers
                .get(value)
                // Not summed up: each of thousands of readers may ask.
                .is_some_and(|readers| readers.len() == 1 && readers.values().eq([&1]))
    }

    /// Whether anything reads the value.
    pub(super) fn is_read(&self, value: &str) -> bool {
        !self.is_inner(value) || self.readers.get(value).is_some_and(|readers| !readers.is_empty())
    }

    /// The constant of this name; a default of an input is none, nor is one of more dimensions than any model has, which
    /// each of thousands of nodes may go over.
    pub(super) fn constant(&self, name: &str) -> Option<&TensorProto> {
        self.constants
            .get(name)
            .filter(|tensor| tensor.dims.len() <= MAX_RANK && !self.inputs.contains(name))
    }

    pub(super) fn constant_names(&self) -> &[String] {
        &self.constant_order
    }

    /// Asks leave to go over that many elements or names.
    pub(super) fn spend(&mut self, elements: usize) -> bool {
        match self.work_left.checked_sub(elements) {
            Some(left) => {
                self.work_left = left;
                true
            }
            None => false,
        }
    }

    /// A name like `base` that nothing has.
    pub(super) fn fresh(&mut self, base: &str, what: &str) -> String {
        let mut name = format!("{base}/{what}");
        let mut count = 1usize;
        while self.names.contains(&name) {
            count += 1;
            name = format!("{base}/{what}_{count}");
        }
        self.names.insert(name.clone());
        name
    }

    /// Adds a constant; what is read only once should be [replaced](Self::replace_constant) instead.
    pub(super) fn add_constant(&mut self, tensor: TensorProto) {
        self.names.insert(tensor.name.clone());
        self.constant_order.push(tensor.name.clone());
        self.constants.insert(tensor.name.clone(), tensor);
    }

    /// Puts other values in the place of a constant's.
    pub(super) fn replace_constant(&mut self, tensor: TensorProto) {
        if let Some(old) = self.constants.get_mut(&tensor.name) {
            *old = tensor;
        }
    }

    pub(super) fn remove_constant(&mut self, name: &str) {
        self.constants.remove(name);
    }

    /// Drops the names of the constants that were removed.
    pub(super) fn forget_removed_constants(&mut self) {
        let constants = &self.constants;
        self.constant_order.retain(|name| constants.contains_key(name));
    }

    /// Puts nodes in the place of one; they are in order and make what it made.
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

    /// Changes a node where it stands.
    pub(super) fn edit(&mut self, place: usize, change: impl FnOnce(&mut NodeProto)) {
        if let Some(mut node) = self.remove(place) {
            change(&mut node);
            self.index(place, &node);
            self.nodes[place].node = Some(node);
        }
    }

    /// Removes a node whose first output is what `input` is already. False, and nothing done, where one name would have
    /// to stand for two, or a long one would be read too often.
    pub(super) fn bypass(&mut self, place: usize, input: &str) -> bool {
        let Some(output) = self.node(place).and_then(|node| node.output.first()).cloned() else {
            return false;
        };
        let (input, kept) = if self.is_inner(&output) {
            (output, input.to_owned())
        } else if self.is_inner(input) && self.producer(input).is_some() {
            (input.to_owned(), output)
        } else {
            return false;
        };
        let readers = self.readers.get(&input).map_or(0, BTreeMap::len);
        if !self.spend(readers.saturating_add(1)) {
            return false;
        }
        let maker = self.producer(&input).filter(|&maker| maker != place);
        let others = self.readers(&input).chain(maker);
        let others: BTreeSet<usize> = others.filter(|&other| other != place).collect();
        if !self.rename(&others, &input, &kept) {
            return false;
        }
        self.remove(place);
        if let Some(maker) = maker {
            self.producers.insert(kept, maker);
        }
        true
    }

    /// Calls a value otherwise in these nodes. False, and nothing done, where that is too much: all of their names are gone
    /// over, and a name that is longer takes its room as often as it is used.
    pub(super) fn rename(&mut self, places: &BTreeSet<usize>, from: &str, to: &str) -> bool {
        let longer = to.len().saturating_sub(from.len());
        let work = places
            .iter()
            .filter_map(|&place| self.node(place))
            .fold(0usize, |work, node| {
                let names = || node.input.iter().chain(&node.output);
                let uses = names().filter(|name| *name == from).count();
                work.saturating_add(names().count())
                    .saturating_add(longer.saturating_mul(uses))
            });
        if !self.spend(work) {
            return false;
        }
        for &place in places {
            self.edit(place, |node| {
                for name in node.input.iter_mut().chain(&mut node.output) {
                    if name == from {
                        to.clone_into(name);
                    }
                }
            });
        }
        true
    }

    /// Forgets what the file says of the type of values that have changed.
    pub(super) fn forget_types(&mut self, values: &HashSet<String>) {
        self.rest.value_info.retain(|info| !values.contains(&info.name));
    }

    /// Says the type of a value.
    pub(super) fn add_type(&mut self, info: ValueInfoProto) {
        self.rest.value_info.push(info);
    }

    fn insert(&mut self, node: NodeProto, order: (usize, usize)) {
        let place = self.nodes.len();
        self.index(place, &node);
        self.nodes.push(Slot {
            node: Some(node),
            order,
        });
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

fn opset(model: &ModelProto) -> Result<i64, LeftAlone> {
    let mut versions = model
        .opset_import
        .iter()
        .filter(|set| set.domain.is_empty() || set.domain == "ai.onnx");
    match (versions.next(), versions.next()) {
        (Some(set), None) if OPSETS.contains(&set.version) => Ok(set.version),
        _ => Err(LeftAlone::UnknownOpset),
    }
}

/// Every name stands for one value, which is made before it is read.
fn check_order(graph: &GraphProto) -> Result<(), LeftAlone> {
    let mut made: HashSet<&str> = HashSet::new();
    for tensor in &graph.initializer {
        if tensor.name.is_empty() || !made.insert(&tensor.name) {
            return Err(LeftAlone::Malformed);
        }
    }
    let mut inputs = HashSet::new();
    for input in &graph.input {
        if !inputs.insert(input.name.as_str()) {
            return Err(LeftAlone::Malformed);
        }
    }
    made.extend(inputs);
    for node in &graph.node {
        if node
            .input
            .iter()
            .any(|name| !name.is_empty() && !made.contains(name.as_str()))
        {
            return Err(LeftAlone::Malformed);
        }
        for output in node.output.iter().filter(|name| !name.is_empty()) {
            if !made.insert(output) {
                return Err(LeftAlone::Malformed);
            }
        }
    }
    if graph
        .output
        .iter()
        .all(|output| made.contains(output.name.as_str()))
    {
        Ok(())
    } else {
        Err(LeftAlone::Malformed)
    }
}

/// Subgraphs read values of the graph around them by name.
fn pin_captures(graph: &GraphProto, pinned: &mut HashSet<String>, names: &mut HashSet<String>) {
    let own = graph.input.iter().chain(&graph.output).map(|value| &value.name);
    let own = own.chain(graph.initializer.iter().map(|tensor| &tensor.name));
    names.extend(own.cloned());
    pinned.extend(graph.output.iter().map(|output| output.name.clone()));
    for node in &graph.node {
        pinned.extend(node.input.iter().cloned());
        names.extend(node.output.iter().cloned());
        for attribute in &node.attribute {
            for inner in attribute.g.iter().chain(&attribute.graphs) {
                pin_captures(inner, pinned, names);
            }
        }
    }
}
