//! Small models, made here, of what the real ones have not got.

use likeness_onnx as onnx;
use likeness_onnx::optimize::Pass;
use likeness_onnx::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, data_type,
};

/// A model that reads `x` of `[batch, 3, 16, 16]` and puts out `y`, and the passes that have something to do there.
pub(crate) struct Small {
    pub(crate) name: &'static str,
    pub(crate) model: ModelProto,
    pub(crate) passes: &'static [Pass],
}

/// Height and width of `x`.
pub(crate) const SIZE: (usize, usize) = (16, 16);

struct Builder {
    state: u32,
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
}

impl Builder {
    fn new() -> Self {
        Self {
            state: 1,
            nodes: Vec::new(),
            constants: Vec::new(),
        }
    }

    /// A constant of numbers from `least` to `least + span`, the same each time.
    fn constant(&mut self, name: &str, dims: &[i64], least: f32, span: f32) -> &mut Self {
        let len: i64 = dims.iter().product();
        let values: Vec<f32> = (0..len)
            .map(|_| {
                self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                least + span * (self.state >> 8) as f32 / (1u32 << 24) as f32
            })
            .collect();
        self.constants.push(TensorProto::of_f32(name, dims, &values));
        self
    }

    fn scales(&mut self, name: &str, scales: &[f32]) -> &mut Self {
        let dims = [i64::try_from(scales.len()).unwrap_or(0)];
        self.constants.push(TensorProto::of_f32(name, &dims, scales));
        self
    }

    fn numbers(&mut self, name: &str, numbers: &[i64]) -> &mut Self {
        let dims = [i64::try_from(numbers.len()).unwrap_or(0)];
        self.constants.push(TensorProto::of_i64(name, &dims, numbers));
        self
    }

    /// Weights of `f16`, from 0.125 to just below 0.25.
    fn halves(&mut self, name: &str, dims: &[i64]) -> &mut Self {
        let len: i64 = dims.iter().product();
        self.constants.push(TensorProto {
            name: name.to_owned(),
            dims: dims.to_vec(),
            data_type: data_type::FLOAT16,
            raw_data: (0..len)
                .flat_map(|index| [(index * 37 % 256).to_le_bytes()[0], 0x30])
                .collect(),
            ..TensorProto::default()
        });
        self
    }

    fn node(&mut self, op_type: &str, inputs: &[&str], output: &str) -> &mut Self {
        self.node_with(op_type, inputs, output, Vec::new())
    }

    fn node_with(
        &mut self,
        op_type: &str,
        inputs: &[&str],
        output: &str,
        with: Vec<AttributeProto>,
    ) -> &mut Self {
        self.nodes.push(NodeProto::new(op_type, inputs, &[output], with));
        self
    }

    /// A convolution of 3x3 that keeps height and width.
    fn conv(&mut self, input: &str, channels: [i64; 2], group: i64, output: &str) -> &mut Self {
        let (weights, bias) = (format!("{output}.w"), format!("{output}.b"));
        let with = vec![
            AttributeProto::ints("pads", &[1, 1, 1, 1]),
            AttributeProto::int("group", group),
        ];
        self.constant(&weights, &[channels[1], channels[0] / group, 3, 3], -0.3, 0.6)
            .constant(&bias, &[channels[1]], -0.5, 1.0)
            .node_with("Conv", &[input, &weights, &bias], output, with)
    }

    fn batch_norm(&mut self, input: &str, channels: i64, output: &str) -> &mut Self {
        let name = |part: &str| format!("{output}.{part}");
        let [scale, bias, mean, variance] = ["scale", "bias", "mean", "variance"].map(name);
        self.constant(&scale, &[channels], 0.5, 1.0)
            .constant(&bias, &[channels], -0.5, 1.0)
            .constant(&mean, &[channels], -0.5, 1.0)
            .constant(&variance, &[channels], 0.5, 1.0)
            .node(
                "BatchNormalization",
                &[input, &scale, &bias, &mean, &variance],
                output,
            )
    }

    fn small(&mut self, name: &'static str, dims: &[Option<i64>], passes: &'static [Pass]) -> Small {
        let model = onnx::model(GraphProto {
            node: std::mem::take(&mut self.nodes),
            name: name.to_owned(),
            initializer: std::mem::take(&mut self.constants),
            input: vec![ValueInfoProto::of_f32("x", &[None, Some(3), Some(16), Some(16)])],
            output: vec![ValueInfoProto::of_f32("y", dims)],
            ..GraphProto::default()
        });
        Small { name, model, passes }
    }
}

fn maps(channels: i64) -> [Option<i64>; 4] {
    [None, Some(channels), Some(16), Some(16)]
}

pub(crate) fn all() -> Vec<Small> {
    let prelu = |name, channels, slope: &[i64], least, span| {
        Builder::new()
            .constant("slope", slope, least, span)
            .conv("x", [3, channels], 1, "a")
            .node("PRelu", &["a", "slope"], "y")
            .small(name, &maps(channels), &[Pass::Prelu])
    };
    vec![
        prelu("prelu_of_one_slope_above_1", 5, &[1, 1, 1], 2.5, 0.0),
        prelu(
            "prelu_of_whole_blocks_and_slopes_up_to_1",
            32,
            &[32, 1, 1],
            -1.0,
            2.0,
        ),
        prelu(
            "prelu_of_whole_blocks_and_any_slopes",
            16,
            &[1, 16, 1, 1],
            -2.0,
            4.0,
        ),
        prelu(
            "prelu_of_five_channels_and_slopes_of_0_to_1",
            5,
            &[5, 1, 1],
            0.0,
            1.0,
        ),
        prelu("prelu_of_five_channels_and_any_slopes", 5, &[5, 1, 1], -2.0, 4.0),
        prelu("prelu_along_the_width", 16, &[16], -2.0, 4.0),
        Builder::new()
            .conv("x", [3, 6], 3, "a")
            .batch_norm("a", 6, "y")
            .small(
                "batch_norm_after_a_convolution_in_groups",
                &maps(6),
                &[Pass::BatchNorm],
            ),
        Builder::new()
            .conv("x", [3, 4], 1, "a")
            .constant("c", &[1, 4, 1, 1], 0.5, 1.0)
            .constant("d", &[], 0.5, 1.0)
            .node("Sub", &["c", "a"], "e")
            .node("Div", &["e", "c"], "f")
            .node("Mul", &["d", "f"], "y")
            .small("arithmetic_after_a_convolution", &maps(4), &[Pass::ChannelAffine]),
        Builder::new()
            .numbers("to", &[0, -1])
            .constant("w", &[768, 7], -0.05, 0.1)
            .constant("v", &[5, 7], -0.5, 1.0)
            .constant("b", &[5], -0.5, 1.0)
            .node("Reshape", &["x", "to"], "flat")
            .node("MatMul", &["flat", "w"], "a")
            .batch_norm("a", 7, "c")
            .node_with(
                "Gemm",
                &["c", "v", "b"],
                "d",
                vec![
                    AttributeProto::int("transB", 1),
                    AttributeProto::float("beta", 0.5),
                    AttributeProto::float("alpha", 2.0),
                ],
            )
            .batch_norm("d", 5, "y")
            .small(
                "batch_norm_after_matrix_products",
                &[None, Some(5)],
                &[Pass::BatchNorm],
            ),
        Builder::new()
            .constant("slope", &[13, 1, 1], -0.5, 1.0)
            .conv("x", [3, 13], 1, "a")
            .node("PRelu", &["a", "slope"], "b")
            .conv("b", [13, 13], 13, "c")
            .node("Sigmoid", &["c"], "d")
            .conv("d", [13, 13], 1, "e")
            .node("Add", &["e", "b"], "f")
            .node("GlobalAveragePool", &["f"], "g")
            .node("Mul", &["f", "g"], "h")
            .conv("h", [13, 3], 1, "y")
            .small(
                "thirteen_channels_with_a_residual_and_a_gate",
                &maps(3),
                &[Pass::PadChannels, Pass::Prelu],
            ),
        Builder::new()
            .conv("x", [3, 16], 1, "a")
            .node("GlobalAveragePool", &["a"], "b")
            .conv("b", [16, 16], 1, "c")
            .node("Sigmoid", &["c"], "d")
            .node("Mul", &["d", "a"], "e")
            .node("Add", &["e", "a"], "y")
            .small("a_gate_of_whole_blocks", &maps(16), &[Pass::Gates]),
        Builder::new()
            .conv("x", [3, 16], 1, "a")
            .node_with(
                "ReduceMean",
                &["a"],
                "b",
                vec![AttributeProto::ints("axes", &[-2, -1])],
            )
            .node_with(
                "AveragePool",
                &["a"],
                "c",
                vec![AttributeProto::ints("kernel_shape", &[16, 16])],
            )
            .node("Add", &["b", "c"], "d")
            .node("Identity", &["d"], "e")
            .node("Mul", &["e", "a"], "y")
            .small("means_over_the_map", &maps(16), &[Pass::GlobalPool, Pass::NoOps]),
        // ONNX Runtime makes 7 of 10 by 0.7, as it rounds the product to `f32` before it cuts off; without that it is 6.
        Builder::new()
            .constant("w", &[4, 3, 7, 7], -0.1, 0.2)
            .scales("scales", &[1.0, 1.0, 0.7, 0.7])
            .node("Conv", &["x", "w"], "a")
            .node("Resize", &["a", "", "scales"], "b")
            .node_with(
                "AveragePool",
                &["b"],
                "y",
                vec![AttributeProto::ints("kernel_shape", &[6, 6])],
            )
            .small(
                "a_map_whose_size_hangs_on_rounding",
                &[None, Some(4), None, None],
                &[],
            ),
        Builder::new()
            .node_with(
                "Cast",
                &["x"],
                "half",
                vec![AttributeProto::int("to", data_type::FLOAT16.into())],
            )
            .halves("v", &[16, 3, 1, 1])
            .halves("w", &[16, 16, 1, 1])
            .node("Conv", &["half", "v"], "a")
            .node("GlobalAveragePool", &["a"], "b")
            .node("Conv", &["b", "w"], "c")
            .node("Sigmoid", &["c"], "d")
            .node("Mul", &["d", "a"], "e")
            .node_with(
                "Cast",
                &["e"],
                "y",
                vec![AttributeProto::int("to", data_type::FLOAT.into())],
            )
            .small("a_gate_of_half_precision", &maps(16), &[]),
    ]
}
