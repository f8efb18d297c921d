//! A pull's surroundings.

use std::collections::BTreeMap;

use likeness_packs::Store;
use likeness_packs::fetch::{FetchError, Pull, Pulled};

use super::publisher::Publisher;
use super::{Pack, pull, sha256, tree};

/// A publisher, a folder for the manifest and a store that is not there yet.
pub(crate) struct Scene {
    pub(crate) publisher: Publisher,
    pub(crate) folder: tempfile::TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self {
            publisher: Publisher::start(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.publisher.url(path)
    }

    pub(crate) fn store(&self) -> Store {
        Store::at(self.folder.path().join("store"))
    }

    pub(crate) fn pull(&self, pack: &Pack) -> Result<Pulled, FetchError> {
        self.pull_with(&pull(), pack)
    }

    pub(crate) fn pull_with(&self, pull: &Pull, pack: &Pack) -> Result<Pulled, FetchError> {
        pull.run(&self.store(), Some(&pack.write(self.folder.path())), &|_| {})
    }

    /// What is in the store.
    pub(crate) fn tree(&self) -> BTreeMap<String, Vec<u8>> {
        tree(&self.folder.path().join("store"))
    }

    /// The ranges that were asked for, one a request.
    pub(crate) fn ranges(&self) -> Vec<Option<String>> {
        self.publisher
            .requests()
            .into_iter()
            .map(|(_, range)| range)
            .collect()
    }

    /// Puts bytes where what has arrived of a file is kept.
    pub(crate) fn leave_partial(&self, of: &[u8], bytes: &[u8]) {
        let folder = self.folder.path().join("store/partial");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(sha256(of)), bytes).unwrap();
    }
}
