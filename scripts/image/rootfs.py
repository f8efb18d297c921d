#!/usr/bin/env python3
"""Assembles what goes into the image, of what `make setup build models` has left: binary, ONNX Runtime, models, licences, bill of
materials, configuration.

    rootfs.py FOLDER

The folder must be new or empty. It holds no image and no secret, and nothing that the service could write to.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
import licences  # noqa: E402
import setup  # noqa: E402
from setup import DEFAULT_PACK  # noqa: E402


class Build(NamedTuple):
    """What is laid out, and how its program is run here."""

    binary: Path = ROOT / "target" / "release" / "likeness"
    library: Path = ROOT / ".setup" / "onnxruntime"
    machine: str = platform.machine()
    # What runs the binary where this machine cannot, and what strips it.
    emulator: tuple = ()
    strip: str = "strip"

    def likeness(self, *arguments):
        """What the program prints."""
        command = [*self.emulator, self.binary, *arguments]
        return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def put(source, target, mode):
    if not source.is_file():
        sys.exit(f"rootfs: {source.relative_to(ROOT)} is not there: run `make setup build models` first")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


def put_binary(build, target):
    """Without the tables of lines, which are four fifths of it; functions keep their names in a backtrace."""
    put(build.binary, target, 0o755)
    strip = shutil.which(build.strip)
    if strip:
        subprocess.run([strip, "--strip-debug", str(target)], check=True)
    target.chmod(0o555)


def put_pack(build, name, store, documents):
    """The files of one pack, whatever else is in the model store, with its card and the licences that its publishers keep."""
    card = ROOT / "models" / name
    for file in [card / "README.md", *sorted(card.glob("LICENSE.*"))]:
        put(file, documents / name / file.name, 0o444)
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "pack.tar"
        build.likeness("models", "export", name, "--out", archive)
        # Its licences were accepted when it was pulled.
        build.likeness("models", "pull", "--from", archive, "--accept-license", "--quiet", "--models", store)
    (store / "lock").unlink()
    for file in (path for path in store.rglob("*") if path.is_file()):
        file.chmod(0o444)


def installed(reference):
    """The reference of the configuration, with the data folder of the systemd unit and the image: commands that administer the service
    find its database by the same file, wherever they are run."""
    configuration = reference.replace('data_folder = "likeness-data"\n', 'data_folder = "/var/lib/likeness"\n')
    assert configuration != reference
    return configuration


def with_pack(configuration):
    """The configuration with the pack that set-up has brought, where that is not the default one."""
    line = f'# pack = "{DEFAULT_PACK}"'
    assert line in configuration
    chosen = setup.served_pack()
    return configuration if chosen in (None, DEFAULT_PACK) else configuration.replace(line, f'pack = "{chosen}"')


def assemble(root, build):
    root.mkdir(parents=True, exist_ok=True)
    if any(root.iterdir()):
        sys.exit(f"rootfs: {root} is not empty")
    put_binary(build, root / "usr/local/bin/likeness")
    # The binary looks for the library here by itself.
    put(build.library / "libonnxruntime.so", root / "usr/local/lib/likeness/libonnxruntime.so", 0o444)
    documents = root / "usr/share/doc/likeness"
    for name in setup.NOTICES:
        put(build.library / name, documents / f"onnxruntime-{name}", 0o444)
    for name in ("LICENSE", "NOTICE", "SECURITY.md"):
        put(ROOT / name, documents / name, 0o444)
    put_pack(build, setup.served_pack() or DEFAULT_PACK, root / "usr/share/likeness/models", documents)
    texts = documents / "THIRD-PARTY-LICENSES.txt"
    texts.write_text(licences.of_crates(build.machine))
    texts.chmod(0o444)
    bill = [sys.executable, ROOT / "scripts" / "sbom.py", "--machine", build.machine, documents / "sbom.cdx.json"]
    subprocess.run(bill, check=True)
    configuration = root / "etc/likeness/likeness.toml"
    configuration.parent.mkdir(parents=True)
    configuration.write_text(with_pack(installed(build.likeness("config", "reference"))))
    configuration.chmod(0o444)
    # As those of a distribution: the image's own /usr and /etc take over these modes.
    for folder, _, _ in os.walk(root):
        os.chmod(folder, 0o755)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    assemble(Path(sys.argv[1]), Build())


if __name__ == "__main__":
    main()
