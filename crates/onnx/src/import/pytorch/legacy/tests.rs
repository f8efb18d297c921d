use super::super::tensor::Elements;
use super::super::written::{self, Elements as Stored, Pickle, Tensor as Written};
use super::*;

fn f32s(name: &str, shape: &[i64], elements: &[f32]) -> Written {
    Written::new(name, shape, Stored::F32(elements.to_vec()))
}

fn read(tensors: &[Written]) -> Result<BTreeMap<String, Tensor>, OnnxError> {
    state_dict(&written::state_dict(tensors))
}

fn error(tensors: &[Written]) -> String {
    read(tensors).unwrap_err().to_string()
}

#[test]
fn tensors_come_by_name_with_shape_and_elements() {
    let tensors = read(&[
        f32s("b", &[2, 2], &[1.0, 2.0, 3.0, 4.0]),
        Written::new("a", &[], Stored::I64(vec![-7])),
        f32s("none", &[0, 3], &[]),
    ]);
    let tensor = |shape: &[usize], elements| Tensor {
        shape: shape.to_vec(),
        elements,
    };
    let expected = [
        ("a", tensor(&[], Elements::I64(vec![-7]))),
        ("b", tensor(&[2, 2], Elements::F32(vec![1.0, 2.0, 3.0, 4.0]))),
        ("none", tensor(&[0, 3], Elements::F32(vec![]))),
    ];
    let expected = expected.map(|(name, tensor)| (name.to_owned(), tensor));
    assert_eq!(tensors, Ok(BTreeMap::from(expected)));
    assert_eq!(read(&[]), Ok(BTreeMap::new()));
    assert_eq!(state_dict(&written::seed()).map(|tensors| tensors.len()), Ok(3));
}

#[test]
fn strides_and_offsets_are_followed() {
    let elements: Vec<f32> = (0..12u8).map(f32::from).collect();
    let view = |shape: &[i64], strides: &[i64], offset| {
        let mut tensor = f32s("a", &[12], &elements);
        (tensor.shape, tensor.strides, tensor.offset) = (shape.to_vec(), strides.to_vec(), offset);
        match read(&[tensor]).unwrap().remove("a").unwrap().elements {
            Elements::F32(elements) => elements,
            Elements::I64(_) => panic!("other elements"),
        }
    };
    assert_eq!(view(&[3], &[1], 9), [9.0, 10.0, 11.0]);
    assert_eq!(view(&[2, 3], &[1, 2], 0), [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]);
    assert_eq!(view(&[3, 2, 2], &[1, 6, 3], 0)[..5], [0.0, 3.0, 6.0, 9.0, 1.0]);
    assert_eq!(view(&[2, 1], &[11, 1000], 0), [0.0, 11.0]);
    assert_eq!(view(&[3], &[0], 4), [4.0, 4.0, 4.0]);
}

#[test]
fn a_tensor_outside_of_its_storage_is_an_error_that_names_it() {
    for (shape, strides, offset) in [
        (&[13][..], &[1][..], 0),
        (&[12], &[1], 1),
        (&[1], &[1], 12),
        (&[2, 2], &[1, 11], 0),
        (&[13], &[0], 0),
        (&[i64::MAX, i64::MAX], &[0, 0], 0),
        (&[i64::MAX], &[i64::MAX], i64::MAX),
        (&[2], &[i64::MAX], i64::MAX),
        (&[-1], &[1], 0),
        (&[2], &[-1], 1),
        (&[1], &[1], -1),
        (&[2, 2], &[1], 0),
        (&[1; 9], &[1; 9], 0),
    ] {
        let mut tensor = f32s("some.weight", &[12], &[0.0; 12]);
        (tensor.shape, tensor.strides, tensor.offset) = (shape.to_vec(), strides.to_vec(), offset);
        let error = error(&[tensor]);
        assert!(
            error.starts_with("tensor 'some.weight': "),
            "{shape:?} {strides:?} {offset}: {error}"
        );
    }
    let mut empty = f32s("a", &[0], &[]);
    empty.shape = vec![i64::MAX, i64::MAX, 0];
    empty.strides = vec![1, 1, 1];
    assert!(read(&[empty]).is_ok());
}

#[test]
fn storages_are_as_the_pickle_names_them() {
    let mut longer = f32s("a", &[1], &[1.0]);
    longer.named_len = 2;
    assert_eq!(
        error(&[longer]),
        "storage 'key of a': it is named with 2 elements and has 1"
    );

    let [a, mut b] = [f32s("a", &[1], &[1.0]), f32s("b", &[1], &[1.0])];
    b.key.clone_from(&a.key);
    assert_eq!(
        error(&[a.clone(), b.clone()]),
        "storage 'key of a': it is there twice"
    );
    let one = written::file(&written::object(&[a.clone(), b]), std::slice::from_ref(&a));
    assert!(state_dict(&one).is_ok(), "two tensors may share a storage");

    let absent = written::file(&written::object(std::slice::from_ref(&a)), &[]);
    let error = state_dict(&absent).unwrap_err().to_string();
    assert_eq!(error, "storage 'key of a': its elements are not in the file");
    let unnamed = written::file(&written::object(&[]), std::slice::from_ref(&a));
    let error = state_dict(&unnamed).unwrap_err().to_string();
    assert_eq!(error, "storage 'key of a': no tensor names it");
}

#[test]
fn a_storage_of_two_types_is_an_error() {
    let a = f32s("a", &[1], &[1.0]);
    let mut b = Written::new("b", &[1], Stored::I64(vec![1]));
    b.key.clone_from(&a.key);
    assert_eq!(
        error(&[a, b]),
        "storage 'key of a': it is named with two types or sizes"
    );
}

#[test]
fn a_storage_larger_than_the_file_is_not_waited_for() {
    for len in [1 << 20, i64::MAX, i64::MAX / 4] {
        let mut tensor = f32s("a", &[1], &[1.0]);
        tensor.named_len = len;
        let mut file = written::state_dict(&[tensor]);
        let place = file.len() - 12;
        file[place..place + 8].copy_from_slice(&len.to_le_bytes());
        assert!(
            matches!(state_dict(&file), Err(OnnxError::Truncated { .. })),
            "{len}"
        );
    }
}

#[test]
fn sharing_does_not_multiply_the_file() {
    let storage = f32s("0", &[1000], &[0.5; 1000]);
    let tensors: Vec<Written> = (0..1000)
        .map(|number| Written {
            name: number.to_string(),
            ..storage.clone()
        })
        .collect();
    // By itself each is fine, and so are a few; all are a thousand times the storage, and many times the file.
    let few = written::file(&written::object(&tensors[..2]), &tensors[..1]);
    assert!(state_dict(&few).is_ok());
    let all = written::file(&written::object(&tensors), &tensors[..1]);
    assert!(all.len() < 400_000);
    assert!(matches!(state_dict(&all), Err(OnnxError::TooLarge { .. })));
}

#[test]
fn a_name_is_there_once() {
    let [a, mut b] = [f32s("a", &[1], &[1.0]), f32s("b", &[1], &[1.0])];
    b.name = "a".to_owned();
    assert_eq!(error(&[a, b]), "tensor 'a': it is there twice");
}

#[test]
fn other_objects_are_no_state_dict() {
    let message = |object: Pickle| {
        state_dict(&written::file(&object.end(), &[]))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        message(Pickle::new().raw(b"]")),
        "no state dict: the file holds a list"
    );
    assert_eq!(
        message(Pickle::new().raw(b"}NNs")),
        "no state dict: None as a name"
    );
    assert_eq!(
        message(Pickle::new().raw(b"}").text("epoch").int(3).raw(b"s")),
        "tensor 'epoch': it is an integer"
    );
    let evil = Pickle::new().global("os", "system").text("true").raw(b"\x85R");
    assert!(message(evil).starts_with("refused: os.system (GLOBAL at byte "));
}

#[test]
fn files_of_other_kinds_are_told() {
    for bytes in [
        &b""[..],
        b"\x08\x08",
        b"GIF89a",
        b"\x80\x02K\x01.",
        b"\x80\x02cos\nsystem\n.",
    ] {
        assert!(
            matches!(state_dict(bytes), Err(OnnxError::Format(_))),
            "{bytes:?}"
        );
    }
    let replaced = |from: &[u8], to: &[u8]| {
        let mut file = written::seed();
        let place = file
            .windows(from.len())
            .position(|window| window == from)
            .unwrap();
        file.splice(place..place + from.len(), to.iter().copied());
        state_dict(&file)
    };
    let big_endian = replaced(b"little_endian\x88", b"little_endian\x89");
    assert!(matches!(big_endian, Err(OnnxError::Format(_))));
    let version = replaced(&1001i64.to_le_bytes(), &1002i64.to_le_bytes());
    assert!(matches!(version, Err(OnnxError::Format(_))));
}

#[test]
fn a_file_that_is_cut_anywhere_or_goes_on_is_an_error() {
    let whole = written::seed();
    for len in 0..whole.len() {
        assert!(state_dict(&whole[..len]).is_err(), "{len} bytes");
    }
    let longer = [whole, vec![0]].concat();
    assert!(matches!(state_dict(&longer), Err(OnnxError::Malformed { .. })));
}
