//! Right angles that images are turned by.

use crate::orientation::Orientation;

/// A clockwise turn of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rotation {
    /// By 90 degrees.
    Quarter,
    /// By 180 degrees.
    Half,
    /// By 270 degrees.
    ThreeQuarters,
}

impl Rotation {
    /// Every rotation, by angle.
    pub const ALL: [Self; 3] = [Self::Quarter, Self::Half, Self::ThreeQuarters];

    /// Returns the angle in degrees clockwise.
    #[must_use]
    pub fn degrees(self) -> u16 {
        match self {
            Self::Quarter => 90,
            Self::Half => 180,
            Self::ThreeQuarters => 270,
        }
    }

    /// Returns the rotation that undoes this one.
    #[must_use]
    pub fn inverse(self) -> Self {
        match self {
            Self::Quarter => Self::ThreeQuarters,
            Self::Half => Self::Half,
            Self::ThreeQuarters => Self::Quarter,
        }
    }

    /// Returns whether width and height change places.
    #[must_use]
    pub fn swaps_sides(self) -> bool {
        self != Self::Half
    }

    /// Returns where a point of an image of these sides lies in the turned image, both in pixels from the upper left corner.
    #[must_use]
    pub fn point(self, (x, y): (f32, f32), (width, height): (u32, u32)) -> (f32, f32) {
        let (right, below) = (width as f32 - x, height as f32 - y);
        match self {
            Self::Quarter => (below, x),
            Self::Half => (right, below),
            Self::ThreeQuarters => (y, right),
        }
    }

    /// Returns the orientation that turns stored pixels as an orientation does, and then by this rotation.
    pub(crate) fn after(self, orientation: Orientation) -> Orientation {
        let quarter = |orientation| match orientation {
            Orientation::Upright => Orientation::Rotate90,
            Orientation::Rotate90 => Orientation::Rotate180,
            Orientation::Rotate180 => Orientation::Rotate270,
            Orientation::Rotate270 => Orientation::Upright,
            Orientation::FlipHorizontal => Orientation::Transverse,
            Orientation::Transverse => Orientation::FlipVertical,
            Orientation::FlipVertical => Orientation::Transpose,
            Orientation::Transpose => Orientation::FlipHorizontal,
        };
        (0..self.degrees() / 90).fold(orientation, |turned, _| quarter(turned))
    }
}
