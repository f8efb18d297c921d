#!/usr/bin/env python3
"""Builds the Python wheel into target/wheels, installs it into .setup/wheel, and tests it there with the program, the pack and the images
that set-up has brought.

    wheel.py [pytest's arguments]
"""

import os
import platform
import shutil
import subprocess
import sys
import zipfile

import environment
import licences
from environment import ROOT

WHEELS = ROOT / "target" / "wheels"
BINDINGS = ROOT / "bindings" / "python"


def main():
    python = environment.locked("wheel")
    shutil.rmtree(WHEELS, ignore_errors=True)
    # pyproject.toml names it.
    texts = licences.of_crates(platform.machine(), BINDINGS)
    (BINDINGS / "THIRD-PARTY-LICENSES.txt").write_text(texts, encoding="utf-8")
    # Apart from the workspace, whose features differ.
    build = [python, "-m", "maturin", "build", "--release", "--locked", "--out", WHEELS]
    build += ["--target-dir", ROOT / "target" / "python", "--interpreter", python]
    settings, paths = environment.without_paths(ROOT)
    subprocess.run(build, check=True, cwd=BINDINGS, env=os.environ | settings)
    (wheel,) = WHEELS.glob("likeness-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            environment.refuse_paths(archive.read(name), paths)
    # With what the wheel requires already there, pip checks that and installs nothing else.
    pip = [python, "-m", "pip", "install", "--quiet", "--no-index", "--force-reinstall", "--no-deps", wheel]
    subprocess.run(pip, check=True)
    subprocess.run([python, "-m", "pip", "check", "--quiet"], check=True)
    # As an adopter has it: the library of the `onnxruntime` package.
    settings = {name: value for name, value in os.environ.items() if name != "ORT_DYLIB_PATH"}
    tests = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", *sys.argv[1:]]
    sys.exit(subprocess.run(tests, cwd=BINDINGS, env=settings).returncode)


if __name__ == "__main__":
    main()
