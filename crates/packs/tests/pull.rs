//! Pulling, whatever the servers do: several files and several pulls at a time, mirrors, licences, damaged and unwritable
//! stores. After each, every file of the store is looked at.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::path::Path;
use std::sync::mpsc::channel;

use likeness_packs::fetch::{Event, Mirror, Pull};
use likeness_packs::{PackError, Store};
use support::again::again_after;
use support::publisher::{Step, gate};
use support::scene::Scene;
use support::{Pack, file, onnx_file, pull, sha256, store_of};

#[test]
fn several_files_are_fetched_at_the_same_time_up_to_the_number_of_jobs() {
    let scene = Scene::new();
    let files = ["a", "b"].map(|name| onnx_file(name, 10_000));
    let (first, first_is_half, open_first) = gate(&files[0]);
    let (second, second_is_half, open_second) = gate(&files[1]);
    scene.publisher.script("/a", [first]).script("/b", [second]);
    let pack = Pack::of(&files[0], [scene.url("/a")]).and("b.onnx", &files[1], [scene.url("/b")]);
    std::thread::scope(|scope| {
        let pulling = scope.spawn(|| {
            let mut two = Pull::default();
            two.retry.backoff = std::time::Duration::ZERO;
            two.jobs = Some(2);
            scene.pull_with(&two, &pack)
        });
        // Both are half done before either may end.
        first_is_half.recv().unwrap();
        second_is_half.recv().unwrap();
        open_first.send(()).unwrap();
        open_second.send(()).unwrap();
        pulling.join().unwrap().unwrap();
    });
    assert_eq!(scene.tree(), store_of(files.iter().map(Vec::as_slice)));
}

#[test]
fn what_was_fetched_before_a_failure_stays_and_is_not_fetched_again() {
    let scene = Scene::new();
    let files = ["a", "b"].map(|name| onnx_file(name, 10_000));
    scene.publisher.script("/a", [Step::File(files[0].clone())]);
    let pack = Pack::of(&files[0], [scene.url("/a")]).and("b.onnx", &files[1], [scene.url("/b")]);
    let one = pull(|pull| pull.jobs = Some(1));
    scene.pull_with(&one, &pack).unwrap_err();
    assert_eq!(scene.tree(), store_of([&files[0][..]]));

    scene.publisher.script("/b", [Step::File(files[1].clone())]);
    let pulled = scene.pull_with(&one, &pack).unwrap();
    assert_eq!(pulled.fetched, ["b.onnx"]);
    assert_eq!(scene.tree(), store_of(files.iter().map(Vec::as_slice)));
}

#[test]
fn a_blob_that_is_damaged_is_replaced() {
    let scene = Scene::new();
    let file = file();
    scene
        .publisher
        .script("/a", [Step::File(file.clone()), Step::File(file.clone())]);
    let pack = Pack::of(&file, [scene.url("/a")]);
    scene.pull(&pack).unwrap();
    let blob = scene.store().blob(&sha256(&file));
    let mut damaged = file.clone();
    damaged[70_000] ^= 1;
    std::fs::write(&blob, damaged).unwrap();
    let path = pack.write(scene.folder.path());
    assert!(matches!(
        scene.store().load(&path),
        Err(PackError::WrongFile { .. })
    ));

    assert_eq!(scene.pull(&pack).unwrap().fetched, ["a.onnx"]);
    assert_eq!(scene.tree(), store_of([&file[..]]));
}

#[test]
fn a_second_pull_waits_for_the_first_and_finds_everything_there() {
    let scene = Scene::new();
    let file = file();
    let (step, is_half, open) = gate(&file);
    scene.publisher.script("/a", [step]);
    let pack = Pack::of(&file, [scene.url("/a")]);
    let path = pack.write(scene.folder.path());
    let store = scene.store();
    let (waits, is_waiting) = channel();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| Pull::default().run(&store, Some(&path), &|_| {}));
        is_half.recv().unwrap();
        let busy = pull(|pull| pull.no_wait = true)
            .run(&store, Some(&path), &|_| {})
            .unwrap_err();
        assert!(matches!(&busy, PackError::StoreBusy { .. }), "{busy}");

        let second = scope.spawn(|| {
            Pull::default().run(&store, Some(&path), &|event| {
                if let Event::Waiting(_) = event {
                    waits.send(()).unwrap();
                }
            })
        });
        is_waiting.recv().unwrap();
        open.send(()).unwrap();
        assert_eq!(first.join().unwrap().unwrap().fetched, ["a.onnx"]);
        assert!(second.join().unwrap().unwrap().fetched.is_empty());
    });
    assert_eq!(scene.publisher.requests().len(), 1);
    assert_eq!(scene.tree(), store_of([&file[..]]));
}

#[test]
fn a_mirror_is_the_only_source() {
    let scene = Scene::new();
    let file = file();
    scene.publisher.script("/a", [Step::File(file.clone())]);
    let pack = Pack::of(&file, [scene.url("/a")]);
    let folder = scene.folder.path().join("mirror");

    let mirror = Mirror::Folder(folder.clone());
    let error = scene
        .pull_with(&pull(|pull| pull.mirror = Some(mirror.clone())), &pack)
        .unwrap_err();
    assert!(matches!(&error, PackError::NoMirror { .. }), "{error}");

    std::fs::create_dir(&folder).unwrap();
    let error = scene
        .pull_with(&pull(|pull| pull.mirror = Some(mirror.clone())), &pack)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&format!(
            "{}: there is no such file",
            folder.join("a.onnx").display()
        )),
        "{error}"
    );

    std::fs::write(folder.join("a.onnx"), &file[1..]).unwrap();
    let error = scene
        .pull_with(&pull(|pull| pull.mirror = Some(mirror.clone())), &pack)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&format!(
            "expected {} bytes, found {}",
            file.len(),
            file.len() - 1
        )),
        "{error}"
    );

    let server = Mirror::Server(scene.url("/models/"));
    let error = scene
        .pull_with(&pull(|pull| pull.mirror = Some(server.clone())), &pack)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&format!("{}: HTTP status 404", scene.url("/models/a.onnx"))),
        "{error}"
    );
    assert_eq!(scene.tree(), store_of([]));

    scene
        .publisher
        .script("/models/a.onnx", [Step::File(file.clone())]);
    scene
        .pull_with(&pull(|pull| pull.mirror = Some(server)), &pack)
        .unwrap();
    assert_eq!(scene.tree(), store_of([&file[..]]));
    let asked: Vec<_> = scene
        .publisher
        .requests()
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    assert_eq!(asked, ["/models/a.onnx", "/models/a.onnx"]);

    std::fs::remove_dir_all(scene.folder.path().join("store")).unwrap();
    std::fs::write(folder.join("a.onnx"), &file).unwrap();
    scene
        .pull_with(&pull(|pull| pull.mirror = Some(mirror)), &pack)
        .unwrap();
    assert_eq!(scene.tree(), store_of([&file[..]]));
}

#[test]
fn a_file_that_is_named_for_a_source_is_its_only_place() {
    let scene = Scene::new();
    let files = ["a", "b"].map(|name| onnx_file(name, 10_000));
    scene.publisher.script("/a", [Step::File(files[0].clone())]);
    // One has an address, the other none.
    let pack = Pack::of(&files[0], [scene.url("/a")]).and("b.onnx", &files[1], []);
    let named = |name: &str, path: &Path| {
        pull(|pull| {
            pull.sources.insert(name.to_owned(), path.to_owned());
        })
    };
    let own = scene.folder.path().join("of the operator");
    let refused = |name: &str, expected: &str| {
        let error = scene
            .pull_with(&named(name, &own), &pack)
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    };
    let error = scene.pull(&pack).unwrap_err().to_string();
    assert!(
        error.contains("bring the file and name it with --source b.onnx=FILE"),
        "{error}"
    );
    refused(
        "c.onnx",
        "model pack 'tiny' has no source 'c.onnx'; it has: a.onnx, b.onnx",
    );
    refused("b.onnx", "of the operator: there is no such file");
    std::fs::write(&own, &files[0]).unwrap();
    refused("b.onnx", "not the file: expected SHA-256");
    assert_eq!(scene.tree(), store_of([&files[0][..]]));
    std::fs::write(&own, &files[1]).unwrap();
    scene.pull_with(&named("b.onnx", &own), &pack).unwrap();
    assert_eq!(scene.tree(), store_of(files.iter().map(Vec::as_slice)));
}

#[test]
fn files_beside_the_manifest_come_before_addresses() {
    let scene = Scene::new();
    let file = file();
    let pack = Pack::of(&file, [scene.url("/a")]);
    for name in ["a.onnx", "a"] {
        std::fs::write(scene.folder.path().join(name), &file).unwrap();
        scene.pull(&pack).unwrap();
        assert_eq!(scene.tree(), store_of([&file[..]]), "{name}");
        std::fs::remove_dir_all(scene.folder.path().join("store")).unwrap();
        std::fs::remove_file(scene.folder.path().join(name)).unwrap();
    }
    assert_eq!(scene.ranges(), []);
}

#[test]
fn a_cohort_is_taken_from_beside_the_manifest_and_installed_with_the_pack() {
    let scene = Scene::new();
    let file = file();
    scene.publisher.script("/a", [Step::File(file.clone())]);
    let mut pack = Pack::of(&file, [scene.url("/a")]);
    pack.cohort = Some(b"cohort".to_vec());
    let install = pull(|pull| pull.install = true);
    assert!(scene.pull_with(&install, &pack).unwrap().installed);
    let mut expected = store_of([&file[..], b"cohort"]);
    expected.insert("packs/tiny/pack.toml".to_owned(), pack.manifest().into_bytes());
    assert_eq!(scene.tree(), expected);
    let loaded = scene.store().load("tiny").unwrap();
    assert_eq!(loaded.cohort(), Some(&b"cohort"[..]));

    // What is damaged or missing in the store is replaced from beside the manifest, of an installed pack as well.
    let blob = scene.store().blob(&sha256(b"cohort"));
    for damage in [Some(b"damage"), None] {
        match damage {
            Some(bytes) => std::fs::write(&blob, bytes).unwrap(),
            None => std::fs::remove_file(&blob).unwrap(),
        }
        scene.store().load("tiny").unwrap_err();
        scene.pull(&pack).unwrap();
        assert_eq!(scene.tree(), expected);
    }
}

#[test]
fn a_pack_whose_cohort_is_missing_or_another_is_not_fetched_nor_installed() {
    let scene = Scene::new();
    let file = file();
    let mut pack = Pack::of(&file, [scene.url("/a")]);
    pack.cohort = Some(b"cohort".to_vec());
    let path = pack.write(scene.folder.path());
    let cohort = scene.folder.path().join("cohort.bin");
    std::fs::write(&cohort, b"another").unwrap();
    let install = pull(|pull| pull.install = true);
    let pull = || install.run(&scene.store(), Some(&path), &|_| {}).unwrap_err();
    let error = pull().to_string();
    let wrong = format!("{} is not the file of this pack", cohort.display());
    assert!(error.contains(&wrong), "{error}");
    std::fs::remove_file(&cohort).unwrap();
    let error = pull().to_string();
    let missing = format!(
        "its cohort 'cohort.bin' is missing (there is no {})",
        cohort.display()
    );
    assert!(error.contains(&missing), "{error}");
    assert_eq!(scene.ranges(), []);
    assert!(scene.store().load("tiny").is_err());
}

#[test]
fn a_pack_without_commercial_use_requires_acceptance_of_its_licences() {
    let scene = Scene::new();
    let file = file();
    scene.publisher.script("/a", [Step::File(file.clone())]);
    let mut pack = Pack::of(&file, [scene.url("/a")]);
    pack.commercial_use = false;
    let error = scene.pull(&pack).unwrap_err().to_string();
    assert_eq!(
        error,
        "model pack 'tiny' is not free for commercial use, by the licences of its files:\n  - a.onnx: Test-1.0 (the test \
         of a.onnx)\ngive --accept-license if you may use it under these licences"
    );
    assert!(scene.tree().is_empty());
    scene
        .pull_with(&pull(|pull| pull.accept_license = true), &pack)
        .unwrap();
    assert_eq!(scene.tree(), store_of([&file[..]]));
}

#[test]
fn a_pack_is_installed_by_its_manifest_and_then_found_by_its_name() {
    let scene = Scene::new();
    let file = file();
    scene.publisher.script("/a", [Step::File(file.clone())]);
    let pack = Pack::of(&file, [scene.url("/a")]);
    assert!(scene.store().load("tiny").is_err());
    assert!(
        scene
            .pull_with(&pull(|pull| pull.install = true), &pack)
            .unwrap()
            .installed
    );
    let mut expected = store_of([&file[..]]);
    expected.insert("packs/tiny/pack.toml".to_owned(), pack.manifest().into_bytes());
    assert_eq!(scene.tree(), expected);
    assert_eq!(scene.store().load("tiny").unwrap().model("a").unwrap(), file);
    assert!(
        !scene
            .pull_with(&pull(|pull| pull.install = true), &pack)
            .unwrap()
            .installed
    );

    let tiny = || {
        scene
            .store()
            .packs()
            .into_iter()
            .find(|pack| pack.name == "tiny")
            .unwrap()
    };
    assert!(tiny().is_complete() && !tiny().is_builtin);
    let blob = scene.store().blob(&sha256(&file));
    std::fs::write(&blob, &file[1..]).unwrap();
    assert_eq!((tiny().missing, tiny().wrong), (vec![], vec!["a".to_owned()]));
    std::fs::remove_file(&blob).unwrap();
    assert_eq!((tiny().missing, tiny().wrong), (vec!["a".to_owned()], vec![]));
    assert!(!tiny().is_complete());
}

#[test]
fn a_fetched_file_that_is_not_onnx_is_an_error_that_names_the_model() {
    let scene = Scene::new();
    scene.publisher.script("/a", [Step::File(b"text".to_vec())]);
    let error = scene
        .pull(&Pack::of(b"text", [scene.url("/a")]))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(
            "model pack 'tiny': cannot import model 'a' from its sources: a.onnx: not an ONNX file"
        ),
        "{error}"
    );
}

/// Files may have no more than some seventy thousand bytes in that process, which the system tells it as it tells of a full
/// disk: in the middle of a write.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_reported_and_what_has_arrived_is_kept() {
    let test = "a_full_disk_is_reported_and_what_has_arrived_is_kept";
    if !again_after("trap '' XFSZ; ulimit -f 150", test) {
        return;
    }
    let scene = Scene::new();
    let file = file();
    scene.publisher.script("/a", [Step::File(file.clone())]);
    let error = scene.pull(&Pack::of(&file, [scene.url("/a")])).unwrap_err();
    assert!(matches!(&error, PackError::Unwritable { .. }), "{error}");
    assert!(error.to_string().contains("make room and pull again"), "{error}");
    let tree = scene.tree();
    let partial = &tree[&format!("partial/{}", sha256(&file))];
    assert!(partial.len() < file.len() && file.starts_with(partial));
    assert!(
        tree.keys()
            .all(|name| name.starts_with("partial/") || name == "lock" || name == "blobs/sha256/")
    );
}

/// The service often runs as another user than the pull.
#[cfg(unix)]
#[test]
fn other_users_can_read_the_model_store_whatever_the_umask_of_the_pull() {
    use std::os::unix::fs::PermissionsExt;
    if !again_after(
        "umask 077",
        "other_users_can_read_the_model_store_whatever_the_umask_of_the_pull",
    ) {
        return;
    }
    let scene = Scene::new();
    let file = file();
    scene.publisher.script("/a", [Step::File(file.clone())]);
    let path = Pack::of(&file, [scene.url("/a")]).write(scene.folder.path());
    let store = Store::at(scene.folder.path().join("deep/store"));
    pull(|pull| pull.install = true)
        .run(&store, Some(&path), &|_| {})
        .unwrap();
    let blob = format!("store/blobs/sha256/{}", sha256(&file));
    for (path, expected) in [
        ("", 0o755),
        ("store", 0o755),
        ("store/blobs/sha256", 0o755),
        (&blob, 0o644),
        ("store/packs/tiny", 0o755),
        ("store/packs/tiny/pack.toml", 0o644),
    ] {
        let found = std::fs::metadata(scene.folder.path().join("deep").join(path)).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, expected, "{path}");
    }
}

/// Whoever may write to the store, as the service's own user, could have the pull of another write anywhere.
#[cfg(unix)]
#[test]
fn the_target_of_a_link_in_the_model_store_is_not_written_to() {
    use std::os::unix::fs::symlink;
    let file = file();
    for content in [Some(&b"not of the store"[..]), Some(&file[..1000]), None] {
        let scene = Scene::new();
        scene
            .publisher
            .script("/a", [Step::File(file.clone()), Step::File(file.clone())]);
        let victim = scene.folder.path().join("victim");
        if let Some(content) = content {
            std::fs::write(&victim, content).unwrap();
        }
        let partials = scene.folder.path().join("store/partial");
        std::fs::create_dir_all(&partials).unwrap();
        for name in [sha256(&file), "tiny.pack.toml".to_owned(), "../lock".to_owned()] {
            symlink(&victim, partials.join(name)).unwrap();
        }
        let pack = Pack::of(&file, [scene.url("/a")]);
        scene.pull_with(&pull(|pull| pull.install = true), &pack).unwrap();
        assert_eq!(std::fs::read(&victim).ok().as_deref(), content);
        let blob = std::fs::symlink_metadata(scene.store().blob(&sha256(&file))).unwrap();
        assert!(blob.is_file());
    }
}

/// Whoever opens a pipe waits until somebody writes to it.
#[cfg(unix)]
#[test]
fn a_pipe_in_the_place_of_a_file_does_not_block() {
    let scene = Scene::new();
    let file = file();
    scene.publisher.script("/a", [Step::File(file.clone())]);
    let pack = Pack::of(&file, [scene.url("/a")]);
    let mirror = scene.folder.path().join("mirror");
    let blob = scene.store().blob(&sha256(&file));
    for folder in [&mirror, blob.parent().unwrap()] {
        std::fs::create_dir_all(folder).unwrap();
    }
    for pipe in [&mirror.join("a.onnx"), &blob] {
        let made = std::process::Command::new("mkfifo").arg(pipe).status().unwrap();
        assert!(made.success());
    }
    let (ended, has_ended) = channel();
    std::thread::spawn(move || {
        let from_mirror = scene.pull_with(&pull(|pull| pull.mirror = Some(Mirror::Folder(mirror))), &pack);
        let error = from_mirror.unwrap_err().to_string();
        scene.pull(&pack).unwrap();
        ended.send((error, scene.tree())).unwrap();
    });
    let (error, tree) = has_ended
        .recv_timeout(std::time::Duration::from_secs(60))
        .unwrap();
    assert!(
        error.contains("a.onnx: cannot be read: it is not a file"),
        "{error}"
    );
    assert_eq!(tree, store_of([&file[..]]));
}

/// A file is where a folder of the store should be: no user can write there, not even root.
#[test]
fn a_model_store_that_cannot_be_written_is_reported() {
    let scene = Scene::new();
    std::fs::write(scene.folder.path().join("store"), b"").unwrap();
    let error = scene.pull(&Pack::of(&file(), [scene.url("/a")])).unwrap_err();
    assert!(matches!(&error, PackError::Unwritable { .. }), "{error}");
    assert!(
        error
            .to_string()
            .starts_with(&format!("cannot write {}", scene.store().folder().display())),
        "{error}"
    );
    assert_eq!(scene.ranges(), []);
}

/// On a file system that is mounted so; `/proc` takes no folder from anybody.
#[cfg(target_os = "linux")]
#[test]
fn a_read_only_model_store_is_reported_with_a_remedy() {
    let scene = Scene::new();
    let path = Pack::of(&file(), [scene.url("/a")]).write(scene.folder.path());
    let store = Store::at(Path::new("/proc/likeness"));
    let error = pull(|_| {})
        .run(&store, Some(&path), &|_| {})
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("cannot write /proc/likeness"), "{error}");
}
