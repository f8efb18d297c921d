use super::super::tensor::Elements;
use super::super::written::{self, Elements as Stored, Tensor as Written};
use super::super::{Architecture, ImportOptions, import_with};
use super::*;

#[path = "../../../../tests/support/zip.rs"]
mod zipped;

use zipped::{Member as Zipped, archive, members as zipped_members};

/// What the message says, and the change that is to be refused.
type Case<T> = (&'static str, fn(&mut T));

/// A matrix and a counter, as PyTorch writes them.
fn small() -> Vec<Zipped> {
    let mut matrix = Written::new("net.a", &[2, 2], Stored::F32(vec![1.0, 2.0, 3.0, 4.0]));
    let mut counter = Written::new("net.b.num_batches_tracked", &[], Stored::I64(vec![-7]));
    (matrix.key, counter.key) = ("0".to_owned(), "1".to_owned());
    let elements = [1.0f32, 2.0, 3.0, 4.0].map(f32::to_le_bytes).concat();
    let storages = [("0", elements), ("1", (-7i64).to_le_bytes().to_vec())];
    zipped_members(&written::object(&[matrix, counter]), &storages)
}

/// Why the archive is refused, once its members are changed.
fn error(change: impl FnOnce(&mut Vec<Zipped>)) -> String {
    let mut members = small();
    change(&mut members);
    state_dict(&archive(&members)).unwrap_err().to_string()
}

#[test]
fn tensors_are_those_of_the_named_storages() {
    let tensors = state_dict(&archive(&small())).unwrap();
    assert_eq!(tensors["net.a"].elements, Elements::F32(vec![1.0, 2.0, 3.0, 4.0]));
    assert_eq!(
        tensors["net.b.num_batches_tracked"].elements,
        Elements::I64(vec![-7])
    );
    assert_eq!(tensors.len(), 2);
    assert_eq!(super::super::state_dict(&archive(&small())), Ok(tensors));
}

#[test]
fn what_later_versions_of_pytorch_add_is_ignored() {
    let mut members = small();
    for (name, data) in [
        ("byteorder", "little"),
        (".format_version", "1"),
        (".data/serialization_id", "7"),
    ] {
        members.push(Zipped::new(&format!("net/{name}"), data.as_bytes()));
    }
    assert!(state_dict(&archive(&members)).is_ok());
}

#[test]
fn members_that_pytorch_does_not_write_are_refused_by_name() {
    let cases: [Case<Zipped>; 10] = [
        ("it is compressed", |member| member.method = 8),
        ("it is encrypted", |member| member.flags = 0x809),
        ("flags that PyTorch does not set", |member| member.flags = 0x80a),
        ("its checksum is not", |member| member.crc = Some(7)),
        ("contradict each other", |member| {
            member.local_name = "net/data/x".to_owned();
        }),
        ("it overlaps another", |member| member.at = Some(4)),
        ("lies outside of the archive", |member| member.at = Some(1 << 30)),
        ("lies outside of the archive", |member| {
            member.size = Some(1 << 30);
        }),
        // Its data would be the next member too.
        ("it overlaps another", |member| member.size = Some(40)),
        ("zip64", |member| member.size = Some(u32::MAX)),
    ];
    for (expected, change) in cases {
        let message = error(|members| change(&mut members[1]));
        assert!(message.contains(expected), "{expected}: {message}");
    }
}

#[test]
fn archives_that_are_no_state_dict_are_refused_by_name() {
    let cases: [Case<Vec<Zipped>>; 10] = [
        ("member 'net/data/1': it is there twice", |members| {
            members.push(members[2].clone());
        }),
        ("no NAME/data.pkl", |members| drop(members.remove(0))),
        ("the version of the format is not 3", |members| {
            members[3].data = b"2\n".to_vec();
        }),
        ("the version of the format is not 3", |members| {
            drop(members.pop());
        }),
        ("it has a member 'other/data/2'", |members| {
            members.push(Zipped::new("other/data/2", b""));
        }),
        ("it has a member 'net/code.py'", |members| {
            members.push(Zipped::new("net/code.py", b""));
        }),
        ("not little-endian", |members| {
            members.push(Zipped::new("net/byteorder", b"big"));
        }),
        ("storage '7': no tensor names it", |members| {
            members.push(Zipped::new("net/data/7", b""));
        }),
        ("storage '1': its elements are not in the file", |members| {
            drop(members.remove(2));
        }),
        (
            "storage '0': it is named with 4 elements and has 12 bytes",
            |members| members[1].data.truncate(12),
        ),
    ];
    for (expected, change) in cases {
        let message = error(change);
        assert!(message.contains(expected), "{expected}: {message}");
    }
    let trailing = error(|members| members[0].data.push(b'.'));
    assert!(trailing.contains("goes on after its pickle"), "{trailing}");
    let many =
        error(|members| members.extend((0..4096).map(|at| Zipped::new(&format!("net/data/{at}x"), b""))));
    assert_eq!(many, "more than 4096 members of an archive");
}

#[test]
fn records_at_the_end_must_agree() {
    let whole = archive(&small());
    let changed = |place: usize, byte: u8| {
        let mut bytes = whole.clone();
        let at = bytes.len() - place;
        bytes[at] = byte;
        state_dict(&bytes).unwrap_err().to_string()
    };
    // Places from the end: the number of members, the directory's size, its place, the comment's size, the zip64 record.
    for (place, byte, expected) in [
        (12, 3, "comment or several parts"),
        (2, 1, "comment or several parts"),
        (7, 200, "outside of the archive"),
        (10, 1, "zip64 records that say something else"),
        (66, 9, "zip64 records that say something else"),
        (22, 0, "does not end with the end of its directory"),
    ] {
        let message = changed(place, byte);
        assert!(message.contains(expected), "{place}: {message}");
    }
    let mut trailing = whole.clone();
    trailing.push(0);
    assert!(state_dict(&trailing).is_err());
    for len in 0..whole.len() {
        assert!(state_dict(&whole[..len]).is_err(), "{len}");
    }
}

#[test]
fn a_prefix_is_taken_off_the_beginning_and_ignored_tensors_are_left_out() {
    let imported = |options: &ImportOptions| {
        let import = import_with(&archive(&small()), Architecture::MiniFasNetV2, options);
        import.map(drop).unwrap_err().to_string()
    };
    let mut options = ImportOptions {
        prefix: "net.".to_owned(),
        ..ImportOptions::default()
    };
    // The names are those of the architecture then, whose tensors are missing.
    assert!(imported(&options).contains("'conv1.conv.weight' of shape [32, 3, 3, 3], which is missing"));
    options.prefix = "net.a".to_owned();
    assert_eq!(
        imported(&options),
        "tensor 'net.b.num_batches_tracked': its name does not begin with 'net.a'"
    );
    options.ignored = vec!["net.b.".to_owned()];
    assert!(imported(&options).contains("conv1.conv.weight"));
}
