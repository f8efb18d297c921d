//! What a pull is doing, for whoever shows it.

use std::path::Path;

/// Something that happened during a pull. Events of several files come from several threads.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Another process is writing to the store; the pull waits until it has ended.
    Waiting {
        /// Folder of the store.
        store: &'a Path,
    },
    /// A file is asked for.
    Fetching {
        /// Its name in the manifest.
        file: &'a str,
        /// Address or path.
        from: &'a str,
        /// Its size in bytes, where it is known.
        size: Option<u64>,
        /// Bytes that were there from before.
        there: u64,
    },
    /// More of it has arrived.
    Received {
        /// Its name in the manifest.
        file: &'a str,
        /// Bytes so far, in all.
        bytes: u64,
    },
    /// Something went wrong that may pass.
    Retrying {
        /// Its name in the manifest.
        file: &'a str,
        /// Address.
        from: &'a str,
        /// What went wrong.
        why: &'a str,
    },
    /// A place does not have it; the next one is tried, if there is one.
    Refused {
        /// Its name in the manifest.
        file: &'a str,
        /// Address or path.
        from: &'a str,
        /// What went wrong.
        why: &'a str,
    },
    /// It is in the store, checksum right.
    Fetched {
        /// Its name in the manifest.
        file: &'a str,
        /// Address or path.
        from: &'a str,
        /// Its size in bytes.
        bytes: u64,
    },
    /// A model was made, checksum right.
    Made {
        /// Its name in the manifest.
        model: &'a str,
        /// Its size in bytes.
        bytes: u64,
    },
}

/// Is told what happens.
pub type Watcher<'a> = &'a (dyn Fn(Event<'_>) + Sync);
