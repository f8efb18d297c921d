//! Rewritten models by the checksum of what they were made of, so that a service that loads its pack again, or a process
//! with several engines, rewrites each model once.
//!
//! In memory and not in the store: what ONNX Runtime is given is made of bytes whose checksum the manifest pins, while a
//! file of rewritten bytes would have to be believed. It is also quick, a matter of milliseconds for a model of a few
//! megabytes, against tens to open it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Passes, optimize_bytes};

/// Most bytes that are kept: those of some packs of small models. Larger models are rewritten each time.
const MAX_BYTES: usize = 64 << 20;

struct Entry {
    sha256: String,
    passes: Passes,
    onnx: Arc<Vec<u8>>,
}

/// Rewritten models.
struct Kept(Mutex<VecDeque<Entry>>);

static KEPT: Kept = Kept::new();

/// A model rewritten; `sha256` is that of `onnx`. What is no ONNX that can be read here is left as it is: whoever runs it
/// will say what is wrong with it.
pub fn cached(sha256: &str, onnx: &Arc<Vec<u8>>, passes: &Passes) -> Arc<Vec<u8>> {
    KEPT.rewritten(sha256, onnx, passes)
}

impl Kept {
    const fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rewritten(&self, sha256: &str, onnx: &Arc<Vec<u8>>, passes: &Passes) -> Arc<Vec<u8>> {
        let found = |kept: &VecDeque<Entry>| {
            kept.iter()
                .find(|entry| entry.sha256 == sha256 && entry.passes == *passes)
                .map(|entry| Arc::clone(&entry.onnx))
        };
        if let Some(known) = found(&self.lock()) {
            return known;
        }
        // Not while locked: another model need not wait for this one.
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

    fn rewritten(kept: &Kept, sha256: &str, onnx: Vec<u8>, passes: &Passes) -> Arc<Vec<u8>> {
        kept.rewritten(sha256, &Arc::new(onnx), passes)
    }

    #[test]
    fn a_model_is_rewritten_once_for_each_set_of_passes() {
        let kept = Kept::new();
        let all = rewritten(&kept, "once", identity(), &Passes::all());
        assert_eq!(read(&all).unwrap().graph.unwrap().node.len(), 1);
        // The checksum is the key: the bytes are not looked at again.
        let again = rewritten(&kept, "once", Vec::new(), &Passes::all());
        assert!(Arc::ptr_eq(&all, &again));
        let without = rewritten(&kept, "once", identity(), &Passes::all().without(Pass::NoOps));
        assert_eq!(*without, identity());
    }

    #[test]
    fn what_is_no_onnx_is_left_as_it_is() {
        let kept = Kept::new();
        assert_eq!(
            *rewritten(&kept, "no-onnx", b"abc".to_vec(), &Passes::all()),
            b"abc"
        );
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_oldest_goes_first() {
        let kept = Kept::new();
        for number in 0..5 {
            let large = vec![0; MAX_BYTES / 3];
            rewritten(&kept, &format!("bound-{number}"), large, &Passes::all());
        }
        let names: Vec<String> = kept.lock().iter().map(|entry| entry.sha256.clone()).collect();
        assert_eq!(names, ["bound-2", "bound-3", "bound-4"]);
    }
}
