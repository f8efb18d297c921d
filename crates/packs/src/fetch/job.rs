//! One pull: what is missing, getting it, making the models.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::client::Client;
use super::download::{Fetcher, Stop, Wanted};
use super::error::{FetchError, NotFetched};
use super::event::{Event, Watcher};
use super::origin::places;
use super::{Pull, Pulled};
use crate::archive::Archive;
use crate::import::import;
use crate::store::{Located, Lock, read, read_checked};
use crate::{Manifest, Recipe, Store, StoreError};

/// A pull that is under way.
pub(super) struct Job<'a> {
    pull: &'a Pull,
    store: &'a Store,
    located: Located,
    watch: Watcher<'a>,
}

impl<'a> Job<'a> {
    /// Refuses what may not be pulled, before anything is.
    pub(super) fn new(
        pull: &'a Pull,
        store: &'a Store,
        located: Located,
        watch: Watcher<'a>,
    ) -> Result<Self, FetchError> {
        let manifest = &located.manifest;
        if !manifest.commercial_use && !pull.accept_license {
            let line = |(name, source): (&String, &crate::SourceFile)| {
                format!("{name}: {} ({})", source.license, source.attribution)
            };
            return Err(FetchError::License {
                pack: manifest.name.clone(),
                licenses: manifest.sources.iter().map(line).collect(),
            });
        }
        if pull.install && Manifest::builtin(&manifest.name).is_some() {
            return Err(FetchError::BuiltIn {
                pack: manifest.name.clone(),
            });
        }
        Ok(Self {
            pull,
            store,
            located,
            watch,
        })
    }

    /// From a mirror or the manifest's addresses.
    pub(super) fn fetch(self) -> Result<Pulled, FetchError> {
        let installs = self.pull.install && !self.is_installed();
        if self.missing().is_empty() && !installs {
            return Ok(self.done(Vec::new(), Vec::new(), false));
        }
        if let Some(mirror) = &self.pull.mirror {
            mirror.check()?;
        }
        let _lock = self.lock()?;
        // Whoever held the lock may have brought it all.
        let mut missing = self.missing();
        let mut made = self.take_from_beside(&mut missing)?;
        let wanted = self.wanted(&missing);
        let fetched = self.fetch_all(&wanted)?;
        made.extend(self.make(&missing)?);
        self.drop_sources(fetched.iter().map(String::as_str))?;
        if installs {
            self.store
                .install(&self.located.manifest.name, &self.located.text)?;
        }
        Ok(self.done(fetched, made, installs))
    }

    /// From an archive.
    pub(super) fn take(self, archive: Archive) -> Result<Pulled, FetchError> {
        let builtin = Manifest::builtin(&self.located.manifest.name).is_some();
        let installs = !builtin && !self.is_installed();
        let _lock = self.lock()?;
        let before = self.missing();
        let taken = archive.unpack(self.store, &self.located.manifest)?;
        let missing = self.missing();
        self.make(&missing)?;
        let sources = &self.located.manifest.sources;
        let of_source = |sha256: &&String| sources.iter().find(|(_, source)| source.sha256 == **sha256);
        let names = taken
            .iter()
            .filter_map(|sha256| of_source(&sha256))
            .map(|(name, _)| name.as_str());
        self.drop_sources(names)?;
        if installs {
            self.store
                .install(&self.located.manifest.name, &self.located.text)?;
        }
        Ok(self.done(taken, before, installs))
    }

    fn lock(&self) -> Result<Lock<'a>, StoreError> {
        self.store.lock(|| {
            if self.pull.wait {
                (self.watch)(Event::Waiting {
                    store: self.store.folder(),
                });
            }
            self.pull.wait
        })
    }

    fn is_installed(&self) -> bool {
        let path = self.store.manifest_path(&self.located.manifest.name);
        let text = self.located.text.as_bytes();
        path.is_file() && read(&path, text.len() as u64 + 1).is_ok_and(|found| found == text)
    }

    /// Names of the models that are not in the store, or are there with other bytes.
    fn missing(&self) -> Vec<String> {
        let manifest = &self.located.manifest;
        let is_missing = |model: &&String| {
            let sha256 = manifest.model_sha256(model).unwrap_or_default();
            !self.store.holds(sha256, manifest.model_max_bytes(model))
        };
        manifest.models.keys().filter(is_missing).cloned().collect()
    }

    /// Takes models that lie ready beside the manifest, and leaves in the list what is still missing.
    fn take_from_beside(&self, missing: &mut Vec<String>) -> Result<Vec<String>, FetchError> {
        let mut taken = Vec::new();
        for model in std::mem::take(missing) {
            let manifest = &self.located.manifest;
            let sha256 = manifest.model_sha256(&model).unwrap_or_default();
            let ready = self
                .located
                .beside(&model)
                .and_then(|path| read_checked(&path, sha256, manifest.model_max_bytes(&model)).ok());
            match ready {
                Some(bytes) => {
                    // They were compared when they were read.
                    let _ = self.store.put(sha256, &bytes)?;
                    self.say_made(&model, &bytes);
                    taken.push(model);
                }
                None => missing.push(model),
            }
        }
        Ok(taken)
    }

    /// The sources of these models that are not in the store; each checksum once.
    fn wanted(&self, models: &[String]) -> Vec<Wanted<'_>> {
        let manifest = &self.located.manifest;
        let mut seen = BTreeSet::new();
        models
            .iter()
            .filter_map(|model| manifest.models.get(model))
            .flat_map(|entry| entry.import.sources())
            .filter_map(|name| manifest.sources.get_key_value(name))
            .filter(|(_, source)| seen.insert(&source.sha256))
            .filter(|(_, source)| !self.store.holds(&source.sha256, source.max_bytes()))
            .map(|(name, source)| Wanted { name, source })
            .collect()
    }

    /// Fetches several at a time. After a failure those under way are finished and no more are begun: where one cannot
    /// be had, the others would only take time to fail.
    fn fetch_all(&self, wanted: &[Wanted<'_>]) -> Result<Vec<String>, FetchError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let client = Client::new(&self.pull.patience);
        let fetcher = Fetcher {
            store: self.store,
            client: &client,
            patience: &self.pull.patience,
            watch: self.watch,
        };
        let queue = Mutex::new(wanted.iter().enumerate());
        let failed = AtomicBool::new(false);
        let failures = Mutex::new(BTreeMap::new());
        let work = || {
            while !failed.load(Ordering::Relaxed) {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((index, wanted)) = next else { return };
                if let Err(failure) = self.fetch_one(&fetcher, *wanted) {
                    failed.store(true, Ordering::Relaxed);
                    let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
                    failures.insert(index, failure);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.pull.jobs.get().min(wanted.len()) {
                scope.spawn(work);
            }
            work();
        });
        let mut files = Vec::new();
        for failure in failures
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .into_values()
        {
            match failure {
                Failure::Store(error) => return Err(error.into()),
                Failure::File(file) => files.push(file),
            }
        }
        if files.is_empty() {
            return Ok(wanted.iter().map(|wanted| wanted.name.to_owned()).collect());
        }
        Err(FetchError::NotFetched {
            pack: self.located.manifest.name.clone(),
            files,
        })
    }

    fn fetch_one(&self, fetcher: &Fetcher<'_>, wanted: Wanted<'_>) -> Result<(), Failure> {
        let mut tried = Vec::new();
        let beside = self.located.folder.as_deref();
        for place in places(wanted.name, wanted.source, self.pull.mirror.as_ref(), beside) {
            let (file, from) = (wanted.name, place.name());
            match fetcher.fetch(wanted, &place) {
                Ok(bytes) => {
                    (self.watch)(Event::Fetched {
                        file,
                        from: &from,
                        bytes,
                    });
                    return Ok(());
                }
                Err(Stop::Store(error)) => return Err(Failure::Store(error)),
                Err(Stop::Place(trouble)) => {
                    let why = &trouble.to_string();
                    (self.watch)(Event::Refused {
                        file,
                        from: &from,
                        why,
                    });
                    tried.push((from, trouble));
                }
            }
        }
        Err(Failure::File(NotFetched {
            file: wanted.name.to_owned(),
            tried,
        }))
    }

    /// Makes models of sources that are in the store.
    fn make(&self, models: &[String]) -> Result<Vec<String>, FetchError> {
        for model in models {
            let bytes = self.make_one(model)?;
            self.say_made(model, &bytes);
        }
        Ok(models.to_vec())
    }

    fn make_one(&self, model: &str) -> Result<Vec<u8>, FetchError> {
        let manifest = &self.located.manifest;
        let pack = || manifest.name.clone();
        // The list of missing models has only names of the manifest.
        let Some(entry) = manifest.models.get(model) else {
            return Ok(Vec::new());
        };
        let bytes = import(&entry.import, |name| {
            let (sha256, limit) = manifest
                .sources
                .get(name)
                .map_or(("", 0), |source| (source.sha256.as_str(), source.max_bytes()));
            read_checked(&self.store.blob(sha256), sha256, limit)
                .map_err(|fault| fault.of_pack(&manifest.name))
        })
        .map_err(|source| FetchError::Import {
            pack: pack(),
            model: model.to_owned(),
            source: source.into(),
        })?;
        let wrong = |expected: String, found: String| FetchError::WrongModel {
            pack: pack(),
            model: model.to_owned(),
            expected,
            found,
        };
        let found = bytes.len() as u64;
        if let Some(expected) = entry.size.filter(|expected| *expected != found) {
            return Err(wrong(format!("{expected} bytes"), format!("{found} bytes")));
        }
        if matches!(entry.import, Recipe::Onnx { .. }) {
            return Ok(bytes); // the source is the model
        }
        let sha256 = manifest.model_sha256(model).unwrap_or_default();
        match self.store.put(sha256, &bytes)? {
            Ok(()) => Ok(bytes),
            Err(other) => Err(wrong(
                format!("SHA-256 {sha256}"),
                format!("SHA-256 {}", other.found),
            )),
        }
    }

    fn say_made(&self, model: &str, bytes: &[u8]) {
        (self.watch)(Event::Made {
            model,
            bytes: bytes.len() as u64,
        });
    }

    /// Deletes sources that were brought by this pull and are no models themselves, where they are not to be kept.
    fn drop_sources<'n>(&self, names: impl Iterator<Item = &'n str>) -> Result<(), StoreError> {
        if self.pull.keep_sources {
            return Ok(());
        }
        let manifest = &self.located.manifest;
        let models: BTreeSet<_> = manifest
            .models
            .keys()
            .filter_map(|model| manifest.model_sha256(model))
            .collect();
        for source in names.filter_map(|name| manifest.sources.get(name)) {
            if !models.contains(source.sha256.as_str()) {
                self.store.remove(&source.sha256)?;
            }
        }
        Ok(())
    }

    fn done(self, fetched: Vec<String>, made: Vec<String>, installed: bool) -> Pulled {
        Pulled {
            manifest: self.located.manifest,
            fetched,
            made,
            installed,
        }
    }
}

/// Why a file is not in the store.
enum Failure {
    File(NotFetched),
    Store(StoreError),
}
