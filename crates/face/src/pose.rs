//! Head pose from five landmarks.

use crate::Landmarks;

/// Head pose in degrees about the three axes of ISO/IEC 29794-5, with the signs stated here. All are zero for a face that
/// looks straight into the camera with its eyes level.
///
/// Five landmarks give an estimate, not a measurement: a long nose or a low mouth reads as a turn of some degrees, the
/// detector guesses landmarks of a half-turned head, and detectors turn their landmarks less than the head: the roll that
/// the default one gives a webcam frame turned by 30 degrees is 26 in the median, and 10 for single faces. The pose
/// separates faces that look at the camera from faces that do not.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pose {
    /// Turn about the vertical axis; positive where the nose points to the right of the image, which is the person's
    /// left unless the image is mirrored. -180..=180.
    pub yaw: f64,
    /// Nod; positive where the nose points down. -180..=180.
    pub pitch: f64,
    /// Turn in the plane of the image; positive where it is clockwise. -180..=180.
    pub roll: f64,
}

/// From the middle of the mouth to its corner, in half inter-eye distances. This and the next two are medians of the
/// default detector's landmarks in the portraits and webcam frames of the development data, of faces that look at the
/// camera.
const MOUTH_HALF_WIDTH: f64 = 0.875;

/// From the line of the eyes to that of the mouth, in half inter-eye distances.
const EYES_TO_MOUTH: f64 = 2.04;

/// Where between the two lines the tip of the nose is, from the eyes.
const NOSE_HEIGHT: f64 = 0.58;

/// How far the tip of the nose stands out of the plane of eyes and mouth corners, in half inter-eye distances: about
/// 26 mm where the pupils are 63 mm apart.
const NOSE_DEPTH: f64 = 26.0 / 31.5;

/// The least cosine of the yaw that a distance between the eyes is divided by: that of 60 degrees. In a profile there is
/// nothing left to divide.
const LEAST_COSINE: f64 = 0.5;

impl Pose {
    /// Estimates the pose of a face with these landmarks.
    ///
    /// The five points are taken for the parallel projection of a rigid head whose eyes and mouth corners
    /// lie in a plane out of which the nose stands. A turn shortens the plane across the axis and moves the tip of the
    /// nose along it; each angle is the arc tangent of the one over the other, so the scale falls out.
    #[must_use]
    pub fn of(landmarks: &Landmarks) -> Self {
        let [right_eye, left_eye, nose, right_mouth, left_mouth] = landmarks.map(<[f64; 2]>::from);
        let (eyes, mouth) = (middle(right_eye, left_eye), middle(right_mouth, left_mouth));
        // Of the whole face: half an inter-eye distance to the side, one downwards, as the image shows them. The
        // width is fitted to eyes and mouth, least squares.
        let (eye_width, mouth_width) = (minus(left_eye, right_eye), minus(left_mouth, right_mouth));
        let widths = 2.0 * (1.0 + MOUTH_HALF_WIDTH * MOUTH_HALF_WIDTH);
        let across: [f64; 2] =
            [0, 1].map(|axis| (eye_width[axis] + MOUTH_HALF_WIDTH * mouth_width[axis]) / widths);
        let down = minus(mouth, eyes).map(|part| part / EYES_TO_MOUTH);
        // Not from the line of the eyes: a head that is turned to the side shortens it, and detectors turn it less
        // than the face.
        let roll = (-down[0]).atan2(down[1]);
        let (sin, cos) = roll.sin_cos();
        let level = |[x, y]: [f64; 2]| [x * cos + y * sin, y * cos - x * sin];

        let between = [0, 1].map(|axis| eyes[axis] + (mouth[axis] - eyes[axis]) * NOSE_HEIGHT);
        let out = level(minus(nose, between)).map(|part| part / NOSE_DEPTH);
        let pitch = out[1].atan2(level(down)[1]);
        // A nod shortens how far the nose moves to the side.
        let yaw = out[0].atan2(level(across)[0] * pitch.cos());
        Self {
            yaw: yaw.to_degrees(),
            pitch: pitch.to_degrees(),
            roll: roll.to_degrees(),
        }
    }

    /// Returns the distance in pixels that the eyes would have if the head did not look to the side.
    #[must_use]
    pub fn inter_eye_distance(&self, landmarks: &Landmarks) -> f64 {
        let [right_eye, left_eye, _, right_mouth, left_mouth] = landmarks.map(<[f64; 2]>::from);
        let length = |[x, y]: [f64; 2]| x.hypot(y);
        let cosine = self.yaw.to_radians().cos();
        if cosine >= LEAST_COSINE {
            length(minus(left_eye, right_eye)) / cosine
        } else {
            let down = minus(middle(right_mouth, left_mouth), middle(right_eye, left_eye));
            2.0 * length(down) / EYES_TO_MOUTH
        }
    }
}

fn middle(a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
    [f64::midpoint(a[0], b[0]), f64::midpoint(a[1], b[1])]
}

fn minus(a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
    [a[0] - b[0], a[1] - b[1]]
}
