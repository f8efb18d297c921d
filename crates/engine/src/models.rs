//! The models of a pack, whatever their role.

use likeness_packs::{
    DetectorAdapter, DetectorModel, EmbedderAdapter, EmbedderModel, LivenessAdapter, LivenessModelEntry,
    Manifest, SelfTestVector,
};

/// The role of a model in a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
#[non_exhaustive]
pub enum Role {
    /// Finds faces and landmarks.
    Detector,
    /// Turns an aligned face into an embedding.
    Embedder,
    /// Tells live faces from presentation attacks.
    Liveness,
}

impl Role {
    /// Returns the name in manifests.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// An entry of a manifest.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Entry<'m> {
    Detector(&'m DetectorModel),
    Embedder(&'m EmbedderModel),
    Liveness(&'m LivenessModelEntry),
}

impl<'m> Entry<'m> {
    /// Returns all of a manifest, in its order.
    pub(crate) fn all(manifest: &'m Manifest) -> Vec<Self> {
        let detectors = manifest.detectors.iter().map(Self::Detector);
        let embedders = manifest.embedders.iter().map(Self::Embedder);
        let liveness = manifest.liveness.iter().map(Self::Liveness);
        detectors.chain(embedders).chain(liveness).collect()
    }

    pub(crate) fn role(&self) -> Role {
        match self {
            Self::Detector(_) => Role::Detector,
            Self::Embedder(_) => Role::Embedder,
            Self::Liveness(_) => Role::Liveness,
        }
    }

    pub(crate) fn model(&self) -> &'m str {
        match self {
            Self::Detector(entry) => &entry.model,
            Self::Embedder(entry) => &entry.model,
            Self::Liveness(entry) => &entry.model,
        }
    }

    /// Returns the name of the adapter in manifests.
    pub(crate) fn adapter(&self) -> &'static str {
        match self {
            Self::Detector(entry) => match entry.adapter {
                DetectorAdapter::Yunet => "yunet",
                DetectorAdapter::Scrfd => "scrfd",
                DetectorAdapter::Centerface => "centerface",
                _ => "unknown",
            },
            Self::Embedder(entry) => match entry.adapter {
                EmbedderAdapter::AlignedCrop => "aligned-crop",
                _ => "unknown",
            },
            Self::Liveness(entry) => match entry.adapter {
                LivenessAdapter::ScaledCrop => "scaled-crop",
                LivenessAdapter::SquareCrop => "square-crop",
                _ => "unknown",
            },
        }
    }

    /// Returns the side of the square that the adapter feeds, in pixels; detectors are fed any size.
    pub(crate) fn size(&self) -> Option<u32> {
        match self {
            Self::Detector(_) => None,
            Self::Embedder(entry) => Some(entry.size),
            Self::Liveness(entry) => Some(entry.size),
        }
    }

    /// Returns the self-test vector, where the manifest has one.
    pub(crate) fn self_test(&self) -> Option<&'m SelfTestVector> {
        match self {
            Self::Detector(entry) => entry.self_test.as_ref(),
            Self::Embedder(entry) => entry.self_test.as_ref(),
            Self::Liveness(entry) => entry.self_test.as_ref(),
        }
    }
}
