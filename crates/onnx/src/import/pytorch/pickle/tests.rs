use super::super::cursor::Cursor;
use super::super::value::ElementType;
use super::super::written::Pickle;
use super::*;

fn loaded(bytes: &[u8]) -> Result<(Value<'_>, Objects<'_>), PyTorchError> {
    load(&mut Cursor::new(bytes))
}

fn refusal(bytes: &[u8]) -> String {
    match loaded(bytes) {
        Err(PyTorchError::Refused { what, opcode, .. }) => format!("{what} by {opcode}"),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn values_are_read_as_python_would() {
    for (bytes, expected) in [
        (&b"N."[..], Value::None),
        (b"\x88.", Value::Bool(true)),
        (b"\x89.", Value::Bool(false)),
        (b"K\xff.", Value::Int(255)),
        (b"M\x00\x01.", Value::Int(256)),
        (b"J\xff\xff\xff\xff.", Value::Int(-1)),
        (b"\x8a\x00.", Value::Int(0)),
        (b"\x8a\x01\xff.", Value::Int(-1)),
        (b"\x8a\x02\xff\x00.", Value::Int(255)),
        (
            b"\x8a\x09\0\0\0\0\0\0\0\0\x01.",
            Value::Long(b"\0\0\0\0\0\0\0\0\x01"),
        ),
        (b"G\0\0\0\0\0\0\0\0.", Value::Float),
        (b"X\x02\0\0\0\xc3\xa9.", Value::Text("\u{e9}")),
        (b"U\x01a.", Value::Text("a")),
        (b"\x80\x02K\x01q\x07h\x070.", Value::Int(1)),
        (b"K\x01r\0\0\0\xf0j\0\0\0\xf00.", Value::Int(1)),
        (b"K\x01(K\x02K\x031.", Value::Int(1)),
    ] {
        assert_eq!(loaded(bytes).unwrap().0, expected, "{bytes:?}");
    }
}

#[test]
fn containers_keep_their_items_in_order() {
    let one_two = [Value::Int(1), Value::Int(2)];
    for bytes in [&b"(K\x01K\x02t."[..], b"K\x01K\x02\x86."] {
        let (tuple, objects) = loaded(bytes).unwrap();
        assert_eq!(objects.tuple(tuple), Some(&one_two[..]));
    }
    for bytes in [&b"](K\x01K\x02e."[..], b"]K\x01aK\x02a."] {
        let (list, objects) = loaded(bytes).unwrap();
        assert_eq!(objects.list(list), Some(&one_two[..]));
    }
    for bytes in [
        &b"}(U\x01aK\x00U\x01bK\x02U\x01aK\x01u."[..],
        b"}U\x01aK\x01sU\x01bK\x02s.",
    ] {
        let (dict, objects) = loaded(bytes).unwrap();
        assert_eq!(objects.get(dict, "a"), Some(Value::Int(1)));
        assert_eq!(objects.get(dict, "b"), Some(Value::Int(2)));
        assert_eq!(objects.get(dict, "c"), None);
    }
}

#[test]
fn a_container_is_the_same_one_when_it_is_read_from_the_memo() {
    let (list, objects) = loaded(b"]q\x00K\x01ah\x00K\x02a0h\x00K\x03a0.").unwrap();
    assert_eq!(objects.list(list).map(<[_]>::len), Some(3));
}

#[test]
fn a_list_in_itself_is_no_trouble() {
    let (list, objects) = loaded(b"]q\x00h\x00a.").unwrap();
    assert_eq!(objects.list(list), Some(&[list][..]));
}

#[test]
fn every_other_class_or_function_is_refused_by_name() {
    for (module, name) in [
        ("builtins", "eval"),
        ("__builtin__", "eval"),
        ("os", "system"),
        ("posix", "system"),
        ("subprocess", "Popen"),
        ("torch._utils", "_rebuild_tensor"),
        ("torch._utils", "_rebuild_parameter"),
        ("torch", "HalfStorage"),
        ("torch", "FloatStorage.__init__"),
        ("collections", "OrderedDict.fromkeys"),
        ("collections", "defaultdict"),
    ] {
        let bytes = Pickle::new()
            .global(module, name)
            .text("echo")
            .raw(b"\x85R")
            .end();
        assert_eq!(refusal(&bytes), format!("{module}.{name} by GLOBAL"));
    }
    assert_eq!(refusal(b"(U\x04echoios\nsystem\n."), "os.system by INST");
    assert_eq!(refusal(b"U\x02osU\x06system\x93."), "os.system by STACK_GLOBAL");
}

#[test]
fn the_message_of_a_refusal_names_what_was_asked_for_and_where() {
    let bytes = Pickle::new().global("builtins", "eval").end();
    let error = loaded(&bytes).unwrap_err().to_string();
    assert_eq!(error, "refused: builtins.eval (GLOBAL at byte 2)");
}

#[test]
fn a_refusal_quotes_the_file_briefly_and_without_control_characters() {
    let bytes = Pickle::new().global("\x1b[31m", &"x".repeat(200)).end();
    let what = refusal(&bytes);
    assert!(what.starts_with("\\u{1b}[31m.xxx") && what.len() < 120, "{what}");
}

#[test]
fn only_tensors_and_dictionaries_are_made_by_calls() {
    assert_eq!(
        refusal(&Pickle::new().global("torch", "FloatStorage").raw(b")R").end()),
        "torch.FloatStorage by REDUCE"
    );
    assert_eq!(refusal(b"U\x06system)R."), "a text by REDUCE");
    assert_eq!(refusal(b"})R."), "a dictionary by REDUCE");
    let of_pairs = Pickle::new()
        .global("collections", "OrderedDict")
        .raw(b"]\x85R")
        .end();
    assert_eq!(refusal(&of_pairs), "collections.OrderedDict by REDUCE");
    let of_a_text = Pickle::new()
        .global("torch._utils", "_rebuild_tensor_v2")
        .text("x")
        .raw(b"K\x00))\x89)tR");
    assert!(matches!(
        loaded(&of_a_text.end()),
        Err(PyTorchError::Malformed { .. })
    ));
}

#[test]
fn the_one_attribute_that_is_set_is_the_metadata_of_a_dictionary() {
    let known = Pickle::new()
        .ordered_dict()
        .raw(b"}")
        .text("_metadata")
        .raw(b"}sb")
        .end();
    assert!(loaded(&known).is_ok());
    let other = Pickle::new()
        .ordered_dict()
        .raw(b"}")
        .text("__class__")
        .raw(b"}sb")
        .end();
    assert_eq!(refusal(&other), "attributes of a dictionary by BUILD");
    assert_eq!(refusal(b")}b."), "attributes of a tuple by BUILD");
    assert_eq!(refusal(b"}Nb."), "attributes of a dictionary by BUILD");
}

#[test]
fn opcodes_that_no_state_dict_needs_are_refused_by_name() {
    for (byte, name) in [
        (0x81, "NEWOBJ"),
        (b'o', "OBJ"),
        (0x82, "EXT1"),
        (b'P', "PERSID"),
        (b'2', "DUP"),
    ] {
        assert_eq!(
            refusal(&[byte, b'.']),
            format!("an opcode that no state dict needs by {name}")
        );
    }
    let error = loaded(b"\xff.").unwrap_err();
    assert_eq!(
        error.to_string(),
        "malformed at byte 0: 0xff is no opcode of pickle's"
    );
    let error = loaded(b"\x80\x04N.").unwrap_err();
    assert_eq!(
        error.to_string(),
        "malformed at byte 0: protocol 4 of pickle, not 2"
    );
}

#[test]
fn only_whole_storages_lie_outside_of_the_pickle() {
    let named = |pickle: Pickle| {
        pickle
            .text("storage")
            .global("torch", "LongStorage")
            .text("1")
            .text("cpu")
    };
    let whole = named(Pickle::new().raw(b"(")).int(3).raw(b"NtQ").end();
    let (storage, objects) = loaded(&whole).unwrap();
    assert_eq!(storage, Value::Storage(0));
    assert_eq!(
        (objects.storages[0].element, objects.storages[0].len),
        (ElementType::I64, 3)
    );

    let part = named(Pickle::new().raw(b"(")).int(3).raw(b"K\x01tQ").end();
    assert!(refusal(&part).ends_with("BINPERSID"));
    assert!(refusal(b"U\x06moduleQ.").ends_with("BINPERSID"));
    let negative = named(Pickle::new().raw(b"(")).int(-3).raw(b"NtQ").end();
    assert!(matches!(loaded(&negative), Err(PyTorchError::Malformed { .. })));
}

#[test]
fn what_is_not_there_cannot_be_taken() {
    for bytes in [
        &b"."[..],
        b"0.",
        b"1.",
        b"t.",
        b"\x85.",
        b"K\x01\x86.",
        b"a.",
        b"Na.",
        b"e.",
        b"(e.",
        b"N(Ke.",
        b"s.",
        b"K\x01K\x02s.",
        b"NK\x01K\x02s.",
        b"}(K\x01u.",
        b"u.",
        b"q\x00.",
        b"h\x00.",
        b"R.",
        b")R.",
        b"b.",
        b"Q.",
        b"\x93.",
        b"N(.",
        b"NN.",
        b"N(0.",
        b"N(\x85.",
        b"}N(Nsu.",
    ] {
        assert!(loaded(bytes).is_err(), "{bytes:?}");
    }
}

#[test]
fn a_pickle_that_is_cut_anywhere_is_an_error() {
    let tensors = [super::super::written::Tensor::new(
        "a",
        &[1, 1],
        super::super::written::Elements::F32(vec![1.0]),
    )];
    let whole = super::super::written::object(&tensors);
    assert!(loaded(&whole).is_ok());
    for len in 0..whole.len() {
        assert!(loaded(&whole[..len]).is_err(), "{len} bytes");
    }
}

#[test]
fn a_text_is_not_longer_than_its_file_nor_than_a_name() {
    assert!(matches!(
        loaded(b"X\x05\0\0\0abc"),
        Err(PyTorchError::Truncated { .. })
    ));
    assert!(matches!(
        loaded(b"X\xff\xff\xff\xffabc"),
        Err(PyTorchError::TooMuch { .. })
    ));
    assert!(matches!(
        loaded(b"U\x01\xff."),
        Err(PyTorchError::Malformed { .. })
    ));
    let long = [b"cos\n".as_slice(), &[b'x'; 1000]].concat();
    assert!(matches!(loaded(&long), Err(PyTorchError::TooMuch { .. })));
}

#[test]
fn bombs_end_at_a_limit() {
    let limit = |bytes: &[u8]| match loaded(bytes) {
        Err(PyTorchError::TooMuch { what, .. }) => what,
        other => panic!("no limit: {other:?}"),
    };
    let million = |bytes: &[u8]| bytes.repeat(1_000_000 / bytes.len());
    assert_eq!(limit(&million(b"N")), "values on a pickle's stack");
    assert_eq!(limit(&million(b"(")), "levels of a pickle");
    assert_eq!(limit(&million(b"]0")), "lists and dictionaries in a pickle");
    assert_eq!(limit(&million(b"N0")), "opcodes in a pickle");
    // Deep, but not by recursion.
    assert_eq!(
        limit(&[b"N".to_vec(), million(b"\x85")].concat()),
        "opcodes in a pickle"
    );
    let memo: Vec<u8> = (0..100_000u32)
        .flat_map(|place| [&b"r"[..], &place.to_le_bytes()].concat())
        .collect();
    assert_eq!(
        limit(&[b"N".to_vec(), memo].concat()),
        "values in a pickle's memo"
    );
}

#[test]
fn a_billion_laughs_take_no_more_than_they_have_opcodes() {
    // Each list has the one before it ten times: 10^100 items, if anything counted them.
    let mut bytes = b"]q\x00".to_vec();
    for place in 1..=100u8 {
        bytes.extend_from_slice(&[b']', b'q', place, b'(']);
        bytes.extend_from_slice(&[b'h', place - 1].repeat(10));
        bytes.push(b'e');
    }
    // The lists that are still below the last are left over.
    assert!(matches!(
        loaded(&[bytes.clone(), b".".to_vec()].concat()),
        Err(PyTorchError::Malformed { .. })
    ));
    bytes.extend_from_slice(&[&b"(t"[..], &b"0".repeat(101), b"."].concat());
    let (list, objects) = loaded(&bytes).unwrap();
    assert_eq!(list, Value::List(0));
    assert_eq!(objects.lists.iter().map(Vec::len).sum::<usize>(), 1000);
}
