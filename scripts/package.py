#!/usr/bin/env python3
"""Packages the published crates into target/package.

    package.py [ARGUMENT ...]    arguments of `cargo package`, such as --no-verify

With SOURCE, the address of the repository, the archives name it (`repository`): they are made from a copy of the last commit that has
it in its manifests. Without, they name none, and are made from this folder.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from environment import ROOT

UNPUBLISHED = ("likeness-tools", "likeness-testing")


def name_repository(source, address):
    """Adds the address to the manifests of the workspace and of its members."""
    for manifest in (source / "Cargo.toml", *source.glob("crates/*/Cargo.toml")):
        text = manifest.read_text().replace("[workspace.package]\n", f'[workspace.package]\nrepository = "{address}"\n')
        manifest.write_text(text.replace("\nlicense.workspace = true\n", "\nlicense.workspace = true\nrepository.workspace = true\n"))


def main():
    address = os.environ.get("SOURCE")
    excluded = [argument for name in UNPUBLISHED for argument in ("--exclude", name)]
    command = ["cargo", "package", "--locked", "--target-dir", ROOT / "target", "--workspace", *excluded, *sys.argv[1:]]
    if not address:
        sys.exit(subprocess.run(command, cwd=ROOT).returncode)
    if not re.fullmatch(r"https?://[^\s\"\\]+", address):
        sys.exit(f"package: SOURCE must be the http or https address of the repository, not {address!r}")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "likeness"
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, copy], check=True)
        name_repository(copy, address)
        sys.exit(subprocess.run([*command, "--allow-dirty"], cwd=copy).returncode)


if __name__ == "__main__":
    main()
