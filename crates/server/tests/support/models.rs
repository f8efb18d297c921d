use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use likeness_engine::Engine;
use likeness_engine::detection::{BoundingBox, DetectionError, Face, FaceDetector, Point, Search};
use likeness_engine::embedding::{Embedding, EmbeddingError, FaceEmbedder, FaceInImage};
use likeness_engine::imaging::{Image, ImageLimits, Interrupt};
use likeness_engine::liveness::{LivenessError, LivenessModel};
use likeness_engine::packs::ScoreCurve;

use super::TIMEOUT;

/// Width of a image in which the detector waits until it is released.
pub(crate) const BLOCKING: u32 = 601;
/// Width of a image in which the detector panics.
pub(crate) const PANICKING: u32 = 602;
/// Width of a image of which the detector says something.
pub(crate) const TELLING: u32 = 604;
/// Width of a image in which there is no face.
pub(crate) const EMPTY: u32 = 603;

/// Models that see one face in every image, alive and always the same, but for the widths above.
pub(crate) struct Models {
    workers: usize,
    gate: Arc<Gate>,
    entered: Mutex<Receiver<()>>,
    release: Sender<()>,
    liveness_calls: Arc<AtomicUsize>,
    liveness: f64,
}

struct Gate {
    enter: Mutex<Sender<()>>,
    released: Mutex<Receiver<()>>,
}

impl Models {
    pub(crate) fn new(workers: usize) -> Self {
        let (enter, entered) = channel();
        let (release, released) = channel();
        Self {
            workers,
            gate: Arc::new(Gate {
                enter: Mutex::new(enter),
                released: Mutex::new(released),
            }),
            entered: Mutex::new(entered),
            release,
            liveness_calls: Arc::default(),
            liveness: 0.75,
        }
    }

    /// With this liveness in every response, by which it can be told who gave it; NaN: the model fails.
    pub(crate) fn with_liveness(mut self, liveness: f64) -> Self {
        self.liveness = liveness;
        self
    }

    /// Waits until a detector has got a blocking image.
    pub(crate) fn wait_until_blocked(&self) {
        self.entered.lock().unwrap().recv_timeout(TIMEOUT).unwrap();
    }

    /// Lets one detector go on.
    pub(crate) fn release(&self) {
        self.release.send(()).unwrap();
    }

    /// How often liveness was scored; the warm-up counts.
    pub(crate) fn liveness_calls(&self) -> usize {
        self.liveness_calls.load(Ordering::SeqCst)
    }

    pub(crate) fn engine(&self, limits: ImageLimits) -> Engine {
        let gate = Arc::clone(&self.gate);
        let calls = Arc::clone(&self.liveness_calls);
        let liveness = self.liveness;
        Engine::builder()
            .limits(limits)
            .workers(self.workers)
            .detector(move || Ok(Detector(Arc::clone(&gate))))
            .embedder(ScoreCurve::through(&[(0.0, 0.1), (1.0, 0.9)]).unwrap(), || {
                Ok(Embedder)
            })
            .liveness(move || Ok(Liveness(Arc::clone(&calls), liveness)))
            .build()
            .unwrap()
    }
}

struct Detector(Arc<Gate>);

impl FaceDetector for Detector {
    fn detect(&mut self, image: &Image, _: Search, _: Interrupt<'_>) -> Result<Vec<Face>, DetectionError> {
        match image.width() {
            BLOCKING => {
                self.0.enter.lock().unwrap().send(()).unwrap();
                // A test that has ended releases everybody.
                let _ = self.0.released.lock().unwrap().recv();
            }
            PANICKING => panic!("the detector panics with s3cret internals"),
            EMPTY => return Ok(Vec::new()),
            TELLING => tracing::warn!("the detector says something"),
            _ => {}
        }
        let at = |x, y| Point { x, y };
        Ok(vec![Face {
            bounding_box: BoundingBox {
                x: 100.0,
                y: 100.0,
                width: 200.0,
                height: 250.0,
            },
            score: 0.9,
            landmarks: [
                at(150.0, 180.0),
                at(250.0, 180.0),
                at(200.0, 230.0),
                at(160.0, 290.0),
                at(240.0, 290.0),
            ],
        }])
    }
}

struct Embedder;

impl FaceEmbedder for Embedder {
    fn embed(&mut self, faces: &[FaceInImage<'_>]) -> Result<Vec<Embedding>, EmbeddingError> {
        faces
            .iter()
            .map(|_| Embedding::new(vec![1.0, 0.0, 0.0]))
            .collect()
    }
}

struct Liveness(Arc<AtomicUsize>, f64);

impl LivenessModel for Liveness {
    fn score(&mut self, _: &Image, _: &BoundingBox) -> Result<f64, LivenessError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        if self.1.is_nan() {
            return Err(LivenessError::NotFinite);
        }
        Ok(self.1)
    }
}
