//! What the suites of Likeness share: an HTTP client and the cases of the HTTP contract, the test data, skipping by name
//! what cannot be tested without it, and packs of tiny models that are made on the spot.
//!
//! Test data is found by `LIKENESS_SHARED`, or as `../shared` beside the checkout. With `LIKENESS_NO_SKIP=1`, as in CI, a
//! test that would be skipped fails instead.

pub mod allocation;
pub mod contract;
mod database;
mod edgeface;
pub mod http;
pub mod onnx;
mod pack;
pub mod postgres;
mod published;

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

pub use database::TestDatabase;
pub use edgeface::{EDGEFACE, EdgeFaceOutput, edgeface, edgeface_fixture};
pub use libtest_mimic::Failed;
use libtest_mimic::{Arguments, Trial};
pub use pack::TestPack;
pub use postgres::Postgres;
pub use published::published;

/// The result of a test.
pub type Outcome = Result<(), Failed>;

/// Returns the folder with test images, reference outputs and model files, where there is one.
#[must_use]
pub fn shared() -> Option<PathBuf> {
    let folder = match std::env::var_os("LIKENESS_SHARED").filter(|value| !value.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => workspace().parent()?.join("shared"),
    };
    folder.join("data").is_dir().then_some(folder)
}

/// Returns the name of the execution provider that tests and benches which follow it use: that of the environment variable
/// `LIKENESS__ENGINE__PROVIDER`, else `cpu`.
#[must_use]
pub fn provider() -> String {
    std::env::var("LIKENESS__ENGINE__PROVIDER")
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "cpu".to_owned())
}

/// Returns the ONNX Runtime library that tests name: that of `ORT_DYLIB_PATH`, else the one with the CPU provider only, which
/// `make setup` unpacks.
#[must_use]
pub fn library() -> PathBuf {
    let name = format!(
        "{}onnxruntime{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    );
    std::env::var_os("ORT_DYLIB_PATH").map_or_else(
        || workspace().join(".setup/onnxruntime").join(name),
        PathBuf::from,
    )
}

/// Returns noise of 0 to 255, as uneven as the pixels of an image and the same in every run: on zeros models are faster.
pub fn noise() -> impl FnMut() -> f32 {
    let mut state = 1_u32;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as f32
    }
}

/// Returns the root of the checkout that this crate was compiled in.
#[must_use]
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Returns whether set-up has brought the packs that tests use: every model that their manifests name. ONNX Runtime is not required
/// here: where there are models, a missing library is an error and no reason to skip.
#[must_use]
pub fn has_models() -> bool {
    MANIFESTS.iter().all(|manifest| has_models_of(manifest))
}

/// Returns whether the model store has every model that a manifest names.
fn has_models_of(manifest: &str) -> bool {
    let store = match std::env::var_os("LIKENESS_MODELS").filter(|value| !value.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => workspace().join("models/store"),
    };
    let blobs = store.join("blobs/sha256");
    model_checksums(manifest)
        .is_some_and(|checksums| checksums.iter().all(|checksum| blobs.join(checksum).is_file()))
}

/// Returns the SHA-256 of each model of a manifest: its own, or that of the source that it is a copy of.
fn model_checksums(manifest: &str) -> Option<Vec<String>> {
    let manifest: toml::Table = manifest.parse().ok()?;
    let (models, sources) = (manifest.get("models")?.as_table()?, manifest.get("sources")?);
    let checksum = |model: &toml::Value| {
        let source = || {
            sources
                .get(model.get("import")?.get("file")?.as_str()?)?
                .get("sha256")
        };
        Some(model.get("sha256").or_else(source)?.as_str()?.to_owned())
    };
    let checksums = models.values().map(checksum).collect::<Option<Vec<_>>>()?;
    (!checksums.is_empty()).then_some(checksums)
}

/// Those of the packs that tests use, compiled in: tests may run where there is no checkout.
const MANIFESTS: [&str; 2] = [
    include_str!("../../../models/open-1/pack.toml"),
    include_str!("../../../models/open-2/pack.toml"),
];

/// That of the pack of package registries, which stands in for the default one where its publishers cannot be reached.
const REGISTRY: &str = include_str!("../../../models/registry-1/pack.toml");

/// What a test needs, or the reason to skip it.
pub type Needed<T> = Result<T, &'static str>;

/// Returns the pack to serve with in tests that hold with any, where that is not the default one: set-up could not get those that
/// tests use otherwise.
#[must_use]
pub fn stand_in_pack() -> Option<&'static str> {
    (!has_models() && has_models_of(REGISTRY)).then_some("registry-1")
}

fn models() -> Needed<()> {
    has_models().then_some(()).ok_or("needs open-1 and open-2")
}

fn any_models() -> Needed<()> {
    let is_there = has_models() || has_models_of(REGISTRY);
    is_there.then_some(()).ok_or("needs a model pack")
}

fn registry() -> Needed<()> {
    has_models_of(REGISTRY).then_some(()).ok_or("needs registry-1")
}

fn data() -> Needed<PathBuf> {
    shared().ok_or("needs ../shared")
}

/// Returns the program of this name: what set-up has unpacked, or one on the path.
///
/// # Errors
/// The name, where there is none: the reason to skip.
pub fn program(name: &'static str) -> Needed<PathBuf> {
    let set_up = workspace().join(".setup").join(name).join("usr/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::iter::once(set_up)
        .chain(std::env::split_paths(&path))
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .ok_or(name)
}

/// Returns the interpreter of a Python environment of `scripts/NAME-requirements.txt`, which set-up may have made.
fn python(environment: &'static str) -> Needed<PathBuf> {
    let folder = workspace().join(".setup").join(environment);
    // Written when all is installed.
    let complete = folder.join("requirements").is_file();
    complete.then(|| folder.join("bin/python")).ok_or(environment)
}

/// The tests of one binary with `harness = false`.
#[derive(Default)]
pub struct Suite {
    trials: Vec<Trial>,
    postgres: Arc<database::SharedPostgres>,
}

impl Suite {
    /// Returns a suite without tests.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a test that needs nothing.
    pub fn test(&mut self, name: impl Into<String>, test: impl FnOnce() -> Outcome + Send + 'static) {
        self.trials.push(Trial::test(name, test));
    }

    /// Adds a test that gets what it needs, and is skipped without it.
    pub fn with<T: Send + 'static>(
        &mut self,
        name: impl Into<String>,
        needed: Needed<T>,
        test: impl FnOnce(T) -> Outcome + Send + 'static,
    ) {
        match needed {
            Ok(needed) => self.test(name, move || test(needed)),
            Err(reason) => self.skip(name, reason),
        }
    }

    /// Adds a test that needs the packs `open-1` and `open-2`.
    pub fn with_models(&mut self, name: impl Into<String>, test: impl FnOnce() -> Outcome + Send + 'static) {
        self.with(name, models(), move |()| test());
    }

    /// Adds a test that holds with any pack: the default one, or else [`stand_in_pack`].
    pub fn with_any_models(
        &mut self,
        name: impl Into<String>,
        test: impl FnOnce() -> Outcome + Send + 'static,
    ) {
        self.with(name, any_models(), move |()| test());
    }

    /// Adds a test that needs the shared test data and gets their folder.
    pub fn with_shared(
        &mut self,
        name: impl Into<String>,
        test: impl FnOnce(&Path) -> Outcome + Send + 'static,
    ) {
        self.with(name, data(), move |folder| test(&folder));
    }

    /// Adds a test that needs the shared test data, whose folder it gets, and the model store.
    pub fn with_shared_and_models(
        &mut self,
        name: impl Into<String>,
        test: impl FnOnce(&Path) -> Outcome + Send + 'static,
    ) {
        let needed = models().and_then(|()| data());
        self.with(name, needed, move |folder| test(&folder));
    }

    /// Adds a test that needs the shared test data, whose folder it gets, and the models of the pack `registry-1`.
    pub fn with_shared_and_registry(
        &mut self,
        name: impl Into<String>,
        test: impl FnOnce(&Path) -> Outcome + Send + 'static,
    ) {
        let needed = registry().and_then(|()| data());
        self.with(name, needed, move |folder| test(&folder));
    }

    /// Adds a test that needs an ONNX Runtime with this execution provider, which `make setup-NAME` unpacks, besides the
    /// shared test data and the model store.
    pub fn with_provider(
        &mut self,
        name: impl Into<String>,
        provider: &'static str,
        test: impl FnOnce(&Path) -> Outcome + Send + 'static,
    ) {
        let library = workspace().join(format!(".setup/onnxruntime-{provider}"));
        let library = library.is_dir().then_some(()).ok_or(provider);
        let needed = library.and_then(|()| models()).and_then(|()| data());
        self.with(name, needed, move |folder| test(&folder));
    }

    /// Adds a test that needs a program, which set-up may have unpacked into `.setup`, and gets its path.
    pub fn with_program(
        &mut self,
        name: impl Into<String>,
        needed: &'static str,
        test: impl FnOnce(&Path) -> Outcome + Send + 'static,
    ) {
        self.with(name, program(needed), move |path| test(&path));
    }

    /// Adds a test that holds with any pack and needs a program, whose path it gets.
    pub fn with_any_models_and_program(
        &mut self,
        name: impl Into<String>,
        needed: &'static str,
        test: impl FnOnce(&Path) -> Outcome + Send + 'static,
    ) {
        let needed = any_models().and_then(|()| program(needed));
        self.with(name, needed, move |path| test(&path));
    }

    /// Adds a test that needs a Python environment of `scripts/NAME-requirements.txt` and gets the interpreter.
    pub fn with_python(
        &mut self,
        name: impl Into<String>,
        environment: &'static str,
        test: impl FnOnce(&Path) -> Outcome + Send + 'static,
    ) {
        self.with(name, python(environment), move |interpreter| test(&interpreter));
    }

    /// Adds a test that needs two Python environments and gets their interpreters.
    pub fn with_pythons(
        &mut self,
        name: impl Into<String>,
        [first, second]: [&'static str; 2],
        test: impl FnOnce(&Path, &Path) -> Outcome + Send + 'static,
    ) {
        let needed = python(first).and_then(|first| Ok((first, python(second)?)));
        self.with(name, needed, move |(first, second)| test(&first, &second));
    }

    /// Adds a test that needs a Python environment, the model store and the shared test data, whose folder it gets.
    pub fn with_shared_models_and_python(
        &mut self,
        name: impl Into<String>,
        environment: &'static str,
        test: impl FnOnce(&Path) -> Outcome + Send + 'static,
    ) {
        let needed = models().and_then(|()| python(environment)).and_then(|_| data());
        self.with(name, needed, move |folder| test(&folder));
    }

    /// Adds a test that runs only where another target of `make` has prepared it, also where nothing may be skipped.
    pub fn leave_out(&mut self, name: impl Into<String>, why: &'static str) {
        let trial = Trial::test(name, move || Err(why.into()));
        self.trials.push(trial.with_kind(why).with_ignored_flag(true));
    }

    fn skip(&mut self, name: impl Into<String>, why: &'static str) {
        let forbidden = std::env::var_os("LIKENESS_NO_SKIP").is_some_and(|value| !value.is_empty());
        let trial = Trial::test(name, move || Err(format!("would be skipped: {why}").into()));
        self.trials
            .push(trial.with_kind(why).with_ignored_flag(!forbidden));
    }

    /// Runs the tests that the command line asks for.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let conclusion = libtest_mimic::run(&Arguments::from_args(), self.trials);
        self.postgres.end();
        conclusion.exit_code()
    }
}

/// Runs a check on each of several named cases and reports all that fail, not only the first.
///
/// # Errors
/// The failures, or that there is no case.
pub fn for_each<T>(
    cases: impl IntoIterator<Item = (impl AsRef<str>, T)>,
    mut check: impl FnMut(T) -> Outcome,
) -> Outcome {
    let mut count = 0;
    let mut failures = Vec::new();
    for (name, case) in cases {
        count += 1;
        if let Err(failure) = check(case) {
            let reason = failure.message().unwrap_or("failed");
            failures.push(format!("{}: {reason}", name.as_ref()));
        }
    }
    ensure!(count > 0, "no case");
    ensure!(
        failures.is_empty(),
        "{} of {count} cases:\n{}",
        failures.len(),
        failures.join("\n")
    );
    Ok(())
}

/// Describes how two values differ: both of them, or where they take several lines, a unified diff.
pub fn difference(found: &impl Debug, expected: &impl Debug) -> String {
    let (found, expected) = (format!("{found:#?}"), format!("{expected:#?}"));
    if !found.contains('\n') && !expected.contains('\n') {
        return format!("     found: {found}\n  expected: {expected}");
    }
    let difference = similar::TextDiff::from_lines(&expected, &found);
    let mut unified = difference.unified_diff();
    unified.header("expected", "found").to_string()
}

/// Fails a test, with file and line, unless the condition holds.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        // Written so that a comparison with NaN fails the test.
        if $condition {} else {
            let message = ::std::format!($($message)+);
            return ::std::result::Result::Err(
                ::std::format!("{}:{}: {message}", ::std::file!(), ::std::line!()).into(),
            );
        }
    };
}

/// Fails a test, with file, line and the [`difference`], unless the first value equals the second, which is the expected
/// one.
#[macro_export]
macro_rules! ensure_eq {
    ($found:expr, $expected:expr $(,)?) => {
        $crate::ensure_eq!($found, $expected, "{}", ::std::stringify!($found))
    };
    ($found:expr, $expected:expr, $($message:tt)+) => {
        match (&$found, &$expected) {
            (found, expected) => {
                $crate::ensure!(
                    *found == *expected,
                    "{}\n{}",
                    ::std::format_args!($($message)+),
                    $crate::difference(found, expected)
                );
            }
        }
    };
}
