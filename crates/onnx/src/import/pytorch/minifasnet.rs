//! MiniFASNet, the liveness networks of the repository `minivision-ai/Silent-Face-Anti-Spoofing`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::layers::{Convolution, Layers};
use super::tensor::Tensor;
use crate::proto::{ModelProto, ValueInfoProto};
use crate::quote::quotable;
use crate::{OnnxError, file};

/// Side of the input in pixels: the publisher's files have it in their names.
const SIDE: i64 = 80;
/// Classes of the publisher's weights; the one in the middle is live.
pub(super) const CLASSES: usize = 3;
/// Channels of the first layers, before the image is halved again.
const STEM: usize = 32;
/// Channels of the blocks at a quarter of the side (20 pixels).
const QUARTER: usize = 64;
/// Channels of the blocks below that (10 and 5 pixels).
const DEEP: usize = 128;
/// Channels of the last layers.
const LAST: usize = 512;
/// Size of the embedding before the classes.
const EMBEDDING: usize = 128;

/// The networks that can be imported.
///
/// MiniFASNet is MobileFaceNet (arXiv:1804.07573) with most of its channels pruned. The source of the layers and of the
/// numbers of channels is `src/model_lib/MiniFASNet.py` of <https://github.com/minivision-ai/Silent-Face-Anti-Spoofing>,
/// commit b6d5f04ad78778917853b25c778acef6d5626d15, functions `MiniFASNetV2` and `MiniFASNetV1SE`; the numbers also follow
/// from the shapes of the published tensors.
///
/// | layer | output | |
/// |---|---|---|
/// | `conv1` | 32 x 40 x 40 | 3x3, stride 2 |
/// | `conv2_dw` | 32 x 40 x 40 | 3x3, each channel by itself |
/// | `conv_23` | 64 x 20 x 20 | bottleneck of 103, stride 2 |
/// | `conv_3` | 64 x 20 x 20 | 4 residual bottlenecks |
/// | `conv_34` | 128 x 10 x 10 | bottleneck of 231, stride 2 |
/// | `conv_4` | 128 x 10 x 10 | 6 residual bottlenecks |
/// | `conv_45` | 128 x 5 x 5 | bottleneck of 308, stride 2 |
/// | `conv_5` | 128 x 5 x 5 | 2 residual bottlenecks |
/// | `conv_6_sep` | 512 x 5 x 5 | 1x1 |
/// | `conv_6_dw` | 512 x 1 x 1 | 5x5, each channel by itself, not padded |
/// | `linear`, `bn` | 128 | |
/// | `prob` | a number for each class | |
///
/// No convolution or linear layer has a bias; a batch norm follows each but `prob`, and a PReLU follows each convolution's
/// batch norm but those of `conv_6_dw` and of the last convolution of a bottleneck. A bottleneck is a 1x1 convolution to
/// its own number of channels, a 3x3 one of each channel by itself, with the stride, and a 1x1 one to the layer's
/// channels. The architectures differ in the channels of the residual bottlenecks, and in that the last residual
/// bottleneck of each of `conv_3`, `conv_4` and `conv_5` has squeeze and excitation (arXiv:1709.01507) in V1SE: its output
/// is multiplied, before the residual is added, by a factor for each channel, which is made of the channels' means by a
/// 1x1 convolution to a quarter of the channels, ReLU, a 1x1 convolution and a sigmoid. Dropout does nothing outside of
/// training and is left out.
///
/// Every batch norm is folded into the convolution or linear layer before it: its statistics do not change any more, so
/// it is a product and a sum for each channel. The products are of `f64` and rounded to `f32` once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Architecture {
    /// MiniFASNetV2, for a crop of 2.7 times the face's box.
    MiniFasNetV2,
    /// MiniFASNetV1SE, for a crop of 4 times the face's box.
    MiniFasNetV1Se,
}

impl Architecture {
    /// Every architecture.
    pub const ALL: [Self; 2] = [Self::MiniFasNetV2, Self::MiniFasNetV1Se];

    /// Its name in manifests.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MiniFasNetV2 => "minifasnet-v2",
            Self::MiniFasNetV1Se => "minifasnet-v1se",
        }
    }

    /// Channels within the residual bottlenecks of a layer.
    fn residual(self) -> [(&'static str, usize, &'static [usize]); 3] {
        let (third, fourth): (&[usize], &[usize]) = match self {
            Self::MiniFasNetV2 => (&[13, 13, 13, 13], &[231, 52, 26, 77, 26, 26]),
            Self::MiniFasNetV1Se => (&[13, 26, 13, 52], &[154, 52, 26, 52, 26, 26]),
        };
        [
            ("conv_3", QUARTER, third),
            ("conv_4", DEEP, fourth),
            ("conv_5", DEEP, &[26, 26]),
        ]
    }

    /// Whether the last residual bottleneck of a layer has squeeze and excitation.
    fn has_excitation(self) -> bool {
        self == Self::MiniFasNetV1Se
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Architecture {
    type Err = OnnxError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|known| known.as_str() == name);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(" and ");
            OnnxError::Invalid(format!(
                "unknown architecture '{}'; known are {known}",
                quotable(name)
            ))
        })
    }
}

/// The architecture with these tensors.
pub(super) fn model(
    tensors: BTreeMap<String, Tensor>,
    architecture: Architecture,
    classes: usize,
) -> Result<ModelProto, OnnxError> {
    let mut network = Network {
        layers: Layers::new(architecture.as_str(), tensors),
    };
    network.build(architecture, classes)?;
    let mut graph = network.layers.finish()?;
    architecture.as_str().clone_into(&mut graph.name);
    let classes = i64::try_from(classes).unwrap_or(i64::MAX);
    graph.input = vec![ValueInfoProto::of_f32(
        "input",
        &[None, Some(3), Some(SIDE), Some(SIDE)],
    )];
    graph.output = vec![ValueInfoProto::of_f32("logits", &[None, Some(classes)])];
    Ok(file::model(graph))
}

struct Network {
    layers: Layers,
}

impl Network {
    fn build(&mut self, architecture: Architecture, classes: usize) -> Result<(), OnnxError> {
        let first = Convolution {
            inputs: 3,
            outputs: STEM,
            kernel: 3,
            stride: 2,
            padding: 1,
            depthwise: false,
        };
        let mut value = self.activated("input", "conv1", first)?;
        value = self.activated(&value, "conv2_dw", Convolution::depthwise(STEM, 1))?;

        let narrowing = [
            ("conv_23", STEM, 103, QUARTER),
            ("conv_34", QUARTER, 231, DEEP),
            ("conv_45", DEEP, 308, DEEP),
        ];
        for ((narrow, inputs, inner, outputs), (name, channels, residual)) in
            narrowing.into_iter().zip(architecture.residual())
        {
            value = self.bottleneck(&value, narrow, (inputs, inner, outputs), 2)?;
            for (number, &inner) in residual.iter().enumerate() {
                let name = format!("{name}.model.{number}");
                let mut branch = self.bottleneck(&value, &name, (channels, inner, channels), 1)?;
                if architecture.has_excitation() && number + 1 == residual.len() {
                    branch = self.excitation(&branch, &format!("{name}.se_module"), channels)?;
                }
                value = self.layers.plain("Add", &[&value, &branch], &name);
            }
        }

        value = self.activated(&value, "conv_6_sep", Convolution::pointwise(DEEP, LAST))?;
        let whole = Convolution {
            kernel: 5,
            padding: 0,
            ..Convolution::depthwise(LAST, 1)
        };
        value = self.convolution(&value, "conv_6_dw", whole)?;
        value = self.layers.flatten(&value, "conv_6_flatten");
        value = self
            .layers
            .linear_with_norm(&value, "linear", "bn", (LAST, EMBEDDING))?;
        self.layers
            .linear(&value, "prob", "logits", (EMBEDDING, classes))?;
        Ok(())
    }

    fn convolution(
        &mut self,
        input: &str,
        name: &str,
        convolution: Convolution,
    ) -> Result<String, OnnxError> {
        let (conv, norm) = (format!("{name}.conv"), format!("{name}.bn"));
        self.layers.convolution(input, &conv, &norm, convolution)
    }

    /// With a PReLU.
    fn activated(&mut self, input: &str, name: &str, convolution: Convolution) -> Result<String, OnnxError> {
        let value = self.convolution(input, name, convolution)?;
        self.layers
            .prelu(&value, &format!("{name}.prelu"), convolution.outputs)
    }

    fn bottleneck(
        &mut self,
        input: &str,
        name: &str,
        (inputs, inner, outputs): (usize, usize, usize),
        stride: usize,
    ) -> Result<String, OnnxError> {
        let widened = Convolution::pointwise(inputs, inner);
        let value = self.activated(input, &format!("{name}.conv"), widened)?;
        let filtered = Convolution::depthwise(inner, stride);
        let value = self.activated(&value, &format!("{name}.conv_dw"), filtered)?;
        let projected = Convolution::pointwise(inner, outputs);
        self.convolution(&value, &format!("{name}.project"), projected)
    }

    fn excitation(&mut self, input: &str, name: &str, channels: usize) -> Result<String, OnnxError> {
        let squeezed = channels / 4;
        let part = |part: &str| format!("{name}.{part}");
        let means = self
            .layers
            .plain("GlobalAveragePool", &[input], &part("avg_pool"));
        let squeeze = Convolution::pointwise(channels, squeezed);
        let value = self
            .layers
            .convolution(&means, &part("fc1"), &part("bn1"), squeeze)?;
        let value = self.layers.plain("Relu", &[&value], &part("relu"));
        let excite = Convolution::pointwise(squeezed, channels);
        let value = self
            .layers
            .convolution(&value, &part("fc2"), &part("bn2"), excite)?;
        let factors = self.layers.plain("Sigmoid", &[&value], &part("sigmoid"));
        Ok(self.layers.plain("Mul", &[input, &factors], name))
    }
}

#[cfg(test)]
mod tests;
