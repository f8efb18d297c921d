//! Where the batch is in what a node makes.

use std::collections::HashMap;

use crate::proto::NodeProto;
use crate::shapes::{Dim, MAX_RANK, Shapes};

use super::super::net::Net;

/// Longer lists of numbers are not shapes.
const MAX_SIZES: usize = 16;

/// What a value has of the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Held {
    /// Nothing: it is the same whatever the images.
    Nothing,
    /// A row for each image along this axis, and nothing of any other image in it.
    Batch {
        /// From 0.
        axis: usize,
        /// Number of its dimensions.
        rank: usize,
    },
    /// Sizes, or one: those at these places are the number of images.
    Sizes(Vec<bool>),
}

/// What a node makes.
pub(super) struct Made {
    /// Of each output.
    pub(super) outputs: Vec<Held>,
    /// The constant shape that it must read for a larger batch, where that is another one.
    pub(super) shape: Option<Vec<i64>>,
}

/// One node.
pub(super) struct Rules<'n> {
    pub(super) net: &'n Net,
    pub(super) node: &'n NodeProto,
    /// With a free batch; right for values that have nothing of it.
    pub(super) shapes: &'n Shapes,
    /// The batch in them.
    pub(super) batch: Dim,
    /// What the values before it hold.
    pub(super) held: &'n HashMap<String, Held>,
}

/// Operators on each number by itself; what other inputs they have is the same for all.
const EACH: &[&str] = &[
    "Relu",
    "LeakyRelu",
    "Sigmoid",
    "Tanh",
    "Clip",
    "Elu",
    "Selu",
    "Gelu",
    "Mish",
    "HardSigmoid",
    "HardSwish",
    "Softplus",
    "Softsign",
    "Exp",
    "Log",
    "Sqrt",
    "Neg",
    "Abs",
    "Erf",
    "Floor",
    "Ceil",
    "Round",
    "Reciprocal",
    "Sin",
    "Cos",
    "Sign",
    "Identity",
    "Dropout",
    "Cast",
];
/// Operators on each number and those of the same place in the other inputs.
const BROADCAST: &[&str] = &["Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Sum", "PRelu"];
/// Operators on each map, or each image, of a batch in the first place.
const MAPS: &[&str] = &[
    "Conv",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "BatchNormalization",
    "InstanceNormalization",
    "LRN",
    "DepthToSpace",
    "SpaceToDepth",
];
const REDUCTIONS: &[&str] = &[
    "ReduceMean",
    "ReduceSum",
    "ReduceMax",
    "ReduceMin",
    "ReduceL1",
    "ReduceL2",
    "ReduceSumSquare",
    "ReduceProd",
    "ReduceLogSumExp",
];

impl Rules<'_> {
    /// Returns what its outputs have of the batch; `None` where that is not certain, or images are mixed.
    pub(super) fn outputs(&self) -> Option<Made> {
        let mut attributes = self.node.attribute.iter();
        // A subgraph may read any value by its name.
        if attributes.any(|attribute| attribute.g.is_some() || !attribute.graphs.is_empty()) {
            return None;
        }
        let count = self.node.output.len();
        let held: Vec<Held> = self
            .node
            .input
            .iter()
            .map(|name| self.of(name))
            .collect::<Option<_>>()?;
        if held.iter().all(|held| *held == Held::Nothing) {
            return Some(Made {
                outputs: vec![Held::Nothing; count],
                shape: None,
            });
        }
        if !self.node.is_standard() {
            return None;
        }
        let is_split = self.node.op_type == "Split";
        let (first, shape) = match self.node.op_type.as_str() {
            "Reshape" => self.reshape(&held)?,
            _ => (self.first(&held)?, None),
        };
        if matches!(first, Held::Batch { rank, .. } if rank > MAX_RANK) {
            return None;
        }
        // Of the others nothing is known, and a node that reads one ends the search.
        let known = if is_split { count } else { 1 };
        Some(Made {
            outputs: vec![first; known],
            shape,
        })
    }

    fn of(&self, name: &str) -> Option<Held> {
        // An input that is absent, or a constant.
        if name.is_empty() || self.net.constants.contains_key(name) {
            return Some(Held::Nothing);
        }
        self.held.get(name).cloned()
    }

    fn first(&self, held: &[Held]) -> Option<Held> {
        let op_type = self.node.op_type.as_str();
        match op_type {
            "Shape" | "Gather" | "Concat" | "Expand" if op_type == "Shape" || !is_batch(held.first()?) => {
                return self.sizes(held);
            }
            "Squeeze" | "Unsqueeze" | "Cast" | "Identity" if matches!(held, [Held::Sizes(_), ..]) => {
                return Some(held.first()?.clone());
            }
            _ => {}
        }
        if BROADCAST.contains(&op_type) {
            // Slopes spread to the maps, never maps to slopes.
            let is_maps = op_type != "PRelu" || is_batch(held.first()?);
            return self.broadcast(held, 0).filter(|_| is_maps);
        }
        match op_type {
            "MatMul" => return self.matmul(held),
            "Concat" => return self.concat(held),
            "Expand" => return expand(held, self.shape_of(1)),
            _ => {}
        }
        // All others take the batch as their first input only.
        let (first, others) = held.split_first()?;
        let &Held::Batch { axis, rank } = first else {
            return None;
        };
        if !others.iter().all(|held| *held == Held::Nothing) {
            return None;
        }
        let same = Some(Held::Batch { axis, rank });
        let unless = |mixed: bool| same.clone().filter(|_| !mixed);
        match op_type {
            _ if EACH.contains(&op_type) => same,
            // In training it takes means over the batch.
            "BatchNormalization" if self.node.int("training_mode", 0)? != 0 => None,
            _ if MAPS.contains(&op_type) => unless(axis != 0),
            _ if REDUCTIONS.contains(&op_type) => self.reduced(axis, rank),
            "Softmax" | "LogSoftmax" if self.opset() >= 13 => unless(self.axis("axis", -1, rank)? == axis),
            "Softmax" | "LogSoftmax" => unless(self.axis("axis", 1, rank)? <= axis),
            "LayerNormalization" => unless(self.axis("axis", -1, rank)? <= axis),
            "LpNormalization" => unless(self.axis("axis", -1, rank)? == axis),
            "Split" => unless(self.axis("axis", 0, rank)? == axis),
            "Slice" => unless(self.sliced(rank)?.contains(&axis)),
            "CumSum" => unless(self.listed(self.numbers(1)?, rank)?.contains(&axis)),
            "Transpose" => self.transposed(axis, rank),
            "Flatten" => {
                (axis == 0 && self.axis("axis", 1, rank)? == 1).then_some(Held::Batch { axis, rank: 2 })
            }
            "Gemm" => self.gemm(axis, rank),
            "Gather" => self.gathered(axis, rank),
            "Squeeze" => {
                let gone = self.listed(self.axes(1, 13)?, rank)?;
                let before = gone.iter().filter(|&&gone| gone < axis).count();
                (!gone.contains(&axis)).then_some(Held::Batch {
                    axis: axis - before,
                    rank: rank.checked_sub(gone.len())?,
                })
            }
            "Unsqueeze" => self.unsqueezed(axis, rank),
            _ => None,
        }
    }

    fn opset(&self) -> i64 {
        self.net.opset
    }

    /// The shape of an input that has nothing of the batch.
    fn shape_of(&self, input: usize) -> Option<&[Dim]> {
        self.shapes.dims(self.node.input.get(input)?)
    }

    /// The whole numbers of an input.
    fn numbers(&self, input: usize) -> Option<Vec<i64>> {
        let contents = self.shapes.facts(self.node.input(input)?)?.contents.as_ref()?;
        contents.iter().map(|dim| dim.known()).collect()
    }

    /// The axes that an attribute lists, or, since this opset, an input.
    fn axes(&self, input: usize, since: i64) -> Option<Vec<i64>> {
        match self.opset() < since {
            true => self.node.ints("axes").map(<[i64]>::to_vec),
            false => self.numbers(input),
        }
    }

    fn axis(&self, name: &str, default: i64, rank: usize) -> Option<usize> {
        counted(self.node.int(name, default)?, rank)
    }

    fn listed(&self, axes: Vec<i64>, rank: usize) -> Option<Vec<usize>> {
        axes.into_iter().map(|axis| counted(axis, rank)).collect()
    }

    /// Sizes of a value, some of them, several in a row, and a constant spread to them.
    fn sizes(&self, held: &[Held]) -> Option<Held> {
        match (self.node.op_type.as_str(), held) {
            ("Shape", [Held::Batch { axis, rank }]) if self.node.attribute.is_empty() => {
                Some(Held::Sizes((0..*rank).map(|at| at == *axis).collect()))
            }
            ("Gather", [Held::Sizes(sizes), Held::Nothing]) => {
                let indices = self.listed(self.numbers(1)?, sizes.len())?;
                let picked: Option<Vec<bool>> = indices.iter().map(|&at| sizes.get(at).copied()).collect();
                Some(some_sizes(picked?))
            }
            ("Concat", held) => {
                let mut sizes = Vec::new();
                for (input, held) in held.iter().enumerate() {
                    match held {
                        Held::Sizes(own) => sizes.extend(own),
                        Held::Nothing => sizes.extend(vec![false; self.numbers(input)?.len()]),
                        Held::Batch { .. } => return None,
                    }
                }
                (sizes.len() <= MAX_SIZES).then(|| some_sizes(sizes))
            }
            ("Expand", [Held::Nothing, Held::Sizes(sizes)]) => {
                let mut places = sizes.iter().enumerate().filter(|(_, is_batch)| **is_batch);
                let (axis, _) = places.next().filter(|_| sizes.len() > 1)?;
                let own = self.shape_of(0)?;
                let rank = sizes.len().max(own.len());
                let from_end = sizes.len() - axis;
                let is_one = !matches!(own.len().checked_sub(from_end), Some(at) if own.get(at) != Some(&Dim::Known(1)));
                (places.next().is_none() && is_one).then(|| Held::Batch {
                    axis: rank - from_end,
                    rank,
                })
            }
            _ => None,
        }
    }

    /// Inputs that are spread to one shape, but for the last `kept` dimensions.
    fn broadcast(&self, held: &[Held], kept: usize) -> Option<Held> {
        let (mut from_end, mut most) = (None, 0);
        for held in held {
            match held {
                Held::Batch { axis, rank } => {
                    let own = rank - axis;
                    if own <= kept || from_end.is_some_and(|other| other != own) {
                        return None;
                    }
                    from_end = Some(own);
                    most = most.max(*rank);
                }
                Held::Sizes(_) => return None,
                Held::Nothing => {}
            }
        }
        let from_end = from_end?;
        for (input, _) in held
            .iter()
            .enumerate()
            .filter(|(_, held)| **held == Held::Nothing)
        {
            let dims = self.shape_of(input)?;
            if dims.len() < kept {
                return None;
            }
            // One for each image, where there is one image, would be one for all.
            if let Some(at) = dims.len().checked_sub(from_end)
                && dims.get(at) != Some(&Dim::Known(1))
            {
                return None;
            }
            most = most.max(dims.len());
        }
        Some(Held::Batch {
            axis: most - from_end,
            rank: most,
        })
    }

    fn matmul(&self, held: &[Held]) -> Option<Held> {
        match *held {
            // Images as rows.
            [Held::Batch { axis, rank }, Held::Nothing]
                if axis + 2 == rank && self.shape_of(1)?.len() == 2 =>
            {
                Some(Held::Batch { axis, rank })
            }
            [_, _] => self.broadcast(held, 2),
            _ => None,
        }
    }

    fn concat(&self, held: &[Held]) -> Option<Held> {
        let (first, others) = held.split_first()?;
        let &Held::Batch { axis, rank } = first else {
            return None;
        };
        let along = counted(self.node.int("axis", i64::MIN)?, rank)?;
        let alike = others.iter().all(|held| held == first);
        (alike && along != axis).then(|| first.clone())
    }

    fn reduced(&self, axis: usize, rank: usize) -> Option<Held> {
        let since = if self.node.op_type == "ReduceSum" { 13 } else { 18 };
        let axes = self.listed(self.axes(1, since)?, rank)?;
        if axes.is_empty() || axes.contains(&axis) {
            return None;
        }
        if self.node.int("keepdims", 1)? != 0 {
            return Some(Held::Batch { axis, rank });
        }
        let before = axes.iter().filter(|&&gone| gone < axis).count();
        Some(Held::Batch {
            axis: axis - before,
            rank: rank.checked_sub(axes.len())?,
        })
    }

    /// The axes that are cut.
    fn sliced(&self, rank: usize) -> Option<Vec<usize>> {
        let axes = if self.opset() < 10 {
            self.node.ints("axes")?.to_vec()
        } else {
            self.numbers(3)?
        };
        self.listed(axes, rank)
    }

    fn transposed(&self, axis: usize, rank: usize) -> Option<Held> {
        let to = match self.node.attribute("perm") {
            None => rank - 1 - axis,
            Some(_) => {
                let perm = self.node.ints("perm").filter(|perm| perm.len() == rank)?;
                perm.iter().position(|&from| usize::try_from(from) == Ok(axis))?
            }
        };
        Some(Held::Batch { axis: to, rank })
    }

    fn gemm(&self, axis: usize, rank: usize) -> Option<Held> {
        let is_one_for_all = match self.node.input(2) {
            None => true,
            Some(_) => match self.shape_of(2)? {
                [] | [_] => true,
                dims => dims.first() == Some(&Dim::Known(1)),
            },
        };
        let is_row = axis == 0 && rank == 2 && self.node.int("transA", 0)? == 0;
        (is_row && is_one_for_all).then_some(Held::Batch { axis, rank })
    }

    fn gathered(&self, axis: usize, rank: usize) -> Option<Held> {
        let along = self.axis("axis", 0, rank)?;
        let indices = self.shape_of(1)?.len();
        let grown = rank.checked_add(indices)?.checked_sub(1)?;
        match along.cmp(&axis) {
            std::cmp::Ordering::Equal => None,
            std::cmp::Ordering::Greater => Some(Held::Batch { axis, rank: grown }),
            std::cmp::Ordering::Less => Some(Held::Batch {
                axis: axis.checked_add(indices)?.checked_sub(1)?,
                rank: grown,
            }),
        }
    }

    fn unsqueezed(&self, axis: usize, rank: usize) -> Option<Held> {
        let axes = self.axes(1, 13)?;
        let grown = rank.checked_add(axes.len()).filter(|&rank| rank <= MAX_RANK)?;
        let added = self.listed(axes, grown)?;
        // The places that are left, in order, are those of the input's axes.
        let mut left = (0..grown).filter(|at| !added.contains(at));
        Some(Held::Batch {
            axis: left.nth(axis)?,
            rank: grown,
        })
    }

    /// A reshape that leaves the batch in the first place, and the constant shape that does so for every batch.
    fn reshape(&self, held: &[Held]) -> Option<(Held, Option<Vec<i64>>)> {
        let [Held::Batch { axis: 0, .. }, to] = held else {
            return None;
        };
        if self.node.int("allowzero", 0)? != 0 {
            return None;
        }
        match to {
            Held::Sizes(sizes) => {
                let is_first = sizes
                    .iter()
                    .enumerate()
                    .all(|(at, is_batch)| *is_batch == (at == 0));
                let rank = sizes.len();
                is_first.then_some((Held::Batch { axis: 0, rank }, None))
            }
            Held::Batch { .. } => None,
            Held::Nothing => {
                // A constant of the file, which can be another one.
                let constant = self.net.constant_input(self.node, 1);
                let mut to = constant.filter(|constant| constant.dims.len() == 1)?.i64s()?;
                let rank = Some(to.len()).filter(|&rank| rank <= MAX_RANK)?;
                let result = Held::Batch { axis: 0, rank };
                let shape = match to.first()? {
                    0 => None,
                    -1 if self.is_rest_of_image(to.get(1..)?) => None,
                    1 => {
                        *to.first_mut()? = 0;
                        Some(to)
                    }
                    _ => return None,
                };
                Some((result, shape))
            }
        }
    }

    /// Whether these sizes take as many numbers as one image of the first input has.
    fn is_rest_of_image(&self, rest: &[i64]) -> bool {
        let taken = product(rest.iter().copied().map(Some));
        let image = self.shape_of(0).and_then(|dims| match dims.split_first() {
            Some((first, rest)) if *first == self.batch => product(rest.iter().map(|dim| dim.known())),
            _ => None,
        });
        taken.is_some() && taken == image
    }
}

fn is_batch(held: &Held) -> bool {
    matches!(held, Held::Batch { .. })
}

/// Sizes of which none is the batch's are numbers like others.
fn some_sizes(sizes: Vec<bool>) -> Held {
    if sizes.contains(&true) {
        Held::Sizes(sizes)
    } else {
        Held::Nothing
    }
}

/// Images spread to a shape, which may name their number in their own place only.
fn expand(held: &[Held], shape: Option<&[Dim]>) -> Option<Held> {
    let [Held::Batch { axis, rank }, to] = held else {
        return None;
    };
    let from_end = rank - axis;
    let length = match to {
        Held::Sizes(sizes) => {
            let places = sizes.iter().rev().enumerate();
            let fits = |(at, is_batch): (usize, &bool)| *is_batch == (at + 1 == from_end);
            if !places.into_iter().all(fits) {
                return None;
            }
            sizes.len()
        }
        // Sizes that say nothing of the batch, and do not reach it.
        Held::Nothing => match shape? {
            [Dim::Known(length)] => usize::try_from(*length)
                .ok()
                .filter(|&length| length < from_end)?,
            _ => return None,
        },
        Held::Batch { .. } => return None,
    };
    let most = (*rank).max(length);
    Some(Held::Batch {
        axis: most - from_end,
        rank: most,
    })
}

/// The product of sizes above 0.
fn product(mut sizes: impl Iterator<Item = Option<i64>>) -> Option<i64> {
    sizes.try_fold(1i64, |product, size| {
        product.checked_mul(size.filter(|&size| size > 0)?)
    })
}

/// An axis counted from the start.
fn counted(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 {
        axis.checked_add(rank as i64)?
    } else {
        axis
    };
    usize::try_from(axis).ok().filter(|&axis| axis < rank)
}
