//! Faces in images: bounding box, landmarks, head pose, alignment geometry, and the one way from an image to the input of
//! a model. No model runs here.
//!
//! ```
//! use likeness_face::{Point, Pose, similarity_transform};
//!
//! // The landmarks of a face that looks into the camera, 56 pixels between the eyes.
//! let at = |x, y| Point { x, y };
//! let landmarks = [at(292.0, 230.0), at(348.0, 230.0), at(320.0, 263.0), at(296.0, 287.0), at(344.0, 287.0)];
//! assert!(Pose::of(&landmarks).yaw.abs() < 1.0);
//!
//! // The transform that moves it to the upper left corner, at half its size.
//! let from = landmarks.map(<[f64; 2]>::from);
//! let to = from.map(|[x, y]| [(x - 292.0) / 2.0, (y - 230.0) / 2.0]);
//! let transform = similarity_transform(&from, &to).ok_or("no extent")?;
//! let (x, _) = transform.apply(348.0, 230.0);
//! assert!((x - 28.0).abs() < 1e-9);
//! # Ok::<(), &str>(())
//! ```

mod face;
mod input;
mod pose;
mod transform;

pub use face::{BoundingBox, Face, Landmarks, Point, largest_first};
pub use input::write_input;
pub use pose::Pose;
pub use transform::similarity_transform;
