//! The values that a pickle can make here.

/// The classes and functions of Python that a state dict needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    Storage(ElementType),
}

/// Type of a storage's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ElementType {
    F32,
    I64,
}

impl ElementType {
    /// In bytes.
    pub(super) fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::I64 => 8,
        }
    }
}

impl Global {
    pub(super) fn find(module: &str, name: &str) -> Option<Self> {
        let storages = [ElementType::F32, ElementType::I64].map(Self::Storage);
        let functions = [Self::OrderedDict, Self::RebuildTensor];
        let mut known = functions.into_iter().chain(storages);
        known.find(|known| known.name().rsplit_once('.') == Some((module, name)))
    }

    fn name(self) -> &'static str {
        match self {
            Self::OrderedDict => "collections.OrderedDict",
            Self::RebuildTensor => "torch._utils._rebuild_tensor_v2",
            Self::Storage(ElementType::F32) => "torch.FloatStorage",
            Self::Storage(ElementType::I64) => "torch.LongStorage",
        }
    }
}

/// Small, so that it is copied: a text points into the file, a container is a place in [`Objects`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// An integer beyond `i64`, as in the file: two's complement, little-endian.
    Long(&'a [u8]),
    /// Without its number, as no part of a tensor is one.
    Float,
    Text(&'a str),
    /// Place and number of the items in [`Objects::items`].
    Tuple(u32, u32),
    List(usize),
    Dict(usize),
    Global(Global),
    Storage(usize),
    Tensor(usize),
}

impl<'a> Value<'a> {
    /// An integer from the bytes of an opcode: two's complement, little-endian, without leading bytes.
    pub(super) fn of_long(bytes: &'a [u8]) -> Self {
        let negative = bytes.last().is_some_and(|&byte| byte & 0x80 != 0);
        let mut number = [if negative { 0xff } else { 0 }; 8];
        match number.get_mut(..bytes.len()) {
            Some(low) => {
                low.copy_from_slice(bytes);
                Self::Int(i64::from_le_bytes(number))
            }
            None => Self::Long(bytes),
        }
    }

    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Long(_) => "an integer",
            Self::Float => "a number",
            Self::Text(_) => "a text",
            Self::Tuple(..) => "a tuple",
            Self::List(_) => "a list",
            Self::Dict(_) => "a dictionary",
            Self::Global(global) => global.name(),
            Self::Storage(_) => "a storage",
            Self::Tensor(_) => "a tensor",
        }
    }

    /// A size, an offset or a stride.
    pub(super) fn size(self) -> Option<usize> {
        match self {
            Self::Int(number) => usize::try_from(number).ok(),
            _ => None,
        }
    }
}

/// A storage as the pickle names it; its elements come later in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct StorageName<'a> {
    pub(super) element: ElementType,
    pub(super) key: &'a str,
    /// Number of elements.
    pub(super) len: usize,
}

/// A tensor as the pickle describes it; nothing of it is checked against the storage yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct TensorView<'a> {
    /// Place in [`Objects::storages`].
    pub(super) storage: usize,
    pub(super) offset: Value<'a>,
    pub(super) shape: Value<'a>,
    pub(super) strides: Value<'a>,
}

/// The objects that values refer to.
#[derive(Debug, Default)]
pub(super) struct Objects<'a> {
    pub(super) items: Vec<Value<'a>>,
    pub(super) lists: Vec<Vec<Value<'a>>>,
    pub(super) dicts: Vec<Vec<(Value<'a>, Value<'a>)>>,
    pub(super) storages: Vec<StorageName<'a>>,
    pub(super) tensors: Vec<TensorView<'a>>,
}

impl<'a> Objects<'a> {
    pub(super) fn tuple(&self, value: Value<'a>) -> Option<&[Value<'a>]> {
        match value {
            Value::Tuple(start, len) => self.items.get(start as usize..)?.get(..len as usize),
            _ => None,
        }
    }

    pub(super) fn list(&self, value: Value<'a>) -> Option<&[Value<'a>]> {
        match value {
            Value::List(place) => self.lists.get(place).map(Vec::as_slice),
            _ => None,
        }
    }

    /// Returns the pairs in the order in which they were set; a key may occur more than once.
    pub(super) fn dict(&self, value: Value<'a>) -> Option<&[(Value<'a>, Value<'a>)]> {
        match value {
            Value::Dict(place) => self.dicts.get(place).map(Vec::as_slice),
            _ => None,
        }
    }

    /// Returns the value of a key, the one set last.
    pub(super) fn get(&self, dict: Value<'a>, key: &str) -> Option<Value<'a>> {
        let mut pairs = self.dict(dict)?.iter().rev();
        pairs.find(|pair| pair.0 == Value::Text(key)).map(|pair| pair.1)
    }
}
