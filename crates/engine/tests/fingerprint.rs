//! Whether an engine that is built now would be another one than before.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use likeness_engine::packs::{
    Calibration, CalibrationFile, DEFAULT_PACK, MatchCalibration, PackError, Store, StoreSearch,
};
use likeness_engine::{BuildError, Engine, EngineBuilder};

fn builder(folder: &Path) -> EngineBuilder {
    Engine::builder().store(StoreSearch::new().with_folder(folder))
}

fn calibration(folder: &Path, edit: impl FnOnce(&mut MatchCalibration)) -> CalibrationFile {
    let manifest = Store::at(folder).manifest(DEFAULT_PACK).unwrap();
    let mut calibration = manifest.calibration.of_match.clone().unwrap();
    edit(&mut calibration);
    let (name, version, digest) = (&manifest.name, &manifest.version, &manifest.digest);
    CalibrationFile::new(name, version, digest, Calibration::Match(calibration)).unwrap()
}

#[test]
fn it_names_the_pack_and_needs_none_of_its_models() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = Store::at(folder.path()).manifest(DEFAULT_PACK).unwrap();
    let fingerprint = builder(folder.path()).fingerprint().unwrap();
    for part in [&manifest.name, &manifest.version, &manifest.digest] {
        assert!(fingerprint.contains(part), "{fingerprint}");
    }
    assert_eq!(fingerprint, builder(folder.path()).fingerprint().unwrap());
}

#[test]
fn it_changes_with_what_a_calibration_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("match.toml");
    let fingerprint = |text: &str| {
        std::fs::write(&path, text).unwrap();
        builder(folder.path()).calibration_file(&path).fingerprint()
    };
    let text = calibration(folder.path(), |_| {}).to_toml().unwrap();
    let with = fingerprint(&text).unwrap();
    assert_ne!(with, builder(folder.path()).fingerprint().unwrap());
    // What is no difference makes none.
    assert_eq!(with, fingerprint(&format!("# A remark.\n{text}")).unwrap());
    let other = calibration(folder.path(), |calibration| calibration.people += 1);
    assert_ne!(with, fingerprint(&other.to_toml().unwrap()).unwrap());
    let mut of_other_pack = calibration(folder.path(), |_| {});
    of_other_pack.pack_digest = "0123abcd".to_owned();
    assert_ne!(with, fingerprint(&of_other_pack.to_toml().unwrap()).unwrap());
    // Half of it.
    assert!(matches!(
        fingerprint(&text[..text.len() / 2]),
        Err(BuildError::Pack(PackError::Calibration { .. }))
    ));
}

#[test]
fn where_there_is_no_pack_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let error = builder(folder.path()).pack("gone").fingerprint().unwrap_err();
    assert!(matches!(error, BuildError::Pack(PackError::UnknownPack { .. })));
    let error = builder(&folder.path().join("gone")).fingerprint().unwrap_err();
    assert!(matches!(error, BuildError::Pack(PackError::NoStore { .. })));
}
