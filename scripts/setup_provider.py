#!/usr/bin/env python3
"""Sets up an ONNX Runtime with another execution provider, beside the one with the CPU provider only: the wheel that has it
and the libraries that it needs, pinned by version and SHA-256, through pip, into .setup/onnxruntime-PROVIDER.

    setup_provider.py openvino|cuda [--wheels FOLDER] [--libraries FOLDER]
    setup_provider.py openvino|cuda --download FOLDER

`likeness --provider openvino` and `--provider cuda` find what lies there by themselves, without LD_LIBRARY_PATH.

For machines without a network, --download puts the wheels into a folder, and --wheels takes them from there. With --libraries
NVIDIA's libraries are not downloaded but taken from a folder that has them, at any depth, such as the site-packages of a
PyTorch for the same CUDA; they are linked, not copied.
"""

import argparse
import os
import platform
import re
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

from setup import ROOT, download_wheel, fail, say, sha256_of


class Wheel(NamedTuple):
    name: str
    version: str
    sha256: str
    # Which of its files are needed, as a regular expression of their paths in the wheel.
    members: str
    # pip's platform tags under which it is published.
    tags: tuple = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64", "manylinux2010_x86_64")


# Beside the library, since it is looked for there.
RUNTIME = r"onnxruntime/(capi/lib(onnxruntime|onnxruntime_providers_\w+)\.so(\.[\d.]+)?|LICENSE|ThirdPartyNotices\.txt)"
# All that OpenVINO opens, once, by the names that it is opened by; each finds its neighbours by its RPATH $ORIGIN.
OPENVINO = (
    r"onnxruntime/capi/(libopenvino\.so\.\d{4}|libopenvino_onnx_frontend\.so\.\d{4}|libopenvino_intel_\w+_plugin\.so|libtbb\.so\.12)"
)
NVIDIA = r"nvidia/\w+/lib/lib(cudart|cublas|cublasLt|cufft|curand|nvrtc|nvrtc-builtins|nvJitLink|cudnn\w*)\.so\.\d+(\.\d+)?"

# CUDA 13.0 throughout, which is the oldest that the provider works with: newer ones ask for newer drivers.
PROVIDERS = {
    "openvino": [
        Wheel(
            "onnxruntime-openvino",
            "1.24.1",
            "d617fac2f59a6ab5ea59a788c3e1592240a129642519aaeaa774761dfe35150e",
            f"{RUNTIME}|{OPENVINO}",
        ),
    ],
    "cuda": [
        Wheel(
            "onnxruntime-gpu",
            "1.31.1",
            "05d548956197b9d01f59b625de740e0d6be3593f874e241a12dc0362650ecdf7",
            RUNTIME,
        ),
        Wheel(
            "nvidia-cuda-runtime", "13.0.96", "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548", NVIDIA
        ),
        Wheel("nvidia-cublas", "13.1.0.3", "ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171", NVIDIA),
        Wheel(
            "nvidia-cudnn-cu13", "9.15.1.9", "ebc9a647918df0d7298d67cfaf41579fd4c78ead9aba246f5ad9414d61b9ec4c", NVIDIA
        ),
        Wheel("nvidia-cufft", "12.0.0.61", "6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3", NVIDIA),
        Wheel("nvidia-curand", "10.4.0.35", "1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc", NVIDIA),
        Wheel(
            "nvidia-cuda-nvrtc", "13.0.88", "ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575", NVIDIA
        ),
        Wheel(
            "nvidia-nvjitlink", "13.0.88", "13a74f429e23b921c1109976abefacc69835f2f433ebd323d3946e11d804e47b", NVIDIA
        ),
    ],
}


def library_name(path):
    """`libonnxruntime.so.1.24.1` is looked for without its version, the others by the names that they have."""
    return re.sub(r"^libonnxruntime\.so\.[\d.]+$", "libonnxruntime.so", Path(path).name)


def unpack(wheel, members, target):
    found = 0
    with zipfile.ZipFile(wheel) as archive:
        for path in archive.namelist():
            if re.fullmatch(members, path):
                with archive.open(path) as read, open(target / library_name(path), "wb") as write:
                    shutil.copyfileobj(read, write)
                found += 1
    if found == 0:
        fail(f"{wheel.name} has none of the files that are needed of it")


def link_libraries(source, target):
    """NVIDIA's libraries as they lie in an installation of theirs, of whatever depth."""
    for path in sorted(source.rglob("lib*.so.*")):
        if re.fullmatch(NVIDIA.rsplit("/", 1)[1], path.name) and not (target / path.name).exists():
            (target / path.name).symlink_to(path.resolve())
    missing = [
        name for name in ("libcudart.so.13", "libcublasLt.so.13", "libcudnn.so.9") if not (target / name).exists()
    ]
    if missing:
        fail(f"{source} has no {', '.join(missing)}: the libraries of CUDA 13 and cuDNN 9 are needed")


def set_up(provider, wheels, libraries):
    target = ROOT / ".setup" / f"onnxruntime-{provider}"
    pinned = PROVIDERS[provider]
    if libraries is not None:
        pinned = pinned[:1]
    stamp = "\n".join([wheel.sha256 for wheel in pinned] + ([str(libraries)] if libraries else []))
    stamp_file = target / "wheels.sha256"
    what = f"ONNX Runtime {pinned[0].version} with {provider}"
    if stamp_file.is_file() and stamp_file.read_text() == stamp:
        say(f"{what}: there")
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        unpacked = Path(folder) / "unpacked"
        unpacked.mkdir()
        for wheel in pinned:
            unpack(fetch(wheel, Path(folder), wheels), wheel.members, unpacked)
        if libraries is not None:
            link_libraries(libraries, unpacked)
        (unpacked / stamp_file.name).write_text(stamp)
        shutil.rmtree(target, ignore_errors=True)
        unpacked.rename(target)
    say(f"{what}: unpacked into {target.relative_to(ROOT)}")


def fetch(wheel, folder, wheels=None):
    say(f"{wheel.name} {wheel.version}: " + (f"from {wheels}" if wheels else "downloading the wheel with pip"))
    source = ("--no-index", "--find-links", str(wheels)) if wheels else ()
    path = download_wheel(folder, wheel.name, wheel.version, wheel.sha256, wheel.tags, source)
    if path is None:
        fail(
            f"pip could not have the wheel {wheel.name} {wheel.version} (its message is above). In a closed network point pip "
            "at your mirror, or bring the wheels: --download FOLDER where there is a network, --wheels FOLDER here"
        )
    return path


def download(provider, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for wheel in PROVIDERS[provider]:
        there = list(folder.glob(f"{wheel.name.replace('-', '_')}-{wheel.version}-*.whl"))
        if not (there and sha256_of(there[0]) == wheel.sha256):
            fetch(wheel, folder)
    (folder / "requirements.txt").unlink(missing_ok=True)
    say(f"the wheels of {provider} lie in {folder}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("provider", choices=sorted(PROVIDERS))
    parser.add_argument("--wheels", type=Path, metavar="FOLDER", help="take the wheels from here")
    parser.add_argument("--libraries", type=Path, metavar="FOLDER", help="take NVIDIA's libraries from below this")
    parser.add_argument("--download", type=Path, metavar="FOLDER", help="only put the wheels here")
    arguments = parser.parse_args()
    if arguments.download:
        download(arguments.provider, arguments.download)
        return
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        fail(
            f"nothing is pinned for {arguments.provider} on {platform.system()} {platform.machine()}: install an ONNX Runtime "
            "that has it yourself and set ORT_DYLIB_PATH to the library"
        )
    if arguments.libraries and arguments.provider != "cuda":
        fail("--libraries is for cuda")
    for folder in (arguments.wheels, arguments.libraries):
        if folder and not folder.is_dir():
            fail(f"{folder} is no folder")
    libraries = Path(os.path.abspath(arguments.libraries)) if arguments.libraries else None
    set_up(arguments.provider, arguments.wheels, libraries)


if __name__ == "__main__":
    main()
