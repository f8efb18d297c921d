//! Rewritten models by the checksum of what they were made of, so that a service that loads its pack again, or a process
//! with several engines, rewrites each model once.
//!
//! In memory and not in the store: what ONNX Runtime is given is made of bytes whose checksum the manifest pins, while a
//! file of rewritten bytes would have to be believed. It is also quick, a matter of milliseconds for a model of a few
//! megabytes, against tens to open it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Passes, rewrite_bytes};

/// Most bytes that are kept: those of some packs of small models. Larger models are rewritten each time.
const MAX_BYTES: usize = 64 << 20;

struct Entry {
    sha256: String,
    passes: Passes,
    onnx: Arc<Vec<u8>>,
}

static KEPT: Mutex<VecDeque<Entry>> = Mutex::new(VecDeque::new());

/// A model rewritten; `sha256` is that of `onnx`. What is no ONNX that can be read here is left as it is: whoever runs it
/// will say what is wrong with it.
pub(crate) fn cached(sha256: &str, onnx: &Arc<Vec<u8>>, passes: &Passes) -> Arc<Vec<u8>> {
    let found = |kept: &VecDeque<Entry>| {
        kept.iter()
            .find(|entry| entry.sha256 == sha256 && entry.passes == *passes)
            .map(|entry| Arc::clone(&entry.onnx))
    };
    if let Some(known) = found(&KEPT.lock().unwrap_or_else(PoisonError::into_inner)) {
        return known;
    }
    // Not while locked: another model need not wait for this one.
    let made = match rewrite_bytes(onnx, passes) {
        Ok((made, report)) if report.total() > 0 => Arc::new(made),
        _ => Arc::clone(onnx),
    };
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = found(&kept) {
        return known;
    }
    kept.push_back(Entry {
        sha256: sha256.to_owned(),
        passes: *passes,
        onnx: Arc::clone(&made),
    });
    while kept.iter().map(|entry| entry.onnx.len()).sum::<usize>() > MAX_BYTES {
        kept.pop_front();
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::proto::{GraphProto, NodeProto};
    use crate::onnx::{self, read};
    use crate::rewrite::Pass;

    /// A model that passes its input on.
    fn identity() -> Vec<u8> {
        onnx::write(&onnx::model(GraphProto {
            node: vec![
                NodeProto::new("Identity", &["x"], &["y"], Vec::new()),
                NodeProto::new("Relu", &["y"], &["z"], Vec::new()),
            ],
            input: vec![onnx::proto::ValueInfoProto::of_f32("x", &[None, Some(1)])],
            output: vec![onnx::proto::ValueInfoProto::of_f32("z", &[None, Some(1)])],
            ..GraphProto::default()
        }))
    }

    fn rewritten(sha256: &str, onnx: Vec<u8>, passes: &Passes) -> Arc<Vec<u8>> {
        cached(sha256, &Arc::new(onnx), passes)
    }

    #[test]
    fn a_model_is_rewritten_once_for_each_set_of_passes() {
        let all = rewritten("test-once", identity(), &Passes::all());
        assert_eq!(read(&all).unwrap().graph.unwrap().node.len(), 1);
        // The checksum is the key: the bytes are not looked at again.
        let again = rewritten("test-once", Vec::new(), &Passes::all());
        assert!(Arc::ptr_eq(&all, &again));
        let without = rewritten("test-once", identity(), &Passes::all().without(Pass::NoOps));
        assert_eq!(*without, identity());
    }

    #[test]
    fn what_is_no_onnx_is_left_as_it_is() {
        assert_eq!(
            *rewritten("test-no-onnx", b"abc".to_vec(), &Passes::all()),
            b"abc"
        );
    }

    #[test]
    fn what_is_kept_is_bounded() {
        for number in 0..5 {
            rewritten(
                &format!("test-bound-{number}"),
                vec![0; MAX_BYTES / 3],
                &Passes::all(),
            );
        }
        let kept = KEPT.lock().unwrap();
        assert!(kept.iter().map(|entry| entry.onnx.len()).sum::<usize>() <= MAX_BYTES);
    }
}
