//! The output of a node, as far as it follows from its inputs.

use crate::proto::{NodeProto, data_type};

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

    /// The axes, which became an input with opset 13.
    fn axes(&self) -> Option<Vec<i64>> {
        match self.opset {
            ..13 => self.node.ints("axes").map(<[i64]>::to_vec),
            _ => self.numbers(1),
        }
    }

    /// Returns the known facts about its first output.
    pub(super) fn first_output(mut self) -> Option<Facts> {
        if !self.node.is_standard() {
            return None;
        }
        let mut elem_type = self.facts(0).map_or(0, |facts| facts.elem_type);
        let (dims, contents) = match self.node.op_type.as_str() {
            "Relu" | "LeakyRelu" | "PRelu" | "Sigmoid" | "Tanh" | "Clip" | "Elu" | "Selu" | "Gelu"
            | "Mish" | "HardSigmoid" | "HardSwish" | "Softplus" | "Softmax" | "LogSoftmax" | "Exp"
            | "Log" | "Sqrt" | "Neg" | "Abs" | "Erf" | "Floor" | "Ceil" | "Reciprocal" => {
                (self.dims(0), None)
            }
            "BatchNormalization" | "LpNormalization" | "LRN" => (self.dims(0), None),
            "InstanceNormalization" => (self.dims(0), None),
            "Identity" | "Dropout" => (self.dims(0), self.contents(0)),
            "Cast" => {
                let to = self.node.int("to", 0).and_then(|to| i32::try_from(to).ok());
                let contents = self.contents(0).filter(|_| to == Some(elem_type));
                elem_type = to.unwrap_or(0);
                (self.dims(0), contents)
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
            "Shape" => {
                let is_absent = |name: &&str| self.node.attribute(name).is_none();
                let is_whole = ["start", "end"].iter().all(is_absent);
                let contents = self.dims(0).filter(|_| is_whole);
                let length = contents.as_ref().map(|dims| Dim::Known(dims.len() as i64));
                elem_type = data_type::INT64;
                (length.map(|length| vec![length]), contents)
            }
            "Gather" => {
                let contents = self.gather_contents()?;
                let is_scalar = self.dims(1)?.is_empty();
                let length = Some(Dim::Known(contents.len() as i64)).filter(|_| !is_scalar);
                (Some(length.into_iter().collect()), Some(contents))
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

    fn gather_contents(&self) -> Option<Vec<Dim>> {
        let from = self.contents(0)?;
        if self.dims(0)?.len() != 1 || self.dims(1)?.len() > 1 {
            return None;
        }
        let pick = |index| from.get(axis(index, from.len())?).copied();
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
        let axis = axis(self.node.int("axis", i64::MIN)?, result.len())?;
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
        let perm = self.node.ints("perm").filter(|perm| perm.len() == dims.len())?;
        let moved = |&from: &i64| dims.get(usize::try_from(from).ok()?).copied();
        perm.iter().map(moved).collect()
    }

    fn flatten(&mut self) -> Option<Vec<Dim>> {
        let dims = self.dims(0)?;
        let at = match self.node.int("axis", 1)? {
            axis if axis == dims.len() as i64 => dims.len(),
            at => axis(at, dims.len())?,
        };
        let (outer, inner) = dims.split_at_checked(at)?;
        Some(vec![self.product(outer)?, self.product(inner)?])
    }

    fn product(&mut self, dims: &[Dim]) -> Option<Dim> {
        let known = known_product(dims)?;
        let mut free = dims.iter().filter(|dim| dim.known().is_none());
        Some(match (free.next(), free.next()) {
            (None, _) => Dim::Known(known),
            (Some(&dim), None) if known == 1 => dim,
            _ => self.shapes.fresh(),
        })
    }

    fn reshape(&mut self) -> Option<Vec<Dim>> {
        let to = self.contents(1)?;
        let zero_copies = self.node.int("allowzero", 0)? == 0;
        let Some(from) = self.dims(0) else {
            return self.reshape_of_unknown(&to);
        };
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

    /// Of a value of unknown shape at least the sizes that are stated are known.
    fn reshape_of_unknown(&mut self, to: &[Dim]) -> Option<Vec<Dim>> {
        let dims = to.iter().map(|dim| match dim {
            Dim::Known(-1 | 0) => Some(self.shapes.fresh()),
            Dim::Known(size) if *size < 0 => None,
            dim => Some(*dim),
        });
        dims.collect()
    }

    /// The size that -1 stands for in a shape with these other dimensions.
    fn left_for(&mut self, from: &[Dim], others: &[Dim]) -> Option<Dim> {
        let mut free = from.to_vec();
        free.retain(|dim| dim.known().is_none());
        for other in others.iter().filter(|dim| dim.known().is_none()) {
            match free.iter().position(|dim| dim == other) {
                Some(index) => free.swap_remove(index),
                None => return Some(self.shapes.fresh()),
            };
        }
        let (all, taken) = (known_product(from)?, known_product(others)?);
        match free.as_slice() {
            [] if taken > 0 && all % taken == 0 => Some(Dim::Known(all / taken)),
            [dim] if all == taken && all > 0 => Some(*dim),
            _ => Some(self.shapes.fresh()),
        }
    }

    fn unsqueeze(&self) -> Option<Vec<Dim>> {
        let mut dims = self.dims(0)?;
        let axes = self.axes()?;
        let rank = Some(dims.len() + axes.len()).filter(|&rank| rank <= MAX_RANK)?;
        let mut axes = axes_from_start(&axes, rank)?;
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
        let axes = axes_from_start(&self.axes()?, dims.len())?;
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
        let side = |name| self.node.int(name, 0).map(|flag| usize::from(flag != 0));
        let (rows, columns) = (side("transA")?, 1usize.checked_sub(side("transB")?)?);
        Some(vec![*a.get(rows)?, *b.get(columns)?])
    }

    fn conv(&mut self) -> Option<Vec<Dim>> {
        let (input, weights) = (self.dims(0)?, self.dims(1)?);
        if input.len() < 3 || input.len() != weights.len() {
            return None;
        }
        let kernel = weights.iter().skip(2).map(|dim| dim.known());
        let kernel: Vec<i64> = kernel.collect::<Option<_>>()?;
        let mut dims = vec![*input.first()?, *weights.first()?];
        dims.extend(self.windows(input.get(2..)?, &kernel)?);
        Some(dims)
    }

    fn pool(&mut self) -> Option<Vec<Dim>> {
        let input = self.dims(0)?;
        let kernel = self.node.ints("kernel_shape")?;
        if input.len() < 3 || self.node.int("ceil_mode", 0)? != 0 {
            return None;
        }
        let mut dims = input.get(..2)?.to_vec();
        dims.extend(self.windows(input.get(2..)?, kernel)?);
        Some(dims)
    }

    /// Sizes after a kernel has gone over the map.
    fn windows(&mut self, input: &[Dim], kernel: &[i64]) -> Option<Vec<Dim>> {
        let axes = input.len();
        let list = |name: &str, length: usize, value: i64| match self.node.attribute(name) {
            None => Some(vec![value; length]),
            Some(_) => Some(self.node.ints(name)?.to_vec()).filter(|list| list.len() == length),
        };
        let (strides, dilations) = (list("strides", axes, 1)?, list("dilations", axes, 1)?);
        let pads = list("pads", axes.checked_mul(2)?, 0)?;
        let auto_pad = self.node.text("auto_pad", "NOTSET")?;
        if kernel.len() != axes {
            return None;
        }
        let mut result = Vec::with_capacity(axes);
        for (axis, &size) in input.iter().enumerate() {
            let stride = Some(*strides.get(axis)?).filter(|&stride| stride > 0)?;
            let steps = kernel.get(axis)?.checked_sub(1)?;
            let window = dilations.get(axis)?.checked_mul(steps)?;
            let window = window.checked_add(1).filter(|&window| window > 0)?;
            let pads = pads.get(axis)?.checked_add(*pads.get(axis.checked_add(axes)?)?)?;
            let Dim::Known(size) = size else {
                result.push(if auto_pad == "NOTSET" && stride == 1 && pads == window - 1 {
                    size
                } else {
                    self.shapes.fresh()
                });
                continue;
            };
            let size = match auto_pad {
                "NOTSET" => size.checked_add(pads)?.checked_sub(window)?.div_euclid(stride),
                "VALID" => size.checked_sub(window)?.div_euclid(stride),
                "SAME_UPPER" | "SAME_LOWER" => size.checked_sub(1)?.div_euclid(stride),
                _ => return None,
            };
            result.push(Dim::Known(size.checked_add(1).filter(|&size| size >= 0)?));
        }
        Some(result)
    }

    /// With scales that are a constant of the file, one for each dimension in order, and the last input.
    fn resize(&mut self) -> Option<Vec<Dim>> {
        let dims = self.dims(0)?;
        let last = self.node.input.len().checked_sub(1);
        let last = last.filter(|last| (1..=2).contains(last))?;
        let mode = self.node.text("coordinate_transformation_mode", "")?;
        // With `axes` the scales may be in another order; in this mode the sizes depend on a region as well.
        if self.node.attribute("axes").is_some() || mode == "tf_crop_and_resize" {
            return None;
        }
        let scales = self.facts(last)?.scales.clone()?;
        if scales.len() != dims.len() {
            return None;
        }
        let scaled = |(dim, scale): (Dim, f32)| match dim {
            dim if scale == 1.0 => dim,
            Dim::Known(size) => scaled(size, scale).map_or_else(|| self.shapes.fresh(), Dim::Known),
            Dim::Free(_) => self.shapes.fresh(),
        };
        Some(dims.into_iter().zip(scales).map(scaled).collect())
    }
}

/// The product of the known ones.
fn known_product(dims: &[Dim]) -> Option<i64> {
    let mut sizes = dims.iter().filter_map(|dim| dim.known());
    sizes.try_fold(1i64, i64::checked_mul)
}

/// An axis, or another index, counted from the start.
fn axis(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(axis).ok().filter(|&axis| axis < rank)
}

fn axes_from_start(axes: &[i64], rank: usize) -> Option<Vec<usize>> {
    axes.iter().map(|&at| axis(at, rank)).collect()
}

/// The whole part of a product. ONNX defines it for real numbers, and ONNX Runtime rounds the product to `f32` first: it is
/// known where both are the same.
fn scaled(size: i64, scale: f32) -> Option<i64> {
    let is_exact = (0..1 << 24).contains(&size) && scale > 0.0 && scale.is_finite();
    let (real, rounded) = (size as f64 * f64::from(scale), size as f32 * scale);
    let product = real.floor();
    (is_exact && product == f64::from(rounded.floor()) && product < f64::from(1u32 << 31))
        .then_some(product as i64)
}
