from os import PathLike
from typing import List, Optional, Tuple, Union, final

import numpy as np
import numpy.typing as npt

_Image = Union[bytes, bytearray, str, PathLike[str], npt.NDArray[np.uint8]]
"""The bytes of an image file, the path of one, or the pixels of an upright image: (height, width, 3), uint8, RGB."""

_Vector = npt.NDArray[np.float32]

class LikenessError(Exception):
    """A request failed."""

    code: str
    """Error code of the HTTP API, such as `UNSUPPORTED_IMAGE_FORMAT`."""

class SetupError(Exception):
    """An engine cannot be built: ONNX Runtime, the model pack or a setting has to be corrected."""

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
    embedding: _Vector
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

    Every request takes `timeout` in seconds, after which it fails with `DEADLINE_EXCEEDED`. It raises `LikenessError`
    for an image that cannot be used, and `OSError` for a file that cannot be read.
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
        workers: requests that run at the same time, each with the models in memory once; default: the processors.

        Raises `SetupError`, which says what to correct.
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
        """Verifies a selfie against a photo, liveness included. `multiface`: match the best of all faces in the photo."""

    def liveness(
        self, selfie: _Image, *, threshold: Optional[float] = None, timeout: Optional[float] = None
    ) -> Liveness:
        """Checks whether a selfie shows a live person."""

    def embed(
        self, image: _Image, *, all_faces: bool = False, timeout: Optional[float] = None
    ) -> List[EmbeddedFace]:
        """Returns the primary face, or all faces, largest first, with their embeddings; an empty list without a face."""

    def detect(self, image: _Image, *, timeout: Optional[float] = None) -> List[Face]:
        """Returns the faces, largest first."""

    def compare(self, one: _Vector, other: _Vector) -> Comparison:
        """Compares two embeddings of this engine."""
