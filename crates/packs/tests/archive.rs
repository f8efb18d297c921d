//! Archives: what an export holds, and that nothing is taken from an archive which does not belong there.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use likeness_packs::archive::export;
use likeness_packs::fetch::{Mirror, Pulled};
use likeness_packs::{Manifest, PackError, Store};
use support::{Pack, onnx_file, pull, sha256, store_of, tree};
use tar::{EntryType, Header};

/// A pack of two models, and the files that it consists of.
fn pack() -> (Pack, [Vec<u8>; 2]) {
    let files = ["a", "b"].map(|name| onnx_file(name, 3_000));
    (Pack::of(&files[0], []).and("b.onnx", &files[1], []), files)
}

/// A store that the pack is installed in.
fn installed(folder: &Path) -> Store {
    let (pack, files) = pack();
    let mirror = folder.join("mirror");
    std::fs::create_dir(&mirror).unwrap();
    std::fs::write(mirror.join("a.onnx"), &files[0]).unwrap();
    std::fs::write(mirror.join("b.onnx"), &files[1]).unwrap();
    let store = Store::at(folder.join("exported"));
    let pull = pull(|pull| {
        pull.mirror = Some(Mirror::Folder(mirror));
        pull.install = true;
    });
    pull.run(&store, Some(&pack.write(folder)), &|_| {}).unwrap();
    store
}

fn take(archive: &Path, store: &Store, pack: Option<&str>) -> Result<Pulled, PackError> {
    pull(|pull| pull.archive = Some(archive.to_owned())).run(store, pack, &|_| {})
}

/// An entry of an archive that a test writes.
struct Entry {
    name: String,
    kind: EntryType,
    bytes: Vec<u8>,
}

fn entry(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Entry {
    Entry {
        name: name.into(),
        kind: EntryType::Regular,
        bytes: bytes.into(),
    }
}

fn blob(bytes: &[u8]) -> Entry {
    entry(format!("blobs/sha256/{}", sha256(bytes)), bytes)
}

/// The archive as an export writes it.
fn sound() -> Vec<Entry> {
    let (pack, files) = pack();
    let mut blobs = files.map(|file| blob(&file));
    blobs.sort_by(|one, other| one.name.cmp(&other.name));
    let sums: String = blobs
        .iter()
        .map(|blob| format!("{}  {}\n", sha256(&blob.bytes), blob.name))
        .collect();
    [entry("pack.toml", pack.manifest()), entry("SHA256SUMS", sums)]
        .into_iter()
        .chain(blobs)
        .collect()
}

/// Header and content of an entry. Names are written as they are, which the tar crate itself refuses for the worst.
fn bytes_of(entry: &Entry, size: u64) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..entry.name.len()].copy_from_slice(entry.name.as_bytes());
    header.set_entry_type(entry.kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    if matches!(entry.kind, EntryType::Symlink | EntryType::Link) {
        header.set_link_name("/etc/passwd").unwrap();
    }
    header.set_cksum();
    let padding = entry.bytes.len().next_multiple_of(512) - entry.bytes.len();
    [header.as_bytes(), &entry.bytes[..], &vec![0; padding]].concat()
}

fn tar_of(entries: &[Entry]) -> Vec<u8> {
    let bodies = entries
        .iter()
        .map(|entry| bytes_of(entry, entry.bytes.len() as u64));
    bodies.chain([vec![0; 1024]]).flatten().collect()
}

/// Takes an archive of these bytes into an empty store. Returns the error, and what the store holds after it.
fn refused(bytes: &[u8]) -> (String, BTreeMap<String, Vec<u8>>) {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("pack.tar");
    std::fs::write(&archive, bytes).unwrap();
    let store = Store::at(folder.path().join("store"));
    let error = take(&archive, &store, None).unwrap_err().to_string();
    assert!(
        !folder.path().join("evil").exists() && store.load("tiny").is_err(),
        "{error}"
    );
    let (_, files) = pack();
    let found = tree(store.folder());
    for (name, bytes) in &found {
        let is_blob = files
            .iter()
            .any(|file| *name == format!("blobs/sha256/{}", sha256(file)) && file == bytes);
        assert!(
            is_blob || ["lock", "blobs/sha256/"].contains(&name.as_str()),
            "{name} after {error}"
        );
    }
    // What is said of an archive that is not whole is what was taken of it.
    if error.contains("pack.tar: entry ") || error.contains("is no whole archive") {
        let blobs = found
            .keys()
            .filter(|name| name.starts_with("blobs/sha256/") && !name.ends_with('/'));
        let said = match blobs.count() {
            0 => "; nothing was taken from it",
            1 => "; 1 file before it was taken, verified, and stays in the model store",
            _ => "; 2 files before it were taken, verified, and stay in the model store",
        };
        assert!(error.contains(said), "{said:?} is not in {error}");
    }
    (error, found)
}

#[test]
fn an_export_goes_into_an_empty_store_and_the_pack_is_found_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let store = installed(folder.path());
    let archive = folder.path().join("tiny.tar");
    let exported = export(&store, "tiny", &archive).unwrap();
    assert_eq!((exported.manifest.models.len(), exported.sources), (2, 0));

    let empty = Store::at(folder.path().join("deep/store"));
    let pulled = take(&archive, &empty, None).unwrap();
    assert!(pulled.installed && pulled.fetched.len() == 2 && pulled.made == ["a", "b"]);
    let (pack, files) = pack();
    let mut expected = store_of(files.iter().map(Vec::as_slice));
    expected.insert("packs/tiny/pack.toml".to_owned(), pack.manifest().into_bytes());
    assert_eq!(tree(empty.folder()), expected);
    assert_eq!(empty.load("tiny").unwrap().model("b").unwrap(), files[1]);

    let again = take(&archive, &empty, Some("tiny")).unwrap();
    assert!(!again.installed && again.fetched.is_empty() && again.made.is_empty());
}

#[test]
fn the_same_pack_gives_the_same_bytes_which_are_those_of_a_plain_tar() {
    let folder = tempfile::tempdir().unwrap();
    let store = installed(folder.path());
    let archives = ["one.tar", "two.tar"].map(|name| folder.path().join(name));
    for archive in &archives {
        export(&store, "tiny", archive).unwrap();
    }
    let [one, two] = archives.map(|archive| std::fs::read(archive).unwrap());
    assert!(one == two, "the bytes of exports differ");
    let expected = tar_of(&sound());
    let first = one
        .iter()
        .zip(&expected)
        .position(|(found, expected)| found != expected);
    assert_eq!((first, one.len()), (None, expected.len()));
    let left: Vec<PathBuf> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(
        !left
            .iter()
            .any(|path| path.display().to_string().contains("partial")),
        "{left:?}"
    );
}

#[test]
fn what_is_missing_is_not_exported_and_an_unfinished_archive_is_not_left() {
    let folder = tempfile::tempdir().unwrap();
    let store = installed(folder.path());
    let out = folder.path().join("nowhere/tiny.tar");
    let error = export(&store, "tiny", &out).unwrap_err().to_string();
    assert!(error.starts_with("cannot write "), "{error}");
    std::fs::remove_file(store.blob(&sha256(&pack().1[1]))).unwrap();
    let out = folder.path().join("tiny.tar");
    let error = export(&store, "tiny", &out).unwrap_err().to_string();
    assert!(
        error.contains("'b' is missing") || error.contains("No such file"),
        "{error}"
    );
    assert!(!out.exists());
}

#[test]
fn an_archive_that_cannot_take_its_place_is_not_left_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = installed(folder.path());
    let out = folder.path().join("out");
    std::fs::create_dir_all(out.join("tiny.tar")).unwrap();
    let error = export(&store, "tiny", &out.join("tiny.tar"))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("cannot write ") && error.contains("tiny.tar"),
        "{error}"
    );
    assert_eq!(tree(&out).into_keys().collect::<Vec<_>>(), ["tiny.tar/"]);
}

/// The name that an archive has while it is written can be guessed, and the folder may be one that all can write to.
#[cfg(unix)]
#[test]
fn the_target_of_a_link_in_the_folder_of_an_export_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let store = installed(folder.path());
    let victim = folder.path().join("victim");
    std::fs::write(&victim, b"not an archive").unwrap();
    std::os::unix::fs::symlink(&victim, folder.path().join(".tiny.tar.partial")).unwrap();
    let out = folder.path().join("tiny.tar");
    export(&store, "tiny", &out).unwrap();
    assert_eq!(std::fs::read(&victim).unwrap(), b"not an archive");
    assert!(std::fs::symlink_metadata(&out).unwrap().is_file());
}

#[test]
fn an_invalid_manifest_is_reported_with_the_archive_and_without_control_characters() {
    for text in ["format = 2\n\u{1b}[2J", "\"\\u001b[2J\" = 2\n"] {
        let mut entries = sound();
        entries[0].bytes = text.as_bytes().to_vec();
        let (error, _) = refused(&tar_of(&entries));
        assert!(
            error.contains("pack.tar: entry \"pack.toml\" is not a manifest: "),
            "{error}"
        );
        assert!(!error.contains('\u{1b}'), "{error:?}");
    }
}

#[test]
fn entries_that_do_not_belong_there_are_refused() {
    let secret = "blobs/sha256/../../../evil";
    let (_, [file, _]) = pack();
    let cases: Vec<(&str, Entry, &str)> = vec![
        (
            "a name that leads out",
            entry(secret, b"evil".to_vec()),
            "does not belong there",
        ),
        (
            "an absolute name",
            entry("/tmp/evil", b"evil".to_vec()),
            "does not belong there",
        ),
        (
            "another file",
            entry("packs/open-1/pack.toml", b"evil".to_vec()),
            "does not belong there",
        ),
        ("another blob", blob(b"evil"), "does not belong there"),
        (
            "a blob by another name",
            entry(format!("./blobs/sha256/{}", sha256(&file)), file.clone()),
            "does not belong",
        ),
        ("a blob that is there twice", blob(&file), "is there twice"),
        (
            "a second manifest",
            entry("pack.toml", b"evil".to_vec()),
            "does not belong there",
        ),
    ];
    for (what, bad, expected) in cases {
        let mut entries = sound();
        entries.push(bad);
        let (error, _) = refused(&tar_of(&entries));
        assert!(error.contains(expected), "{what}: {error}");
    }
}

#[test]
fn entries_that_are_not_plain_files_are_refused() {
    let kinds = [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Char,
        EntryType::Block,
        EntryType::Fifo,
        EntryType::Directory,
        EntryType::GNULongName,
        EntryType::GNULongLink,
        EntryType::GNUSparse,
        EntryType::XHeader,
        EntryType::XGlobalHeader,
        EntryType::Continuous,
    ];
    for kind in kinds {
        for place in 0..3 {
            let mut entries = sound();
            entries[place].kind = kind;
            let (error, found) = refused(&tar_of(&entries));
            assert!(error.contains("is not a plain file"), "{kind:?}: {error}");
            assert!(
                found.keys().all(|name| !name.contains("blobs/sha256/e")),
                "{kind:?}"
            );
        }
    }
}

#[test]
fn sizes_are_compared_before_a_byte_is_taken() {
    let mut entries = sound();
    entries[2].bytes.push(0);
    let (error, found) = refused(&tar_of(&entries));
    assert!(
        error.contains(&format!("has {} bytes", entries[2].bytes.len())),
        "{error}"
    );
    assert_eq!(found, store_of([]));

    // A header may promise more than there is on any disk.
    for place in [0, 1, 2] {
        let entries = sound();
        let bodies = entries.iter().enumerate().map(|(index, entry)| {
            let size = if index == place {
                1 << 60
            } else {
                entry.bytes.len() as u64
            };
            bytes_of(entry, size)
        });
        let (error, _) = refused(&bodies.flatten().collect::<Vec<_>>());
        assert!(error.contains("bytes"), "{error}");
    }
}

#[test]
fn wrong_bytes_are_refused_with_both_checksums() {
    let mut entries = sound();
    let expected = sha256(&entries[2].bytes);
    entries[2].bytes[100] ^= 1;
    let found = sha256(&entries[2].bytes);
    let (error, store) = refused(&tar_of(&entries));
    assert!(
        error.contains(&format!("expected SHA-256 {expected}, found {found}")),
        "{error}"
    );
    assert_eq!(store, store_of([]));
}

#[test]
fn an_archive_that_is_cut_off_anywhere_is_refused() {
    let whole = tar_of(&sound());
    let end_of_last = whole.len() - 1024;
    let ends = (0..end_of_last).step_by(97).chain((0..end_of_last).step_by(512));
    for end in ends {
        let (error, _) = refused(&whole[..end]);
        assert!(error.contains("copy it again"), "{end}: {error}");
    }
}

#[test]
fn a_file_that_is_not_an_archive_is_reported() {
    for bytes in [&b"text"[..], &[0; 2048], &[0xFF; 4096], b""] {
        let (error, _) = refused(bytes);
        assert!(error.contains("incomplete or corrupt model archive"), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let error = take(
        &folder.path().join("gone.tar"),
        &Store::at(folder.path().join("store")),
        None,
    )
    .unwrap_err();
    assert!(error.to_string().starts_with("cannot read "), "{error}");
    assert!(!folder.path().join("store").exists());
}

#[test]
fn a_list_of_checksums_that_no_export_writes_is_refused() {
    let (_, [file, _]) = pack();
    let line = format!("{}  blobs/sha256/{}\n", sha256(&file), sha256(&file));
    let evil = line.replace(&sha256(&file), &sha256(b"evil"));
    for (text, expected) in [
        ("evil  ../../evil\n".to_owned(), "is not the list"),
        (line.repeat(2), "is not the list"),
        (line.replace("  blobs", " *blobs"), "is not the list"),
        (evil, "is not among the files of the pack"),
    ] {
        let mut entries = sound();
        entries[1].bytes = text.into_bytes();
        let (error, found) = refused(&tar_of(&entries));
        assert!(error.contains(expected) && found.is_empty(), "{error}");
    }
    // An archive may have less than the pack, but then it does not make it whole.
    let mut entries = sound();
    let last = entries.pop().unwrap();
    entries[1].bytes = sums_without(&entries[1].bytes, &last.name);
    let (error, _) = refused(&tar_of(&entries));
    assert!(
        error.contains("cannot import model") && error.contains("No such file"),
        "{error}"
    );
}

fn sums_without(sums: &[u8], name: &str) -> Vec<u8> {
    let text = String::from_utf8(sums.to_vec()).unwrap();
    let kept: Vec<_> = text
        .lines()
        .filter(|line| !line.ends_with(name))
        .map(|line| format!("{line}\n"))
        .collect();
    kept.concat().into_bytes()
}

#[test]
fn another_pack_or_another_edition_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("tiny.tar");
    std::fs::write(&archive, tar_of(&sound())).unwrap();
    let store = Store::at(folder.path().join("store"));
    let error = take(&archive, &store, Some("open-1")).unwrap_err().to_string();
    assert!(error.ends_with("has model pack 'tiny', not 'open-1'"), "{error}");

    let (mut other, _) = pack();
    other.version = "2";
    let path = other.write(folder.path());
    let error = take(&archive, &store, Some(&path)).unwrap_err().to_string();
    assert!(
        error.contains("has model pack 'tiny' version 1, digest "),
        "{error}"
    );
    assert!(
        error.contains(&format!("and {path} is version 2, digest ")),
        "{error}"
    );

    let mut entries = sound();
    let builtin = String::from_utf8(entries[0].bytes.clone())
        .unwrap()
        .replace("\"tiny\"", "\"open-1\"");
    entries[0].bytes = builtin.into_bytes();
    std::fs::write(&archive, tar_of(&entries)).unwrap();
    let error = take(&archive, &store, None).unwrap_err().to_string();
    let here = Manifest::builtin("open-1").unwrap().unwrap();
    let expected = format!(
        "and the one in this program is version {}, digest {}: export it with the same version of likeness",
        here.version, here.digest
    );
    assert!(
        error.contains("has model pack 'open-1' version 1, digest ") && error.contains(&expected),
        "{error}"
    );
    assert!(!store.folder().exists());
}
