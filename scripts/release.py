#!/usr/bin/env python3
"""Builds the release of this commit into .out/release: an archive with binary, ONNX Runtime, licences, completions, man pages, systemd unit,
documentation and bill of materials, and its SHA-256. Models are not in it: `likeness models pull` fetches them.

    release.py [--unchecked] [--twice]

The checks of check_release.py come first, unless all have passed for this commit; their results are put beside the archive. --unchecked
leaves them out. The binary is built separately, into target/dist, and contains no path of this machine. The same commit gives the same
bytes with the same Rust, C compiler, nasm, binutils and Python; --twice builds again, from a copy of the commit in another folder, and
compares.
"""

import argparse
import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

import check_release
import licences
import sbom
import setup
from environment import ROOT, output, refuse_paths, without_paths
from image.rootfs import installed

OUT = ROOT / ".out" / "release"
LIBRARY = ROOT / ".setup" / "onnxruntime"
DOCUMENTS = (
    "LICENSE", "NOTICE", ":(glob)*.md", "docs", "models", "deploy", "examples", "bindings/python/README.md", "bindings/python/examples",
    "crates/server/likeness.toml", "crates/packs/onnxruntime.toml", "tools/export_edgeface.py",
)
# Shell, and where its package manager would put the script.
COMPLETIONS = {
    "bash": "share/bash-completion/completions/likeness",
    "zsh": "share/zsh/site-functions/_likeness",
    "fish": "share/fish/vendor_completions.d/likeness.fish",
}


def build(source):
    """Builds the sources in a folder and returns the stripped binary."""
    settings, paths = without_paths(source)
    settings["LIKENESS_GIT_COMMIT"] = output("git", "rev-parse", "HEAD")
    # Of the installed system or of set-up, the same for both builds.
    assembler = os.pathsep.join([str(ROOT / ".setup/nasm/usr/bin"), os.environ["PATH"]])
    command = ["cargo", "build", "--release", "--locked", "--target-dir", "target/dist", "--bin", "likeness"]
    subprocess.run(command, cwd=source, check=True, env=os.environ | settings | {"PATH": assembler})
    with tempfile.TemporaryDirectory() as folder:
        stripped = Path(folder) / "likeness"
        # The build ID is a digest of the debug information too, which names the folders of the assembler.
        strip = ["strip", "--remove-section=.note.gnu.build-id", "-o", stripped, source / "target/dist/release/likeness"]
        subprocess.run(strip, check=True)
        binary = stripped.read_bytes()
    refuse_paths(binary, paths)
    return binary


def contents(binary, program):
    """Returns the files by path below the archive's folder: their bytes, and whether each is a program."""
    files = {"bin/likeness": (binary, True)}

    def add(path, data):
        files[path] = (data.encode() if isinstance(data, str) else data, False)

    add("lib/likeness/libonnxruntime.so", (LIBRARY / "libonnxruntime.so").read_bytes())
    add("lib/systemd/system/likeness.service", (ROOT / "deploy/systemd/likeness.service").read_bytes())
    for shell, path in COMPLETIONS.items():
        add(path, output(program, "completions", shell) + "\n")
    with tempfile.TemporaryDirectory() as folder:
        output(program, "man", "--out", folder)
        for page in Path(folder).iterdir():
            add(f"share/man/man1/{page.name}", page.read_bytes())
    add("etc/likeness/likeness.toml", installed(output(program, "config", "reference") + "\n"))
    documents = "share/doc/likeness"
    # At their places beside each other, with what they link to, but for the sources of the crates.
    for path in output("git", "ls-files", *DOCUMENTS).splitlines():
        add(f"{documents}/{path}", (ROOT / path).read_bytes())
    for name in setup.NOTICES:
        add(f"{documents}/onnxruntime-{name}", (LIBRARY / name).read_bytes())
    add(f"{documents}/THIRD-PARTY-LICENSES.txt", licences.of_crates(setup.platform.machine()))
    add(f"{documents}/sbom.cdx.json", sbom.document(setup.platform.machine(), setup.DEFAULT_PACK))
    return files


def write_archive(target, name, files):
    """Writes the entries sorted by name, without owners, with the time of the commit."""
    time = int(os.environ.get("SOURCE_DATE_EPOCH") or output("git", "log", "-1", "--format=%ct"))
    with target.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for path, (data, is_program) in sorted(files.items()):
                entry = tarfile.TarInfo(f"{name}/{path}")
                entry.size, entry.mtime, entry.mode = len(data), time, 0o755 if is_program else 0o644
                archive.addfile(entry, io.BytesIO(data))


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unchecked", action="store_true", help="leave out the checks")
    parser.add_argument("--twice", action="store_true", help="build in another folder too, and compare")
    arguments = parser.parse_args()
    if not (LIBRARY / "libonnxruntime.so").is_file():
        sys.exit("release: ONNX Runtime is not in .setup/onnxruntime: run `make setup`, without ORT_DYLIB_PATH")
    if output("git", "status", "--porcelain", "--untracked-files=no"):
        print("release: WARNING: what is not committed is in it", file=sys.stderr)
    if not (arguments.unchecked or check_release.have_passed() or check_release.run(check_release.CHECKS)):
        sys.exit("release: a check has failed")
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    name = f"likeness-{version}-{setup.platform.machine()}-{setup.platform.system().lower()}"
    binary = build(ROOT)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    archive = OUT / f"{name}.tar.gz"
    files = contents(binary, ROOT / "target/dist/release/likeness")
    write_archive(archive, name, files)
    digest = sha256(archive.read_bytes())
    (OUT / f"{archive.name}.sha256").write_text(f"{digest}  {archive.name}\n")
    if not arguments.unchecked:
        shutil.copy(check_release.SUMMARY, OUT / "checks.txt")
    print(f"release: {archive.relative_to(ROOT)}, {len(files)} files, {archive.stat().st_size / 2**20:.1f} MiB, SHA-256 {digest}")
    if arguments.twice:
        check(archive, name, binary)


def check(archive, name, binary):
    with tempfile.TemporaryDirectory(prefix="likeness-release-") as folder:
        copy = Path(folder) / "another-place"
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, copy], check=True)
        again = build(copy)
        if sha256(again) != sha256(binary):
            kept = OUT / "likeness-again"
            kept.write_bytes(again)
            sys.exit(f"release: the binary is another one when it is built elsewhere: see {kept.relative_to(ROOT)}")
        second = Path(folder) / archive.name
        write_archive(second, name, contents(again, copy / "target/dist/release/likeness"))
        if second.read_bytes() != archive.read_bytes():
            sys.exit("release: the archive is another one when it is made again")
    print("release: built again elsewhere, the same bytes")


if __name__ == "__main__":
    main()
