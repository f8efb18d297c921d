//! One pull: finds what is missing, fetches it and imports the models.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::client::Client;
use super::download::{Fetcher, Stop, Wanted};
use super::places::places;
use super::{Event, Pull, Pulled, Watcher};
use crate::archive::Archive;
use crate::files::{read_text, read_verified};
use crate::store::{Located, Lock};
use crate::{Manifest, NotFetched, PackError, Recipe, Store};

/// A pull in progress.
pub(super) struct Job<'a> {
    pull: &'a Pull,
    store: &'a Store,
    located: Located,
    watch: Watcher<'a>,
}

impl<'a> Job<'a> {
    /// Refuses a pull that is not permitted, before anything is fetched.
    pub(super) fn new(
        pull: &'a Pull,
        store: &'a Store,
        located: Located,
        watch: Watcher<'a>,
    ) -> Result<Self, PackError> {
        let manifest = &located.manifest;
        if !manifest.commercial_use && !pull.accept_license {
            let line = |(name, source): (&String, &crate::SourceFile)| {
                format!("{name}: {} ({})", source.license, source.attribution)
            };
            return Err(PackError::License {
                pack: manifest.name.clone(),
                licenses: manifest.sources.iter().map(line).collect(),
            });
        }
        if pull.install && Manifest::builtin_text(&manifest.name).is_some() {
            return Err(PackError::BuiltIn {
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

    /// Pulls from a mirror or the manifest's addresses.
    pub(super) fn fetch(self) -> Result<Pulled, PackError> {
        let installs = self.pull.install && !self.is_installed();
        if self.missing().is_empty() && !installs {
            return self.finish(Vec::new(), Vec::new(), false);
        }
        if let Some(mirror) = &self.pull.mirror {
            mirror.check()?;
        }
        let _lock = self.lock()?;
        // The previous owner of the lock may have completed the pack.
        let mut missing = self.missing();
        let mut made = self.take_from_beside(&mut missing)?;
        let wanted = self.wanted(&missing);
        let fetched = self.fetch_all(&wanted)?;
        self.make(&missing)?;
        made.extend(missing);
        self.drop_sources(fetched.iter().map(String::as_str))?;
        self.finish(fetched, made, installs)
    }

    /// Pulls from an archive.
    pub(super) fn take(self, archive: Archive) -> Result<Pulled, PackError> {
        let builtin = Manifest::builtin_text(&self.located.manifest.name).is_some();
        let installs = !builtin && !self.is_installed();
        let _lock = self.lock()?;
        let before = self.missing();
        let taken = archive.unpack(self.store, &self.located.manifest)?;
        self.make(&self.missing())?;
        let sources = self.located.manifest.sources.iter();
        let taken_sources = sources.filter(|(_, source)| taken.contains(&source.sha256));
        self.drop_sources(taken_sources.map(|(name, _)| name.as_str()))?;
        self.finish(taken, before, installs)
    }

    fn lock(&self) -> Result<Lock<'a>, PackError> {
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
        let text = &self.located.text;
        path.is_file() && matches!(read_text(&path, text.len() as u64), Ok(Ok(found)) if found == *text)
    }

    /// Names of the models that are missing in the model store or have wrong bytes there.
    fn missing(&self) -> Vec<String> {
        let manifest = &self.located.manifest;
        let is_missing = |model: &&String| {
            let sha256 = manifest.model_sha256(model).unwrap_or_default();
            !self.store.holds(sha256, manifest.model_max_bytes(model))
        };
        manifest.models.keys().filter(is_missing).cloned().collect()
    }

    /// Takes models from beside the manifest, and removes them from the missing ones.
    fn take_from_beside(&self, missing: &mut Vec<String>) -> Result<Vec<String>, PackError> {
        let manifest = &self.located.manifest;
        let mut taken = Vec::new();
        for model in std::mem::take(missing) {
            let sha256 = manifest.model_sha256(&model).unwrap_or_default();
            let limit = manifest.model_max_bytes(&model);
            let path = self.located.beside(&model);
            let read = path.and_then(|path| read_verified(&manifest.name, &path, sha256, limit).ok());
            let Some(bytes) = read else {
                missing.push(model);
                continue;
            };
            // Verified when read.
            let _ = self.store.put(sha256, &bytes)?;
            self.announce_model(&model, &bytes);
            taken.push(model);
        }
        Ok(taken)
    }

    /// The sources of these models that are not in the model store; each checksum once.
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

    /// Fetches several files at a time. After a failure no more are begun, as the pack cannot be completed; those in
    /// progress are finished.
    fn fetch_all(&self, wanted: &[Wanted<'_>]) -> Result<Vec<String>, PackError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let client = Client::new(&self.pull.retry);
        let fetcher = Fetcher {
            store: self.store,
            client: &client,
            retry: &self.pull.retry,
            watch: self.watch,
        };
        let queue = Mutex::new(wanted.iter().enumerate());
        let failed = AtomicBool::new(false);
        let failures = Mutex::new(BTreeMap::new());
        let work = || {
            while !failed.load(Ordering::Relaxed) {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((index, wanted)) = next else { return };
                let failure = match self.fetch_one(&fetcher, *wanted) {
                    Ok(None) => continue,
                    Ok(Some(file)) => Ok(file),
                    Err(error) => Err(error),
                };
                failed.store(true, Ordering::Relaxed);
                let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
                failures.insert(index, failure);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.pull.jobs.get().min(wanted.len()) {
                scope.spawn(work);
            }
            work();
        });
        let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
        let files: Vec<NotFetched> = failures.into_values().collect::<Result<_, _>>()?;
        if files.is_empty() {
            return Ok(wanted.iter().map(|wanted| wanted.name.to_owned()).collect());
        }
        Err(PackError::NotFetched {
            pack: self.located.manifest.name.clone(),
            files,
        })
    }

    /// Fetches one file; if no place has it, returns why.
    fn fetch_one(&self, fetcher: &Fetcher<'_>, wanted: Wanted<'_>) -> Result<Option<NotFetched>, PackError> {
        let mut tried = Vec::new();
        let beside = self.located.folder.as_deref();
        let file = wanted.name;
        for place in places(file, wanted.source, self.pull.mirror.as_ref(), beside) {
            let from = place.name();
            match fetcher.fetch(wanted, &place) {
                Ok(bytes) => {
                    let from = &from;
                    (self.watch)(Event::Fetched { file, from, bytes });
                    return Ok(None);
                }
                Err(Stop::Store(error)) => return Err(error),
                Err(Stop::Place(failure)) => {
                    (self.watch)(Event::Refused {
                        file,
                        from: &from,
                        why: &failure.to_string(),
                    });
                    tried.push((from, failure));
                }
            }
        }
        let file = file.to_owned();
        Ok(Some(NotFetched { file, tried }))
    }

    /// Imports models from sources in the model store.
    fn make(&self, models: &[String]) -> Result<(), PackError> {
        for model in models {
            let bytes = self.make_one(model)?;
            self.announce_model(model, &bytes);
        }
        Ok(())
    }

    fn make_one(&self, model: &str) -> Result<Vec<u8>, PackError> {
        let manifest = &self.located.manifest;
        // The missing models are those of the manifest.
        let Some(entry) = manifest.models.get(model) else {
            return Ok(Vec::new());
        };
        let bytes = entry
            .import
            .apply(|name| {
                let source = manifest.sources.get(name);
                let (sha256, limit) =
                    source.map_or(("", 0), |source| (source.sha256.as_str(), source.max_bytes()));
                read_verified(&manifest.name, &self.store.blob(sha256), sha256, limit)
            })
            .map_err(|source| PackError::Import {
                pack: manifest.name.clone(),
                model: model.to_owned(),
                source: source.into(),
            })?;
        let wrong = |expected: String, found: String| PackError::WrongModel {
            pack: manifest.name.clone(),
            model: model.to_owned(),
            expected,
            found,
        };
        let found = bytes.len() as u64;
        if let Some(expected) = entry.size.filter(|expected| *expected != found) {
            return Err(wrong(format!("{expected} bytes"), format!("{found} bytes")));
        }
        // A source that is a model as it is is in the model store already.
        if !matches!(entry.import, Recipe::Onnx { .. }) {
            let sha256 = manifest.model_sha256(model).unwrap_or_default();
            let stored = self.store.put(sha256, &bytes)?;
            stored.map_err(|found| wrong(format!("SHA-256 {sha256}"), format!("SHA-256 {found}")))?;
        }
        Ok(bytes)
    }

    fn announce_model(&self, model: &str, bytes: &[u8]) {
        (self.watch)(Event::Made {
            model,
            bytes: bytes.len() as u64,
        });
    }

    /// Deletes sources of this pull that are not models themselves, unless they are kept.
    fn drop_sources<'n>(&self, names: impl Iterator<Item = &'n str>) -> Result<(), PackError> {
        if self.pull.keep_sources {
            return Ok(());
        }
        let manifest = &self.located.manifest;
        let models = manifest.models.keys();
        let models: BTreeSet<_> = models.filter_map(|model| manifest.model_sha256(model)).collect();
        for source in names.filter_map(|name| manifest.sources.get(name)) {
            if !models.contains(source.sha256.as_str()) {
                self.store.remove(&source.sha256)?;
            }
        }
        Ok(())
    }

    fn finish(self, fetched: Vec<String>, made: Vec<String>, installed: bool) -> Result<Pulled, PackError> {
        if installed
            && let Some(cohort) = self.located.manifest.cohort()
            && let Some(bytes) = self.store.cohort(&self.located)?
        {
            // Verified when read.
            let _ = self.store.put(&cohort.sha256, &bytes)?;
        }
        let Located { manifest, text, .. } = self.located;
        if installed {
            self.store.install(&manifest.name, &text)?;
        }
        Ok(Pulled {
            manifest,
            fetched,
            made,
            installed,
        })
    }
}
