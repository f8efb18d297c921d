//! ONNX's protobuf messages, by the field numbers of `onnx.proto` (ONNX 1.18, IR version 11), which documents the fields.
//!
//! Written by hand rather than generated: the build needs no `protoc`, and what neither an importer nor a pass reads is
//! kept as bytes, so that a model that is read and written again loses nothing that inference needs, while a hostile file
//! cannot make the reader build it.
#![allow(missing_docs, reason = "the fields are documented in onnx.proto")]

use std::collections::BTreeMap;

use prost::{Message, Oneof};

/// What a length-delimited field takes in memory.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    /// Bytes of the value itself.
    pub(crate) fixed: usize,
    /// Bytes for each byte of the field in the file.
    pub(crate) each: usize,
    /// Of a message: what its field of a number is.
    pub(crate) fields: Option<fn(u64) -> Kind>,
}

impl Kind {
    const fn list(fixed: usize, each: usize) -> Self {
        let fields = None;
        Self { fixed, each, fields }
    }
}

/// A text, or bytes that are kept as they are.
const BYTES: Kind = Kind::list(size_of::<Vec<u8>>(), 1);

/// The type of a field.
pub(crate) trait Field {
    const KIND: Kind;
}

impl<T: Field> Field for Option<T> {
    const KIND: Kind = T::KIND;
}

impl<T: Field> Field for Vec<T> {
    const KIND: Kind = T::KIND;
}

macro_rules! kinds {
    ($($type:ty = $kind:expr;)+) => {$(
        impl Field for $type {
            const KIND: Kind = $kind;
        }
    )+};
}

kinds! {
    u8 = BYTES;
    String = BYTES;
    // Packed numbers, which take at least one byte in the file, or as many as in memory.
    i32 = Kind::list(0, 4);
    i64 = Kind::list(0, 8);
    u64 = Kind::list(0, 8);
    f32 = Kind::list(0, 1);
    f64 = Kind::list(0, 1);
    DimensionProto = Kind { fixed: size_of::<Self>(), each: 0, fields: Some(|_| BYTES) };
}

/// Defines messages of fields `name = tag: type [kind of prost's]`.
macro_rules! messages {
    ($($(#[$doc:meta])* $message:ident {
        $($(#[$field_doc:meta])* $field:ident = $tag:tt: $type:ty [$($kind:tt)+],)+
    })+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Message)]
        pub struct $message {
            $($(#[$field_doc])* #[prost($($kind)+, tag = $tag)] pub $field: $type,)+
        }

        impl Field for $message {
            const KIND: Kind = Kind {
                fixed: size_of::<Self>(),
                each: 0,
                fields: Some(|tag| match tag {
                    $($tag => <$type as Field>::KIND,)+
                    _ => BYTES,
                }),
            };
        }
    )+};
}

messages! {
    /// A model file.
    ModelProto {
        ir_version = 1: i64 [int64],
        producer_name = 2: String [string],
        producer_version = 3: String [string],
        domain = 4: String [string],
        model_version = 5: i64 [int64],
        doc_string = 6: String [string],
        graph = 7: Option<GraphProto> [message, optional],
        opset_import = 8: Vec<OperatorSetIdProto> [message, repeated],
        metadata_props = 14: Vec<StringStringEntryProto> [message, repeated],
        functions = 25: Vec<Vec<u8>> [bytes = "vec", repeated],
    }

    /// Version of an operator set.
    OperatorSetIdProto {
        domain = 1: String [string],
        version = 2: i64 [int64],
    }

    /// A pair of texts.
    StringStringEntryProto {
        key = 1: String [string],
        value = 2: String [string],
    }

    /// A graph: nodes in an order in which they can be computed.
    GraphProto {
        node = 1: Vec<NodeProto> [message, repeated],
        name = 2: String [string],
        initializer = 5: Vec<TensorProto> [message, repeated],
        doc_string = 10: String [string],
        /// Inputs; those that an initializer bears the name of have a default.
        input = 11: Vec<ValueInfoProto> [message, repeated],
        output = 12: Vec<ValueInfoProto> [message, repeated],
        value_info = 13: Vec<ValueInfoProto> [message, repeated],
        quantization_annotation = 14: Vec<Vec<u8>> [bytes = "vec", repeated],
        sparse_initializer = 15: Vec<Vec<u8>> [bytes = "vec", repeated],
        metadata_props = 16: Vec<StringStringEntryProto> [message, repeated],
    }

    /// An operation.
    NodeProto {
        /// Names of what it reads; an empty name stands for an optional input that is absent.
        input = 1: Vec<String> [string, repeated],
        output = 2: Vec<String> [string, repeated],
        name = 3: String [string],
        op_type = 4: String [string],
        attribute = 5: Vec<AttributeProto> [message, repeated],
        doc_string = 6: String [string],
        domain = 7: String [string],
        /// Which of the functions of one name.
        overload = 8: String [string],
        metadata_props = 9: Vec<StringStringEntryProto> [message, repeated],
    }

    /// A setting of a node.
    AttributeProto {
        name = 1: String [string],
        f = 2: f32 [float],
        i = 3: i64 [int64],
        s = 4: Vec<u8> [bytes = "vec"],
        t = 5: Option<TensorProto> [message, optional],
        g = 6: Option<GraphProto> [message, optional],
        floats = 7: Vec<f32> [float, repeated],
        ints = 8: Vec<i64> [int64, repeated],
        strings = 9: Vec<Vec<u8>> [bytes = "vec", repeated],
        tensors = 10: Vec<TensorProto> [message, repeated],
        graphs = 11: Vec<GraphProto> [message, repeated],
        doc_string = 13: String [string],
        type_proto = 14: Option<Vec<u8>> [bytes = "vec", optional],
        type_protos = 15: Vec<Vec<u8>> [bytes = "vec", repeated],
        r#type = 20: i32 [int32],
        /// In functions: the function's attribute that this one takes its value from.
        ref_attr_name = 21: String [string],
        sparse_tensor = 22: Option<Vec<u8>> [bytes = "vec", optional],
        sparse_tensors = 23: Vec<Vec<u8>> [bytes = "vec", repeated],
    }

    /// A constant.
    TensorProto {
        dims = 1: Vec<i64> [int64, repeated],
        data_type = 2: i32 [int32],
        float_data = 4: Vec<f32> [float, repeated],
        int32_data = 5: Vec<i32> [int32, repeated],
        string_data = 6: Vec<Vec<u8>> [bytes = "vec", repeated],
        int64_data = 7: Vec<i64> [int64, repeated],
        name = 8: String [string],
        raw_data = 9: Vec<u8> [bytes = "vec"],
        double_data = 10: Vec<f64> [double, repeated],
        uint64_data = 11: Vec<u64> [uint64, repeated],
        doc_string = 12: String [string],
        external_data = 13: Vec<StringStringEntryProto> [message, repeated],
        data_location = 14: i32 [int32],
        metadata_props = 16: Vec<StringStringEntryProto> [message, repeated],
    }

    /// A value's name and type.
    ValueInfoProto {
        name = 1: String [string],
        r#type = 2: Option<TypeProto> [message, optional],
        doc_string = 3: String [string],
        metadata_props = 4: Vec<StringStringEntryProto> [message, repeated],
    }

    /// A value's type; those that are no tensor are not looked into.
    TypeProto {
        tensor_type = 1: Option<TensorTypeProto> [message, optional],
        sequence_type = 4: Option<Vec<u8>> [bytes = "vec", optional],
        map_type = 5: Option<Vec<u8>> [bytes = "vec", optional],
        denotation = 6: String [string],
        opaque_type = 7: Option<Vec<u8>> [bytes = "vec", optional],
        sparse_tensor_type = 8: Option<Vec<u8>> [bytes = "vec", optional],
        optional_type = 9: Option<Vec<u8>> [bytes = "vec", optional],
    }

    /// A tensor's type.
    TensorTypeProto {
        elem_type = 1: i32 [int32],
        shape = 2: Option<TensorShapeProto> [message, optional],
    }

    /// A shape.
    TensorShapeProto {
        dim = 1: Vec<DimensionProto> [message, repeated],
    }
}

/// A dimension.
#[derive(Clone, PartialEq, Message)]
pub struct DimensionProto {
    /// Its size; absent where nothing is known.
    #[prost(oneof = "DimensionValue", tags = "1, 2")]
    pub value: Option<DimensionValue>,
    #[prost(string, tag = "3")]
    pub denotation: String,
}

/// Size of a dimension.
#[derive(Clone, PartialEq, Oneof)]
pub enum DimensionValue {
    #[prost(int64, tag = "1")]
    Fixed(i64),
    #[prost(string, tag = "2")]
    Named(String),
}

/// `AttributeProto.AttributeType`, those that are made or read here.
pub mod kind {
    pub const FLOAT: i32 = 1;
    pub const INT: i32 = 2;
    pub const STRING: i32 = 3;
    pub const TENSOR: i32 = 4;
    pub const GRAPH: i32 = 5;
    pub const FLOATS: i32 = 6;
    pub const INTS: i32 = 7;
}

/// `TensorProto.DataType`, those that are made or read here.
pub mod data_type {
    pub const FLOAT: i32 = 1;
    pub const INT64: i32 = 7;
    pub const FLOAT16: i32 = 10;
}

impl AttributeProto {
    fn of(name: &str, kind: i32) -> Self {
        Self {
            name: name.to_owned(),
            r#type: kind,
            ..Self::default()
        }
    }

    /// A whole number.
    #[must_use]
    pub fn int(name: &str, i: i64) -> Self {
        let attribute = Self::of(name, kind::INT);
        Self { i, ..attribute }
    }

    /// A number.
    #[must_use]
    pub fn float(name: &str, f: f32) -> Self {
        let attribute = Self::of(name, kind::FLOAT);
        Self { f, ..attribute }
    }

    /// Whole numbers.
    #[must_use]
    pub fn ints(name: &str, ints: &[i64]) -> Self {
        let (ints, attribute) = (ints.to_vec(), Self::of(name, kind::INTS));
        Self { ints, ..attribute }
    }

    /// A text.
    pub(crate) fn text(name: &str, text: &str) -> Self {
        let (s, attribute) = (text.as_bytes().to_vec(), Self::of(name, kind::STRING));
        Self { s, ..attribute }
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
    pub(crate) fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.attribute.iter().find(|attribute| attribute.name == name)
    }

    /// What is read of an attribute, `None` where it is absent; `None` in all where it is of another kind, or a function's.
    fn read<'n, T>(
        &'n self,
        name: &str,
        kind: i32,
        read: impl Fn(&'n AttributeProto) -> T,
    ) -> Option<Option<T>> {
        let attribute = self.attribute(name);
        let is_plain = |it: &AttributeProto| it.r#type == kind && it.ref_attr_name.is_empty();
        attribute.is_none_or(is_plain).then(|| attribute.map(read))
    }

    /// A whole number, `default` where it is absent; `None` where it is something else.
    pub(crate) fn int(&self, name: &str, default: i64) -> Option<i64> {
        Some(self.read(name, kind::INT, |it| it.i)?.unwrap_or(default))
    }

    /// A number, likewise.
    pub(crate) fn float(&self, name: &str, default: f32) -> Option<f32> {
        Some(self.read(name, kind::FLOAT, |it| it.f)?.unwrap_or(default))
    }

    /// Whole numbers; `None` also where they are absent.
    pub(crate) fn ints(&self, name: &str) -> Option<&[i64]> {
        self.read(name, kind::INTS, |it| it.ints.as_slice())?
    }

    /// A text, `default` where it is absent; `None` where it is something else.
    pub(crate) fn text<'n>(&'n self, name: &str, default: &'n str) -> Option<&'n str> {
        let bytes = self.read(name, kind::STRING, |it| it.s.as_slice())?;
        str::from_utf8(bytes.unwrap_or(default.as_bytes())).ok()
    }

    /// An input that is not absent.
    pub(crate) fn input(&self, index: usize) -> Option<&str> {
        let name = self.input.get(index).filter(|name| !name.is_empty());
        name.map(String::as_str)
    }

    /// Whether it is an operator of ONNX's own.
    pub(crate) fn is_standard(&self) -> bool {
        self.domain.is_empty() || self.domain == "ai.onnx"
    }

    /// Whether it is an operator of ONNX's own of this name.
    #[must_use]
    pub fn is(&self, op_type: &str) -> bool {
        self.op_type == op_type && self.is_standard()
    }

    /// Whether it is an operator of ONNX's own of one of these names.
    pub(crate) fn is_any(&self, op_types: &[&str]) -> bool {
        op_types.contains(&self.op_type.as_str()) && self.is_standard()
    }
}

impl TensorProto {
    fn of(name: &str, dims: &[i64], data_type: i32, raw_data: Vec<u8>) -> Self {
        Self {
            name: name.to_owned(),
            dims: dims.to_vec(),
            data_type,
            raw_data,
            ..Self::default()
        }
    }

    /// A tensor of `f32`.
    #[must_use]
    pub fn of_f32(name: &str, dims: &[i64], values: &[f32]) -> Self {
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self::of(name, dims, data_type::FLOAT, raw_data)
    }

    /// A tensor of `i64`.
    #[must_use]
    pub fn of_i64(name: &str, dims: &[i64], values: &[i64]) -> Self {
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self::of(name, dims, data_type::INT64, raw_data)
    }

    /// Number of elements; `None` where the shape is no shape.
    #[must_use]
    pub fn elements(&self) -> Option<usize> {
        self.dims.iter().try_fold(1usize, |product, &dim| {
            product.checked_mul(usize::try_from(dim).ok()?)
        })
    }

    /// Returns its elements, if they are `f32`, in this file, and as many as the shape says.
    #[must_use]
    pub fn f32s(&self) -> Option<Vec<f32>> {
        self.read(data_type::FLOAT, &self.float_data, f32::from_le_bytes)
    }

    /// Returns its elements, if they are `i64`, in this file, and as many as the shape says.
    pub(crate) fn i64s(&self) -> Option<Vec<i64>> {
        self.read(data_type::INT64, &self.int64_data, i64::from_le_bytes)
    }

    fn read<const N: usize, T: Clone>(
        &self,
        data_type: i32,
        listed: &[T],
        element: fn([u8; N]) -> T,
    ) -> Option<Vec<T>> {
        if self.data_type != data_type || self.data_location != 0 {
            return None;
        }
        let values = if self.raw_data.is_empty() {
            listed.to_vec()
        } else {
            let (chunks, []) = self.raw_data.as_chunks::<N>() else {
                return None;
            };
            chunks.iter().copied().map(element).collect()
        };
        (Some(values.len()) == self.elements()).then_some(values)
    }

    /// Whether [`f32s`](Self::f32s) returns elements, at least one; without making them.
    pub(crate) fn has_f32s(&self) -> bool {
        let given = match self.raw_data.len() {
            0 => self.float_data.len().checked_mul(4),
            given => Some(given),
        };
        let bytes = self.elements().and_then(|elements| elements.checked_mul(4));
        self.data_type == data_type::FLOAT && self.data_location == 0 && bytes == given && bytes > Some(0)
    }
}

impl ValueInfoProto {
    /// A tensor of `f32`; `None` for a dimension stands for the batch, which is free.
    #[must_use]
    pub fn of_f32(name: &str, dims: &[Option<i64>]) -> Self {
        let batch = DimensionValue::Named("batch".to_owned());
        let value = |dim: &Option<i64>| dim.map_or_else(|| batch.clone(), DimensionValue::Fixed);
        Self::of_dims(name, dims.iter().map(value))
    }

    /// A tensor of `f32` of these dimensions.
    pub(crate) fn of_dims(name: &str, dims: impl Iterator<Item = DimensionValue>) -> Self {
        let dim = dims.map(|value| DimensionProto {
            value: Some(value),
            ..DimensionProto::default()
        });
        Self {
            name: name.to_owned(),
            r#type: Some(TypeProto {
                tensor_type: Some(TensorTypeProto {
                    elem_type: data_type::FLOAT,
                    shape: Some(TensorShapeProto { dim: dim.collect() }),
                }),
                ..TypeProto::default()
            }),
            ..Self::default()
        }
    }

    /// Its type, if it is a tensor.
    pub(crate) fn tensor(&self) -> Option<&TensorTypeProto> {
        self.r#type.as_ref()?.tensor_type.as_ref()
    }
}

impl GraphProto {
    /// The constants by name.
    pub(crate) fn constants(&self) -> BTreeMap<&str, &TensorProto> {
        let constants = self.initializer.iter();
        constants.map(|tensor| (tensor.name.as_str(), tensor)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl ValueInfoProto {
        /// The shape, `None` for what is not a number; `None` in all where it is not known.
        pub(crate) fn shape(&self) -> Option<Vec<Option<i64>>> {
            let dims = self.tensor()?.shape.as_ref()?.dim.iter();
            let size = |dim: &DimensionProto| match dim.value {
                Some(DimensionValue::Fixed(size)) => Some(size),
                _ => None,
            };
            Some(dims.map(size).collect())
        }
    }
}
