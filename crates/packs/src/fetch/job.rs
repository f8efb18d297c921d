//! One pull: finds what is missing, fetches it and imports the models.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use super::client::Client;
use super::download::Fetcher;
use super::packages::Packages;
use super::places::places;
use super::stop::Stop;
use super::{Event, Pull, Pulled, Step, Watcher};
use crate::archive::Archive;
use crate::files::{exists, read_text, read_verified};
use crate::store::{Located, Lock};
use crate::{MAX_COHORT_BYTES, Manifest, NotFetched, PackError, SourceFile, Store};

/// A file to fetch, with its name in the manifest.
type Wanted<'a> = (&'a String, &'a SourceFile);

/// A pull in progress.
pub(super) struct Job<'a> {
    pub(super) pull: &'a Pull,
    pub(super) store: &'a Store,
    pub(super) located: Located,
    pub(super) watch: Watcher<'a>,
}

impl<'a> Job<'a> {
    /// Refuses a pull that is not permitted, before anything is fetched.
    pub(super) fn check(&self) -> Result<(), PackError> {
        let manifest = &self.located.manifest;
        let pack = manifest.name.clone();
        if !manifest.commercial_use && !self.pull.accept_license {
            let line = |(name, source): Wanted<'_>| {
                let (license, author) = (&source.license, &source.attribution);
                format!("{name}: {license} ({author})")
            };
            let licenses = manifest.sources.iter().map(line).collect();
            return Err(PackError::License { pack, licenses });
        }
        let mut names = self.pull.sources.keys();
        if let Some(name) = names.find(|name| !manifest.sources.contains_key(*name)) {
            let known: Vec<&str> = manifest.sources.keys().map(String::as_str).collect();
            return Err(PackError::UnknownSource {
                pack,
                name: name.clone(),
                known: known.join(", "),
            });
        }
        if self.pull.install && Manifest::builtin_text(&pack).is_some() {
            return Err(PackError::BuiltIn { pack });
        }
        Ok(())
    }

    /// Pulls from a mirror or the manifest's addresses.
    pub(super) fn fetch(self) -> Result<Pulled, PackError> {
        let installs = self.pull.install && !self.is_installed();
        if self.missing().is_empty() && !installs && !self.lacks_cohort() {
            return self.finish(Vec::new(), Vec::new(), false);
        }
        if let Some(mirror) = &self.pull.mirror {
            mirror.check()?;
        }
        let _lock = self.lock()?;
        // The previous owner of the lock may have completed the pack.
        let mut missing = self.missing();
        let mut made = self.take_from_beside(&mut missing)?;
        self.take_cohort()?;
        let wanted = self.wanted(&missing);
        let fetched = self.fetch_all(&wanted)?;
        missing.iter().try_for_each(|model| self.make(model))?;
        made.extend(missing);
        let sources = wanted.iter().map(|(_, source)| *source);
        self.drop_sources(sources)?;
        self.finish(fetched, made, installs)
    }

    /// Pulls from an archive.
    pub(super) fn take(self, archive: &Archive) -> Result<Pulled, PackError> {
        let builtin = Manifest::builtin_text(&self.located.manifest.name).is_some();
        let installs = !builtin && !self.is_installed();
        let _lock = self.lock()?;
        let before = self.missing();
        let taken = archive.unpack(self.store)?;
        self.take_cohort()?;
        self.missing().iter().try_for_each(|model| self.make(model))?;
        let sources = self.located.manifest.sources.values();
        self.drop_sources(sources.filter(|source| taken.contains(&source.sha256)))?;
        self.finish(taken, before, installs)
    }

    fn lock(&self) -> Result<Lock<'a>, PackError> {
        self.store.lock(|| {
            if !self.pull.no_wait {
                (self.watch)(Event::Waiting(self.store.folder()));
            }
            !self.pull.no_wait
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
            let (sha256, limit) = manifest.blob(model);
            !self.store.holds(sha256, limit)
        };
        manifest.models.keys().filter(is_missing).cloned().collect()
    }

    /// Takes models from beside the manifest, and removes them from the missing ones.
    fn take_from_beside(&self, missing: &mut Vec<String>) -> Result<Vec<String>, PackError> {
        let manifest = &self.located.manifest;
        let mut taken = Vec::new();
        for model in std::mem::take(missing) {
            let (sha256, limit) = manifest.blob(&model);
            let path = self.located.beside(&model);
            let read = path.and_then(|path| read_verified(&manifest.name, &path, sha256, limit).ok());
            if let Some(bytes) = read {
                // Verified when read.
                let _ = self.store.put(sha256, &bytes)?;
                self.announce_model(&model, &bytes);
                taken.push(model);
            } else {
                missing.push(model);
            }
        }
        Ok(taken)
    }

    /// Whether the cohort is missing in the model store or has wrong bytes there. That of a built-in pack is in the program.
    fn lacks_cohort(&self) -> bool {
        let manifest = &self.located.manifest;
        let is_builtin = Manifest::builtin_cohort(&manifest.name).is_some();
        let cohort = manifest.cohort().filter(|_| !is_builtin);
        cohort.is_some_and(|cohort| !self.store.holds(&cohort.sha256, MAX_COHORT_BYTES))
    }

    /// Takes the cohort from beside the manifest, if the model store lacks it.
    fn take_cohort(&self) -> Result<(), PackError> {
        let manifest = &self.located.manifest;
        let Some(cohort) = manifest.cohort().filter(|_| self.lacks_cohort()) else {
            return Ok(());
        };
        let path = match (&self.located.folder, &cohort.file) {
            (Some(folder), Some(file)) => folder.join(file),
            _ => self.store.blob(&cohort.sha256),
        };
        if !exists(&path)? {
            return Err(manifest.missing_cohort(path));
        }
        let bytes = read_verified(&manifest.name, &path, &cohort.sha256, MAX_COHORT_BYTES)?;
        // Verified when read.
        let _ = self.store.put(&cohort.sha256, &bytes)?;
        Ok(())
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
            .collect()
    }

    /// Fetches several files at a time. After a failure no more are begun, as the pack cannot be completed; those in
    /// progress are finished.
    fn fetch_all(&self, wanted: &[Wanted<'_>]) -> Result<Vec<String>, PackError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let client = Client::new(&self.pull.retry);
        let packages = Packages::new(self.pull.retry.client_timeout, &self.pull.cancellation);
        let queue = Mutex::new(wanted.iter().enumerate());
        let failures = Mutex::new(BTreeMap::new());
        let work = || {
            while failures.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((index, wanted)) = next else { return };
                if let Some(failure) = self.fetch_one(&client, &packages, *wanted).transpose() {
                    let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
                    failures.insert(index, failure);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.pull.jobs.unwrap_or(4).min(wanted.len()) {
                scope.spawn(work);
            }
            work();
        });
        let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
        let files: Vec<NotFetched> = failures.into_values().collect::<Result<_, _>>()?;
        if files.is_empty() {
            return Ok(wanted.iter().map(|(name, _)| (*name).clone()).collect());
        }
        let pack = self.located.manifest.name.clone();
        Err(PackError::NotFetched { pack, files })
    }

    /// Fetches one file; if no place has it, returns why.
    fn fetch_one(
        &self,
        client: &Client,
        packages: &Packages<'_>,
        wanted: Wanted<'_>,
    ) -> Result<Option<NotFetched>, PackError> {
        let (file, source) = wanted;
        let mut tried = Vec::new();
        let beside = self.located.folder.as_deref();
        for place in places(self.pull, file, source, beside) {
            let from = place.name();
            let fetcher = Fetcher {
                store: self.store,
                client,
                packages,
                cancellation: &self.pull.cancellation,
                retry: &self.pull.retry,
                watch: self.watch,
                file,
                source,
                from: &from,
            };
            match fetcher.fetch(&place) {
                Ok(bytes) => {
                    fetcher.announce(Step::Fetched(bytes));
                    return Ok(None);
                }
                Err(Stop::Store(error)) => return Err(error),
                Err(Stop::Place(failure)) => {
                    fetcher.announce(Step::Refused(&failure.to_string()));
                    tried.push((from, failure));
                }
            }
        }
        let file = file.clone();
        Ok(Some(NotFetched { file, tried }))
    }

    /// Imports a model from sources in the model store.
    fn make(&self, model: &str) -> Result<(), PackError> {
        let manifest = &self.located.manifest;
        // The missing models are those of the manifest.
        let Some(entry) = manifest.models.get(model) else {
            return Ok(());
        };
        let read = |name: &str| {
            let source = manifest.sources.get(name);
            let (sha256, limit) =
                source.map_or(("", 0), |source| (source.sha256.as_str(), source.max_bytes()));
            read_verified(&manifest.name, &self.store.blob(sha256), sha256, limit)
        };
        let bytes = entry.import.apply(read).map_err(|source| PackError::Import {
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
        if manifest.plain_source(entry).is_none() {
            let (sha256, _) = manifest.blob(model);
            let stored = self.store.put(sha256, &bytes)?;
            stored.map_err(|found| wrong(format!("SHA-256 {sha256}"), format!("SHA-256 {found}")))?;
        }
        self.announce_model(model, &bytes);
        Ok(())
    }

    fn announce_model(&self, model: &str, bytes: &[u8]) {
        let bytes = bytes.len() as u64;
        (self.watch)(Event::Made { model, bytes });
    }

    /// Deletes sources of this pull that are not models themselves, unless they are kept.
    fn drop_sources<'n>(&self, sources: impl Iterator<Item = &'n SourceFile>) -> Result<(), PackError> {
        if !self.pull.drop_sources {
            return Ok(());
        }
        let manifest = &self.located.manifest;
        let models = manifest.models.keys();
        let models: BTreeSet<_> = models.filter_map(|model| manifest.model_sha256(model)).collect();
        for source in sources.filter(|source| !models.contains(source.sha256.as_str())) {
            self.store.remove(&source.sha256)?;
        }
        Ok(())
    }

    fn finish(self, fetched: Vec<String>, made: Vec<String>, installed: bool) -> Result<Pulled, PackError> {
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
