//! Loading packs from a store.

use super::*;

/// A store with a pack `tiny` of one file, `model.onnx`, that holds "abc".
fn tiny() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let pack = folder.path().join("packs/tiny");
    std::fs::create_dir_all(&pack).unwrap();
    // SHA-256 of "abc" is the standard's own example (FIPS 180-2, B.1).
    let manifest = r#"
        format = 2
        name = "tiny"
        version = "1"
        commercial_use = true
        [sources."model.onnx"]
        size = 3
        sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        license = "Apache-2.0"
        attribution = "this test"
        [models.model]
        import = { from = "onnx", file = "model.onnx" }
        [[detector]]
        adapter = "yunet"
        model = "model"
        input = { channels = "bgr" }
        score_threshold = 0.6
        nms_iou = 0.3
        [[embedder]]
        adapter = "aligned-crop"
        model = "model"
        input = { channels = "rgb" }
        size = 112
        dimensions = 512
        template = [[0.3, 0.5], [0.7, 0.5], [0.5, 0.7], [0.4, 0.8], [0.6, 0.8]]
        [[liveness]]
        adapter = "scaled-crop"
        model = "model"
        input = { channels = "bgr" }
        size = 80
        crop_scale = 2.7
        classes = 3
        live_class = 1
        [calibration.match]
        people = 3
        genuine_comparisons = 4
        impostor_comparisons = 5
        measured = { from = 0.1, to = 0.5 }
        provenance = { name = "test", method = "by hand", data = "none", date = "2026-11-25" }
        points = [
            { similarity = 0.2, confidence = 0.4, false_match_rate = 1e-3 },
            { similarity = 0.3, confidence = 0.6, false_match_rate = 1e-4 },
        ]
    "#;
    std::fs::write(pack.join("pack.toml"), manifest).unwrap();
    std::fs::write(pack.join("model.onnx"), b"abc").unwrap();
    let store = Store::at(folder.path());
    (folder, store)
}

#[test]
fn a_whole_pack_is_loaded() {
    let (_folder, store) = tiny();
    let pack = store.load("tiny").unwrap();
    assert_eq!(pack.model("model").unwrap(), b"abc");
    assert!(pack.model("other").is_err());
}

#[test]
fn a_wrong_byte_is_an_error_with_file_and_both_checksums() {
    let (folder, store) = tiny();
    std::fs::write(folder.path().join("packs/tiny/model.onnx"), b"abd").unwrap();
    let error = store.load("tiny").unwrap_err().to_string();
    assert!(
        error.contains("model.onnx is not the file of this pack"),
        "{error}"
    );
    assert!(error.contains("expected SHA-256 ba7816bf"), "{error}");
    assert!(error.contains("found a52d159f"), "{error}");
    assert!(error.contains("likeness models pull"), "{error}");
}

#[test]
fn a_longer_or_shorter_file_is_an_error() {
    let (folder, store) = tiny();
    for bytes in [&b"ab"[..], b"abcd", b"abc and a good deal more", b""] {
        std::fs::write(folder.path().join("packs/tiny/model.onnx"), bytes).unwrap();
        assert!(
            matches!(store.load("tiny"), Err(PackError::WrongFile { .. })),
            "{bytes:?}"
        );
    }
}

#[test]
fn a_missing_file_is_named_with_a_remedy() {
    let (folder, store) = tiny();
    std::fs::remove_file(folder.path().join("packs/tiny/model.onnx")).unwrap();
    let error = store.load("tiny").unwrap_err().to_string();
    assert!(error.contains("model 'model' is missing"), "{error}");
    assert!(error.contains("LIKENESS_MODEL_MIRROR"), "{error}");
}

/// A link that leads to itself: what it holds cannot be looked at, not even by root.
#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_looked_at_is_not_missing() {
    let (folder, store) = tiny();
    for name in ["model.onnx", "pack.toml"] {
        let path = folder.path().join("packs/tiny").join(name);
        std::fs::remove_file(&path).unwrap();
        let blob = store.blob("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let path = if name == "model.onnx" { blob } else { path };
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(&path, &path).unwrap();
        let error = store.load("tiny").unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("cannot read {}", path.display())),
            "{error}"
        );
    }
}

#[test]
fn a_manifest_is_not_taken_for_its_beginning() {
    let (folder, store) = tiny();
    let path = folder.path().join("packs/tiny/pack.toml");
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push('#');
    text.extend(std::iter::repeat_n('x', MANIFEST_LIMIT as usize - text.len()));
    std::fs::write(&path, &text).unwrap();
    assert!(store.load("tiny").is_ok());
    std::fs::write(&path, text + "\n[calibration]\n").unwrap();
    let error = store.load("tiny").unwrap_err().to_string();
    assert!(error.contains("more than 1048576 bytes are too many"), "{error}");
}

#[test]
fn the_fault_of_a_manifest_is_reported_with_its_file() {
    let (folder, store) = tiny();
    let path = folder.path().join("packs/tiny/pack.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    for (text, expected) in [
        (
            text.replace("format = 2", "format = 3"),
            "format 3 is not supported",
        ),
        (text.replace("format = 2", "format = "), "TOML parse error"),
    ] {
        std::fs::write(&path, text).unwrap();
        for name in ["tiny".to_owned(), path.display().to_string()] {
            let error = store.load(&name).unwrap_err().to_string();
            let start = format!("model pack '{}': ", path.display());
            assert!(error.starts_with(&start) && error.contains(expected), "{error}");
        }
    }
}

#[test]
fn an_unknown_pack_is_named_and_names_cannot_leave_the_store() {
    let (_folder, store) = tiny();
    for name in ["gone", "../tiny", "", ".", "a/b", "packs/tiny"] {
        assert!(
            matches!(store.load(name), Err(PackError::UnknownPack { .. })),
            "{name:?}"
        );
    }
}

#[test]
fn a_given_model_store_that_does_not_exist_is_an_error() {
    let error = StoreSearch::new()
        .with_folder("/nowhere/store")
        .find()
        .unwrap_err()
        .to_string();
    assert!(error.contains("/nowhere/store: no such folder"), "{error}");
}

/// The pack `tiny` with a cohort: any bytes, as a store knows nothing of what is in them.
fn tiny_with_cohort() -> (tempfile::TempDir, Store) {
    let (folder, store) = tiny();
    let pack = folder.path().join("packs/tiny");
    let mut text = std::fs::read_to_string(pack.join("pack.toml")).unwrap();
    let table = text.find("[calibration.match]").unwrap();
    let normalised = text[table..].replace("[calibration.match]", "[calibration.normalised]");
    let sha256 = crate::files::sha256(b"cohort");
    text += &normalised.replace(
        "people = 3",
        &format!("people = 3\ncohort = {{ file = \"cohort.bin\", sha256 = \"{sha256}\" }}"),
    );
    std::fs::write(pack.join("pack.toml"), text).unwrap();
    std::fs::write(pack.join("cohort.bin"), b"cohort").unwrap();
    (folder, store)
}

fn status_of_tiny(store: &Store) -> PackStatus {
    store
        .packs()
        .into_iter()
        .find(|pack| pack.name == "tiny")
        .unwrap()
}

#[test]
fn a_cohort_is_loaded_from_beside_the_manifest_or_from_the_store() {
    let (folder, store) = tiny_with_cohort();
    assert_eq!(store.load("tiny").unwrap().cohort(), Some(&b"cohort"[..]));
    assert!(status_of_tiny(&store).is_complete());
    let blob = store.blob(&crate::files::sha256(b"cohort"));
    std::fs::create_dir_all(blob.parent().unwrap()).unwrap();
    std::fs::rename(folder.path().join("packs/tiny/cohort.bin"), blob).unwrap();
    assert_eq!(store.load("tiny").unwrap().cohort(), Some(&b"cohort"[..]));
    assert!(status_of_tiny(&store).is_complete());
    let (_folder, store) = tiny();
    assert_eq!(store.load("tiny").unwrap().cohort(), None);
}

#[test]
fn a_missing_or_damaged_cohort_is_named() {
    let (folder, store) = tiny_with_cohort();
    let cohort = folder.path().join("packs/tiny/cohort.bin");
    for bytes in [&b"cohorT"[..], b"cohor", b"cohort and more", b""] {
        std::fs::write(&cohort, bytes).unwrap();
        let error = store.load("tiny").unwrap_err();
        assert!(matches!(error, PackError::WrongFile { .. }), "{error}");
        let start = format!(
            "model pack 'tiny': {} is not the file of this pack",
            cohort.display()
        );
        assert!(error.to_string().starts_with(&start), "{error}");
        let status = status_of_tiny(&store);
        assert_eq!(
            (status.missing, status.wrong),
            (vec![], vec!["cohort".to_owned()])
        );
    }
    std::fs::remove_file(&cohort).unwrap();
    let error = store.load("tiny").unwrap_err().to_string();
    let start = format!(
        "model pack 'tiny': its cohort 'cohort.bin' is missing (there is no {}); put it beside pack.toml, or run `likeness \
         models pull`",
        cohort.display()
    );
    assert!(error.starts_with(&start), "{error}");
    let status = status_of_tiny(&store);
    assert_eq!(
        (status.missing, status.wrong),
        (vec!["cohort.bin".to_owned()], vec![])
    );
}
