//! Inspection of ONNX files: contents, operations, and applicable optimization passes.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::optimize::{Passes, Report, optimize};
use crate::proto::{
    DimensionProto, DimensionValue, GraphProto, NodeProto, TensorProto, ValueInfoProto, data_type,
};
use crate::shapes::{Dim, Shapes};
use crate::{OnnxError, file, quote};

/// The domain of ONNX's own operators.
const OWN_DOMAIN: &str = "ai.onnx";

/// Sizes to assume for free dimensions of inputs when operations are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Assumptions {
    /// For a free first dimension.
    pub batch: u32,
    /// For every other free dimension, such as height and width in pixels.
    pub side: u32,
}

impl Default for Assumptions {
    /// One image of 320x320, the first input of the default pack's detector.
    fn default() -> Self {
        Self { batch: 1, side: 320 }
    }
}

/// An input or output of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Type of the elements, such as `f32`, or ONNX's number of a type without a name here.
    pub elements: String,
    /// Its dimensions: a number, the name of a free one, or `?`; `None` if the file does not state them.
    pub shape: Option<Vec<String>>,
}

/// The contents of an ONNX file.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Inspection {
    /// Size of the file in bytes.
    pub bytes: usize,
    /// Version of the format.
    pub ir_version: i64,
    /// Operator sets with their versions; ONNX's own is `ai.onnx`.
    pub opsets: Vec<(String, i64)>,
    /// The program that wrote it, and its version; may be empty.
    pub producer: String,
    /// Inputs that have no default.
    pub inputs: Vec<Port>,
    /// Outputs.
    pub outputs: Vec<Port>,
    /// Operators, with the number of their nodes; custom operators have their domain as a prefix. Nodes of subgraphs are not
    /// counted.
    pub operators: BTreeMap<String, usize>,
    /// Elements of all floating-point constants, except in subgraphs and `Constant` nodes.
    pub parameters: usize,
    /// Operations of one run.
    pub work: Work,
    /// The assumptions behind `work`.
    pub assumptions: Assumptions,
    /// The changes of all optimization passes, applied in order.
    pub optimization: Report,
    /// Operations of one run after them.
    pub optimized_work: Work,
}

/// Inspects an ONNX file with [`Assumptions::default`].
///
/// # Errors
/// As [`read`](crate::read).
pub fn inspect(onnx: &[u8]) -> Result<Inspection, OnnxError> {
    inspect_with(onnx, Assumptions::default())
}

/// Inspects an ONNX file.
///
/// # Errors
/// As [`read`](crate::read).
pub fn inspect_with(onnx: &[u8], assumptions: Assumptions) -> Result<Inspection, OnnxError> {
    let mut model = file::read(onnx)?;
    let no_graph = GraphProto::default();
    let graph = model.graph.as_ref().unwrap_or(&no_graph);
    let sets = model.opset_import.iter();
    let opsets: Vec<(String, i64)> = sets.map(|set| (named(&set.domain), set.version)).collect();
    let version = opsets.iter().find(|(domain, _)| domain == OWN_DOMAIN);
    let opset = version.map_or(file::OPSET, |&(_, version)| version);
    let mut inspection = Inspection {
        bytes: onnx.len(),
        ir_version: model.ir_version,
        producer: format!("{} {}", model.producer_name, model.producer_version)
            .trim()
            .to_owned(),
        inputs: inputs(graph),
        outputs: graph.output.iter().map(port).collect(),
        operators: operators(graph),
        parameters: parameters(graph),
        work: Work::of(opset, graph, assumptions),
        assumptions,
        opsets,
        optimization: Report::default(),
        optimized_work: Work::default(),
    };
    inspection.optimization = optimize(&mut model, &Passes::all());
    let graph = model.graph.as_ref().unwrap_or(&no_graph);
    inspection.optimized_work = Work::of(opset, graph, assumptions);
    Ok(inspection)
}

/// The name of a domain.
fn named(domain: &str) -> String {
    if domain.is_empty() { OWN_DOMAIN } else { domain }.to_owned()
}

fn inputs(graph: &GraphProto) -> Vec<Port> {
    let constants = graph.constants();
    let is_free = |input: &&ValueInfoProto| !constants.contains_key(input.name.as_str());
    graph.input.iter().filter(is_free).map(port).collect()
}

fn port(value: &ValueInfoProto) -> Port {
    let size = |dim: &DimensionProto| match &dim.value {
        Some(DimensionValue::Fixed(size)) => size.to_string(),
        Some(DimensionValue::Named(name)) if !name.is_empty() => name.clone(),
        _ => "?".to_owned(),
    };
    let tensor = value.tensor();
    let shape = tensor.and_then(|tensor| tensor.shape.as_ref());
    Port {
        name: value.name.clone(),
        elements: tensor.map_or_else(|| "no tensor".to_owned(), |tensor| elements(tensor.elem_type)),
        shape: shape.map(|shape| shape.dim.iter().map(size).collect()),
    }
}

/// Names of `TensorProto.DataType`.
fn elements(elem_type: i32) -> String {
    match elem_type {
        data_type::FLOAT => "f32".to_owned(),
        2 => "u8".to_owned(),
        3 => "i8".to_owned(),
        6 => "i32".to_owned(),
        data_type::INT64 => "i64".to_owned(),
        9 => "bool".to_owned(),
        data_type::FLOAT16 => "f16".to_owned(),
        11 => "f64".to_owned(),
        other => format!("type {other}"),
    }
}

fn operators(graph: &GraphProto) -> BTreeMap<String, usize> {
    let mut operators = BTreeMap::new();
    for node in &graph.node {
        let name = match node.domain.as_str() {
            "" | OWN_DOMAIN => node.op_type.clone(),
            domain => format!("{domain}.{}", node.op_type),
        };
        *operators.entry(name).or_insert(0usize) += 1;
    }
    operators
}

fn parameters(graph: &GraphProto) -> usize {
    let elements = graph
        .initializer
        .iter()
        .filter_map(|tensor| match tensor.data_type {
            data_type::FLOAT | data_type::FLOAT16 | 11 => tensor.elements(),
            _ => None,
        });
    elements.fold(0, usize::saturating_add)
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shape {
            Some(shape) => {
                let shape = quote::name(&shape.join(", "));
                write!(f, "{} {} [{shape}]", quote::name(&self.name), self.elements)
            }
            None => write!(f, "{} {}", quote::name(&self.name), self.elements),
        }
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let opset = |(domain, version): &(String, i64)| format!("{} {version}", quote::name(domain));
        let opsets: Vec<String> = self.opsets.iter().map(opset).collect();
        writeln!(f, "file        {} bytes", self.bytes)?;
        writeln!(
            f,
            "format      IR version {}, {}",
            self.ir_version,
            opsets.join(", ")
        )?;
        writeln!(f, "producer    {}", quote::name(&self.producer))?;
        for port in &self.inputs {
            writeln!(f, "input       {port}")?;
        }
        for port in &self.outputs {
            writeln!(f, "output      {port}")?;
        }
        writeln!(f, "parameters  {}", self.parameters)?;
        let Assumptions { batch, side } = self.assumptions;
        writeln!(f, "work        {}", self.work)?;
        writeln!(
            f,
            "            (2 FLOPs a multiply-accumulate of convolutions and matrix products; other operators are not \
             counted; free dimensions taken as batch {batch} and {side} for each other)"
        )?;
        writeln!(f, "operators")?;
        for (name, count) in &self.operators {
            writeln!(f, "  {count:>6}  {}", quote::name(name))?;
        }
        match self.optimization.skipped() {
            Some(reason) => writeln!(f, "passes      none: {reason}"),
            None => {
                writeln!(
                    f,
                    "passes      (optimization passes and the number of their changes)"
                )?;
                for (pass, count) in self.optimization.iter() {
                    writeln!(f, "  {count:>6}  {pass}")?;
                }
                writeln!(f, "            work after them {}", self.optimized_work)
            }
        }
    }
}

/// Operations of one run, of convolutions and matrix products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Work {
    /// Multiply-accumulates.
    pub macs: u64,
    /// Convolutions and matrix products that are not in `macs`, because their shapes are unknown.
    pub uncounted: usize,
}

impl Work {
    /// Returns the floating-point operations: two for each multiply-accumulate.
    #[must_use]
    pub fn flops(&self) -> u64 {
        self.macs.saturating_mul(2)
    }

    fn of(opset: i64, graph: &GraphProto, assumptions: Assumptions) -> Self {
        let constants: BTreeMap<&str, &TensorProto> = graph.constants();
        // Values of `Constant` nodes, which shapes may be computed from.
        let nodes = graph.node.iter().filter(|node| node.is("Constant"));
        let of_nodes: HashMap<&str, &TensorProto> = nodes
            .filter_map(|node| {
                let tensor = node.attribute("value")?.t.as_ref()?;
                Some((node.output.first()?.as_str(), tensor))
            })
            .collect();
        let constant = |name: &str| constants.get(name).or_else(|| of_nodes.get(name)).copied();
        let Assumptions { batch, side } = assumptions;
        let size_of = |axis| Some(i64::from(if axis == 0 { batch } else { side }));
        let shapes = Shapes::of(opset, &graph.input, constant, graph.node.iter(), size_of);
        let mut work = Self::default();
        for node in &graph.node {
            if node.is_any(&["Conv", "ConvTranspose", "Gemm", "MatMul"]) {
                match macs(node, &shapes) {
                    Some(macs) => work.macs = work.macs.saturating_add(macs),
                    None => work.uncounted += 1,
                }
            }
        }
        work
    }
}

/// Multiply-accumulates of a node: elements that it makes, times products that go into each.
fn macs(node: &NodeProto, shapes: &Shapes) -> Option<u64> {
    let sizes = |value: Option<&String>| -> Option<Vec<u64>> {
        let known = |dim: &Dim| dim.known().and_then(|size| u64::try_from(size).ok());
        shapes.dims(value?)?.iter().map(known).collect()
    };
    let first = sizes(node.input.first())?;
    let weights = sizes(node.input.get(1))?;
    let product = |sizes: &[u64]| sizes.iter().copied().try_fold(1u64, u64::checked_mul);
    match node.op_type.as_str() {
        "Conv" => product(&sizes(node.output.first())?)?.checked_mul(product(weights.get(1..)?)?),
        // Each element of the input meets its group's share of the weights.
        "ConvTranspose" => product(&first)?.checked_mul(product(weights.get(1..)?)?),
        "Gemm" => {
            let inner = usize::from(node.int("transA", 0)? == 0);
            product(&sizes(node.output.first())?)?.checked_mul(*first.get(inner)?)
        }
        _ => product(&sizes(node.output.first())?)?.checked_mul(*first.last()?),
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} MFLOPs", self.flops() as f64 / 1e6)?;
        if self.uncounted > 0 {
            write!(f, ", {} operators not counted (unknown shapes)", self.uncounted)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimize::Pass;
    use crate::proto::{AttributeProto, NodeProto};

    /// 3 channels to 8 with a window of 3x3 and a PRelu, then a product of 8 with 5.
    fn model(size: Option<i64>) -> Vec<u8> {
        let node = |op_type, inputs: &[&str], output| NodeProto::new(op_type, inputs, &[output], Vec::new());
        let mut conv = node("Conv", &["x", "w"], "a");
        conv.attribute.push(AttributeProto::ints("pads", &[1, 1, 1, 1]));
        let constant = |name, dims: &[i64]| {
            let len: i64 = dims.iter().product();
            TensorProto::of_f32(name, dims, &vec![0.5; usize::try_from(len).unwrap()])
        };
        let graph = GraphProto {
            node: vec![
                conv,
                node("PRelu", &["a", "slope"], "b"),
                node("GlobalAveragePool", &["b"], "c"),
                node("Flatten", &["c"], "d"),
                node("MatMul", &["d", "v"], "y"),
            ],
            initializer: vec![
                constant("w", &[8, 3, 3, 3]),
                constant("slope", &[1]),
                constant("v", &[8, 5]),
                TensorProto::of_i64("unused", &[2], &[1, 2]),
            ],
            input: vec![ValueInfoProto::of_f32("x", &[None, Some(3), size, size])],
            output: vec![ValueInfoProto::of_f32("y", &[None, Some(5)])],
            ..GraphProto::default()
        };
        file::write(&file::model(graph))
    }

    #[test]
    fn operations_parameters_and_operators_are_counted() {
        let bytes = model(Some(10));
        let inspection = inspect(&bytes).unwrap();
        assert_eq!(inspection.work.macs, 10 * 10 * 8 * 27 + 8 * 5);
        assert_eq!(inspection.work.flops(), 2 * inspection.work.macs);
        assert_eq!(inspection.work.uncounted, 0);
        assert_eq!(inspection.parameters, 8 * 27 + 1 + 40);
        assert_eq!(inspection.operators["Conv"], 1);
        assert_eq!(inspection.bytes, bytes.len());
        assert_eq!(inspection.opsets, [("ai.onnx".to_owned(), file::OPSET)]);
        assert_eq!(inspection.optimization.count(Pass::Prelu), 1);
    }

    #[test]
    fn free_dimensions_are_taken_as_assumed() {
        let bytes = model(None);
        let macs = |batch, side| {
            let assumptions = Assumptions { batch, side };
            inspect_with(&bytes, assumptions).unwrap().work.macs
        };
        assert_eq!(macs(1, 320), 320 * 320 * 8 * 27 + 40);
        assert_eq!(macs(2, 20), 2 * (20 * 20 * 8 * 27 + 40));
    }

    #[test]
    fn it_says_all_of_that_and_what_was_assumed() {
        let text = inspect(&model(None)).unwrap().to_string();
        for part in [
            "input       x f32 [batch, 3, batch, batch]",
            "parameters  257",
            "work        44.24 MFLOPs",
            "free dimensions taken as batch 1 and 320 for each other",
            "     1  PRelu",
            "     1  prelu",
            "     0  batch-norm",
        ] {
            assert!(text.contains(part), "no '{part}' in:\n{text}");
        }
    }

    #[test]
    fn why_a_model_is_left_as_it_is_is_said() {
        let mut old = file::read(&model(None)).unwrap();
        old.opset_import[0].version = 3;
        let text = inspect(&file::write(&old)).unwrap().to_string();
        assert!(
            text.contains("passes      none: the version of its ONNX operators"),
            "{text}"
        );
    }

    #[test]
    fn names_of_the_file_make_no_lines_of_their_own() {
        let mut forged = file::read(&model(None)).unwrap();
        forged.producer_name = "p\nparameters  0".to_owned();
        let graph = forged.graph.as_mut().unwrap();
        let name = "x\npasses      none: \u{1b}[2J";
        name.clone_into(&mut graph.input[0].name);
        name.clone_into(&mut graph.node[0].input[0]);
        graph.node[1].op_type = "PRelu\n  1000  Relu".to_owned();
        let text = inspect(&file::write(&forged)).unwrap().to_string();
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        for forged in ["\nparameters  0", "\npasses      none: ", "\n  1000"] {
            assert!(!text.contains(forged), "{text}");
        }
    }

    #[test]
    fn what_is_no_model_is_an_error() {
        assert!(inspect(b"no model").is_err());
    }
}
