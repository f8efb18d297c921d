//! PyTorch files in the legacy format, written by hand: small ones for tests and as seeds for fuzzing, and broken ones.

#![allow(
    dead_code,
    reason = "it is part of several test binaries, none of which uses all of it"
)]

/// A pickle of protocol 2 that is being written.
pub(crate) struct Pickle(Vec<u8>);

impl Pickle {
    pub(crate) fn new() -> Self {
        Self(vec![0x80, 2])
    }

    /// Opcodes and what belongs to them, as they are.
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// BINUNICODE.
    pub(crate) fn text(self, text: &str) -> Self {
        let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
        self.raw(b"X").raw(&len.to_le_bytes()).raw(text.as_bytes())
    }

    /// LONG1 of eight bytes: any size that a test may want.
    pub(crate) fn int(self, number: i64) -> Self {
        self.raw(&[0x8a, 8]).raw(&number.to_le_bytes())
    }

    /// GLOBAL.
    pub(crate) fn global(self, module: &str, name: &str) -> Self {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }

    /// A tuple of whole numbers.
    pub(crate) fn sizes(self, sizes: &[i64]) -> Self {
        let start = self.raw(b"(");
        sizes
            .iter()
            .fold(start, |pickle, &size| pickle.int(size))
            .raw(b"t")
    }

    /// An `OrderedDict` without items.
    pub(crate) fn ordered_dict(self) -> Self {
        self.global("collections", "OrderedDict").raw(b")R")
    }

    /// A tensor: its storage as the pickle names it, then its view of it.
    pub(crate) fn tensor(self, tensor: &Tensor) -> Self {
        self.global("torch._utils", "_rebuild_tensor_v2")
            .raw(b"((")
            .text("storage")
            .global("torch", tensor.elements.class())
            .text(&tensor.key)
            .text("cpu")
            .int(tensor.named_len)
            .raw(b"NtQ")
            .int(tensor.offset)
            .sizes(&tensor.shape)
            .sizes(&tensor.strides)
            .raw(b"\x89")
            .ordered_dict()
            .raw(b"tR")
    }

    /// STOP.
    pub(crate) fn end(self) -> Vec<u8> {
        self.raw(b".").0
    }
}

/// Elements of a storage.
#[derive(Clone)]
pub(crate) enum Elements {
    F32(Vec<f32>),
    I64(Vec<i64>),
}

impl Elements {
    fn class(&self) -> &'static str {
        match self {
            Self::F32(_) => "FloatStorage",
            Self::I64(_) => "LongStorage",
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::F32(elements) => elements.len(),
            Self::I64(elements) => elements.len(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::F32(elements) => elements
                .iter()
                .flat_map(|element| element.to_le_bytes())
                .collect(),
            Self::I64(elements) => elements
                .iter()
                .flat_map(|element| element.to_le_bytes())
                .collect(),
        }
    }
}

/// A tensor with a storage of its own. Tests set a field to what is wrong.
#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<i64>,
    pub(crate) strides: Vec<i64>,
    pub(crate) offset: i64,
    /// The storage's key.
    pub(crate) key: String,
    /// The storage's number of elements as the pickle names it.
    pub(crate) named_len: i64,
    pub(crate) elements: Elements,
}

impl Tensor {
    /// One whose elements lie in the order of its shape.
    pub(crate) fn new(name: &str, shape: &[i64], elements: Elements) -> Self {
        let mut strides = vec![1; shape.len()];
        for place in (1..shape.len()).rev() {
            strides[place - 1] = strides[place] * shape[place];
        }
        Self {
            name: name.to_owned(),
            shape: shape.to_vec(),
            strides,
            offset: 0,
            key: format!("key of {name}"),
            named_len: i64::try_from(elements.len()).unwrap_or(i64::MAX),
            elements,
        }
    }
}

/// The pickles before the object: magic number, version, facts about the machine.
pub(crate) fn header() -> Vec<u8> {
    let magic = Pickle::new()
        .raw(b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")
        .end();
    let version = Pickle::new().int(1001).end();
    let system = Pickle::new()
        .raw(b"}(")
        .text("protocol_version")
        .int(1001)
        .text("little_endian")
        .raw(b"\x88")
        .text("type_sizes")
        .raw(b"}(")
        .text("long")
        .int(8)
        .raw(b"uu")
        .end();
    [magic, version, system].concat()
}

/// A file of an object that is already pickled and the storages of these tensors.
pub(crate) fn file(object: &[u8], tensors: &[Tensor]) -> Vec<u8> {
    let keys = Pickle::new().raw(b"](");
    let keys = tensors
        .iter()
        .fold(keys, |pickle, tensor| pickle.text(&tensor.key));
    let mut file = [&header(), object, &keys.raw(b"e").end()].concat();
    for tensor in tensors {
        let len = u64::try_from(tensor.elements.len()).unwrap_or(u64::MAX);
        file.extend_from_slice(&len.to_le_bytes());
        file.extend_from_slice(&tensor.elements.bytes());
    }
    file
}

/// The pickle of a state dict, with the versions of its modules as PyTorch adds them.
pub(crate) fn object(tensors: &[Tensor]) -> Vec<u8> {
    let start = Pickle::new().ordered_dict().raw(b"(");
    tensors
        .iter()
        .fold(start, |pickle, tensor| pickle.text(&tensor.name).tensor(tensor))
        .raw(b"u}")
        .text("_metadata")
        .ordered_dict()
        .raw(b"sb")
        .end()
}

/// A file as PyTorch writes it.
pub(crate) fn state_dict(tensors: &[Tensor]) -> Vec<u8> {
    file(&object(tensors), tensors)
}

/// A small file with everything in it that the published ones have: tensors of both types, a number without
/// dimensions, a transposed one.
pub(crate) fn seed() -> Vec<u8> {
    let mut transposed = Tensor::new(
        "module.linear.weight",
        &[2, 3],
        Elements::F32(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
    );
    transposed.strides = vec![1, 2];
    state_dict(&[
        Tensor::new(
            "module.conv1.conv.weight",
            &[1, 1, 2, 2],
            Elements::F32(vec![0.5, -0.5, 0.25, 0.0]),
        ),
        Tensor::new(
            "module.conv1.bn.num_batches_tracked",
            &[],
            Elements::I64(vec![1234]),
        ),
        transposed,
    ])
}
