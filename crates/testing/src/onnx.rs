//! Tiny models of the families that Likeness knows. They read mean colours, so that their outputs can be computed by hand.

use likeness_onnx::proto::{
    AttributeProto, DimensionProto, DimensionValue, GraphProto, NodeProto, TensorProto, TensorShapeProto,
    TensorTypeProto, TypeProto, ValueInfoProto, data_type,
};
use likeness_onnx::{model, write};

/// Cell sizes of detectors.
const STRIDES: [i64; 3] = [8, 16, 32];

/// The logit of a cell without anything red.
const NOTHING: f32 = -20.0;

/// The declared shape of a model's input, `[batch,3,height,width]`; `None` for a free dimension.
#[derive(Debug, Clone, Copy)]
pub struct InputShape {
    /// Number of images.
    pub batch: Option<i64>,
    /// Pixels a side.
    pub side: Option<i64>,
}

impl InputShape {
    /// Returns the shape of any number of squares of this side.
    #[must_use]
    pub fn squares(side: i64) -> Self {
        Self {
            batch: None,
            side: Some(side),
        }
    }

    /// Returns the shape of one square of this side at a time.
    #[must_use]
    pub fn one_square(side: i64) -> Self {
        Self {
            batch: Some(1),
            side: Some(side),
        }
    }

    /// Returns the shape of one image of any size at a time.
    #[must_use]
    pub fn one_of_any_size() -> Self {
        Self {
            batch: Some(1),
            side: None,
        }
    }

    fn dims(self) -> Vec<Option<i64>> {
        vec![self.batch, Some(3), self.side, self.side]
    }
}

/// A value of this type and shape; every free dimension has a name of its own.
fn value(name: &str, elem_type: i32, dims: &[Option<i64>]) -> ValueInfoProto {
    let dim = dims
        .iter()
        .enumerate()
        .map(|(place, size)| DimensionProto {
            value: Some(match size {
                Some(size) => DimensionValue::Fixed(*size),
                None => DimensionValue::Named(format!("{name}_{place}")),
            }),
            ..DimensionProto::default()
        })
        .collect();
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto {
                elem_type,
                shape: Some(TensorShapeProto { dim }),
            }),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

/// A model whose outputs are computed from the mean of each plane of its input: embedders and liveness models.
#[derive(Debug, Clone)]
pub struct Vectors {
    input: InputShape,
    /// `[3, numbers]`, row by row.
    weights: Vec<f32>,
    bias: Vec<f32>,
    softmax: bool,
    four_dimensions: bool,
    half: bool,
    second_input: bool,
    undeclared: bool,
}

impl Vectors {
    /// Returns a model that outputs the means of the three planes.
    #[must_use]
    pub fn means(input: InputShape) -> Self {
        let identity = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        Self::of(input, &identity, &[0.0; 3])
    }

    /// Returns a model that outputs the same numbers for every image.
    #[must_use]
    pub fn constant(input: InputShape, numbers: &[f32]) -> Self {
        Self::of(input, &vec![0.0; 3 * numbers.len()], numbers)
    }

    /// Returns a model that outputs `means * weights + bias`, `weights` as 3 rows.
    #[must_use]
    pub fn of(input: InputShape, weights: &[f32], bias: &[f32]) -> Self {
        Self {
            input,
            weights: weights.to_vec(),
            bias: bias.to_vec(),
            softmax: false,
            four_dimensions: false,
            half: false,
            second_input: false,
            undeclared: false,
        }
    }

    /// Applies softmax to the numbers.
    #[must_use]
    pub fn with_softmax(mut self) -> Self {
        self.softmax = true;
        self
    }

    /// Gives the output the shape `[N,numbers,1,1]`.
    #[must_use]
    pub fn in_four_dimensions(mut self) -> Self {
        self.four_dimensions = true;
        self
    }

    /// Makes the input half precision.
    #[must_use]
    pub fn of_half_precision(mut self) -> Self {
        self.half = true;
        self
    }

    /// Adds another input beside the images.
    #[must_use]
    pub fn with_second_input(mut self) -> Self {
        self.second_input = true;
        self
    }

    /// Leaves the number of outputs undeclared.
    #[must_use]
    pub fn undeclared(mut self) -> Self {
        self.undeclared = true;
        self
    }

    /// Returns the bytes of the ONNX file.
    #[must_use]
    pub fn onnx(&self) -> Vec<u8> {
        let numbers = self.bias.len() as i64;
        let mut input = vec![value(
            "pictures",
            if self.half {
                data_type::FLOAT16
            } else {
                data_type::FLOAT
            },
            &self.input.dims(),
        )];
        let mut node = vec![
            NodeProto::new(
                "Cast",
                &["pictures"],
                &["floats"],
                vec![AttributeProto::int("to", i64::from(data_type::FLOAT))],
            ),
            NodeProto::new("GlobalAveragePool", &["floats"], &["means"], vec![]),
            NodeProto::new("Flatten", &["means"], &["flat"], vec![]),
            NodeProto::new("Gemm", &["flat", "weights", "bias"], &["gemm"], vec![]),
        ];
        let mut last = "gemm";
        if self.second_input {
            input.push(value("more", data_type::FLOAT, &[Some(numbers)]));
            node.push(NodeProto::new("Add", &[last, "more"], &["sum"], vec![]));
            last = "sum";
        }
        if self.softmax {
            node.push(NodeProto::new(
                "Softmax",
                &[last],
                &["softmax"],
                vec![AttributeProto::int("axis", 1)],
            ));
            last = "softmax";
        }
        let mut initializer = vec![
            TensorProto::of_f32("weights", &[3, numbers], &self.weights),
            TensorProto::of_f32("bias", &[numbers], &self.bias),
        ];
        if self.undeclared {
            // Repeated once, as only a run can know.
            initializer.extend([
                TensorProto::of_f32("nothing", &[], &[0.0]),
                TensorProto::of_f32("once", &[2], &[1.0, 1.0]),
            ]);
            node.extend([
                NodeProto::new("Mul", &["flat", "nothing"], &["zeros"], vec![]),
                NodeProto::new(
                    "ReduceSum",
                    &["zeros"],
                    &["zero"],
                    vec![AttributeProto::int("keepdims", 0)],
                ),
                NodeProto::new("Add", &["zero", "once"], &["times"], vec![]),
                NodeProto::new(
                    "Cast",
                    &["times"],
                    &["repeats"],
                    vec![AttributeProto::int("to", i64::from(data_type::INT64))],
                ),
                NodeProto::new("Tile", &[last, "repeats"], &["tiled"], vec![]),
            ]);
            last = "tiled";
        }
        let mut shape = if self.undeclared {
            vec![None, None]
        } else {
            vec![self.input.batch, Some(numbers)]
        };
        if self.four_dimensions {
            initializer.push(TensorProto::of_i64("axes", &[2], &[2, 3]));
            node.push(NodeProto::new("Unsqueeze", &[last, "axes"], &["answer"], vec![]));
            shape.extend([Some(1), Some(1)]);
        } else {
            node.push(NodeProto::new("Identity", &[last], &["answer"], vec![]));
        }
        write(&model(GraphProto {
            node,
            name: "vectors".to_owned(),
            initializer,
            input,
            output: vec![value("answer", data_type::FLOAT, &shape)],
            ..GraphProto::default()
        }))
    }
}

/// A detector that finds faces where there is red: in the cells of 32 pixels, the more of a cell is red the surer. A face's box
/// reaches one cell to the left and upwards of its cell's upper left corner and two to the right and downwards; its
/// landmarks lie in its cell, at [`RedFaces::LANDMARKS`].
///
/// It wants its input as RGB, `(value - 127.5) / 128`.
#[derive(Debug, Clone)]
pub struct RedFaces {
    input: InputShape,
    sees: bool,
    landmarks: bool,
    sigmoid: bool,
    batched: bool,
}

impl RedFaces {
    /// The landmarks of a face, in units of 32 pixels from its cell's upper left corner.
    pub const LANDMARKS: [[f32; 2]; 5] = [[0.0, 0.0], [1.0, 0.0], [0.5, 0.5], [0.125, 1.0], [0.875, 1.0]];

    /// The box of a face in units of 32 pixels from its cell's upper left corner: left, top, right, bottom.
    pub const DISTANCES: [f32; 4] = [1.0, 1.0, 2.0, 2.0];

    /// One that takes such an input.
    #[must_use]
    pub fn of(input: InputShape) -> Self {
        Self {
            input,
            sees: true,
            landmarks: true,
            sigmoid: true,
            batched: true,
        }
    }

    /// One that sees nothing.
    #[must_use]
    pub fn blind(mut self) -> Self {
        self.sees = false;
        self
    }

    /// One without outputs for landmarks.
    #[must_use]
    pub fn without_landmarks(mut self) -> Self {
        self.landmarks = false;
        self
    }

    /// One whose scores did not go through a sigmoid.
    #[must_use]
    pub fn without_sigmoid(mut self) -> Self {
        self.sigmoid = false;
        self
    }

    /// One whose outputs have no dimension for the batch.
    #[must_use]
    pub fn without_batch(mut self) -> Self {
        self.batched = false;
        self
    }

    /// As SCRFD is exported: two anchors a cell, of which the second never sees anything; outputs are named by numbers.
    #[must_use]
    pub fn scrfd(&self) -> Vec<u8> {
        let mut graph = Graph::default();
        for stride in STRIDES {
            let pooled = graph.pooled(stride);
            let score = self.score(stride);
            let mut kinds = vec![
                (1, vec![score, ([0.0; 3], NOTHING)]),
                (4, Self::constants(&Self::DISTANCES).repeat(2)),
            ];
            if self.landmarks {
                kinds.push((10, Self::constants(Self::LANDMARKS.as_flattened()).repeat(2)));
            }
            for (numbers, planes) in kinds {
                let sigmoid = numbers == 1 && self.sigmoid;
                let name = (400 + graph.output.len()).to_string();
                graph.cells(&pooled, &name, numbers, &planes, sigmoid, self.batched);
            }
        }
        graph.onnx(self.input)
    }

    /// As YuNet is exported: one anchor a cell, `cls` and `obj` alike, the box as its centre and the logarithms of its
    /// sides.
    #[must_use]
    pub fn yunet(&self) -> Vec<u8> {
        let [left, top, right, bottom] = Self::DISTANCES;
        let bounds = [
            (right - left) / 2.0,
            (bottom - top) / 2.0,
            (left + right).ln(),
            (top + bottom).ln(),
        ];
        let mut graph = Graph::default();
        for stride in STRIDES {
            let pooled = graph.pooled(stride);
            let score = self.score(stride);
            let mut kinds = vec![
                ("cls", 1, vec![score]),
                ("obj", 1, vec![score]),
                ("bbox", 4, Self::constants(&bounds)),
            ];
            if self.landmarks {
                kinds.push(("kps", 10, Self::constants(Self::LANDMARKS.as_flattened())));
            }
            for (kind, numbers, planes) in kinds {
                let name = format!("{kind}_{stride}");
                graph.cells(&pooled, &name, numbers, &planes, numbers == 1, true);
            }
        }
        graph.onnx(self.input)
    }

    /// Weights of red, green and blue, and the bias: all red is +3, all black -9.
    fn score(&self, stride: i64) -> ([f32; 3], f32) {
        if self.sees && stride == 32 {
            ([6.0, 0.0, 0.0], -3.0)
        } else {
            ([0.0; 3], NOTHING)
        }
    }

    fn constants(values: &[f32]) -> Vec<([f32; 3], f32)> {
        values.iter().map(|&value| ([0.0; 3], value)).collect()
    }
}

/// A detector's graph while it grows.
#[derive(Default)]
struct Graph {
    node: Vec<NodeProto>,
    initializer: Vec<TensorProto>,
    output: Vec<ValueInfoProto>,
}

impl Graph {
    /// The mean colours of cells.
    fn pooled(&mut self, stride: i64) -> String {
        let name = format!("pooled_{stride}");
        self.node.push(NodeProto::new(
            "AveragePool",
            &["pictures"],
            &[&name],
            vec![
                AttributeProto::ints("kernel_shape", &[stride, stride]),
                AttributeProto::ints("strides", &[stride, stride]),
            ],
        ));
        name
    }

    /// An output with `numbers` numbers for each anchor, made of the mean colours by weights and bias.
    fn cells(
        &mut self,
        pooled: &str,
        name: &str,
        numbers: i64,
        planes: &[([f32; 3], f32)],
        sigmoid: bool,
        batched: bool,
    ) {
        let part = |what: &str| format!("{name}_{what}");
        let [weights, bias, conv, turned, flat, shape] =
            ["weights", "bias", "conv", "turned", "flat", "shape"].map(part);
        let (flattened, biases): (Vec<[f32; 3]>, Vec<f32>) = planes.iter().copied().unzip();
        let count = planes.len() as i64;
        self.initializer.extend([
            TensorProto::of_f32(&weights, &[count, 3, 1, 1], flattened.as_flattened()),
            TensorProto::of_f32(&bias, &[count], &biases),
        ]);
        let (sizes, declared): (Vec<i64>, Vec<Option<i64>>) = if batched {
            (vec![1, -1, numbers], vec![Some(1), None, Some(numbers)])
        } else {
            (vec![-1, numbers], vec![None, Some(numbers)])
        };
        self.initializer
            .push(TensorProto::of_i64(&shape, &[sizes.len() as i64], &sizes));
        self.node.extend([
            NodeProto::new("Conv", &[pooled, &weights, &bias], &[&conv], vec![]),
            NodeProto::new(
                "Transpose",
                &[&conv],
                &[&turned],
                vec![AttributeProto::ints("perm", &[0, 2, 3, 1])],
            ),
            NodeProto::new("Reshape", &[&turned, &shape], &[&flat], vec![]),
            NodeProto::new(
                if sigmoid { "Sigmoid" } else { "Identity" },
                &[&flat],
                &[name],
                vec![],
            ),
        ]);
        self.output.push(value(name, data_type::FLOAT, &declared));
    }

    fn onnx(self, input: InputShape) -> Vec<u8> {
        write(&model(GraphProto {
            node: self.node,
            name: "red_faces".to_owned(),
            initializer: self.initializer,
            input: vec![value("pictures", data_type::FLOAT, &input.dims())],
            output: self.output,
            ..GraphProto::default()
        }))
    }
}
