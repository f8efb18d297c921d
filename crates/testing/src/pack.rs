//! Model packs whose models lie beside the manifest.

use std::fmt::Write;
use std::path::Path;

use sha2::{Digest, Sha256};

/// A pack of models that lie beside its manifest.
#[derive(Debug, Clone)]
pub struct TestPack {
    name: String,
    head: String,
    models: Vec<(String, Vec<u8>)>,
    entries: String,
}

impl TestPack {
    /// Returns a pack without models.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            head: String::new(),
            models: Vec::new(),
            entries: String::new(),
        }
    }

    /// Adds a detector; `keys` are its other lines of the manifest.
    #[must_use]
    pub fn detector(self, model: &str, onnx: Vec<u8>, keys: &str) -> Self {
        self.entry("detector", model, onnx, keys)
    }

    /// Adds an embedder.
    #[must_use]
    pub fn embedder(self, model: &str, onnx: Vec<u8>, keys: &str) -> Self {
        self.entry("embedder", model, onnx, keys)
    }

    /// Adds a liveness model.
    #[must_use]
    pub fn liveness(self, model: &str, onnx: Vec<u8>, keys: &str) -> Self {
        self.entry("liveness", model, onnx, keys)
    }

    /// Adds a line to the keys of the pack itself.
    #[must_use]
    pub fn key(mut self, line: &str) -> Self {
        self.head.push_str(line);
        self.head.push('\n');
        self
    }

    /// Adds to the manifest, such as a calibration.
    #[must_use]
    pub fn with(mut self, text: &str) -> Self {
        self.entries.push('\n');
        self.entries.push_str(text);
        self
    }

    fn entry(mut self, role: &str, model: &str, onnx: Vec<u8>, keys: &str) -> Self {
        // Writing to a string does not fail.
        let _ = writeln!(self.entries, "[[{role}]]\nmodel = \"{model}\"\n{keys}");
        if !self.models.iter().any(|(name, _)| name == model) {
            self.models.push((model.to_owned(), onnx));
        }
        self
    }

    /// Returns the text of the manifest.
    #[must_use]
    pub fn manifest(&self) -> String {
        let mut text = format!(
            "format = 2\nname = \"{}\"\nversion = \"1\"\ncommercial_use = true\n{}",
            self.name, self.head
        );
        for (name, onnx) in &self.models {
            let digest = Sha256::digest(onnx);
            let sha256: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            let _ = writeln!(
                text,
                "[sources.\"{name}.onnx\"]\nsha256 = \"{sha256}\"\nlicense = \"Apache-2.0\"\nattribution = \"a test\"\n\
                 [models.{name}]\nimport = {{ from = \"onnx\", file = \"{name}.onnx\" }}"
            );
        }
        text + &self.entries
    }

    /// Writes the manifest and the models into a folder.
    ///
    /// # Errors
    /// Those of writing files.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        for (name, onnx) in &self.models {
            std::fs::write(folder.join(format!("{name}.onnx")), onnx)?;
        }
        std::fs::write(folder.join("pack.toml"), self.manifest())
    }
}
