#!/usr/bin/env python3
"""Packages the published crates into target/package, or publishes them.

    package.py [--publish] [ARGUMENT ...]    arguments of `cargo package` or `cargo publish`, such as --no-verify or --dry-run

With the address of the repository in SOURCE, the crates name it (`repository`): they are packaged from a copy of the last commit, into
whose manifests it is written. Without, they name none, and are packaged from this folder.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from environment import ROOT, output


def published():
    """The names of the crates that are published: those whose manifests do not say otherwise."""
    packages = json.loads(output("cargo", "metadata", "--locked", "--no-deps", "--format-version", "1"))["packages"]
    return sorted(package["name"] for package in packages if package["publish"] is None)


def chosen():
    """Chooses them, as an argument of cargo."""
    return [argument for name in published() for argument in ("--package", name)]


def name_repository(source, address):
    """Adds the address to the manifests of the workspace and of its members."""
    replace(source / "Cargo.toml", "[workspace.package]\n", f'[workspace.package]\nrepository = "{address}"\n')
    for manifest in (source / "Cargo.toml", *source.glob("crates/*/Cargo.toml")):
        replace(manifest, "\nlicense.workspace = true\n", "\nlicense.workspace = true\nrepository.workspace = true\n")


def replace(file, old, new):
    text = file.read_text()
    if text.count(old) != 1:
        sys.exit(f"package: {file.name} of {file.parent.name} does not have {old.strip()} once")
    file.write_text(text.replace(old, new))


def main():
    address, arguments = os.environ.get("SOURCE"), sys.argv[1:]
    verb = "publish" if "--publish" in arguments else "package"
    command = ["cargo", verb, "--locked", "--target-dir", ROOT / "target", *chosen()]
    command += [argument for argument in arguments if argument != "--publish"]
    if not address:
        sys.exit(subprocess.run(command, cwd=ROOT).returncode)
    if not re.fullmatch(r"https?://[\w.:-]+(/[\w.~/-]*)?", address, re.ASCII):
        sys.exit("package: SOURCE must be an http or https address without credentials and query, such as https://git.example/likeness")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "likeness"
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, copy], check=True)
        name_repository(copy, address)
        sys.exit(subprocess.run([*command, "--allow-dirty"], cwd=copy).returncode)


if __name__ == "__main__":
    main()
