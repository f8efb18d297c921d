//! What follows from a node for what it makes.

mod maps;

use crate::proto::{NodeProto, attribute, data_type};

use super::{Dim, Facts, MAX_CONTENTS, MAX_RANK, Shapes};

/// One node.
pub(super) struct Inference<'s, 'n> {
    pub(super) opset: i64,
    pub(super) node: &'n NodeProto,
    pub(super) shapes: &'s mut Shapes,
}

impl Inference<'_, '_> {
    fn facts(&self, input: usize) -> Option<&Facts> {
        self.shapes.facts(self.node.input.get(input)?)
    }

    fn dims(&self, input: usize) -> Option<Vec<Dim>> {
        self.facts(input)?.dims.clone()
    }

    fn contents(&self, input: usize) -> Option<Vec<Dim>> {
        self.facts(input)?.contents.clone()
    }

    fn numbers(&self, input: usize) -> Option<Vec<i64>> {
        self.contents(input)?.into_iter().map(Dim::known).collect()
    }

    /// Numbers that are an attribute up to `last_opset` and an input from then on.
    fn attribute_or_input(&self, name: &str, last_opset: i64, input: usize) -> Option<Vec<i64>> {
        if self.opset <= last_opset {
            attribute::ints(self.node, name)
        } else {
            self.numbers(input)
        }
    }

    /// What is known of the first thing it makes.
    pub(super) fn first_output(mut self) -> Option<Facts> {
        if !(self.node.domain.is_empty() || self.node.domain == "ai.onnx") {
            return None;
        }
        let elem_type = self.facts(0).map_or(0, |facts| facts.elem_type);
        let (dims, contents) = match self.node.op_type.as_str() {
            "Relu"
            | "LeakyRelu"
            | "PRelu"
            | "Sigmoid"
            | "Tanh"
            | "Clip"
            | "Elu"
            | "Selu"
            | "Gelu"
            | "Mish"
            | "HardSigmoid"
            | "HardSwish"
            | "Softplus"
            | "Softmax"
            | "LogSoftmax"
            | "Exp"
            | "Log"
            | "Sqrt"
            | "Neg"
            | "Abs"
            | "Erf"
            | "Floor"
            | "Ceil"
            | "Reciprocal"
            | "BatchNormalization"
            | "InstanceNormalization"
            | "LpNormalization"
            | "LRN" => (self.dims(0), None),
            "Identity" | "Dropout" => (self.dims(0), self.contents(0)),
            "Cast" => {
                let to = attribute::int(self.node, "to", 0).and_then(|to| i32::try_from(to).ok());
                let same = to == Some(elem_type);
                return Some(Facts {
                    elem_type: to.unwrap_or(0),
                    dims: self.dims(0),
                    contents: self.contents(0).filter(|_| same),
                    scales: None,
                });
            }
            "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Max" | "Min" | "Sum" => (self.broadcast(), None),
            "Conv" => (self.conv(), None),
            "MaxPool" | "AveragePool" => (self.pool(), None),
            "GlobalAveragePool" | "GlobalMaxPool" => {
                let mut dims = self.dims(0)?;
                dims.iter_mut().skip(2).for_each(|dim| *dim = Dim::Known(1));
                (Some(dims), None)
            }
            "Concat" => (self.concat(), self.concat_contents()),
            "Transpose" => (self.transpose(), None),
            "Flatten" => (self.flatten(), None),
            "Reshape" => (self.reshape(), self.contents(0)),
            "Unsqueeze" => (self.unsqueeze(), self.contents(0)),
            "Squeeze" => (self.squeeze(), self.contents(0)),
            "MatMul" => (self.matmul(), None),
            "Gemm" => (self.gemm(), None),
            "Resize" | "Upsample" => (self.resize(), None),
            "Shape" => return Some(self.shape()),
            "Gather" => {
                let contents = self.gather_contents()?;
                let scalar = self.dims(1)?.is_empty();
                let length = i64::try_from(contents.len()).ok()?;
                let dims = if scalar {
                    Vec::new()
                } else {
                    vec![Dim::Known(length)]
                };
                (Some(dims), Some(contents))
            }
            _ => return None,
        };
        Some(Facts {
            elem_type,
            dims,
            contents,
            scales: None,
        })
    }

    fn shape(&self) -> Facts {
        let whole = self.node.attribute("start").is_none() && self.node.attribute("end").is_none();
        let contents = self.dims(0).filter(|_| whole);
        let length = contents.as_ref().and_then(|dims| i64::try_from(dims.len()).ok());
        Facts {
            elem_type: data_type::INT64,
            dims: length.map(|length| vec![Dim::Known(length)]),
            contents,
            scales: None,
        }
    }

    fn gather_contents(&self) -> Option<Vec<Dim>> {
        let from = self.contents(0)?;
        if self.dims(0)?.len() != 1 || self.dims(1)?.len() > 1 {
            return None;
        }
        let pick = |index: i64| {
            let length = i64::try_from(from.len()).ok()?;
            let index = if index < 0 {
                index.checked_add(length)?
            } else {
                index
            };
            from.get(usize::try_from(index).ok()?).copied()
        };
        self.numbers(1)?.into_iter().map(pick).collect()
    }

    fn broadcast(&mut self) -> Option<Vec<Dim>> {
        let mut result = self.dims(0)?;
        for input in 1..self.node.input.len() {
            let mut other = self.dims(input)?;
            let rank = result.len().max(other.len());
            for dims in [&mut result, &mut other] {
                let missing = rank.saturating_sub(dims.len());
                dims.splice(0..0, std::iter::repeat_n(Dim::Known(1), missing));
            }
            for (dim, other) in result.iter_mut().zip(other) {
                *dim = match (*dim, other) {
                    (a, b) if a == b => a,
                    (Dim::Known(1), b) => b,
                    (a, Dim::Known(1)) => a,
                    (Dim::Known(a), Dim::Free(_)) | (Dim::Free(_), Dim::Known(a)) => Dim::Known(a),
                    (Dim::Known(_), Dim::Known(_)) => return None,
                    (Dim::Free(_), Dim::Free(_)) => self.shapes.fresh(),
                };
            }
        }
        Some(result)
    }

    fn concat(&mut self) -> Option<Vec<Dim>> {
        let mut result = self.dims(0)?;
        let axis = axis(attribute::int(self.node, "axis", i64::MIN)?, result.len())?;
        for input in 1..self.node.input.len() {
            let other = self.dims(input).filter(|dims| dims.len() == result.len())?;
            for (at, (dim, other)) in result.iter_mut().zip(other).enumerate() {
                *dim = match (*dim, other) {
                    (Dim::Known(a), Dim::Known(b)) if at == axis => Dim::Known(a.checked_add(b)?),
                    _ if at == axis => self.shapes.fresh(),
                    (Dim::Free(_), Dim::Known(b)) => Dim::Known(b),
                    (a, _) => a,
                };
            }
        }
        Some(result)
    }

    fn concat_contents(&self) -> Option<Vec<Dim>> {
        let mut contents = Vec::new();
        for input in 0..self.node.input.len() {
            if self.dims(input)?.len() != 1 {
                return None;
            }
            contents.extend(self.contents(input)?);
            if contents.len() > MAX_CONTENTS {
                return None;
            }
        }
        Some(contents)
    }

    fn transpose(&self) -> Option<Vec<Dim>> {
        let dims = self.dims(0)?;
        if self.node.attribute("perm").is_none() {
            return Some(dims.into_iter().rev().collect());
        }
        let perm = attribute::ints(self.node, "perm").filter(|perm| perm.len() == dims.len())?;
        perm.into_iter()
            .map(|from| dims.get(usize::try_from(from).ok()?).copied())
            .collect()
    }

    fn flatten(&mut self) -> Option<Vec<Dim>> {
        let dims = self.dims(0)?;
        let axis = attribute::int(self.node, "axis", 1)?;
        let rank = i64::try_from(dims.len()).ok()?;
        let axis = usize::try_from(if axis < 0 { axis.checked_add(rank)? } else { axis }).ok()?;
        let (outer, inner) = dims.split_at_checked(axis)?;
        Some(vec![self.product(outer)?, self.product(inner)?])
    }

    fn product(&mut self, dims: &[Dim]) -> Option<Dim> {
        let known = dims
            .iter()
            .filter_map(|dim| dim.known())
            .try_fold(1i64, i64::checked_mul)?;
        let mut free = dims.iter().filter(|dim| dim.known().is_none());
        Some(match (free.next(), free.next()) {
            (None, _) => Dim::Known(known),
            (Some(&dim), None) if known == 1 => dim,
            _ => self.shapes.fresh(),
        })
    }

    fn reshape(&mut self) -> Option<Vec<Dim>> {
        let from = self.dims(0)?;
        let to = self.contents(1)?;
        let zero_copies = attribute::int(self.node, "allowzero", 0)? == 0;
        let mut dims = Vec::with_capacity(to.len());
        let mut left = None;
        for (index, dim) in to.into_iter().enumerate() {
            dims.push(match dim {
                Dim::Known(0) if zero_copies => *from.get(index)?,
                Dim::Known(-1) if left.is_none() => {
                    left = Some(index);
                    Dim::Known(1)
                }
                Dim::Known(size) if size < 0 => return None,
                dim => dim,
            });
        }
        if let Some(index) = left {
            let rest = self.left_for(&from, &dims)?;
            *dims.get_mut(index)? = rest;
        }
        Some(dims)
    }

    /// What -1 stands for in a shape whose other dimensions are `others`.
    fn left_for(&mut self, from: &[Dim], others: &[Dim]) -> Option<Dim> {
        let mut free = from.to_vec();
        free.retain(|dim| dim.known().is_none());
        for other in others.iter().filter(|dim| dim.known().is_none()) {
            match free.iter().position(|dim| dim == other) {
                Some(index) => free.swap_remove(index),
                None => return Some(self.shapes.fresh()),
            };
        }
        let known = |dims: &[Dim]| {
            let mut sizes = dims.iter().filter_map(|dim| dim.known());
            sizes.try_fold(1i64, i64::checked_mul)
        };
        let (all, taken) = (known(from)?, known(others)?);
        match free.as_slice() {
            [] if taken > 0 && all % taken == 0 => Some(Dim::Known(all / taken)),
            [dim] if all == taken && all > 0 => Some(*dim),
            _ => Some(self.shapes.fresh()),
        }
    }

    fn unsqueeze(&self) -> Option<Vec<Dim>> {
        let mut dims = self.dims(0)?;
        let axes = self.attribute_or_input("axes", 12, 1)?;
        let rank = dims
            .len()
            .checked_add(axes.len())
            .filter(|&rank| rank <= MAX_RANK)?;
        let mut axes: Vec<usize> = axes.into_iter().map(|at| axis(at, rank)).collect::<Option<_>>()?;
        axes.sort_unstable();
        for axis in axes {
            if axis > dims.len() {
                return None;
            }
            dims.insert(axis, Dim::Known(1));
        }
        Some(dims)
    }

    fn squeeze(&self) -> Option<Vec<Dim>> {
        let dims = self.dims(0)?;
        let axes = self.attribute_or_input("axes", 12, 1)?;
        let axes: Vec<usize> = axes
            .into_iter()
            .map(|at| axis(at, dims.len()))
            .collect::<Option<_>>()?;
        let kept = dims.into_iter().enumerate().filter(|(at, _)| !axes.contains(at));
        Some(kept.map(|(_, dim)| dim).collect())
    }

    fn matmul(&self) -> Option<Vec<Dim>> {
        match (self.dims(0)?.as_slice(), self.dims(1)?.as_slice()) {
            (&[ref outer @ .., rows, _], &[_, columns]) => {
                let mut dims = outer.to_vec();
                dims.extend([rows, columns]);
                Some(dims)
            }
            _ => None,
        }
    }

    fn gemm(&self) -> Option<Vec<Dim>> {
        let (a, b) = (self.dims(0)?, self.dims(1)?);
        let side = |name| attribute::int(self.node, name, 0).map(|flag| usize::from(flag != 0));
        let (rows, columns) = (side("transA")?, 1usize.checked_sub(side("transB")?)?);
        Some(vec![*a.get(rows)?, *b.get(columns)?])
    }
}

/// An axis counted from the start.
fn axis(axis: i64, rank: usize) -> Option<usize> {
    let rank = i64::try_from(rank).ok()?;
    let axis = if axis < 0 { axis.checked_add(rank)? } else { axis };
    usize::try_from(axis).ok().filter(|_| axis < rank)
}
