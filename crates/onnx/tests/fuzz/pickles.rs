//! PyTorch files: seeds and floods.

use std::path::Path;

use likeness_onnx::import::pytorch;
use likeness_testing::Failed;

use crate::legacy::{Elements, Pickle, Tensor, file, header, object, seed, state_dict};
use crate::target::Input;
use crate::zip::{Member, archive, members};

const PUBLISHED: [&str; 2] = ["2.7_80x80_MiniFASNetV2.pth", "4_0_0_80x80_MiniFASNetV1SE.pth"];

const ZIPPED: &str = "zalo_4_80x80_MiniFASNetV1SE.pth";

/// Files of a few tensors: as the suites have them, with what is read again from the memo as PyTorch writes it, and of
/// two views of one storage.
pub(crate) fn small() -> Vec<Input> {
    let tensor = Tensor::new("a", &[2, 2], Elements::F32(vec![1.0, 2.0, 3.0, 4.0]));
    vec![
        vec![seed()],
        vec![state_dict(&[])],
        vec![file(&memoised(), std::slice::from_ref(&tensor))],
        vec![views(&tensor, 2)],
        vec![zipped()],
    ]
}

/// A tensor in the zip format.
fn zipped() -> Vec<u8> {
    let mut tensor = Tensor::new("a", &[2, 2], Elements::F32(vec![1.0, 2.0, 3.0, 4.0]));
    tensor.key = "0".to_owned();
    archive(&members(&object(&[tensor]), &[("0", vec![0; 16])]))
}

/// A dictionary of two names for one tensor, which the memo holds.
fn memoised() -> Vec<u8> {
    let tensor = Tensor::new("a", &[2, 2], Elements::F32(vec![0.0; 4]));
    Pickle::new()
        .ordered_dict()
        .raw(b"q\x00(")
        .text("a")
        .raw(b"q\x01")
        .tensor(&tensor)
        .raw(b"r\x00\x01\x00\x00")
        .text("b")
        .raw(b"j\x00\x01\x00\x00uh\x000")
        .end()
}

/// So many names for the whole of one storage.
fn views(tensor: &Tensor, count: usize) -> Vec<u8> {
    // The tensor is made once, and read from the memo.
    let start = Pickle::new()
        .tensor(tensor)
        .raw(b"q\x000")
        .ordered_dict()
        .raw(b"(");
    let object = (0..count)
        .fold(start, |pickle, name| pickle.text(&name.to_string()).raw(b"h\x00"))
        .raw(b"u")
        .end();
    file(&object, std::slice::from_ref(tensor))
}

/// The published files: one as it is, and both with their names and ranks and one element for each tensor.
pub(crate) fn real(shared: &Path) -> Result<Vec<Input>, Failed> {
    let mut files = Vec::new();
    for name in PUBLISHED {
        let bytes = std::fs::read(shared.join("upstream").join(name))?;
        let tensors: Vec<Tensor> = pytorch::state_dict(&bytes)?
            .iter()
            .map(|(name, tensor)| {
                let elements = match &tensor.elements {
                    pytorch::Elements::F32(elements) => Elements::F32(elements[..1].to_vec()),
                    pytorch::Elements::I64(elements) => Elements::I64(elements[..1].to_vec()),
                };
                Tensor::new(name, &vec![1; tensor.shape.len()], elements)
            })
            .collect();
        if files.is_empty() {
            files.push(vec![bytes]);
        }
        files.extend([10, 40, tensors.len()].map(|count| vec![state_dict(&tensors[..count])]));
    }
    files.push(vec![std::fs::read(shared.join("upstream").join(ZIPPED))?]);
    Ok(files)
}

/// Pickles that make as much as opcodes can make.
pub(crate) fn floods() -> Vec<Input> {
    let empty = || Pickle::new().ordered_dict();
    let repeated = |opcodes: &[u8], times: usize| {
        let object = empty().raw(&opcodes.repeat(times)).end();
        vec![file(&object, &[])]
    };
    let memo = |places: u32| {
        let puts: Vec<u8> = (0..places)
            .flat_map(|place| [&b"r"[..], &place.to_le_bytes()].concat())
            .collect();
        vec![file(&empty().raw(&puts).end(), &[])]
    };
    let large = Tensor::new("large", &[1 << 16], Elements::F32(vec![1.0; 1 << 16]));
    // Many tensors of one storage, and many storages of one key, each made by an opcode or two.
    let tensors = Pickle::new()
        .global("torch._utils", "_rebuild_tensor_v2")
        .raw(b"q\x000((")
        .text("storage")
        .global("torch", "FloatStorage")
        .text(&large.key)
        .text("cpu")
        .int(1 << 16)
        .raw(b"Ntq\x02Q")
        .int(0)
        .sizes(&[1; 8])
        .sizes(&[1; 8])
        .raw(b"\x89N")
        .raw(b"tq\x010");
    let many_tensors = tensors.raw(&b"h\x00h\x01R0".repeat(16_000)).ordered_dict().end();
    let storages = Pickle::new()
        .raw(b"(")
        .text("storage")
        .global("torch", "FloatStorage")
        .text(&large.key)
        .text("cpu")
        .int(1 << 16)
        .raw(b"Ntq\x000");
    let many_storages = storages.raw(&b"h\x00Q0".repeat(21_000)).ordered_dict().end();
    // Thousands of names for a tensor of eight dimensions.
    let one = Tensor::new("one", &[1; 8], Elements::F32(vec![1.0]));
    vec![
        memo(32_000),
        memo(60_000),
        repeated(b"(", 60_000),
        repeated(b"]0", 8_000),
        repeated(b"}0", 8_000),
        repeated(b"]Na0", 8_000),
        repeated(b"}NNs0", 8_000),
        repeated(b"N", 16_000),
        repeated(b"N\x850", 20_000),
        repeated(b")\x85", 60_000),
        repeated(b"N(0t0", 1 << 20),
        // The reader's limit is between these.
        vec![views(&large, 2)],
        vec![views(&large, 3)],
        vec![views(&large, 8_000)],
        vec![views(&one, 8_000)],
        vec![file(&many_tensors, std::slice::from_ref(&large))],
        vec![file(&many_storages, std::slice::from_ref(&large))],
        vec![[header(), vec![0x80, 2], b"X\xff\xff\xff\x7f".to_vec()].concat()],
        vec![[header(), vec![0x80, 2], b"\x8a\xff".to_vec()].concat()],
        vec![[header(), vec![0x80, 2], vec![b'c'; 1 << 20]].concat()],
        // As many members as are read, and one more.
        vec![archive(&many_members(1 << 12))],
        vec![archive(&many_members((1 << 12) + 1))],
    ]
}

fn many_members(count: usize) -> Vec<Member> {
    (0..count)
        .map(|at| Member::new(&format!("net/data/{at}"), &[]))
        .collect()
}
