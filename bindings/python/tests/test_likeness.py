"""The wheel as it is installed: the same results and errors as the program's, from Python."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import likeness

ROOT = Path(__file__).resolve().parents[3]
IMAGES = ROOT / ".setup" / "images"
STORE = Path(os.environ.get("LIKENESS_MODELS") or ROOT / "models" / "store")
PACK = (ROOT / ".setup" / "pack").read_text().strip()
SELFIE, PHOTO, OTHER, NO_FACE = (
    IMAGES / name for name in ("obama.jpg", "obama2.jpg", "biden.jpg", "coffee.png")
)


@pytest.fixture(scope="module")
def engine():
    return likeness.Engine(PACK, models=STORE)


def pixels(path):
    from PIL import Image

    return np.asarray(Image.open(path).convert("RGB"))


def program(*arguments):
    command = [ROOT / "target/release/likeness", *arguments, "--json", "--models", STORE, "--pack", PACK]
    return json.loads(subprocess.run(command, capture_output=True, text=True).stdout)["response_data"]


def test_a_verification_has_the_scores_and_the_decision_of_the_program(engine):
    result = engine.verify(SELFIE, PHOTO)
    expected = program("verify", SELFIE, PHOTO)
    assert result.face_match == pytest.approx(expected["biometric"]["face_match_confidence"], abs=1e-4)
    assert result.liveness == pytest.approx(expected["biometric"]["selfie"]["faces_liveness"], abs=1e-4)
    lines = [(line.code, line.verdict, line.description) for line in result.details]
    assert lines == [
        (line["code"], line["decision"], line["description"]) for line in expected["decision"]["details"]
    ]
    (face,) = result.selfie_faces[:1]
    assert face.box[2] > 0 and len(face.landmarks) == 5


def test_another_person_is_rejected(engine):
    result = engine.verify(SELFIE, OTHER)
    assert result.outcome == "reject"
    assert "FAILED_FACE_MATCH" in [line.code for line in result.details]
    assert "reject" in repr(result)


def test_bytes_paths_and_arrays_are_the_same_image(engine):
    data = SELFIE.read_bytes()
    (by_path,) = engine.embed(str(SELFIE))
    for image in (SELFIE, data, bytearray(data)):
        (face,) = engine.embed(image)
        np.testing.assert_array_equal(face.embedding, by_path.embedding)
    # Another decoder makes other pixels of a JPEG, by one step here and there.
    (face,) = engine.embed(pixels(SELFIE))
    assert face.embedding @ by_path.embedding > 0.999
    # A view that is not contiguous.
    (mirrored,) = engine.embed(pixels(SELFIE)[:, ::-1])
    assert mirrored.embedding @ by_path.embedding > 0.9


def test_embeddings_are_unit_vectors_that_compare_as_a_verification_does(engine):
    (one,), (other,) = engine.embed(SELFIE), engine.embed(PHOTO)
    assert one.embedding.dtype == np.float32
    assert np.linalg.norm(one.embedding) == pytest.approx(1, abs=1e-5)
    compared, verified = engine.compare(one.embedding, other.embedding), engine.verify(SELFIE, PHOTO)
    assert compared.cosine == pytest.approx(float(one.embedding @ other.embedding), abs=1e-5)
    assert compared.similarity == pytest.approx(verified.similarity, abs=1e-5)
    assert compared.confidence == pytest.approx(verified.face_match, abs=1e-5)


def test_liveness_has_score_threshold_and_findings(engine):
    check = engine.liveness(SELFIE, threshold=1.0)
    assert 0 <= check.liveness <= 1 and check.threshold == 1.0
    assert check.live == (check.liveness >= 1.0)


def test_no_face_is_no_error(engine):
    assert engine.detect(NO_FACE) == [] and engine.embed(NO_FACE) == []
    check = engine.liveness(NO_FACE)
    assert check.liveness is None and not check.live
    assert engine.verify(SELFIE, NO_FACE).face_match is None


def test_detect_returns_faces_largest_first(engine):
    both = np.zeros((600, 1000, 3), np.uint8)
    for image, left, step in ((pixels(SELFIE), 0, 2), (pixels(OTHER), 600, 4)):
        small = image[::step, ::step][:600, :400]
        both[: small.shape[0], left : left + small.shape[1]] = small
    faces = engine.detect(both)
    areas = [face.box[2] * face.box[3] for face in faces]
    assert len(faces) == 2 and areas == sorted(areas, reverse=True)


@pytest.mark.parametrize(
    "image, error, text",
    [
        (b"", "MISSING_FIELD", "empty"),
        (b"GIF89a", "CORRUPT_IMAGE", "GIF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "UNSUPPORTED_IMAGE_FORMAT", "HEIC"),
    ],
)
def test_an_image_that_cannot_be_used_has_the_error_code_of_the_api(engine, image, error, text):
    with pytest.raises(likeness.LikenessError, match=text) as raised:
        engine.liveness(image)
    assert raised.value.code == error


def test_arguments_that_are_no_image_are_refused(engine):
    with pytest.raises(FileNotFoundError) as raised:
        engine.liveness("absent.jpg")
    assert str(raised.value.filename) == "absent.jpg"
    for array in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 4), np.uint8)):
        with pytest.raises(ValueError, match="height, width, 3"):
            engine.liveness(array)
    with pytest.raises(TypeError, match="bytes, a path or a NumPy array"):
        engine.liveness(7)
    with pytest.raises(ValueError, match="there is no profile 'lax'|\"lax\""):
        engine.verify(SELFIE, PHOTO, profile="lax")
    with pytest.raises(ValueError, match="timeout"):
        engine.liveness(SELFIE, timeout=-1)
    with pytest.raises(ValueError):
        engine.compare(np.zeros(3, np.float32), np.ones(3, np.float32))


def test_a_deadline_ends_a_request(engine):
    with pytest.raises(likeness.LikenessError) as raised:
        engine.verify(SELFIE, PHOTO, timeout=0)
    assert raised.value.code == "DEADLINE_EXCEEDED"


def test_an_engine_that_cannot_be_built_says_what_to_correct(tmp_path):
    with pytest.raises(likeness.SetupError, match="no-such-pack"):
        likeness.Engine("no-such-pack", models=STORE)
    with pytest.raises(likeness.SetupError, match="absent.so"):
        # The library is chosen once in a process.
        run = "import likeness, sys; likeness.Engine(library=sys.argv[1])"
        ended = subprocess.run(
            [sys.executable, "-c", run, tmp_path / "absent.so"], capture_output=True, text=True
        )
        raise likeness.SetupError(ended.stderr)


def test_requests_release_the_gil(engine):
    # This thread counts while the other is inside one request.
    begun, ended, counted = threading.Event(), threading.Event(), 0

    def request():
        begun.set()
        engine.verify(SELFIE, PHOTO)
        ended.set()

    thread = threading.Thread(target=request)
    interval = sys.getswitchinterval()
    # A thread that holds the GIL for longer than this gives it up only by itself.
    sys.setswitchinterval(1000)
    try:
        thread.start()
        begun.wait()
        while not ended.is_set():
            counted += 1
            # Lets the other thread run where it wants the GIL.
            threading.Event().wait(0.0001)
    finally:
        sys.setswitchinterval(interval)
    thread.join()
    assert counted > 1


def test_threads_share_an_engine(engine):
    expected, found = engine.verify(SELFIE, PHOTO).face_match, []
    threads = [
        threading.Thread(target=lambda: found.append(engine.verify(SELFIE, PHOTO).face_match)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


def test_the_stubs_are_those_of_the_module():
    ended = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "likeness", "--ignore-missing-stub"],
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_example_draws_the_error_rates(tmp_path):
    rows = ["left,right,label", "obama.jpg,obama2.jpg,1", "obama.jpg,obama3.jpg,1", "obama.jpg,biden.jpg,0"]
    (tmp_path / "pairs.csv").write_text("\n".join(rows + ["obama2.jpg,biden.jpg,0"]) + "\n")
    example = Path(__file__).parents[1] / "examples" / "error_rates.py"
    command = [sys.executable, example, tmp_path / "pairs.csv", "--root", IMAGES, "--pack", PACK]
    command += ["--models", STORE, "--plot", tmp_path / "rates.svg"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "2 genuine and 2 impostor pairs" in ended.stdout
    assert (tmp_path / "rates.svg").read_text().count("<svg") == 1
