//! ONNX's protobuf messages, by the field numbers of `onnx.proto` (ONNX 1.18, IR version 11).
//!
//! What neither an importer nor a rewrite looks into is kept as the bytes that it came as, so that a model that is read
//! and written again loses nothing that inference needs.

use std::collections::BTreeMap;

use prost::{Message, Oneof};

/// A model file.
#[derive(Clone, PartialEq, Message)]
pub struct ModelProto {
    /// Version of the format.
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    /// What wrote it.
    #[prost(string, tag = "2")]
    pub producer_name: String,
    /// Version of what wrote it.
    #[prost(string, tag = "3")]
    pub producer_version: String,
    /// Name space of the model.
    #[prost(string, tag = "4")]
    pub domain: String,
    /// Version of the model.
    #[prost(int64, tag = "5")]
    pub model_version: i64,
    /// For people.
    #[prost(string, tag = "6")]
    pub doc_string: String,
    /// What is computed.
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
    /// Versions of the operator sets.
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSetIdProto>,
    /// Free pairs.
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<StringStringEntryProto>,
    /// Functions of the model's own, not looked into.
    #[prost(bytes = "vec", repeated, tag = "25")]
    pub functions: Vec<Vec<u8>>,
}

/// Version of an operator set.
#[derive(Clone, PartialEq, Message)]
pub struct OperatorSetIdProto {
    /// Empty for ONNX's own.
    #[prost(string, tag = "1")]
    pub domain: String,
    /// Its version.
    #[prost(int64, tag = "2")]
    pub version: i64,
}

/// A pair of texts.
#[derive(Clone, PartialEq, Message)]
pub struct StringStringEntryProto {
    /// Key.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// A graph: nodes in an order in which they can be computed.
#[derive(Clone, PartialEq, Message)]
pub struct GraphProto {
    /// Operations.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeProto>,
    /// Name.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Constants.
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
    /// For people.
    #[prost(string, tag = "10")]
    pub doc_string: String,
    /// Inputs; those that an initializer bears the name of have a default.
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfoProto>,
    /// Outputs.
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfoProto>,
    /// Types of what lies between.
    #[prost(message, repeated, tag = "13")]
    pub value_info: Vec<ValueInfoProto>,
    /// Not looked into.
    #[prost(bytes = "vec", repeated, tag = "14")]
    pub quantization_annotation: Vec<Vec<u8>>,
    /// Not looked into.
    #[prost(bytes = "vec", repeated, tag = "15")]
    pub sparse_initializer: Vec<Vec<u8>>,
    /// Free pairs.
    #[prost(message, repeated, tag = "16")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// An operation.
#[derive(Clone, PartialEq, Message)]
pub struct NodeProto {
    /// Names of what it reads; an empty name stands for an optional input that is absent.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// Names of what it makes.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    /// Name.
    #[prost(string, tag = "3")]
    pub name: String,
    /// Operator.
    #[prost(string, tag = "4")]
    pub op_type: String,
    /// Settings.
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<AttributeProto>,
    /// For people.
    #[prost(string, tag = "6")]
    pub doc_string: String,
    /// Operator set; empty for ONNX's own.
    #[prost(string, tag = "7")]
    pub domain: String,
    /// Which of the functions of one name.
    #[prost(string, tag = "8")]
    pub overload: String,
    /// Free pairs.
    #[prost(message, repeated, tag = "9")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// A setting of a node.
#[derive(Clone, PartialEq, Message)]
pub struct AttributeProto {
    /// Name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// For [`kind::FLOAT`].
    #[prost(float, tag = "2")]
    pub f: f32,
    /// For [`kind::INT`].
    #[prost(int64, tag = "3")]
    pub i: i64,
    /// For [`kind::STRING`].
    #[prost(bytes = "vec", tag = "4")]
    pub s: Vec<u8>,
    /// For [`kind::TENSOR`].
    #[prost(message, optional, tag = "5")]
    pub t: Option<TensorProto>,
    /// For [`kind::GRAPH`].
    #[prost(message, optional, tag = "6")]
    pub g: Option<GraphProto>,
    /// For [`kind::FLOATS`].
    #[prost(float, repeated, tag = "7")]
    pub floats: Vec<f32>,
    /// For [`kind::INTS`].
    #[prost(int64, repeated, tag = "8")]
    pub ints: Vec<i64>,
    /// For a list of texts.
    #[prost(bytes = "vec", repeated, tag = "9")]
    pub strings: Vec<Vec<u8>>,
    /// For a list of tensors.
    #[prost(message, repeated, tag = "10")]
    pub tensors: Vec<TensorProto>,
    /// For a list of graphs.
    #[prost(message, repeated, tag = "11")]
    pub graphs: Vec<GraphProto>,
    /// For people.
    #[prost(string, tag = "13")]
    pub doc_string: String,
    /// Not looked into.
    #[prost(bytes = "vec", optional, tag = "14")]
    pub type_proto: Option<Vec<u8>>,
    /// Not looked into.
    #[prost(bytes = "vec", repeated, tag = "15")]
    pub type_protos: Vec<Vec<u8>>,
    /// Which of the fields is meant, of [`kind`].
    #[prost(int32, tag = "20")]
    pub r#type: i32,
    /// In functions: the function's attribute that this one takes its value from.
    #[prost(string, tag = "21")]
    pub ref_attr_name: String,
    /// Not looked into.
    #[prost(bytes = "vec", optional, tag = "22")]
    pub sparse_tensor: Option<Vec<u8>>,
    /// Not looked into.
    #[prost(bytes = "vec", repeated, tag = "23")]
    pub sparse_tensors: Vec<Vec<u8>>,
}

/// `AttributeProto.AttributeType`, those that are made or read here.
pub mod kind {
    /// A number.
    pub const FLOAT: i32 = 1;
    /// A whole number.
    pub const INT: i32 = 2;
    /// A text.
    pub const STRING: i32 = 3;
    /// A tensor.
    pub const TENSOR: i32 = 4;
    /// A graph.
    pub const GRAPH: i32 = 5;
    /// Numbers.
    pub const FLOATS: i32 = 6;
    /// Whole numbers.
    pub const INTS: i32 = 7;
}

/// `TensorProto.DataType`, those that are made or read here.
pub mod data_type {
    /// `f32`.
    pub const FLOAT: i32 = 1;
    /// `i64`.
    pub const INT64: i32 = 7;
    /// `f16`.
    pub const FLOAT16: i32 = 10;
}

/// A constant.
#[derive(Clone, PartialEq, Message)]
pub struct TensorProto {
    /// Shape.
    #[prost(int64, repeated, tag = "1")]
    pub dims: Vec<i64>,
    /// Type of the elements, of [`data_type`].
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    /// Elements of `f32`, where `raw_data` is empty.
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    /// Elements of the small types, likewise.
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    /// Texts.
    #[prost(bytes = "vec", repeated, tag = "6")]
    pub string_data: Vec<Vec<u8>>,
    /// Elements of `i64`, likewise.
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    /// Name.
    #[prost(string, tag = "8")]
    pub name: String,
    /// Elements, little-endian, row by row.
    #[prost(bytes = "vec", tag = "9")]
    pub raw_data: Vec<u8>,
    /// Elements of `f64`, likewise.
    #[prost(double, repeated, tag = "10")]
    pub double_data: Vec<f64>,
    /// Elements of `u64`, likewise.
    #[prost(uint64, repeated, tag = "11")]
    pub uint64_data: Vec<u64>,
    /// For people.
    #[prost(string, tag = "12")]
    pub doc_string: String,
    /// Where the elements are, if in another file.
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<StringStringEntryProto>,
    /// 1: in another file.
    #[prost(int32, tag = "14")]
    pub data_location: i32,
    /// Free pairs.
    #[prost(message, repeated, tag = "16")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// A value's name and type.
#[derive(Clone, PartialEq, Message)]
pub struct ValueInfoProto {
    /// Name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Type.
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<TypeProto>,
    /// For people.
    #[prost(string, tag = "3")]
    pub doc_string: String,
    /// Free pairs.
    #[prost(message, repeated, tag = "4")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// A value's type; those that are no tensor are not looked into.
#[derive(Clone, PartialEq, Message)]
pub struct TypeProto {
    /// A tensor.
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorTypeProto>,
    /// Not looked into.
    #[prost(bytes = "vec", optional, tag = "4")]
    pub sequence_type: Option<Vec<u8>>,
    /// Not looked into.
    #[prost(bytes = "vec", optional, tag = "5")]
    pub map_type: Option<Vec<u8>>,
    /// For people.
    #[prost(string, tag = "6")]
    pub denotation: String,
    /// Not looked into.
    #[prost(bytes = "vec", optional, tag = "7")]
    pub opaque_type: Option<Vec<u8>>,
    /// Not looked into.
    #[prost(bytes = "vec", optional, tag = "8")]
    pub sparse_tensor_type: Option<Vec<u8>>,
    /// Not looked into.
    #[prost(bytes = "vec", optional, tag = "9")]
    pub optional_type: Option<Vec<u8>>,
}

/// A tensor's type.
#[derive(Clone, PartialEq, Message)]
pub struct TensorTypeProto {
    /// Of [`data_type`].
    #[prost(int32, tag = "1")]
    pub elem_type: i32,
    /// Shape, where known.
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShapeProto>,
}

/// A shape.
#[derive(Clone, PartialEq, Message)]
pub struct TensorShapeProto {
    /// Dimensions.
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<DimensionProto>,
}

/// A dimension.
#[derive(Clone, PartialEq, Message)]
pub struct DimensionProto {
    /// Its size; absent where nothing is known.
    #[prost(oneof = "DimensionValue", tags = "1, 2")]
    pub value: Option<DimensionValue>,
    /// For people.
    #[prost(string, tag = "3")]
    pub denotation: String,
}

/// Size of a dimension.
#[derive(Clone, PartialEq, Oneof)]
pub enum DimensionValue {
    /// A number.
    #[prost(int64, tag = "1")]
    Fixed(i64),
    /// A name: free.
    #[prost(string, tag = "2")]
    Named(String),
}

impl AttributeProto {
    /// A whole number.
    #[must_use]
    pub fn int(name: &str, i: i64) -> Self {
        Self {
            name: name.to_owned(),
            i,
            r#type: kind::INT,
            ..Self::default()
        }
    }

    /// A number.
    #[must_use]
    pub fn float(name: &str, f: f32) -> Self {
        Self {
            name: name.to_owned(),
            f,
            r#type: kind::FLOAT,
            ..Self::default()
        }
    }

    /// Whole numbers.
    #[must_use]
    pub fn ints(name: &str, ints: &[i64]) -> Self {
        Self {
            name: name.to_owned(),
            ints: ints.to_vec(),
            r#type: kind::INTS,
            ..Self::default()
        }
    }
}

/// Reads the attributes of nodes: `None` where one is of another type than asked for, or a function's.
pub mod attribute {
    use super::{AttributeProto, NodeProto, kind};

    fn of_kind<'n>(node: &'n NodeProto, name: &str, kind: i32) -> Option<Option<&'n AttributeProto>> {
        match node.attribute(name) {
            None => Some(None),
            Some(attribute) if attribute.r#type == kind && attribute.ref_attr_name.is_empty() => {
                Some(Some(attribute))
            }
            Some(_) => None,
        }
    }

    /// A whole number, `default` where it is absent.
    #[must_use]
    pub fn int(node: &NodeProto, name: &str, default: i64) -> Option<i64> {
        Some(of_kind(node, name, kind::INT)?.map_or(default, |attribute| attribute.i))
    }

    /// A number, `default` where it is absent.
    #[must_use]
    pub fn float(node: &NodeProto, name: &str, default: f32) -> Option<f32> {
        Some(of_kind(node, name, kind::FLOAT)?.map_or(default, |attribute| attribute.f))
    }

    /// Whole numbers; `None` also where they are absent.
    #[must_use]
    pub fn ints(node: &NodeProto, name: &str) -> Option<Vec<i64>> {
        Some(of_kind(node, name, kind::INTS)??.ints.clone())
    }

    /// A text, `default` where it is absent.
    #[must_use]
    pub fn text(node: &NodeProto, name: &str, default: &str) -> Option<String> {
        match of_kind(node, name, kind::STRING)? {
            None => Some(default.to_owned()),
            Some(attribute) => String::from_utf8(attribute.s.clone()).ok(),
        }
    }
}

impl NodeProto {
    /// A node of ONNX's own operators, named as its first output.
    #[must_use]
    pub fn new(op_type: &str, inputs: &[&str], outputs: &[&str], attributes: Vec<AttributeProto>) -> Self {
        Self {
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: outputs.iter().map(|&name| name.to_owned()).collect(),
            name: outputs.first().copied().unwrap_or_default().to_owned(),
            op_type: op_type.to_owned(),
            attribute: attributes,
            ..Self::default()
        }
    }

    /// The attribute of this name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.attribute.iter().find(|attribute| attribute.name == name)
    }

    /// Whether it is an operator of ONNX's own of this name.
    #[must_use]
    pub fn is(&self, op_type: &str) -> bool {
        self.op_type == op_type && (self.domain.is_empty() || self.domain == "ai.onnx")
    }
}

impl TensorProto {
    /// A tensor of `f32`.
    #[must_use]
    pub fn of_f32(name: &str, dims: &[i64], values: &[f32]) -> Self {
        Self {
            name: name.to_owned(),
            dims: dims.to_vec(),
            data_type: data_type::FLOAT,
            raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            ..Self::default()
        }
    }

    /// A tensor of `i64`.
    #[must_use]
    pub fn of_i64(name: &str, dims: &[i64], values: &[i64]) -> Self {
        Self {
            name: name.to_owned(),
            dims: dims.to_vec(),
            data_type: data_type::INT64,
            raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            ..Self::default()
        }
    }

    /// Number of elements; `None` where the shape is no shape.
    #[must_use]
    pub fn len(&self) -> Option<usize> {
        self.dims.iter().try_fold(1usize, |product, &dim| {
            product.checked_mul(usize::try_from(dim).ok()?)
        })
    }

    /// Whether it has no elements, or no shape.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len().unwrap_or(0) == 0
    }

    /// Its elements, where they are `f32`, in this file, and as many as the shape says.
    #[must_use]
    pub fn f32s(&self) -> Option<Vec<f32>> {
        if self.data_type != data_type::FLOAT || self.data_location != 0 {
            return None;
        }
        let values = if self.raw_data.is_empty() {
            self.float_data.clone()
        } else {
            if !self.raw_data.len().is_multiple_of(4) {
                return None;
            }
            self.raw_data
                .as_chunks::<4>()
                .0
                .iter()
                .map(|bytes| f32::from_le_bytes(*bytes))
                .collect()
        };
        (Some(values.len()) == self.len()).then_some(values)
    }

    /// Its elements, where they are `i64`, in this file, and as many as the shape says.
    #[must_use]
    pub fn i64s(&self) -> Option<Vec<i64>> {
        if self.data_type != data_type::INT64 || self.data_location != 0 {
            return None;
        }
        let values = if self.raw_data.is_empty() {
            self.int64_data.clone()
        } else {
            if !self.raw_data.len().is_multiple_of(8) {
                return None;
            }
            self.raw_data
                .as_chunks::<8>()
                .0
                .iter()
                .map(|bytes| i64::from_le_bytes(*bytes))
                .collect()
        };
        (Some(values.len()) == self.len()).then_some(values)
    }
}

impl ValueInfoProto {
    /// A tensor of `f32`; `None` for a dimension stands for the batch, which is free.
    #[must_use]
    pub fn of_f32(name: &str, dims: &[Option<i64>]) -> Self {
        let dim = dims
            .iter()
            .map(|dim| DimensionProto {
                value: Some(match dim {
                    Some(size) => DimensionValue::Fixed(*size),
                    None => DimensionValue::Named("batch".to_owned()),
                }),
                ..DimensionProto::default()
            })
            .collect();
        Self {
            name: name.to_owned(),
            r#type: Some(TypeProto {
                tensor_type: Some(TensorTypeProto {
                    elem_type: data_type::FLOAT,
                    shape: Some(TensorShapeProto { dim }),
                }),
                ..TypeProto::default()
            }),
            ..Self::default()
        }
    }

    /// The shape, `None` for what is not a number; `None` in all where it is not known.
    #[must_use]
    pub fn shape(&self) -> Option<Vec<Option<i64>>> {
        let shape = self.r#type.as_ref()?.tensor_type.as_ref()?.shape.as_ref()?;
        Some(
            shape
                .dim
                .iter()
                .map(|dim| match &dim.value {
                    Some(DimensionValue::Fixed(size)) => Some(*size),
                    _ => None,
                })
                .collect(),
        )
    }
}

impl GraphProto {
    /// The constants by name.
    #[must_use]
    pub fn constants(&self) -> BTreeMap<&str, &TensorProto> {
        self.initializer
            .iter()
            .map(|tensor| (tensor.name.as_str(), tensor))
            .collect()
    }
}
