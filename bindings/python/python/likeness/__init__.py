"""Face matching and passive liveness on your own machines: see `Engine`."""

from ._likeness import (
    Comparison,
    Detail,
    EmbeddedFace,
    Engine,
    Face,
    LikenessError,
    Liveness,
    SetupError,
    Verification,
    __version__,
    fetch_models,
)

__all__ = [
    "Comparison",
    "Detail",
    "EmbeddedFace",
    "Engine",
    "Face",
    "LikenessError",
    "Liveness",
    "SetupError",
    "Verification",
    "__version__",
    "fetch_models",
]
