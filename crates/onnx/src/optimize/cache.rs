//! A cache of optimized models by the checksum of the original, so that a service that reloads its pack, or a process with
//! several engines, optimizes each model once.
//!
//! In memory and not in the model store: the manifest pins the checksum of the original, and a file with an optimized
//! model could not be verified. Optimization takes milliseconds for a model of a few megabytes, and opening it tens.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Passes, optimize_bytes};

/// Most bytes that are kept, enough for some packs of small models. Larger models are optimized each time.
const MAX_BYTES: usize = 64 << 20;

/// Optimized models with their keys, the oldest first.
type Cache = Mutex<VecDeque<((String, Passes), Arc<Vec<u8>>)>>;

static CACHE: Cache = Mutex::new(VecDeque::new());

/// Returns an optimized model; `sha256` is that of `onnx`. Bytes that cannot be read as ONNX stay as they are: ONNX Runtime
/// reports their fault.
pub fn cached(sha256: &str, onnx: &Arc<Vec<u8>>, passes: &Passes) -> Arc<Vec<u8>> {
    optimized(&CACHE, sha256, onnx, passes)
}

fn optimized(cache: &Cache, sha256: &str, onnx: &Arc<Vec<u8>>, passes: &Passes) -> Arc<Vec<u8>> {
    let key = (sha256.to_owned(), *passes);
    let lock = || cache.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, known)) = lock().iter().find(|(known, _)| *known == key) {
        return Arc::clone(known);
    }
    // Without the lock: another model need not wait for this one.
    let made = match optimize_bytes(onnx, passes) {
        Ok((made, report)) if report.total() > 0 => Arc::new(made),
        _ => Arc::clone(onnx),
    };
    let mut kept = lock();
    if let Some((_, known)) = kept.iter().find(|(known, _)| *known == key) {
        return Arc::clone(known);
    }
    kept.push_back((key, Arc::clone(&made)));
    while kept.iter().map(|(_, onnx)| onnx.len()).sum::<usize>() > MAX_BYTES {
        kept.pop_front();
    }
    made
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
        super::optimized(kept, sha256, &Arc::new(onnx), passes)
    }

    #[test]
    fn a_model_is_optimized_once_for_each_set_of_passes() {
        let kept = Cache::default();
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
        let kept = Cache::default();
        assert_eq!(
            *optimized(&kept, "no-onnx", b"abc".to_vec(), &Passes::all()),
            b"abc"
        );
    }

    #[test]
    fn the_cache_is_bounded_and_evicts_the_oldest() {
        let kept = Cache::default();
        for number in 0..5 {
            let large = vec![0; MAX_BYTES / 3];
            optimized(&kept, &format!("bound-{number}"), large, &Passes::all());
        }
        let names: Vec<String> = kept
            .lock()
            .unwrap()
            .iter()
            .map(|(key, _)| key.0.clone())
            .collect();
        assert_eq!(names, ["bound-2", "bound-3", "bound-4"]);
    }
}
