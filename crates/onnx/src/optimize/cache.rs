//! A cache of optimized models by the checksum of the original, so that a service that reloads its pack, or a process with
//! several engines, optimizes each model once.
//!
//! In memory and not in the model store: the manifest pins the checksum of the original, and a file with an optimized
//! model could not be verified. Optimization takes milliseconds for a model of a few megabytes, and opening it tens.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Passes, optimize_bytes};

/// Most bytes that are kept, enough for some packs of small models. Larger models are optimized each time.
const MAX_BYTES: usize = 64 << 20;

struct Entry {
    sha256: String,
    passes: Passes,
    onnx: Arc<Vec<u8>>,
}

/// Optimized models, the oldest first.
struct Cache(Mutex<VecDeque<Entry>>);

static CACHE: Cache = Cache::new();

/// Returns an optimized model; `sha256` is that of `onnx`. Bytes that cannot be read as ONNX stay as they are: ONNX Runtime
/// reports their fault.
pub fn cached(sha256: &str, onnx: &Arc<Vec<u8>>, passes: &Passes) -> Arc<Vec<u8>> {
    CACHE.optimized(sha256, onnx, passes)
}

impl Cache {
    const fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn optimized(&self, sha256: &str, onnx: &Arc<Vec<u8>>, passes: &Passes) -> Arc<Vec<u8>> {
        let found = |kept: &VecDeque<Entry>| {
            kept.iter()
                .find(|entry| entry.sha256 == sha256 && entry.passes == *passes)
                .map(|entry| Arc::clone(&entry.onnx))
        };
        if let Some(known) = found(&self.lock()) {
            return known;
        }
        // Without the lock: another model need not wait for this one.
        let made = match optimize_bytes(onnx, passes) {
            Ok((made, report)) if report.total() > 0 => Arc::new(made),
            _ => Arc::clone(onnx),
        };
        let mut kept = self.lock();
        if let Some(known) = found(&kept) {
            return known;
        }
        kept.push_back(Entry {
            sha256: sha256.to_owned(),
            passes: *passes,
            onnx: Arc::clone(&made),
        });
        while bytes(&kept) > MAX_BYTES {
            kept.pop_front();
        }
        made
    }
}

fn bytes(kept: &VecDeque<Entry>) -> usize {
    kept.iter().map(|entry| entry.onnx.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{self, read};
    use crate::optimize::Pass;
    use crate::proto::{GraphProto, NodeProto};

    /// A model that passes its input on.
    fn identity() -> Vec<u8> {
        file::write(&file::model(GraphProto {
            node: vec![
                NodeProto::new("Identity", &["x"], &["y"], Vec::new()),
                NodeProto::new("Relu", &["y"], &["z"], Vec::new()),
            ],
            input: vec![crate::proto::ValueInfoProto::of_f32("x", &[None, Some(1)])],
            output: vec![crate::proto::ValueInfoProto::of_f32("z", &[None, Some(1)])],
            ..GraphProto::default()
        }))
    }

    fn optimized(kept: &Cache, sha256: &str, onnx: Vec<u8>, passes: &Passes) -> Arc<Vec<u8>> {
        kept.optimized(sha256, &Arc::new(onnx), passes)
    }

    #[test]
    fn a_model_is_optimized_once_for_each_set_of_passes() {
        let kept = Cache::new();
        let all = optimized(&kept, "once", identity(), &Passes::all());
        assert_eq!(read(&all).unwrap().graph.unwrap().node.len(), 1);
        // The checksum is the key: the bytes are not compared.
        let again = optimized(&kept, "once", Vec::new(), &Passes::all());
        assert!(Arc::ptr_eq(&all, &again));
        let without = optimized(&kept, "once", identity(), &Passes::all().without(Pass::NoOps));
        assert_eq!(*without, identity());
    }

    #[test]
    fn bytes_that_are_not_onnx_stay_as_they_are() {
        let kept = Cache::new();
        assert_eq!(
            *optimized(&kept, "no-onnx", b"abc".to_vec(), &Passes::all()),
            b"abc"
        );
    }

    #[test]
    fn the_cache_is_bounded_and_evicts_the_oldest() {
        let kept = Cache::new();
        for number in 0..5 {
            let large = vec![0; MAX_BYTES / 3];
            optimized(&kept, &format!("bound-{number}"), large, &Passes::all());
        }
        let names: Vec<String> = kept.lock().iter().map(|entry| entry.sha256.clone()).collect();
        assert_eq!(names, ["bound-2", "bound-3", "bound-4"]);
    }
}
