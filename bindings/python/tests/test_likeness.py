"""The wheel as it is installed: the same results and errors as the program's, from Python."""

import importlib.metadata
import json
import os
import socket
import subprocess
import sys
import threading
import tomllib
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


def test_embeddings_compare_in_any_layout_and_as_float64(engine):
    (one,), (other,) = engine.embed(SELFIE), engine.embed(PHOTO)
    expected = engine.compare(one.embedding, other.embedding).similarity
    length = len(one.embedding)
    columns = np.stack([one.embedding, other.embedding], axis=1)
    backwards = one.embedding[::-1].copy()[::-1]
    # Packed fields: neither aligned nor at a multiple of their size.
    packed = np.zeros(length, np.dtype([("tag", "u1"), ("value", "<f4")]))
    packed["value"] = one.embedding
    for vector in (
        columns[:, 0], backwards, packed["value"], one.embedding.astype(">f4"),
        one.embedding.astype(np.float64), columns.astype(np.float64)[:, 0], 3 * one.embedding,
    ):
        assert engine.compare(vector, other.embedding).similarity == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "vector, text",
    [
        (np.ones(256, np.int64), r"shape \[256\] of int64"),
        (np.ones(256, np.float16), r"shape \[256\] of float16"),
        (np.ones((1, 256), np.float32), r"shape \[1, 256\] of float32"),
        (np.ones((), np.float32), r"shape \[\] of float32"),
        (np.broadcast_to(np.float32(1), (10**13,)), r"shape \[10000000000000\]"),
        (np.zeros(256, np.float32), "finite and not all 0"),
        (np.full(256, np.nan), "finite and not all 0"),
        (np.ones(3, np.float32), "3 and 256|256 and 3"),
    ],
)
def test_an_array_that_is_no_embedding_is_refused(engine, vector, text):
    (face,) = engine.embed(SELFIE)
    for pair in ((vector, face.embedding), (face.embedding, vector)):
        with pytest.raises(ValueError, match=text):
            engine.compare(*pair)
    with pytest.raises(TypeError, match="NumPy array, not <class 'list'>"):
        engine.compare([1.0], [1.0])


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


@pytest.mark.parametrize("shape", [(100_000, 100_000, 3), (10_001, 1, 3), (1, 10_001, 3), (9_000, 9_000, 3), (2**33, 1, 3)])
def test_an_array_beyond_the_image_limits_is_refused_before_it_is_copied(engine, shape):
    # One byte that looks like as many.
    array = np.broadcast_to(np.uint8(0), shape)
    for request in (engine.liveness, engine.detect, engine.embed, lambda image: engine.verify(SELFIE, image)):
        with pytest.raises(likeness.LikenessError, match="pixels") as raised:
            request(array)
        assert raised.value.code == "IMAGE_TOO_LARGE"


def test_an_array_and_a_file_beyond_the_image_limits_raise_the_same(engine, tmp_path):
    from PIL import Image

    Image.new("L", (10_001, 8)).save(tmp_path / "wide.png")
    with pytest.raises(likeness.LikenessError) as of_file:
        engine.liveness(tmp_path / "wide.png")
    with pytest.raises(likeness.LikenessError) as of_array:
        engine.liveness(np.zeros((8, 10_001, 3), np.uint8))
    assert (str(of_array.value), of_array.value.code) == (str(of_file.value), of_file.value.code)


def test_arguments_that_are_no_image_are_refused(engine):
    with pytest.raises(FileNotFoundError) as raised:
        engine.liveness("absent.jpg")
    assert str(raised.value.filename) == "absent.jpg"
    for shape, kind in (((4, 4), "uint8"), ((4, 4, 3), "float32"), ((4, 4, 4), "uint8"), ((0, 4, 3), "uint8")):
        with pytest.raises(ValueError, match="height, width, 3") as raised:
            engine.liveness(np.zeros(shape, kind))
        assert f"shape {list(shape)} of {kind}" in str(raised.value)
    with pytest.raises(TypeError, match="bytes, a path or a NumPy array"):
        engine.liveness(7)


def test_arguments_out_of_range_raise_value_errors(engine):
    with pytest.raises(ValueError, match='unknown profile "lax"; use one of .*optimal-v0'):
        engine.verify(SELFIE, PHOTO, profile="lax")
    for threshold in (2, -0.1, float("nan")):
        with pytest.raises(ValueError, match="threshold must be between 0 and 1"):
            engine.liveness(SELFIE, threshold=threshold)
    for timeout, shown in ((-1, "-1"), (-0.5, "-0.5"), (float("nan"), "NaN")):
        for request in (engine.liveness, engine.detect, engine.embed):
            with pytest.raises(ValueError, match=f"timeout must be 0 seconds or more, not {shown}$"):
                request(SELFIE, timeout=timeout)
    for workers in (0, -1, 1025):
        with pytest.raises(ValueError, match=f"workers must be between 1 and 1024, not {workers}$"):
            likeness.Engine(PACK, models=STORE, workers=workers)
    with pytest.raises(ValueError, match="provider"):
        likeness.Engine(PACK, models=STORE, provider="x")


def test_a_timeout_beyond_the_clock_is_none(engine):
    for timeout in (1e30, float("inf")):
        assert engine.detect(NO_FACE, timeout=timeout) == []


def test_a_deadline_ends_a_request(engine):
    with pytest.raises(likeness.LikenessError) as raised:
        engine.verify(SELFIE, PHOTO, timeout=0)
    assert raised.value.code == "DEADLINE_EXCEEDED"


def test_an_engine_that_cannot_be_built_says_what_to_correct(tmp_path):
    with pytest.raises(likeness.SetupError, match="no-such-pack"):
        likeness.Engine("no-such-pack", models=STORE)
    with pytest.raises(likeness.SetupError, match="openvino|provider"):
        likeness.Engine(PACK, models=STORE, provider="openvino")
    (tmp_path / "store").mkdir()
    with pytest.raises(likeness.SetupError, match="fetch_models"):
        likeness.Engine(PACK, models=tmp_path / "store")
    with pytest.raises(likeness.SetupError, match="absent.so"):
        # The library is chosen once in a process.
        run = "import likeness, sys; likeness.Engine(library=sys.argv[1])"
        ended = subprocess.run(
            [sys.executable, "-c", run, tmp_path / "absent.so"], capture_output=True, text=True
        )
        raise likeness.SetupError(ended.stderr)


def test_models_are_fetched_from_a_mirror_and_open(engine, tmp_path, monkeypatch):
    sources = tomllib.loads((ROOT / "models" / PACK / "pack.toml").read_text())["sources"]
    mirror, store = tmp_path / "mirror", tmp_path / "store"
    mirror.mkdir()
    for name, source in sources.items():
        (mirror / name).symlink_to(STORE / "blobs" / "sha256" / source["sha256"])
    monkeypatch.setenv("LIKENESS_MODEL_MIRROR", str(mirror))
    assert sorted(likeness.fetch_models(store, PACK, accept_license=True)) == sorted(sources)
    (face,), (expected,) = likeness.Engine(PACK, models=store, workers=1).embed(SELFIE), engine.embed(SELFIE)
    np.testing.assert_array_equal(face.embedding, expected.embedding)
    # A complete pack is not asked for again.
    monkeypatch.setenv("LIKENESS_MODEL_MIRROR", str(tmp_path / "absent"))
    assert likeness.fetch_models(str(store), PACK) == []


def test_models_that_cannot_be_fetched_say_why(tmp_path, monkeypatch):
    monkeypatch.setenv("LIKENESS_MODEL_MIRROR", str(tmp_path / "absent"))
    with pytest.raises(likeness.SetupError, match="absent is not a folder"):
        likeness.fetch_models(tmp_path / "store")
    with pytest.raises(likeness.SetupError, match="no-such-pack"):
        likeness.fetch_models(tmp_path / "store", "no-such-pack")
    with pytest.raises(likeness.SetupError, match="pass accept_license=True if"):
        likeness.fetch_models(tmp_path / "store", "insightface-r50")


def test_a_fetch_releases_the_gil_and_ends_with_an_interrupt(tmp_path):
    # A server that accepts connections and says nothing; the signal comes from another thread of the process that fetches.
    run = """
import os, signal, sys, threading, likeness
threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    likeness.fetch_models(sys.argv[1])
except KeyboardInterrupt:
    print("interrupted")
"""
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        settings["LIKENESS_MODEL_MIRROR"] = f"http://127.0.0.1:{server.getsockname()[1]}"
        command = [sys.executable, "-c", run, tmp_path / "store"]
        ended = subprocess.run(command, capture_output=True, text=True, env=settings, timeout=20)
    assert (ended.returncode, ended.stdout) == (0, "interrupted\n"), ended.stderr


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


def test_the_version_is_that_of_the_wheel():
    assert likeness.__version__ == importlib.metadata.version("likeness")


def test_the_wheel_has_the_licences():
    files = {file.name: file.read_text() for file in importlib.metadata.files("likeness") if "licenses" in file.parts}
    assert files["LICENSE"] == (ROOT / "LICENSE").read_text()
    assert files["NOTICE"] == (ROOT / "NOTICE").read_text()
    for crate in ("mozjpeg-sys", "ort", "pyo3", "numpy", "rustls"):
        assert f"\n{crate} " in files["THIRD-PARTY-LICENSES.txt"], crate
    assert "Independent JPEG Group" in files["THIRD-PARTY-LICENSES.txt"]


def error_rates(folder, rows, *arguments):
    (folder / "pairs.csv").write_text("\n".join(["left,right,label", *rows]) + "\n")
    example = Path(__file__).parents[1] / "examples" / "error_rates.py"
    command = [sys.executable, example, folder / "pairs.csv", "--root", IMAGES, "--pack", PACK]
    return subprocess.run([*command, "--models", STORE, *arguments], capture_output=True, text=True)


def test_the_example_draws_the_error_rates(tmp_path):
    rows = ["obama.jpg,obama2.jpg,1", "obama.jpg,obama3.jpg,1", "obama.jpg,biden.jpg,0", "obama2.jpg,biden.jpg,0"]
    ended = error_rates(tmp_path, rows, "--plot", tmp_path / "rates.svg")
    assert ended.returncode == 0, ended.stderr
    assert "2 genuine and 2 impostor pairs" in ended.stdout
    assert "FTA 0.000%: 0 of 4 images; 0 pairs are in no rate" in ended.stdout
    assert (tmp_path / "rates.svg").read_text().count("<svg") == 1


def test_an_image_without_a_face_is_in_no_error_rate(tmp_path):
    rows = ["obama.jpg,obama2.jpg,1", "obama.jpg,coffee.png,1", "obama.jpg,biden.jpg,0", "coffee.png,biden.jpg,0"]
    ended = error_rates(tmp_path, rows)
    assert ended.returncode == 0, ended.stderr
    assert "1 genuine and 1 impostor pairs" in ended.stdout
    assert "FTA 25.000%: 1 of 4 images; 2 pairs are in no rate" in ended.stdout
    rates = ended.stdout.splitlines()[-3:]
    assert [line.split()[1:] for line in rates] == [["0.000%", "0.000%"]] * 3


@pytest.mark.parametrize(
    "row, text",
    [
        ("obama.jpg,obama2.jpg,yes", "line 3: label is 'yes'; use 1 (same person) or 0 (different people)"),
        ("obama.jpg,obama2.jpg", "line 3: label is None"),
        ("obama.jpg,absent.jpg,1", "line 3: missing file"),
    ],
)
def test_a_fault_of_the_list_names_its_line(tmp_path, row, text):
    ended = error_rates(tmp_path, ["obama.jpg,biden.jpg,0", row])
    assert ended.returncode == 1 and text in ended.stderr, ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_plot_without_matplotlib_ends_before_the_measurement(tmp_path):
    # As where matplotlib is not installed.
    (tmp_path / "matplotlib.py").write_text("raise ImportError")
    example = Path(__file__).parents[1] / "examples" / "error_rates.py"
    command = [sys.executable, example, tmp_path / "no-list.csv", "--plot", tmp_path / "rates.svg"]
    settings = os.environ | {"PYTHONPATH": str(tmp_path)}
    ended = subprocess.run(command, capture_output=True, text=True, env=settings)
    assert (ended.returncode, ended.stderr) == (1, "--plot needs matplotlib: pip install matplotlib\n")
