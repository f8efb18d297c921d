#!/usr/bin/env python3
"""Compares the crates whose types and traits the published crates export with the table of docs/stability.md, "Public dependencies".

An upgrade of such a dependency to an incompatible version breaks embedders. Cargo cannot declare them on the stable toolchain, so they
are read from rustdoc's JSON, which needs RUSTC_BOOTSTRAP for rustdoc alone. All features are on.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from environment import ROOT
from package import chosen, published

# With what `cargo hack` has checked (scripts/check_release.py).
TARGET = ROOT / "target" / "hack"
PAGE = ROOT / "docs" / "stability.md"
# Crates that define what another one, the dependency, exports as its own.
EXPORTED_BY = {"serde_core": "serde", "axum_core": "axum"}
STANDARD = {"std", "core", "alloc"}


def document():
    """Writes rustdoc's JSON of the published crates."""
    with tempfile.TemporaryDirectory() as folder:
        rustdoc = Path(folder) / "rustdoc"
        rustdoc.write_text('#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec rustdoc -Z unstable-options --output-format json "$@"\n')
        rustdoc.chmod(0o755)
        command = ["cargo", "doc", "--locked", "--no-deps", "--lib", "--all-features", "--target-dir", TARGET, *chosen()]
        subprocess.run(command, cwd=ROOT, check=True, env=os.environ | {"RUSTDOC": str(rustdoc)})


def ids(value):
    """The ids of all items that a part of an item names."""
    if isinstance(value, dict):
        if isinstance(value.get("id"), int):
            yield value["id"]
        value = value.values()
    elif not isinstance(value, list):
        return
    for part in value:
        yield from ids(part)


def exported(package):
    """The crates from elsewhere that the public items of a package name."""
    crate = json.loads((TARGET / "doc" / f"{package.replace('-', '_')}.json").read_text())
    items = {id: item for id, item in crate["index"].items() if item["crate_id"] == 0}
    # The compiler's own, and those that another crate has for every type.
    foreign = set()
    for id, item in items.items():
        block = item["inner"].get("impl")
        if block and (block["is_synthetic"] or block["blanket_impl"]):
            foreign |= {id, *map(str, block["items"])}
    named = {str(id) for key, item in items.items() if key not in foreign for id in ids(item["inner"])}
    owners = {crate["paths"][id]["crate_id"] for id in named if id in crate["paths"]} - {0}
    names = {crate["external_crates"][str(owner)]["name"] for owner in owners}
    return {EXPORTED_BY.get(name, name) for name in names - STANDARD if not name.startswith("likeness")}


def documented():
    section = PAGE.read_text().split("## Public dependencies\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(likeness[a-z-]*)` \| (.*) \|$", section, re.MULTILINE)
    # Code names a crate with _ throughout; what stands in parentheses is a feature.
    names = {package: re.sub(r"\(.*?\)", "", crates).replace("-", "_") for package, crates in rows}
    return {package: set(re.findall(r"`([^`]+)`", crates)) for package, crates in names.items()}


def main():
    document()
    listed, differences = documented(), 0
    for package in published():
        found = exported(package)
        print(f"{package}: {', '.join(sorted(found)) or 'none'}")
        for name in sorted(found ^ listed.get(package, set())):
            where = "is missing from" if name in found else "is not exported, yet stands in"
            print(f"public dependencies: {package}: {name} {where} {PAGE.relative_to(ROOT)}", file=sys.stderr)
            differences += 1
    sys.exit(differences > 0)


if __name__ == "__main__":
    main()
