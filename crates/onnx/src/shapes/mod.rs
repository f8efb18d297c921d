//! Shape inference for the operators of vision models: shapes of values as far as they follow from the graph's inputs.
//!
//! The types that the file states for values in between are not used: they may be missing or wrong.

mod inference;

use std::collections::HashMap;

use crate::proto::{DimensionValue, NodeProto, TensorProto, ValueInfoProto};

use inference::Inference;

/// Values of more dimensions are ignored; no vision model has them.
pub(crate) const MAX_RANK: usize = 8;
/// Longer lists of numbers are not shapes.
const MAX_CONTENTS: usize = 16;

/// Size of a dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dim {
    /// Known.
    Known(i64),
    /// Unknown; the same number stands for the same size, different numbers for what may differ.
    Free(usize),
}

impl Dim {
    pub(crate) fn known(self) -> Option<i64> {
        match self {
            Self::Known(size) => Some(size),
            Self::Free(_) => None,
        }
    }
}

/// Known facts about a value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// Type of the elements, of [`data_type`]; 0 where unknown.
    pub(crate) elem_type: i32,
    /// Its shape, if the number of dimensions is known.
    pub(crate) dims: Option<Vec<Dim>>,
    /// Its elements, if they are a few integers, such as a shape.
    pub(crate) contents: Option<Vec<Dim>>,
    /// Its elements, if they are a few constants of `f32`, such as the scales of a resize.
    scales: Option<Vec<f32>>,
}

/// Known facts about the values of a graph.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    values: HashMap<String, Facts>,
    free: usize,
    /// Names of free dimensions of inputs.
    names: HashMap<usize, String>,
}

impl Shapes {
    /// Infers the shapes of a graph. `size_of` may return sizes of free dimensions of inputs, by their axis.
    pub(crate) fn of<'g>(
        opset: i64,
        inputs: &[ValueInfoProto],
        constant: impl Fn(&str) -> Option<&'g TensorProto>,
        nodes: impl Iterator<Item = &'g NodeProto>,
        size_of: impl Fn(usize) -> Option<i64>,
    ) -> Self {
        let mut shapes = Self::default();
        for input in inputs {
            let facts = shapes.of_input(input, &size_of);
            shapes.values.insert(input.name.clone(), facts);
        }
        for node in nodes {
            for input in &node.input {
                if let Some(tensor) = constant(input)
                    && !shapes.values.contains_key(input)
                {
                    shapes.values.insert(input.clone(), of_constant(tensor));
                }
            }
            let shapes = &mut shapes;
            let first = Inference { opset, node, shapes }.first_output();
            if let (Some(output), Some(facts)) = (node.output.first(), first)
                && facts.dims.as_ref().is_none_or(|dims| dims.len() <= MAX_RANK)
            {
                shapes.values.insert(output.clone(), facts);
            }
        }
        shapes
    }

    /// Returns the known facts about a value.
    pub(crate) fn facts(&self, value: &str) -> Option<&Facts> {
        self.values.get(value)
    }

    /// Returns the value's dimensions.
    pub(crate) fn dims(&self, value: &str) -> Option<&[Dim]> {
        self.facts(value)?.dims.as_deref()
    }

    /// Returns the name of a free dimension of an input.
    pub(crate) fn name(&self, free: usize) -> Option<&str> {
        self.names.get(&free).map(String::as_str)
    }

    fn of_input(&mut self, input: &ValueInfoProto, size_of: impl Fn(usize) -> Option<i64>) -> Facts {
        let Some(tensor) = input.tensor() else {
            return Facts::default();
        };
        let shape = tensor.shape.as_ref().filter(|shape| shape.dim.len() <= MAX_RANK);
        let dims = shape.map(|shape| {
            let dims = shape.dim.iter().enumerate();
            dims.map(|(axis, dim)| match &dim.value {
                Some(DimensionValue::Fixed(size)) if *size >= 0 => Dim::Known(*size),
                value => size_of(axis).map_or_else(|| self.named(value.as_ref()), Dim::Known),
            })
            .collect()
        });
        Facts {
            elem_type: tensor.elem_type,
            dims,
            ..Facts::default()
        }
    }

    fn named(&mut self, value: Option<&DimensionValue>) -> Dim {
        let dim = self.fresh();
        if let Some(DimensionValue::Named(name)) = value
            && !name.is_empty()
        {
            self.names.insert(self.free, name.clone());
        }
        dim
    }

    fn fresh(&mut self) -> Dim {
        self.free += 1;
        Dim::Free(self.free)
    }
}

fn of_constant(tensor: &TensorProto) -> Facts {
    let valid = tensor.dims.len() <= MAX_RANK && tensor.dims.iter().all(|&dim| dim >= 0);
    let few = tensor.dims.len() <= 1 && tensor.elements().is_some_and(|len| len <= MAX_CONTENTS);
    let known = |values: Vec<i64>| values.into_iter().map(Dim::Known).collect();
    Facts {
        elem_type: tensor.data_type,
        dims: valid.then(|| known(tensor.dims.clone())),
        contents: few.then(|| tensor.i64s()).flatten().map(known),
        scales: few.then(|| tensor.f32s()).flatten(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::AttributeProto;

    /// Dimensions of what a node makes of `x`, of `[batch, 3, 9, width]`, and constants.
    fn made(
        op_type: &str,
        inputs: &[&str],
        with: Vec<AttributeProto>,
        constants: &[TensorProto],
    ) -> Option<Vec<Dim>> {
        let x = ValueInfoProto::of_f32("x", &[None, Some(3), Some(9), None]);
        let nodes = [NodeProto::new(op_type, inputs, &["y"], with)];
        let constant = |name: &str| constants.iter().find(|tensor| tensor.name == name);
        let shapes = Shapes::of(17, &[x], constant, nodes.iter(), |_| None);
        shapes.dims("y").map(<[Dim]>::to_vec)
    }

    fn weights() -> [TensorProto; 1] {
        [TensorProto::of_f32("w", &[5, 3, 3, 3], &[0.0; 135])]
    }

    #[test]
    fn a_convolution_makes_its_own_channels_of_a_map_that_shrinks_by_pads_and_strides() {
        let ints = AttributeProto::ints;
        let (batch, width) = (Dim::Free(1), Dim::Free(2));
        let same = made("Conv", &["x", "w"], vec![ints("pads", &[1, 1, 1, 1])], &weights());
        assert_eq!(same, Some(vec![batch, Dim::Known(5), Dim::Known(9), width]));
        let halved = made("Conv", &["x", "w"], vec![ints("strides", &[2, 2])], &weights()).unwrap();
        assert_eq!(halved[..3], [batch, Dim::Known(5), Dim::Known(4)]);
        assert_ne!(halved[3], width);
    }

    #[test]
    fn shapes_that_make_no_sense_are_not_known() {
        let ints = AttributeProto::ints;
        for attribute in [
            ints("strides", &[0, 1]),
            ints("strides", &[1]),
            ints("pads", &[i64::MAX; 4]),
            ints("dilations", &[i64::MIN, 1]),
            AttributeProto::int("pads", 1),
        ] {
            assert_eq!(
                made("Conv", &["x", "w"], vec![attribute.clone()], &weights()),
                None,
                "{attribute:?}"
            );
        }
        assert_eq!(made("Conv", &["x", "missing"], Vec::new(), &[]), None);
        assert_eq!(
            made("Transpose", &["x"], vec![ints("perm", &[0, 1, 2, 9])], &[]),
            None
        );
    }

    /// Sizes of height and width of `x`, of 9 and unknown, enlarged by this.
    fn resized(op_type: &str, inputs: &[&str], with: Vec<AttributeProto>, scale: f32) -> Option<Vec<Dim>> {
        let scales = [TensorProto::of_f32("scales", &[4], &[1.0, 1.0, scale, scale])];
        made(op_type, inputs, with, &scales)
    }

    #[test]
    fn a_map_is_resized_to_the_whole_part_of_its_size_times_a_scale() {
        for (scale, height) in [(2.0, 18), (0.5, 4), (1.3, 11)] {
            let dims = resized("Resize", &["x", "", "scales"], Vec::new(), scale).unwrap();
            assert_eq!(dims[..3], [Dim::Free(1), Dim::Known(3), Dim::Known(height)]);
            assert_ne!(dims[3], Dim::Free(2));
        }
        assert_eq!(
            resized("Upsample", &["x", "scales"], Vec::new(), 2.0).unwrap()[2],
            Dim::Known(18)
        );
    }

    #[test]
    fn a_size_that_hangs_on_how_a_product_is_rounded_is_not_known() {
        // The product is 10.99999997, and 11 as `f32`.
        for scale in [11.0 / 9.0, 0.0, -1.0, f32::NAN, f32::INFINITY, 1e30] {
            let dims = resized("Resize", &["x", "", "scales"], Vec::new(), scale).unwrap();
            assert_eq!((dims[2].known(), dims[3].known()), (None, None), "{scale}");
        }
    }

    #[test]
    fn sizes_that_follow_from_more_than_scales_in_order_are_not_known() {
        let mode = AttributeProto {
            name: "coordinate_transformation_mode".to_owned(),
            s: b"tf_crop_and_resize".to_vec(),
            r#type: crate::proto::kind::STRING,
            ..AttributeProto::default()
        };
        for attribute in [mode, AttributeProto::ints("axes", &[1, 0, 3, 2])] {
            let inputs = ["x", "", "scales"];
            assert_eq!(
                resized("Resize", &inputs, vec![attribute.clone()], 1.0),
                None,
                "{attribute:?}"
            );
        }
        assert_eq!(
            resized("Resize", &["x", "", "scales", "sizes"], Vec::new(), 2.0),
            None
        );
        // Before opset 9 the scales are an attribute, and the only input is what is enlarged.
        assert_eq!(resized("Upsample", &["scales"], Vec::new(), 2.0), None);
    }

    #[test]
    fn free_dimensions_stay_themselves_through_a_reshape() {
        let to = [TensorProto::of_i64("to", &[3], &[0, -1, 27])];
        let reshaped = made("Reshape", &["x", "to"], Vec::new(), &to);
        assert_eq!(reshaped, Some(vec![Dim::Free(1), Dim::Free(2), Dim::Known(27)]));
    }

    #[test]
    fn operands_spread_to_the_same_shape() {
        let c = [TensorProto::of_f32("c", &[3, 1, 1], &[0.0; 3])];
        let sum = made("Add", &["c", "x"], Vec::new(), &c);
        assert_eq!(
            sum,
            Some(vec![Dim::Free(1), Dim::Known(3), Dim::Known(9), Dim::Free(2)])
        );
        let c = [TensorProto::of_f32("c", &[4, 1, 1], &[0.0; 4])];
        assert_eq!(made("Add", &["c", "x"], Vec::new(), &c), None);
    }
}
