//! A detected face: bounding box, score and five landmarks, in pixels of the upright image.

/// A point in pixels of the upright image; x grows to the right, y downwards, (0, 0) is the outer corner of the
/// first pixel.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Point {
    /// Pixels from the left edge.
    pub x: f32,
    /// Pixels from the top edge.
    pub y: f32,
}

impl From<Point> for [f64; 2] {
    fn from(Point { x, y }: Point) -> Self {
        [x.into(), y.into()]
    }
}

/// An axis-parallel box in pixels of the upright image.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BoundingBox {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width, never negative.
    pub width: f32,
    /// Height, never negative.
    pub height: f32,
}

impl BoundingBox {
    /// Returns the area in square pixels.
    #[must_use]
    pub fn area(&self) -> f32 {
        self.width * self.height
    }

    /// Returns the intersection over union with another box: 0 for boxes that do not touch, 1 for the same box.
    #[must_use]
    pub fn iou(&self, other: &Self) -> f32 {
        let width = (self.x + self.width).min(other.x + other.width) - self.x.max(other.x);
        let height = (self.y + self.height).min(other.y + other.height) - self.y.max(other.y);
        if width <= 0.0 || height <= 0.0 {
            return 0.0;
        }
        let intersection = width * height;
        let union = self.area() + other.area() - intersection;
        if union > 0.0 { intersection / union } else { 0.0 }
    }

    /// Returns the part of the box that lies inside an image of this size.
    #[must_use]
    pub fn clipped(&self, width: u32, height: u32) -> Self {
        let (limit_x, limit_y) = (width as f32, height as f32);
        // Not `clamp`, which panics on a bound that is NaN.
        let left = self.x.max(0.0).min(limit_x);
        let top = self.y.max(0.0).min(limit_y);
        let right = (self.x + self.width).max(left).min(limit_x);
        let bottom = (self.y + self.height).max(top).min(limit_y);
        Self {
            x: left,
            y: top,
            width: right - left,
            height: bottom - top,
        }
    }
}

/// Five facial landmarks in the order right eye, left eye (of the person: that is left to right in the image), nose
/// tip, right mouth corner, left mouth corner.
pub type Landmarks = [Point; 5];

/// One detected face.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Face {
    /// The box, not clipped: that of a face at the border may reach outside of the image, as the liveness crop needs it.
    pub bounding_box: BoundingBox,
    /// The detector's score, 0..=1.
    pub score: f32,
    /// The landmarks that alignment works from.
    pub landmarks: Landmarks,
}

impl Face {
    /// Returns whether every coordinate and the score are finite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        let BoundingBox { x, y, width, height } = self.bounding_box;
        let points = self.landmarks.iter().flat_map(|point| [point.x, point.y]);
        [x, y, width, height, self.score]
            .into_iter()
            .chain(points)
            .all(f32::is_finite)
    }
}

/// Orders faces by the area of their box, largest first, ties by score.
pub fn largest_first(faces: &mut [Face]) {
    faces.sort_by(|a, b| {
        b.bounding_box
            .area()
            .total_cmp(&a.bounding_box.area())
            .then(b.score.total_cmp(&a.score))
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_box() -> impl Strategy<Value = BoundingBox> {
        (-500.0f32..500.0, -500.0f32..500.0, 0.0f32..500.0, 0.0f32..500.0)
            .prop_map(|(x, y, width, height)| BoundingBox { x, y, width, height })
    }

    proptest! {
        #[test]
        fn overlap_is_symmetric_and_between_nothing_and_all(a in any_box(), b in any_box()) {
            prop_assert_eq!(a.iou(&b), b.iou(&a));
            prop_assert!((0.0..=1.0).contains(&a.iou(&b)));
        }

        #[test]
        fn a_clipped_box_lies_in_the_image(a in any_box(), width in 1u32..400, height in 1u32..400) {
            let clipped = a.clipped(width, height);
            prop_assert!(clipped.x >= 0.0 && clipped.y >= 0.0 && clipped.width >= 0.0 && clipped.height >= 0.0);
            prop_assert!(clipped.x + clipped.width <= width as f32 + 1e-3);
            prop_assert!(clipped.y + clipped.height <= height as f32 + 1e-3);
            // Edges of up to 1,000 px are off by up to 6e-5 px each in f32, times the other side.
            prop_assert!(clipped.area() <= a.area() + 2e-4 * (a.width + a.height) + 1e-3);
        }
    }

    #[test]
    fn clipping_what_is_no_box_does_not_panic() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX] {
            let bounds = BoundingBox {
                x: bad,
                y: bad,
                width: bad,
                height: bad,
            };
            let clipped = bounds.clipped(10, 10);
            assert!(clipped.x >= 0.0 && clipped.x <= 10.0, "{clipped:?}");
        }
    }

    #[test]
    fn overlap_of_boxes_worked_by_hand() {
        let a = BoundingBox {
            x: 0.0,
            y: 0.0,
            width: 10.0,
            height: 10.0,
        };
        let b = BoundingBox {
            x: 5.0,
            y: 0.0,
            width: 10.0,
            height: 10.0,
        };
        assert!((a.iou(&b) - 50.0 / 150.0).abs() < 1e-6);
        assert_eq!(a.iou(&a), 1.0);
        assert_eq!(
            a.iou(&BoundingBox {
                x: 10.0,
                y: 0.0,
                width: 1.0,
                height: 1.0
            }),
            0.0
        );
    }

    #[test]
    fn the_largest_face_comes_first_and_the_surer_of_two_equal_ones() {
        let face = |side: f32, score: f32| Face {
            bounding_box: BoundingBox {
                x: 0.0,
                y: 0.0,
                width: side,
                height: side,
            },
            score,
            landmarks: Landmarks::default(),
        };
        let mut faces = [face(10.0, 0.9), face(20.0, 0.7), face(20.0, 0.8)];
        largest_first(&mut faces);
        assert_eq!(faces.map(|f| f.score), [0.8, 0.7, 0.9]);
    }
}
