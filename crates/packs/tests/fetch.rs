//! Pulling from publishers that behave well and badly. After each, every file of the store is looked at: nothing may be
//! in it that is not what its name says.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod support;

use likeness_packs::PackError;
use likeness_packs::fetch::{Event, Step as Progress};
use support::publisher::{Publisher, Step};
use support::scene::Scene;
use support::{Pack, file, onnx_file, sha256, store_of};

fn from(start: usize) -> Option<String> {
    Some(format!("bytes={start}-"))
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
        "model pack 'tiny': cannot fetch all files:\n  a.onnx\n    - {}: ",
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
fn a_broken_connection_is_resumed_where_it_broke() {
    let steps = [
        Step::Cut(file(), 1000),
        Step::Cut(file(), 70_000),
        Step::File(file()),
    ];
    arrives(steps, &[None, from(1000), from(71_000)]);
}

#[test]
fn a_silent_server_is_retried() {
    arrives(
        [Step::Silent(file(), 5000), Step::File(file())],
        &[None, from(5000)],
    );
}

#[test]
fn a_server_that_ignores_ranges_delivers_from_the_beginning() {
    arrives(
        [Step::Cut(file(), 1000), Step::Whole(file())],
        &[None, from(1000)],
    );
}

#[test]
fn a_server_that_sends_another_part_is_retried_without_a_range() {
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
fn a_range_that_cannot_be_satisfied_is_retried_without_a_range() {
    arrives(
        [Step::Cut(file(), 1000), Step::Status(416), Step::File(file())],
        &[None, from(1000), None],
    );
}

#[test]
fn a_failing_or_busy_server_is_retried() {
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
fn attempts_are_limited_and_what_has_arrived_is_kept_for_the_next_pull() {
    let scene = Scene::new();
    let file = file();
    scene
        .publisher
        .script("/a", (0..4).map(|_| Step::Cut(file.clone(), 1000)));
    let pack = Pack::of(&file, [scene.url("/a")]);
    let error = scene.pull(&pack).unwrap_err().to_string();
    assert!(error.contains("pull again to resume them"), "{error}");
    let mut expected = store_of([]);
    expected.insert(format!("partial/{}", sha256(&file)), file[..4000].to_vec());
    assert_eq!(scene.tree(), expected);

    scene.publisher.script("/a", [Step::File(file.clone())]);
    scene.pull(&pack).unwrap();
    assert_eq!(scene.tree(), store_of([&file[..]]));
    assert_eq!(scene.ranges()[4], from(4000));
}

#[test]
fn attempts_that_brought_a_megabyte_do_not_count() {
    let scene = Scene::new();
    let file = onnx_file("a", 7 << 20);
    let steps = (0..6).map(|_| Step::Cut(file.clone(), 1 << 20));
    scene
        .publisher
        .script("/a", steps.chain([Step::File(file.clone())]));
    scene.pull(&Pack::of(&file, [scene.url("/a")])).unwrap();
    assert_eq!(scene.tree(), store_of([&file[..]]));
}

/// A cut after each two megabytes, and no rest of the file: every second try brings what the first had brought.
#[test]
fn a_server_without_progress_is_not_retried_for_ever() {
    let scene = Scene::new();
    let file = onnx_file("a", 7 << 20);
    let steps = (0..20).flat_map(|_| [Step::Cut(file.clone(), 2 << 20), Step::Status(416)]);
    scene.publisher.script("/a", steps);
    let error = scene.pull(&Pack::of(&file, [scene.url("/a")])).unwrap_err();
    assert!(matches!(&error, PackError::NotFetched { .. }), "{error}");
    assert_eq!(scene.ranges(), [None, from(2 << 20), None, from(2 << 20), None]);
}

/// As a portal does that wants one to sign in before it lets anything through.
#[test]
fn a_response_of_another_size_discards_nothing_that_has_arrived() {
    let scene = Scene::new();
    let file = file();
    let urls = ["/a", "/b"].map(|path| scene.url(path));
    scene
        .publisher
        .script(
            "/a",
            [Step::Cut(file.clone(), 1000), Step::Whole(b"sign in".to_vec())],
        )
        .script("/b", [Step::File(file.clone())]);
    scene.pull(&Pack::of(&file, urls)).unwrap();
    assert_eq!(scene.ranges(), [None, from(1000), from(1000)]);
    assert_eq!(scene.tree(), store_of([&file[..]]));
}

#[test]
fn a_missing_or_forbidden_file_is_not_requested_twice() {
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
    assert!(error.contains("nothing of them was kept"), "{error}");
}

#[test]
fn a_file_of_another_size_is_refused_before_a_byte_is_read() {
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
fn a_declared_size_above_the_limit_is_refused_before_a_byte_is_read() {
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
    assert!(error.contains("not an http(s) address"), "{error}");
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
    let PackError::NotFetched { files, .. } = &error else {
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
fn an_unreachable_server_is_reported_with_a_remedy() {
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
        "http://no-such-host.invalid/a: unknown host",
        "HTTPS_PROXY",
        "--mirror",
        "--from",
    ] {
        assert!(error.contains(expected), "{expected} is not in {error}");
    }
    assert_eq!(scene.tree(), store_of([]));
}

#[test]
fn a_host_that_is_not_known_is_asked_for_once() {
    let scene = Scene::new();
    let pack = Pack::of(&file(), ["http://no-such-host.invalid/a".to_owned()]);
    let path = pack.write(scene.folder.path());
    let retried = std::sync::atomic::AtomicBool::new(false);
    let watch = |event: Event<'_>| {
        if let Event::File {
            step: Progress::Retrying(_),
            ..
        } = event
        {
            retried.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    };
    support::pull(|_| {})
        .run(&scene.store(), Some(&path), &watch)
        .unwrap_err();
    assert!(!retried.into_inner());
}

#[test]
fn a_partial_of_another_file_is_discarded_once() {
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
fn a_partial_may_be_whole_or_too_long() {
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
