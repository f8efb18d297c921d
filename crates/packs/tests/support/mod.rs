//! What the suites of fetching and archives share: small packs of ONNX files that are made on the spot, and stores whose
//! every file is looked at.
#![allow(dead_code, reason = "no suite uses all of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

pub(crate) mod again;
pub(crate) mod publisher;
pub(crate) mod scene;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use likeness_onnx as onnx;
use likeness_onnx::proto::{GraphProto, TensorProto};
use likeness_packs::fetch::Pull;
use sha2::{Digest, Sha256};

/// An ONNX file of somewhat more than this many bytes, no two of them alike.
pub(crate) fn onnx_file(name: &str, bytes: usize) -> Vec<u8> {
    let values: Vec<f32> = (0..bytes / 4).map(|index| index as f32).collect();
    let weights = TensorProto::of_f32(name, &[values.len() as i64], &values);
    onnx::write(&onnx::model(GraphProto {
        name: name.to_owned(),
        initializer: vec![weights],
        ..GraphProto::default()
    }))
}

/// The file of most packs.
pub(crate) fn file() -> Vec<u8> {
    onnx_file("a", 200_000)
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// A file of a pack.
pub(crate) struct File {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) urls: Vec<String>,
}

/// A pack of these files, each of which is a model as it is.
pub(crate) struct Pack {
    pub(crate) files: Vec<File>,
    pub(crate) commercial_use: bool,
    /// Whether the manifest states sizes.
    pub(crate) sizes: bool,
    /// Put behind the manifest's first lines.
    pub(crate) version: &'static str,
    /// A cohort beside the manifest, `cohort.bin`.
    pub(crate) cohort: Option<Vec<u8>>,
}

impl Pack {
    /// One file, at these addresses.
    pub(crate) fn of(bytes: &[u8], urls: impl IntoIterator<Item = String>) -> Self {
        Self {
            files: vec![File {
                name: "a.onnx",
                bytes: bytes.to_vec(),
                urls: urls.into_iter().collect(),
            }],
            commercial_use: true,
            sizes: true,
            version: "1",
            cohort: None,
        }
    }

    pub(crate) fn and(
        mut self,
        name: &'static str,
        bytes: &[u8],
        urls: impl IntoIterator<Item = String>,
    ) -> Self {
        self.files.push(File {
            name,
            bytes: bytes.to_vec(),
            urls: urls.into_iter().collect(),
        });
        self
    }

    /// The text of its manifest; its name is `tiny`.
    pub(crate) fn manifest(&self) -> String {
        let mut text = format!(
            "format = 2\nname = \"tiny\"\nversion = \"{}\"\ncommercial_use = {}\n",
            self.version, self.commercial_use
        );
        for File { name, bytes, urls } in &self.files {
            let size = if self.sizes {
                format!("size = {}\n", bytes.len())
            } else {
                String::new()
            };
            let model = name.trim_end_matches(".onnx");
            text += &format!(
                "[sources.\"{name}\"]\nurls = {urls:?}\n{size}sha256 = \"{}\"\nlicense = \"Test-1.0\"\n\
                 attribution = \"the test of {name}\"\n[models.{model}]\nimport = {{ from = \"onnx\", file = \"{name}\" }}\n",
                sha256(bytes)
            );
        }
        text += ROLES;
        if let Some(cohort) = &self.cohort {
            text += &NORMALISED.replace("SHA256", &sha256(cohort));
        }
        text
    }

    /// Writes the manifest, and the cohort, into a folder and gives the pack's path.
    pub(crate) fn write(&self, folder: &Path) -> String {
        let path = folder.join("pack.toml");
        std::fs::write(&path, self.manifest()).unwrap();
        if let Some(cohort) = &self.cohort {
            std::fs::write(folder.join("cohort.bin"), cohort).unwrap();
        }
        path.display().to_string()
    }
}

const ROLES: &str = r#"
[[detector]]
adapter = "yunet"
model = "a"
input = { channels = "bgr" }
score_threshold = 0.6
nms_iou = 0.3
[[embedder]]
adapter = "aligned-crop"
model = "a"
input = { channels = "rgb" }
size = 112
dimensions = 512
template = "arcface"
[[liveness]]
adapter = "scaled-crop"
model = "a"
input = { channels = "bgr" }
size = 80
crop_scale = 2.7
classes = 3
live_class = 1
"#;

const NORMALISED: &str = r#"
[calibration.normalised]
people = 3
genuine_comparisons = 4
impostor_comparisons = 5
measured = { from = 0.1, to = 0.5 }
provenance = { name = "test", method = "by hand", data = "none", date = "2026-11-25" }
cohort = { file = "cohort.bin", sha256 = "SHA256" }
points = [
    { similarity = 0.2, confidence = 0.4, false_match_rate = 1e-3 },
    { similarity = 0.3, confidence = 0.6, false_match_rate = 1e-4 },
]
"#;

/// A pull without pauses and with a short timeout, changed so.
pub(crate) fn pull(change: impl FnOnce(&mut Pull)) -> Pull {
    let mut pull = Pull::default();
    pull.retry.backoff = Duration::ZERO;
    pull.retry.read_timeout = Duration::from_millis(300);
    change(&mut pull);
    pull
}

/// Every file of a folder by its path below it, with what it holds; a folder without files ends with a slash.
pub(crate) fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        let entries: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        let name = |path: &Path| path.strip_prefix(root).unwrap().display().to_string();
        if entries.is_empty() && folder != root {
            found.insert(format!("{}/", name(folder)), Vec::new());
        }
        for path in entries {
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                found.insert(name(&path), std::fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    if folder.is_dir() {
        walk(folder, folder, &mut found);
    }
    found
}

/// A store with these blobs and nothing else but its lock.
pub(crate) fn store_of<'a>(blobs: impl IntoIterator<Item = &'a [u8]>) -> BTreeMap<String, Vec<u8>> {
    let mut files: BTreeMap<_, _> = blobs
        .into_iter()
        .map(|blob| (format!("blobs/sha256/{}", sha256(blob)), blob.to_vec()))
        .collect();
    if files.is_empty() {
        files.insert("blobs/sha256/".to_owned(), Vec::new());
    }
    files.insert("lock".to_owned(), Vec::new());
    files
}
