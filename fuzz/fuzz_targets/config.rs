//! The configuration, from a file and the environment: an accepted one can be printed and read again; secrets are never printed.
//!
//! An input is a TOML file up to the first NUL byte, then `NAME=value` variables, separated by NUL bytes.

#![no_main]

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use likeness_fuzz::Bound;
use likeness_server::{Config, Explained, Overrides, REFERENCE};

likeness_fuzz::target!(seeds, run);

/// Must not be printed where it is part of a secret.
const SECRET: &str = "S3CRET";
/// Variables whose whole value is a secret.
const SECRETS: [&str; 4] = [
    "LIKENESS_DATABASE_URL",
    "LIKENESS_STORAGE_URL",
    "LIKENESS_ADMIN_TOKEN",
    "LIKENESS_AUDIT_CHAIN_KEY",
];

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = likeness_fuzz::seeds::texts(&[
        REFERENCE,
        "listen = \"127.0.0.1:0\"\n[[apps]]\nid = \"acme\"\nkey = \"0123456789abcdef\"\n[request_limits]\ndeadline_seconds = 3\n\
         [limits.v0_2.selfie]\nmin_side = 200\n[[profiles]]\nname = \"mine\"\n",
        "\0LIKENESS_APPS=acme:0123456789S3CRET,other:0123456789S3CRET\0LIKENESS__LIMITS__DEADLINE=2.5\0RUST_LOG=info",
        "\0LIKENESS_STORAGE_URL=postgres://likeness:S3CRET@db.example/likeness?sslmode=require\0LIKENESS_LISTEN=[::1]:80",
        "\0LIKENESS_DATABASE_URL=postgres:likeness:S3CRET@db\0LIKENESS_ADMIN_TOKEN=S3CRET0123456789",
        "\0LIKENESS_STORAGE_URL=sqlite:likeness-data/likeness.db\0LIKENESS_AUDIT_CHAIN_KEY=S3CRET0123456789abcdef",
        "\0LIKENESS__PROXIES__TRUSTED=[\"10.0.0.0/8\"]\0LIKENESS__CORS__ORIGINS=[\"https://a.example\"]",
    ]);
    // Each line, with the commented settings uncommented.
    let uncommented = REFERENCE
        .lines()
        .map(|line| line.strip_prefix("# ").unwrap_or(line));
    seeds.extend(uncommented.map(|line| line.as_bytes().to_vec()));
    seeds
}

thread_local! {
    /// An open file whose name is already removed.
    static FILE: RefCell<File> = RefCell::new(unnamed_file());
}

fn unnamed_file() -> File {
    let path = std::env::temp_dir().join(format!("likeness-fuzz-{}", std::process::id()));
    let file = File::options()
        .create_new(true)
        .read(true)
        .write(true)
        .open(&path);
    std::fs::remove_file(&path).expect("the file can be removed");
    file.expect("a file can be made")
}

/// A path to a file with this text, until the next call.
fn file_with(text: &[u8]) -> PathBuf {
    FILE.with_borrow_mut(|file| {
        file.set_len(0).expect("it can be emptied");
        file.seek(SeekFrom::Start(0))
            .expect("it can be gone through again");
        file.write_all(text).expect("it can be written");
        PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
    })
}

fn run(input: &[u8]) {
    let mut pieces = input.split(|&byte| byte == 0);
    let text = pieces.next().unwrap_or_default();
    let env: Vec<(OsString, OsString)> = pieces
        .filter_map(|piece| {
            let equals = piece.iter().position(|&byte| byte == b'=')?;
            let [name, value] = [&piece[..equals], &piece[equals + 1..]];
            // Files of this machine are not part of the input.
            (name != b"CREDENTIALS_DIRECTORY")
                .then(|| [name, value].map(|part| OsString::from_vec(part.to_vec())).into())
        })
        .collect();
    // If all its occurrences are in secrets, it must not be printed.
    let may_be_printed = contains(text) || env.iter().any(|(name, value)| !is_kept(name, value));
    let bound = Bound {
        memory: 8_000_000 + 2_000 * input.len(),
        time: Duration::from_secs(2),
    };
    let load = |text: &[u8], env: Vec<_>| {
        let file = file_with(text);
        bound.keep(|| Explained::load(Some(&file), env, &Overrides::default(), Config::validate))
    };
    let explained = match load(text, env) {
        Ok(explained) => explained,
        Err(error) => {
            let shown = format!("{error} {error:?}");
            assert!(
                may_be_printed || !shown.contains(SECRET),
                "a secret is printed: {shown}"
            );
            return;
        }
    };
    let shown = explained.to_string();
    let seen = shown.contains(SECRET) || format!("{explained:?}").contains(SECRET);
    assert!(may_be_printed || !seen, "a secret is printed: {shown}");
    if !shown.contains("<redacted>") {
        let again = load(shown.as_bytes(), Vec::new());
        let again =
            again.unwrap_or_else(|error| panic!("the printed configuration is refused: {error}\n{shown}"));
        let values = |explained: &Explained| {
            let settings = explained.settings.iter();
            settings
                .map(|setting| (setting.key.clone(), setting.value.to_string()))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            values(&again),
            values(&explained),
            "the printed configuration has other values"
        );
    }
}

fn contains(bytes: &[u8]) -> bool {
    bytes
        .windows(SECRET.len())
        .any(|window| window == SECRET.as_bytes())
}

/// Whether the variable keeps [`SECRET`] inside of secrets.
fn is_kept(name: &OsString, value: &OsString) -> bool {
    if contains(name.as_encoded_bytes()) {
        return false;
    }
    let value = value.as_encoded_bytes();
    if !contains(value) || SECRETS.iter().any(|secret| name == secret) {
        return true;
    }
    // In `id:key,id:key` the ids are public.
    let mut entries = value.split(|&byte| byte == b',');
    name == "LIKENESS_APPS"
        && !entries.any(|entry| {
            entry
                .iter()
                .position(|&byte| byte == b':')
                .is_some_and(|colon| contains(&entry[..colon]))
        })
}
