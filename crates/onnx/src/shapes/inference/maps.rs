//! Height and width of maps after windows and scales.

use super::{Dim, Inference};

impl Inference<'_, '_> {
    pub(super) fn conv(&mut self) -> Option<Vec<Dim>> {
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

    pub(super) fn pool(&mut self) -> Option<Vec<Dim>> {
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
            let window = dilations
                .get(axis)?
                .checked_mul(kernel.get(axis)?.checked_sub(1)?)?;
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
    pub(super) fn resize(&mut self) -> Option<Vec<Dim>> {
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

/// The whole part of a product. ONNX defines it for real numbers, and ONNX Runtime rounds the product to `f32` first: it is
/// known where both are the same.
fn scaled(size: i64, scale: f32) -> Option<i64> {
    let is_exact = (0..1 << 24).contains(&size) && scale > 0.0 && scale.is_finite();
    let (real, rounded) = (size as f64 * f64::from(scale), size as f32 * scale);
    let product = real.floor();
    (is_exact && product == f64::from(rounded.floor()) && product < f64::from(1u32 << 31))
        .then_some(product as i64)
}
