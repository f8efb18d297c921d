//! The settings with names besides their keys, the ranges of numbers, and the names that have changed.

use super::values::below;
use super::{ConfigError, Kind::*, Scope::*};

/// Which commands show the flag of a setting: each scope includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Commands that read settings and open neither models nor an engine.
    Any,
    /// Commands that work on the model store.
    Store,
    /// Commands that open an engine.
    Engine,
    /// `likeness serve`.
    Serve,
}

/// What the flag of a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text, called this in help.
    Text(&'static str),
    /// Texts, one each time that the flag is given.
    List(&'static str),
    /// A number.
    Number,
    /// Nothing: the flag turns the setting on.
    Switch,
}

/// The flag of a setting, without dashes: what it takes, where it is shown, and its help without the default.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
#[allow(missing_docs, reason = "said above")]
pub struct Flag {
    pub name: &'static str,
    pub kind: Kind,
    pub scope: Scope,
    pub help: &'static str,
}

/// A setting with names besides its key. Every setting has its key, `LIKENESS__SECTION__KEY` and `--set SECTION.KEY=VALUE`.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Named {
    /// The path of the key in `likeness.toml`.
    pub key: &'static str,
    /// The flag.
    pub flag: Option<Flag>,
    /// The environment variable.
    pub variable: Option<&'static str>,
    /// The file in the folder that `CREDENTIALS_DIRECTORY` names.
    pub credential: Option<&'static str>,
    /// What holds where nothing sets it and it has no default value.
    pub unset: Option<&'static str>,
}

macro_rules! named {
    ($key:literal $(, $name:ident: $value:expr)+) => {
        Named {
            $($name: Some($value),)+
            ..Named { key: $key, flag: None, variable: None, credential: None, unset: None }
        }
    };
}

const fn flag(name: &'static str, kind: Kind, scope: Scope, help: &'static str) -> Flag {
    Flag {
        name,
        kind,
        scope,
        help,
    }
}

/// The settings with names besides their keys, in the order of `--help`.
#[rustfmt::skip]
pub const NAMED: &[Named] = &[
    named!("listen", variable: "LIKENESS_LISTEN",
        flag: flag("listen", Text("ADDRESS:PORT"), Serve, "Address of the public listener")),
    named!("admin.listen", variable: "LIKENESS_ADMIN_LISTEN", unset: "none",
        flag: flag("admin-listen", Text("ADDRESS:PORT"), Serve, "Address of the admin listener (health, metrics, reload)")),
    named!("admin.token", variable: "LIKENESS_ADMIN_TOKEN", credential: "likeness.admin-token"),
    named!("admin.metrics_token", credential: "likeness.admin-metrics-token"),
    named!("console.token", variable: "LIKENESS_CONSOLE_TOKEN", credential: "likeness.console-token"),
    named!("database.url", variable: "LIKENESS_DATABASE_URL", credential: "likeness.database-url",
        unset: "SQLite, likeness.db in data_folder"),
    named!("audit.chain_key", variable: "LIKENESS_AUDIT_CHAIN_KEY", credential: "likeness.audit-chain-key"),
    named!("audit.retention_days", unset: "records are kept forever"),
    named!("log.format",
        flag: flag("log-format", Text("FORMAT"), Serve, "Format of log lines: text or json")),
    named!("log.filter", variable: "RUST_LOG"),
    named!("demo",
        flag: flag("demo", Switch, Serve, "Add an app `demo` with a random key, and print a request")),
    named!("allow_core_dumps",
        flag: flag("allow-core-dumps", Switch, Serve, "Leave the core dump limit as it is instead of 0: a dump holds images")),
    named!("admission.max_requests", unset: "16 per worker"),
    named!("engine.models", variable: "LIKENESS_MODELS", unset: "./models/store",
        flag: flag("models", Text("DIR"), Store, "Model store")),
    named!("engine.pack", unset: "open-2",
        flag: flag("pack", Text("NAME"), Store, "Model pack: a name, or the path of a pack.toml")),
    named!("calibration_files",
        flag: flag("calibration", List("FILE"), Engine, "Calibration to use instead of the pack's; once for match, once for liveness")),
    named!("cohort_file", unset: "that of the match calibration in use",
        flag: flag("cohort", Text("FILE"), Engine, "Cohort of `likeness calibrate cohort` that similarities are normalised by")),
    named!("no_cohort",
        flag: flag("no-cohort", Switch, Engine, "Use no cohort: the similarity is the cosine, with the pack's calibration for it")),
    named!("engine.provider", unset: "cpu",
        flag: flag("provider", Text("NAME"), Engine, "Execution provider: cpu, openvino, cuda, tensorrt, coreml or directml")),
    named!("engine.runtime_library", unset: "ORT_DYLIB_PATH, else the one unpacked by `make setup`, else the system's",
        flag: flag("ort-lib", Text("FILE"), Engine, "ONNX Runtime library")),
    named!("engine.skip_optimizations", unset: "none on cpu; those that only cpu gains by elsewhere",
        flag: flag("skip-optimizations", Text("PASSES"), Engine, "Graph optimizations to skip, comma-separated, or `all`")),
    named!("engine.workers", unset: "one per available processor",
        flag: flag("workers", Number, Engine, "Verifications that run in parallel")),
    named!("engine.max_faces", unset: "64"),
    named!("engine.min_face_score", unset: "the threshold of the model pack"),
];

/// Names that have changed, with the new ones: keys with all below them, variables, files of credentials, flags. The old ones
/// go on working until the next minor version, with a warning.
pub const RENAMED: &[(&str, &str)] = &[
    ("limits", "request_limits"),
    ("safety.max_faces", "engine.max_faces"),
    ("safety.min_face_score", "engine.min_face_score"),
    ("safety", "image_limits"),
    ("storage.folder", "data_folder"),
    ("storage", "database"),
    ("tls.operators", "tls.admin"),
    ("LIKENESS_STORAGE_URL", "LIKENESS_DATABASE_URL"),
    ("likeness.storage-url", "likeness.database-url"),
    ("--no-rewrite", "--skip-optimizations"),
    ("--provider-option", "--set engine."),
    ("--expect-head", "--expect-checkpoint"),
];

/// Returns the name that has taken the place of this one, or of its beginning.
#[must_use]
pub fn renamed(name: &str) -> Option<String> {
    RENAMED.iter().find_map(|(old, new)| {
        let rest = below(name, old)?;
        Some(format!("{new}{rest}"))
    })
}

const DAY: f64 = 86_400.0;
const MILLISECOND: f64 = 0.001;
const NO_END: f64 = f64::INFINITY;
const MAX_PERMITS: f64 = tokio::sync::Semaphore::MAX_PERMITS as f64;

/// The least that a decode may be given: rows and tables, and an image of a few megapixels.
const MIN_DECODE_BYTES: f64 = 16.0 * 1024.0 * 1024.0;

/// A shorter pause between two polls of files would be a busy loop.
const MIN_CHECK: f64 = 0.01;

/// No request to a database can be expected to be faster than this, and polling it more often would cost more than it brings.
const MIN_DATABASE: f64 = 0.05;

/// The ranges of numbers, and whether 0 is allowed besides. What is not here has the range of its type.
const RANGES: &[(&str, f64, f64, bool)] = &[
    ("admission.max_requests", 1.0, MAX_PERMITS, false),
    ("audit.max_spool_mib", 1.0, NO_END, false),
    ("audit.retention_days", 1.0, NO_END, false),
    ("audit.rotate_mib", 1.0, NO_END, false),
    ("audit.sync_seconds", MILLISECOND, DAY, false),
    ("audit.wait_ms", 0.0, 60_000.0, false),
    ("connections.body_idle_seconds", MILLISECOND, DAY, false),
    ("connections.header_read_seconds", MILLISECOND, DAY, false),
    ("connections.linger_seconds", 0.0, DAY, false),
    ("connections.max", 1.0, MAX_PERMITS, false),
    // PostgreSQL's own default is 100 for all of its clients.
    ("database.connections", 1.0, 1_000.0, false),
    ("database.refresh_seconds", MIN_DATABASE, DAY, false),
    ("database.start_seconds", 0.0, DAY, false),
    ("database.timeout_seconds", MIN_DATABASE, DAY, false),
    ("engine.max_faces", 1.0, 1_024.0, false),
    ("engine.min_face_score", 0.0, 1.0, false),
    ("engine.workers", 1.0, 1_024.0, false),
    ("image_limits.max_bytes", 1.0, NO_END, false),
    ("image_limits.max_decode_bytes", MIN_DECODE_BYTES, NO_END, false),
    ("image_limits.max_pixels", 1.0, NO_END, false),
    ("image_limits.max_side", 1.0, NO_END, false),
    ("reload.check_seconds", MIN_CHECK, DAY, true),
    ("request_limits.body_bytes", 1.0, NO_END, false),
    ("request_limits.deadline_seconds", MILLISECOND, DAY, false),
    ("request_limits.file_bytes", 1.0, NO_END, false),
    ("shutdown.delay_seconds", 0.0, DAY, false),
    ("shutdown.grace_seconds", 0.0, DAY, false),
    ("tls.check_seconds", MIN_CHECK, DAY, true),
    ("tls.handshake_seconds", MILLISECOND, DAY, false),
];

pub(super) fn check_range(key: &str, value: &toml::Value) -> Result<(), ConfigError> {
    let number = match value {
        toml::Value::Integer(number) => *number as f64,
        toml::Value::Float(number) => *number,
        _ => return Ok(()),
    };
    let Some((_, min, max, or_zero)) = RANGES.iter().find(|(of, ..)| *of == key) else {
        return Ok(());
    };
    // NaN is in no range.
    if (*min..=*max).contains(&number) || (*or_zero && number == 0.0) {
        return Ok(());
    }
    let zero = if *or_zero { "0, or " } else { "" };
    let range = if max.is_finite() {
        format!("from {min} to {max}")
    } else {
        format!("at least {min}")
    };
    let reason = format!("{value} is out of range: must be {zero}{range}");
    Err(ConfigError::invalid(key, reason))
}
