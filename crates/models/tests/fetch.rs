//! Pulling from publishers that behave well and badly. After each, every file of the store is looked at: nothing may be
//! in it that is not what its name says.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod support;

use std::num::NonZero;
use std::path::Path;
use std::sync::mpsc::channel;

use likeness_models::fetch::{Event, FetchError, Mirror, Pull, Pulled};
use likeness_models::{ModelsError, Store, StoreError};
use support::publisher::{Publisher, Step, gate};
use support::{Pack, onnx_file, pull, sha256, store_of, tree};

/// A publisher, a folder for the manifest and a store that is not there yet.
struct Scene {
    publisher: Publisher,
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        Self {
            publisher: Publisher::start(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn url(&self, path: &str) -> String {
        self.publisher.url(path)
    }

    fn store(&self) -> Store {
        Store::at(self.folder.path().join("store"))
    }

    fn pull(&self, pack: &Pack) -> Result<Pulled, FetchError> {
        self.pull_with(&pull(), pack)
    }

    fn pull_with(&self, pull: &Pull, pack: &Pack) -> Result<Pulled, FetchError> {
        pull.run(&self.store(), Some(&pack.write(self.folder.path())), &|_| {})
    }

    /// What is in the store.
    fn tree(&self) -> std::collections::BTreeMap<String, Vec<u8>> {
        tree(&self.folder.path().join("store"))
    }

    /// The ranges that were asked for, one a request.
    fn ranges(&self) -> Vec<Option<String>> {
        self.publisher
            .requests()
            .into_iter()
            .map(|(_, range)| range)
            .collect()
    }

    /// Puts bytes where what has arrived of a file is kept.
    fn leave_partial(&self, of: &[u8], bytes: &[u8]) {
        let folder = self.folder.path().join("store/partial");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(sha256(of)), bytes).unwrap();
    }
}

fn from(start: usize) -> Option<String> {
    Some(format!("bytes={start}-"))
}

fn file() -> Vec<u8> {
    onnx_file("a", 200_000)
}

/// The one file of a pack is answered so; the pull ends well, with the file in the store.
fn arrives(steps: impl IntoIterator<Item = Step>, ranges: &[Option<String>]) {
    let scene = Scene::new();
    let file = file();
    scene.publisher.script("/a", steps);
    let pulled = scene.pull(&Pack::of(&file, [scene.url("/a")])).unwrap();
    assert_eq!(
        (pulled.fetched.as_slice(), pulled.made.as_slice()),
        (&["a.onnx".to_owned()][..], &["a".to_owned()][..])
    );
    assert_eq!(scene.tree(), store_of([&file[..]]));
    assert_eq!(scene.ranges(), ranges);
}

/// The one file of a pack is answered so; the pull ends with an error, and nothing is left in the store. Returns the error.
fn is_refused(sizes: bool, steps: impl IntoIterator<Item = Step>, requests: usize) -> String {
    let scene = Scene::new();
    scene.publisher.script("/a", steps);
    let mut pack = Pack::of(&file(), [scene.url("/a")]);
    pack.sizes = sizes;
    let error = scene.pull(&pack).unwrap_err().to_string();
    assert_eq!(scene.tree(), store_of([]), "{error}");
    assert_eq!(scene.publisher.requests().len(), requests, "{error}");
    let place = format!(
        "model pack 'tiny': files that could not be had:\n  a.onnx\n    - {}: ",
        scene.url("/a")
    );
    error
        .strip_prefix(&place)
        .unwrap_or_else(|| panic!("{error}"))
        .to_owned()
}

#[test]
fn a_file_arrives_and_the_pack_can_be_loaded_and_nothing_is_fetched_again() {
    let scene = Scene::new();
    let file = file();
    scene.publisher.script("/a", [Step::File(file.clone())]);
    let pack = Pack::of(&file, [scene.url("/a")]);
    scene.pull(&pack).unwrap();
    let path = pack.write(scene.folder.path());
    assert_eq!(scene.store().load(&path).unwrap().model("a").unwrap(), file);

    // Nor is anything written: the store of a service may be read-only.
    std::fs::remove_file(scene.folder.path().join("store/lock")).unwrap();
    let again = scene.pull(&pack).unwrap();
    assert!(again.fetched.is_empty() && again.made.is_empty() && !again.installed);
    assert!(!scene.tree().contains_key("lock"));
    assert_eq!(scene.publisher.requests().len(), 1);
}

#[test]
fn a_connection_that_is_cut_is_taken_up_where_it_was_cut() {
    let steps = [
        Step::Cut(file(), 1000),
        Step::Cut(file(), 70_000),
        Step::File(file()),
    ];
    arrives(steps, &[None, from(1000), from(71_000)]);
}

#[test]
fn a_server_that_falls_silent_is_asked_again() {
    arrives(
        [Step::Silent(file(), 5000), Step::File(file())],
        &[None, from(5000)],
    );
}

#[test]
fn a_server_that_ignores_ranges_is_believed_from_the_beginning() {
    arrives(
        [Step::Cut(file(), 1000), Step::Whole(file())],
        &[None, from(1000)],
    );
}

#[test]
fn a_server_that_sends_another_part_is_asked_for_all() {
    arrives(
        [
            Step::Cut(file(), 1000),
            Step::OtherPart(file()),
            Step::File(file()),
        ],
        &[None, from(1000), None],
    );
}

#[test]
fn a_range_that_cannot_be_satisfied_is_asked_for_all() {
    arrives(
        [Step::Cut(file(), 1000), Step::Status(416), Step::File(file())],
        &[None, from(1000), None],
    );
}

#[test]
fn a_server_that_fails_or_is_busy_is_asked_again() {
    arrives(
        [
            Step::Status(500),
            Step::Status(429),
            Step::Status(503),
            Step::File(file()),
        ],
        &[None, None, None, None],
    );
}

#[test]
fn a_file_without_a_stated_size_arrives() {
    let length = file().len();
    arrives([Step::Unsized(file(), length)], &[None]);
    arrives(
        [Step::Unsized(file(), 5000), Step::File(file())],
        &[None, from(5000)],
    );
}

#[test]
fn tries_are_bounded_and_what_has_arrived_is_kept_for_the_next_pull() {
    let scene = Scene::new();
    let file = file();
    scene
        .publisher
        .script("/a", (0..4).map(|_| Step::Cut(file.clone(), 1000)));
    let pack = Pack::of(&file, [scene.url("/a")]);
    let error = scene.pull(&pack).unwrap_err().to_string();
    assert!(error.contains("pull again to go on from there"), "{error}");
    let mut expected = store_of([]);
    expected.insert(format!("partial/{}", sha256(&file)), file[..4000].to_vec());
    assert_eq!(scene.tree(), expected);

    scene.publisher.script("/a", [Step::File(file.clone())]);
    scene.pull(&pack).unwrap();
    assert_eq!(scene.tree(), store_of([&file[..]]));
    assert_eq!(scene.ranges()[4], from(4000));
}

#[test]
fn cuts_after_a_megabyte_do_not_count_as_tries() {
    let scene = Scene::new();
    let file = onnx_file("a", 7 << 20);
    let steps = (0..6).map(|_| Step::Cut(file.clone(), 1 << 20));
    scene
        .publisher
        .script("/a", steps.chain([Step::File(file.clone())]));
    scene.pull(&Pack::of(&file, [scene.url("/a")])).unwrap();
    assert_eq!(scene.tree(), store_of([&file[..]]));
}

#[test]
fn a_file_that_is_not_there_or_is_forbidden_is_not_asked_for_twice() {
    for (status, said) in [
        (404, "HTTP status 404 (there is no such file)\n"),
        (403, "HTTP status 403 (access denied)\n"),
    ] {
        let error = is_refused(true, [Step::Status(status)], 1);
        assert!(error.starts_with(said), "{error}");
        assert!(error.contains("--mirror or LIKENESS_MODEL_MIRROR"), "{error}");
        assert!(
            error.contains("HTTPS_PROXY") && error.contains("--from"),
            "{error}"
        );
    }
}

#[test]
fn wrong_bytes_are_refused_at_once_with_both_checksums() {
    let mut wrong = file();
    wrong[1000] ^= 1;
    let found = sha256(&wrong);
    let error = is_refused(true, [Step::File(wrong)], 1);
    let expected = format!(
        "not the file: expected SHA-256 {}, found {found}\n",
        sha256(&file())
    );
    assert!(error.starts_with(&expected), "{error}");
    assert!(error.contains("nothing of it was kept"), "{error}");
}

#[test]
fn another_size_is_refused_before_a_byte_is_taken() {
    let size = file().len();
    let error = is_refused(true, [Step::File(vec![0; 10])], 1);
    assert!(
        error.starts_with(&format!("not the file: expected {size} bytes, found 10\n")),
        "{error}"
    );
}

#[test]
fn a_body_that_is_shorter_or_longer_than_its_header_says_is_refused() {
    let size = file().len();
    let error = is_refused(true, [Step::Lie(file(), size + 1)], 1);
    assert!(
        error.starts_with(&format!(
            "not the file: expected {size} bytes, found {}\n",
            size + 1
        )),
        "{error}"
    );
    let error = is_refused(true, [Step::Lie(file(), size - 1)], 1);
    assert!(
        error.starts_with(&format!(
            "not the file: expected {size} bytes, found {}\n",
            size - 1
        )),
        "{error}"
    );
    // Where the manifest does not state the size, the checksum tells.
    let error = is_refused(false, [Step::Lie(file(), size - 1)], 1);
    assert!(error.starts_with("not the file: expected SHA-256 "), "{error}");
}

#[test]
fn a_body_without_end_is_cut_off_where_the_file_ends() {
    let error = is_refused(true, [Step::Endless], 1);
    assert!(
        error.starts_with(&format!("not the file: more than {} bytes\n", file().len())),
        "{error}"
    );
}

#[test]
fn a_declared_size_beyond_what_a_model_can_have_is_refused_before_a_byte_is_taken() {
    let error = is_refused(false, [Step::Lie(file(), 3 << 30)], 1);
    assert!(
        error.starts_with("not the file: more than 2147483647 bytes\n"),
        "{error}"
    );
}

#[test]
fn redirects_are_followed_to_other_paths_and_ports() {
    let scene = Scene::new();
    let other = Publisher::start();
    let file = file();
    scene
        .publisher
        .script("/a", [Step::Redirect(302, "/b".to_owned())]);
    scene
        .publisher
        .script("/b", [Step::Redirect(307, other.url("/c"))]);
    other.script("/c", [Step::Cut(file.clone(), 1000)]);
    // The try after a cut begins at the manifest's address again, and asks for the rest at the end of the redirects.
    scene
        .publisher
        .script("/a", [Step::Redirect(301, other.url("/c"))]);
    other.script("/c", [Step::File(file.clone())]);
    scene.pull(&Pack::of(&file, [scene.url("/a")])).unwrap();
    assert_eq!(scene.tree(), store_of([&file[..]]));
    assert_eq!(
        other.requests(),
        [("/c".to_owned(), None), ("/c".to_owned(), from(1000))]
    );
}

#[test]
fn redirects_without_end_or_to_elsewhere_are_not_followed() {
    let circle = (0..10).map(|_| Step::Redirect(302, "/a".to_owned()));
    let error = is_refused(true, circle, 6);
    assert!(error.starts_with("more than 5 redirects\n"), "{error}");
    let error = is_refused(true, [Step::Redirect(302, "file:///etc/passwd".to_owned())], 1);
    assert!(error.contains("no http(s) address"), "{error}");
}

#[test]
fn the_next_address_is_tried_and_all_are_named_where_none_has_the_file() {
    let scene = Scene::new();
    let file = file();
    let mut wrong = file.clone();
    wrong[0] ^= 1;
    let urls = ["/a", "/b", "/c"].map(|path| scene.url(path));
    scene
        .publisher
        .script("/b", [Step::File(wrong.clone()), Step::File(wrong)]);
    let error = scene.pull(&Pack::of(&file, urls.clone())).unwrap_err();
    let FetchError::NotFetched { files, .. } = &error else {
        panic!("{error}")
    };
    let tried: Vec<_> = files[0].tried.iter().map(|(place, _)| place.clone()).collect();
    assert_eq!(tried, urls);
    assert_eq!(scene.tree(), store_of([]));

    scene.publisher.script("/c", [Step::File(file.clone())]);
    scene.pull(&Pack::of(&file, urls)).unwrap();
    assert_eq!(scene.tree(), store_of([&file[..]]));
}

#[test]
fn a_server_that_cannot_be_reached_is_said_with_what_to_do() {
    let scene = Scene::new();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let pack = Pack::of(
        &file(),
        [
            format!("http://{nobody}/a"),
            "http://no-such-host.invalid/a".to_owned(),
        ],
    );
    let error = scene.pull(&pack).unwrap_err().to_string();
    for expected in [
        &format!("http://{nobody}/a: ")[..],
        "http://no-such-host.invalid/a: ",
        "HTTPS_PROXY",
        "--mirror",
        "--from",
    ] {
        assert!(error.contains(expected), "{expected} is not in {error}");
    }
    assert_eq!(scene.tree(), store_of([]));
}

#[test]
fn what_is_left_of_another_file_is_thrown_away_once() {
    let scene = Scene::new();
    let file = file();
    scene.leave_partial(&file, b"something else");
    scene
        .publisher
        .script("/a", [Step::File(file.clone()), Step::File(file.clone())]);
    scene.pull(&Pack::of(&file, [scene.url("/a")])).unwrap();
    assert_eq!(scene.tree(), store_of([&file[..]]));
    assert_eq!(scene.ranges(), [from(14), None]);
}

#[test]
fn what_is_left_may_be_whole_already_or_too_long() {
    let scene = Scene::new();
    let file = file();
    scene.leave_partial(&file, &file);
    let pack = Pack::of(&file, [scene.url("/a")]);
    scene.pull(&pack).unwrap();
    assert_eq!(
        (scene.tree(), scene.ranges()),
        (store_of([&file[..]]), Vec::new())
    );

    let scene = Scene::new();
    scene.leave_partial(&file, &[&file[..], b"and more"].concat());
    scene.publisher.script("/a", [Step::File(file.clone())]);
    scene.pull(&Pack::of(&file, [scene.url("/a")])).unwrap();
    assert_eq!(
        (scene.tree(), scene.ranges()),
        (store_of([&file[..]]), vec![None])
    );
}

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
            let mut patient = likeness_models::fetch::Patience::default();
            patient.pause = std::time::Duration::ZERO;
            let two = NonZero::new(2).unwrap();
            scene.pull_with(&Pull::new().with_patience(patient).with_jobs(two), &pack)
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
fn what_was_had_before_a_failure_stays_and_is_not_fetched_again() {
    let scene = Scene::new();
    let files = ["a", "b"].map(|name| onnx_file(name, 10_000));
    scene.publisher.script("/a", [Step::File(files[0].clone())]);
    let pack = Pack::of(&files[0], [scene.url("/a")]).and("b.onnx", &files[1], [scene.url("/b")]);
    let one = pull().with_jobs(NonZero::<usize>::MIN);
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
        Err(ModelsError::WrongFile { .. })
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
        let first = scope.spawn(|| Pull::new().run(&store, Some(&path), &|_| {}));
        is_half.recv().unwrap();
        let busy = Pull::new()
            .with_wait(false)
            .run(&store, Some(&path), &|_| {})
            .unwrap_err();
        assert!(
            matches!(&busy, FetchError::Store(StoreError::Busy { .. })),
            "{busy}"
        );

        let second = scope.spawn(|| {
            Pull::new().run(&store, Some(&path), &|event| {
                if let Event::Waiting { .. } = event {
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
fn a_mirror_is_an_order() {
    let scene = Scene::new();
    let file = file();
    scene.publisher.script("/a", [Step::File(file.clone())]);
    let pack = Pack::of(&file, [scene.url("/a")]);
    let folder = scene.folder.path().join("mirror");

    let mirror = Mirror::Folder(folder.clone());
    let error = scene
        .pull_with(&pull().with_mirror(mirror.clone()), &pack)
        .unwrap_err();
    assert!(matches!(&error, FetchError::NoMirror { .. }), "{error}");

    std::fs::create_dir(&folder).unwrap();
    let error = scene
        .pull_with(&pull().with_mirror(mirror.clone()), &pack)
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
        .pull_with(&pull().with_mirror(mirror.clone()), &pack)
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

    let server: Mirror = scene.url("/models/").parse().unwrap();
    let error = scene
        .pull_with(&pull().with_mirror(server.clone()), &pack)
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
    scene.pull_with(&pull().with_mirror(server), &pack).unwrap();
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
    scene.pull_with(&pull().with_mirror(mirror), &pack).unwrap();
    assert_eq!(scene.tree(), store_of([&file[..]]));
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
fn a_pack_without_commercial_use_wants_its_licences_accepted() {
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
        .pull_with(&pull().with_accepted_license(true), &pack)
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
            .pull_with(&pull().with_install(true), &pack)
            .unwrap()
            .installed
    );
    let mut expected = store_of([&file[..]]);
    expected.insert("packs/tiny/pack.toml".to_owned(), pack.manifest().into_bytes());
    assert_eq!(scene.tree(), expected);
    assert_eq!(scene.store().load("tiny").unwrap().model("a").unwrap(), file);
    assert!(
        !scene
            .pull_with(&pull().with_install(true), &pack)
            .unwrap()
            .installed
    );
}

#[test]
fn what_is_fetched_and_is_no_onnx_is_an_error_that_names_the_model() {
    let scene = Scene::new();
    scene.publisher.script("/a", [Step::File(b"text".to_vec())]);
    let error = scene
        .pull(&Pack::of(b"text", [scene.url("/a")]))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(
            "model pack 'tiny': model 'a' cannot be made of its sources: a.onnx: not an ONNX file"
        ),
        "{error}"
    );
}

/// The device takes no byte, as a disk that is full.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_full_is_said_and_the_store_stays_sound() {
    let scene = Scene::new();
    let file = file();
    scene
        .publisher
        .script("/a", [Step::File(file.clone()), Step::File(file.clone())]);
    let pack = Pack::of(&file, [scene.url("/a")]);
    let partials = scene.folder.path().join("store/partial");
    std::fs::create_dir_all(&partials).unwrap();
    std::os::unix::fs::symlink("/dev/full", partials.join(sha256(&file))).unwrap();
    let error = scene.pull(&pack).unwrap_err();
    assert!(
        matches!(&error, FetchError::Store(StoreError::Full { .. })),
        "{error}"
    );
    assert!(error.to_string().contains("make room and pull again"), "{error}");
    assert_eq!(scene.tree(), store_of([]));
    scene.pull(&pack).unwrap();
    assert_eq!(scene.tree(), store_of([&file[..]]));
}

/// A file is where a folder of the store should be: no user can write there, not even root.
#[test]
fn a_store_that_cannot_be_written_is_said() {
    let scene = Scene::new();
    std::fs::write(scene.folder.path().join("store"), b"").unwrap();
    let error = scene.pull(&Pack::of(&file(), [scene.url("/a")])).unwrap_err();
    assert!(matches!(&error, FetchError::Store(_)), "{error}");
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
fn a_store_that_is_read_only_is_said_with_what_to_do() {
    let scene = Scene::new();
    let path = Pack::of(&file(), [scene.url("/a")]).write(scene.folder.path());
    let store = Store::at(Path::new("/proc/likeness"));
    let error = pull().run(&store, Some(&path), &|_| {}).unwrap_err().to_string();
    assert!(error.starts_with("cannot write /proc/likeness"), "{error}");
}
