from os import PathLike
from typing import List, Optional, Tuple, Union, final

import numpy as np
import numpy.typing as npt

_Image = Union[bytes, bytearray, str, PathLike[str], npt.NDArray[np.uint8]]
"""The bytes of an image file, the path of one, or the pixels of an upright image: (height, width, 3), uint8, RGB."""

_Vector = Union[npt.NDArray[np.float32], npt.NDArray[np.float64]]
"""An embedding: (dimensions,), float32 or float64, of any stride, scaled to unit length where it is not."""

__version__: str

class LikenessError(Exception):
    """An image cannot be used, the deadline passed, or inference failed."""

    code: str
    """Error code of the HTTP API, such as `UNSUPPORTED_IMAGE_FORMAT`."""

class SetupError(Exception):
    """An engine cannot be built, or models cannot be fetched: the message says what to correct."""

def fetch_models(
    folder: Union[str, PathLike[str]], pack: Optional[str] = None, *, accept_license: bool = False
) -> List[str]:
    """Fetches the models of a pack into a folder, which `Engine(models=folder)` opens, and returns the names of the fetched files.

    pack: name of a built-in pack, or path of a pack.toml or its folder; default: that of this version.
    accept_license: whether to accept the licences of a pack that is not free for commercial use.

    The files come from the addresses in the pack's manifest, or from the folder or server in `LIKENESS_MODEL_MIRROR`, and are
    verified by SHA-256. A complete pack costs no request; the next call resumes an interrupted one. Releases the GIL.

    Raises `SetupError`, which says what is not available and why.
    """

@final
class Face:
    """A face in pixels of the upright image, from its top left corner."""

    box: Tuple[float, float, float, float]
    """x, y, width, height."""
    score: float
    """The detector's score, 0 to 1."""
    landmarks: List[Tuple[float, float]]
    """Right eye, left eye (of the person), nose tip, right and left mouth corner."""

@final
class Detail:
    """A line of a decision, or a finding."""

    code: str
    """Such as `FAILED_FACE_MATCH`."""
    verdict: str
    """`warning`, `review` or `reject`."""
    description: str

@final
class Verification:
    outcome: str
    """`pass`, `warning`, `review` or `reject`."""
    face_match: Optional[float]
    """Match confidence, 0 to 1; None where an image shows no face."""
    liveness: Optional[float]
    """Liveness score of the selfie's primary face, 0 to 1; None where there is none."""
    similarity: Optional[float]
    """What the confidence is computed from: normalised by the pack's cohort where it has one, else the cosine."""
    cosine: Optional[float]
    same_image: bool
    """Whether both images are the same, byte by byte or as copies of one photograph."""
    details: List[Detail]
    selfie_faces: List[Face]
    """Largest first."""
    photo_faces: List[Face]

@final
class Liveness:
    live: bool
    """Whether there is a face and its score reaches the threshold."""
    liveness: Optional[float]
    """0 to 1; None where there is no face."""
    threshold: float
    findings: List[Detail]
    faces: List[Face]

@final
class EmbeddedFace:
    face: Face
    embedding: npt.NDArray[np.float32]
    """Of unit length."""

@final
class Comparison:
    similarity: float
    """Normalised by the pack's cohort where it has one, else the cosine."""
    cosine: float
    confidence: float
    """Match confidence, 0 to 1."""

@final
class Engine:
    """The engine. Threads may share one: requests release the GIL, and each waits for one of the engine's workers.

    Every request but `compare` takes `timeout` in seconds, 0 or more, after which it fails with `DEADLINE_EXCEEDED`. Do not change
    an array while a request reads it.

    Requests raise `LikenessError` for an image that cannot be used and for a missed deadline, `OSError` for a file that cannot be
    read, `ValueError` for an argument out of range (an array of another shape or dtype, an unknown profile, a negative timeout),
    and `TypeError` for one of another type.
    """

    def __new__(
        cls,
        pack: Optional[str] = None,
        *,
        models: Union[str, PathLike[str], None] = None,
        library: Union[str, PathLike[str], None] = None,
        provider: Optional[str] = None,
        workers: Optional[int] = None,
    ) -> "Engine":
        """Opens a model pack.

        pack: name of the pack; default: that of this version.
        models: the model store; default: `LIKENESS_MODELS`, else `models/store` in the working directory.
        library: the ONNX Runtime library; default: `ORT_DYLIB_PATH`, else that of the `onnxruntime` package.
        provider: execution provider, such as `cpu`.
        workers: requests that run at the same time, 1 to 1024, each with the models in memory once; default: the processors.

        Raises `SetupError`, which says what to correct: ONNX Runtime, the model store or the pack is missing or unusable, or the
        library lacks the provider. Raises `ValueError` for an unknown provider and for workers out of range.
        """

    @property
    def pack(self) -> str: ...
    def verify(
        self,
        selfie: _Image,
        photo: _Image,
        *,
        profile: str = "optimal-v0",
        multiface: bool = False,
        timeout: Optional[float] = None,
    ) -> Verification:
        """Verifies a selfie against a photo, liveness included. `multiface`: match the best of all faces in the photo.

        Raises `ValueError` for an unknown profile.
        """

    def liveness(
        self, selfie: _Image, *, threshold: Optional[float] = None, timeout: Optional[float] = None
    ) -> Liveness:
        """Checks whether a selfie shows a live person. `threshold`: 0 to 1, else `ValueError`; default: that of `optimal-v0`."""

    def embed(
        self, image: _Image, *, all_faces: bool = False, timeout: Optional[float] = None
    ) -> List[EmbeddedFace]:
        """Returns the primary face, or all faces, largest first, with their embeddings; an empty list without a face."""

    def detect(self, image: _Image, *, timeout: Optional[float] = None) -> List[Face]:
        """Returns the faces, largest first."""

    def compare(self, one: _Vector, other: _Vector) -> Comparison:
        """Compares two embeddings of this engine.

        Raises `ValueError` for an array of another shape or dtype, for lengths that differ, and for numbers that are infinite,
        not a number or all 0.
        """
