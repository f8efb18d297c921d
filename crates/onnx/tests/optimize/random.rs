//! Models that are put together at random, of the operators that the passes look at: valid ones, some of whose values are
//! read twice, are outputs, or share their weights.

use likeness_onnx as onnx;
use likeness_onnx::proto::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};

use super::small::SIZE;

/// Most nodes of a model.
const NODES: u32 = 14;
/// Pictures of a batch.
pub(crate) const BATCH: i64 = 2;

/// A value that has been made, and its shape where the batch is [`BATCH`].
#[derive(Clone)]
struct Value {
    name: String,
    dims: Vec<i64>,
}

struct Maker {
    state: u64,
    values: Vec<Value>,
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
}

/// The model of this number, which reads `x` of `[batch, 3, 16, 16]`.
pub(crate) fn model(number: u64) -> ModelProto {
    let (height, width) = (SIZE.0 as i64, SIZE.1 as i64);
    let mut maker = Maker {
        state: number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d,
        values: vec![Value {
            name: "x".to_owned(),
            dims: vec![BATCH, 3, height, width],
        }],
        nodes: Vec::new(),
        constants: Vec::new(),
    };
    for _ in 0..4 + maker.below(NODES - 4) {
        maker.add();
    }
    let last = maker.values.len() - 1;
    let mut outputs = vec![last];
    if maker.below(3) == 0 {
        outputs.push(maker.index(last.max(1)));
    }
    outputs.retain(|&index| index > 0);
    outputs.dedup();
    let is_free = maker.below(3) > 0;
    let batch = if is_free { None } else { Some(BATCH) };
    let model = GraphProto {
        node: maker.nodes,
        name: format!("random {number}"),
        initializer: maker.constants,
        input: vec![ValueInfoProto::of_f32(
            "x",
            &[batch, Some(3), Some(height), Some(width)],
        )],
        output: outputs
            .into_iter()
            .map(|index| &maker.values[index])
            .map(|value| nameless(ValueInfoProto::of_f32(&value.name, &vec![None; value.dims.len()])))
            .collect(),
        ..GraphProto::default()
    };
    onnx::model(model)
}

/// Says of an output nothing but its rank.
fn nameless(mut info: ValueInfoProto) -> ValueInfoProto {
    let shape = info
        .r#type
        .as_mut()
        .and_then(|kind| kind.tensor_type.as_mut()?.shape.as_mut());
    for dim in shape.into_iter().flat_map(|shape| &mut shape.dim) {
        dim.value = None;
    }
    info
}

impl Maker {
    fn next(&mut self) -> u32 {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) as u32
    }

    fn below(&mut self, end: u32) -> u32 {
        self.next() % end
    }

    fn index(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())]
    }

    fn constant(&mut self, dims: &[i64], least: f32, span: f32) -> String {
        let name = format!("c{}", self.constants.len());
        let len: i64 = dims.iter().product();
        let values: Vec<f32> = (0..len)
            .map(|_| least + span * (self.next() & 0xffff) as f32 / 65_536.0)
            .collect();
        self.constants.push(TensorProto::of_f32(&name, dims, &values));
        name
    }

    fn numbers(&mut self, numbers: &[i64]) -> String {
        let name = format!("c{}", self.constants.len());
        let dims = [numbers.len() as i64];
        self.constants.push(TensorProto::of_i64(&name, &dims, numbers));
        name
    }

    /// Puts down a node, and says what its output is called.
    fn node(&mut self, op_type: &str, inputs: &[&str], with: Vec<AttributeProto>) -> String {
        let name = format!("n{}", self.nodes.len());
        self.nodes.push(NodeProto::new(op_type, inputs, &[&name], with));
        name
    }

    fn made(&mut self, op_type: &str, inputs: &[&str], with: Vec<AttributeProto>, dims: &[i64]) {
        let name = self.node(op_type, inputs, with);
        self.values.push(Value {
            name,
            dims: dims.to_vec(),
        });
    }

    /// One of the last values, mostly the last.
    fn value(&mut self) -> Value {
        let last = self.values.len() - 1;
        let back = if self.below(3) == 0 {
            self.below(4) as usize
        } else {
            0
        };
        self.values[last.saturating_sub(back)].clone()
    }

    fn add(&mut self) {
        let from = self.value();
        match from.dims.len() {
            4 if self.below(12) > 0 => self.of_map(&from),
            4 => self.flattened(&from),
            _ => self.of_rows(&from),
        }
    }

    fn of_map(&mut self, from: &Value) {
        let (name, dims) = (from.name.as_str(), from.dims.as_slice());
        let &[batch, channels, height, width] = dims else {
            return;
        };
        let ints = AttributeProto::ints;
        match self.below(16) {
            0..=3 => self.conv(from),
            4 => self.norm(from),
            5 | 6 => {
                let shapes = [
                    vec![1],
                    vec![channels, 1, 1],
                    vec![1, channels, 1, 1],
                    vec![width],
                    vec![channels, height, 1],
                ];
                let shape = shapes[self.index(shapes.len())].clone();
                let (least, span) = self.pick(&[(0.0, 1.0), (-1.0, 1.5), (-2.0, 4.0), (0.25, 0.0)]);
                let slope = self.constant(&shape, least, span);
                self.made("PRelu", &[name, &slope], Vec::new(), dims);
            }
            7 | 8 => {
                let op_type = self.pick(&["Add", "Sub", "Mul", "Div"]);
                let shapes = [
                    vec![],
                    vec![1],
                    vec![channels, 1, 1],
                    vec![1, channels, 1, 1],
                    vec![width],
                    vec![height, 1],
                    vec![1, 1, 1, 1],
                ];
                let shape = shapes[self.index(shapes.len())].clone();
                let (least, span) = match op_type {
                    "Add" | "Sub" => self.pick(&[(0.0, 0.0), (-1.0, 2.0)]),
                    _ => self.pick(&[(1.0, 0.0), (0.5, 1.0)]),
                };
                let c = self.constant(&shape, least, span);
                let inputs = if op_type != "Div" && self.below(2) == 0 {
                    [c.as_str(), name]
                } else {
                    [name, c.as_str()]
                };
                self.made(op_type, &inputs, Vec::new(), dims);
            }
            9 => {
                let op_type = self.pick(&[
                    "Relu",
                    "Sigmoid",
                    "HardSigmoid",
                    "Tanh",
                    "LeakyRelu",
                    "Identity",
                    "Dropout",
                    "Elu",
                ]);
                self.made(op_type, &[name], Vec::new(), dims);
            }
            10 => {
                // With another that spreads to it.
                let others: Vec<Value> = self
                    .values
                    .iter()
                    .filter(|other| {
                        let pairs = other.dims.iter().zip(dims);
                        other.dims.len() == 4 && pairs.into_iter().all(|(a, b)| a == b || *a == 1)
                    })
                    .cloned()
                    .collect();
                let other = others[self.index(others.len())].name.clone();
                let op_type = self.pick(&["Add", "Mul", "Sub"]);
                let inputs = if self.below(2) == 0 {
                    [other.as_str(), name]
                } else {
                    [name, other.as_str()]
                };
                self.made(op_type, &inputs, Vec::new(), dims);
            }
            11 => {
                let op_type = self.pick(&["AveragePool", "MaxPool"]);
                let whole = self.below(2) == 0;
                let kernel = if whole {
                    [height, width]
                } else {
                    [height.min(2), width.min(3)]
                };
                let pads = if self.below(2) == 0 { [0, 1, 0, 0] } else { [0; 4] };
                let strides = self.pick(&[[1, 1], [2, 1]]);
                if kernel[1] <= pads[1] {
                    return;
                }
                let with = vec![
                    ints("kernel_shape", &kernel),
                    ints("pads", &pads),
                    ints("strides", &strides),
                ];
                let rows = (height - kernel[0]) / strides[0] + 1;
                let columns = (width + pads[1] - kernel[1]) / strides[1] + 1;
                self.made(op_type, &[name], with, &[batch, channels, rows, columns]);
            }
            12 => match self.below(3) {
                0 => self.made("GlobalAveragePool", &[name], Vec::new(), &[batch, channels, 1, 1]),
                1 => self.made(
                    "ReduceMean",
                    &[name],
                    vec![ints("axes", &[-1, 2])],
                    &[batch, channels, 1, 1],
                ),
                _ => self.made(
                    "ReduceMean",
                    &[name],
                    vec![ints("axes", &[1, 3])],
                    &[batch, 1, height, 1],
                ),
            },
            13 => self.gate(from),
            14 => match self.below(4) {
                0 => {
                    let perm = self.pick(&[[0, 1, 2, 3], [0, 1, 3, 2], [0, 2, 1, 3]]);
                    let dims: Vec<i64> = perm.iter().map(|&axis| dims[axis as usize]).collect();
                    self.made("Transpose", &[name], vec![ints("perm", &perm)], &dims);
                }
                1 => self.made("Cast", &[name], vec![AttributeProto::int("to", 1)], dims),
                2 => {
                    let to = self.numbers(&[0, channels, -1, width]);
                    self.made("Reshape", &[name, &to], Vec::new(), dims);
                }
                _ => {
                    let dims = [batch, 2 * channels, height, width];
                    self.made(
                        "Concat",
                        &[name, name],
                        vec![AttributeProto::int("axis", 1)],
                        &dims,
                    );
                }
            },
            _ => {
                let scale = self.pick(&[1.0f32, 2.0, 0.7, 0.5]);
                let size = |size: i64| (size as f32 * scale).floor() as i64;
                let dims = [batch, channels, size(height), size(width)];
                if height * width > 1 << 10 || dims.contains(&0) {
                    return;
                }
                let scales = format!("c{}", self.constants.len());
                self.constants
                    .push(TensorProto::of_f32(&scales, &[4], &[1.0, 1.0, scale, scale]));
                self.made("Resize", &[name, "", &scales], Vec::new(), &dims);
            }
        }
    }

    fn conv(&mut self, from: &Value) {
        let &[batch, channels, height, width] = from.dims.as_slice() else {
            return;
        };
        let group = self.pick(&[1, 1, 1, channels]);
        let outputs = if group == 1 {
            self.pick(&[2, 13, 16, 16, 32])
        } else {
            channels
        };
        let side = self.pick(&[1, 1, 3]);
        let pad = if side == 3 && self.below(3) > 0 { 1 } else { 0 };
        let stride = self.pick(&[1, 1, 2]);
        let size = |size: i64| (size + 2 * pad - side) / stride + 1;
        if height + 2 * pad < side || width + 2 * pad < side {
            return;
        }
        let shape = [outputs, channels / group, side, side];
        let known = self
            .constants
            .iter()
            .find(|tensor| tensor.dims == shape)
            .map(|tensor| tensor.name.clone());
        let weights = match known.filter(|_| self.below(4) == 0) {
            Some(shared) => shared,
            None => self.constant(&shape, -0.3, 0.6),
        };
        let mut inputs = vec![from.name.clone(), weights];
        if self.below(2) == 0 {
            inputs.push(self.constant(&[outputs], -0.5, 1.0));
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let with = vec![
            AttributeProto::ints("pads", &[pad; 4]),
            AttributeProto::ints("strides", &[stride; 2]),
            AttributeProto::int("group", group),
        ];
        self.made(
            "Conv",
            &inputs,
            with,
            &[batch, outputs, size(height), size(width)],
        );
    }

    fn norm(&mut self, from: &Value) {
        let channels = [from.dims[1]];
        let parts = [(0.5, 1.0), (-0.5, 1.0), (-0.5, 1.0), (0.5, 1.0)];
        let parts = parts.map(|(least, span)| self.constant(&channels, least, span));
        let inputs: Vec<&str> = [from.name.as_str()]
            .into_iter()
            .chain(parts.iter().map(String::as_str))
            .collect();
        self.made("BatchNormalization", &inputs, Vec::new(), &from.dims);
    }

    /// Squeeze and excitation, or most of it.
    fn gate(&mut self, from: &Value) {
        let &[batch, channels, ..] = from.dims.as_slice() else {
            return;
        };
        let pooled = self.node("GlobalAveragePool", &[&from.name], Vec::new());
        let weights = self.constant(&[channels, channels, 1, 1], -0.3, 0.6);
        let squeezed = self.node("Conv", &[&pooled, &weights], Vec::new());
        let op_type = self.pick(&["Sigmoid", "HardSigmoid", "Relu"]);
        let gate = self.node(op_type, &[&squeezed], Vec::new());
        if self.below(3) == 0 {
            self.values.push(Value {
                name: gate.clone(),
                dims: vec![batch, channels, 1, 1],
            });
        }
        self.made("Mul", &[&from.name, &gate], Vec::new(), &from.dims);
    }

    fn flattened(&mut self, from: &Value) {
        let len: i64 = from.dims.iter().skip(1).product();
        let name = from.name.as_str();
        if self.below(2) == 0 {
            return self.made("Flatten", &[name], Vec::new(), &[BATCH, len]);
        }
        // As PyTorch's exporter writes it.
        let shape = self.node("Shape", &[name], Vec::new());
        let (first, rest) = (self.numbers(&[0]), self.numbers(&[-1]));
        let batch = self.node("Gather", &[&shape, &first], Vec::new());
        let to = self.node("Concat", &[&batch, &rest], vec![AttributeProto::int("axis", 0)]);
        self.made("Reshape", &[name, &to], Vec::new(), &[BATCH, len]);
    }

    fn of_rows(&mut self, from: &Value) {
        let (name, inner) = (from.name.as_str(), from.dims[1]);
        match self.below(5) {
            0 => {
                let weights = self.constant(&[inner, 5], -0.1, 0.2);
                self.made("MatMul", &[name, &weights], Vec::new(), &[BATCH, 5]);
            }
            1 => {
                let transposed = self.below(2) == 0;
                let shape = if transposed { [7, inner] } else { [inner, 7] };
                let weights = self.constant(&shape, -0.1, 0.2);
                let shapes = [vec![7], vec![1, 7], vec![1], vec![]];
                let shape = shapes[self.index(shapes.len())].clone();
                let bias = self.constant(&shape, -0.5, 1.0);
                let with = vec![
                    AttributeProto::int("transB", transposed.into()),
                    AttributeProto::float("alpha", 1.5),
                    AttributeProto::float("beta", self.pick(&[1.0, 0.5])),
                ];
                self.made("Gemm", &[name, &weights, &bias], with, &[BATCH, 7]);
            }
            2 => self.norm(from),
            3 => {
                let op_type = self.pick(&["Add", "Sub", "Mul", "Div"]);
                let shapes = [vec![], vec![inner], vec![1, inner], vec![1, 1]];
                let shape = shapes[self.index(shapes.len())].clone();
                let c = self.constant(&shape, 0.5, 1.0);
                self.made(op_type, &[name, &c], Vec::new(), &from.dims);
            }
            _ => {
                let slope = self.constant(&[inner], -1.0, 2.5);
                self.made("PRelu", &[name, &slope], Vec::new(), &from.dims);
            }
        }
    }
}
