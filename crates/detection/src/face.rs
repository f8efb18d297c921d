//! What a detector finds: a box, a score and five landmarks, in pixels of the upright picture.

/// A point in pixels of the upright picture; x grows to the right, y downwards, (0, 0) is the outer corner of the
/// first pixel.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Point {
    /// Pixels from the left edge.
    pub x: f32,
    /// Pixels from the top edge.
    pub y: f32,
}

/// An axis-parallel box in pixels of the upright picture.
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
    /// Area in square pixels.
    #[must_use]
    pub fn area(&self) -> f32 {
        self.width * self.height
    }

    /// Intersection over union with another box: 0 for boxes that do not touch, 1 for the same box.
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

    /// The part of the box that lies inside a picture of this size.
    #[must_use]
    pub fn clipped(&self, width: u32, height: u32) -> Self {
        let (limit_x, limit_y) = (width as f32, height as f32);
        let left = self.x.clamp(0.0, limit_x);
        let top = self.y.clamp(0.0, limit_y);
        let right = (self.x + self.width).clamp(left, limit_x);
        let bottom = (self.y + self.height).clamp(top, limit_y);
        Self { x: left, y: top, width: right - left, height: bottom - top }
    }
}

/// Five facial landmarks in the order right eye, left eye (of the person: that is left to right in the picture), nose
/// tip, right mouth corner, left mouth corner.
pub type Landmarks = [Point; 5];

/// One detected face.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Face {
    /// Where the face is. Not clipped: the box of a face at the border may reach outside of the picture, and the
    /// liveness crop wants it so.
    pub bounding_box: BoundingBox,
    /// The detector's score, 0..=1.
    pub score: f32,
    /// The landmarks that alignment works from.
    pub landmarks: Landmarks,
}
