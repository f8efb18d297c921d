#!/usr/bin/env python3
"""The software bill of materials of the binary, ONNX Runtime and the default pack's models: CycloneDX 1.6, JSON.

    sbom.py [--machine MACHINE] [FILE]

What it says is what Cargo.lock, scripts/setup.py and the manifest of the pack in .setup/pack pin. The same inputs give the same bytes.
--machine is for a binary that was built for another machine on Linux, such as aarch64.
"""

import argparse
import json
import platform
import subprocess
import sys
import tomllib
from pathlib import Path

import setup

ROOT = Path(__file__).resolve().parent.parent
# Swagger UI, which a build script puts into the binary.
EMBEDDED = ("utoipa-swagger-ui-vendored",)


def crates(machine, folder=ROOT):
    """What is compiled into the package in that folder for that machine: not what only tests and build scripts use, but for what
    one of those puts into it."""
    host = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    (host,) = [line.removeprefix("host: ") for line in host.splitlines() if line.startswith("host: ")]
    target = host if machine == platform.machine() else f"{machine}-unknown-linux-gnu"
    # Not over the network where all is there already.
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", target]
    metadata = json.loads(subprocess.run(command, capture_output=True, check=True, cwd=folder).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]
    seen, waiting = set(), [root]
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        for dependency in nodes[node]["deps"]:
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]) or packages[dependency["pkg"]]["name"] in EMBEDDED:
                waiting.append(dependency["pkg"])
    return packages[root], [packages[node] for node in sorted(seen - {root})]


def checksums():
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    return {(package["name"], package["version"]): package.get("checksum") for package in lock["package"]}


def licence(expression):
    return [{"expression": expression.replace("/", " OR ")}] if expression else []


def hashes(sha256):
    return [{"alg": "SHA-256", "content": sha256}] if sha256 else []


def component(kind, name, version, **more):
    return {"type": kind, "name": name, "version": version, **{key: value for key, value in more.items() if value}}


def bill(machine, pack):
    root, others = crates(machine)
    known = checksums()
    components = [
        component(
            "library", package["name"], package["version"],
            licenses=licence(package["license"]),
            hashes=hashes(known.get((package["name"], package["version"]))),
            purl=f"pkg:cargo/{package['name']}@{package['version']}",
        )
        for package in others
    ]
    wheel = setup.WHEELS.get((platform.system(), machine))
    components.append(
        component(
            "library", "onnxruntime", setup.VERSION, licenses=licence("MIT"),
            hashes=hashes(wheel[1] if wheel else None), purl=f"pkg:pypi/onnxruntime@{setup.VERSION}",
        )
    )
    pack = tomllib.loads((ROOT / "models" / pack / "pack.toml").read_text())
    for name, source in sorted(pack["sources"].items()):
        components.append(
            component(
                "machine-learning-model", name, f"{pack['name']}-{pack['version']}",
                licenses=licence(source.get("license")), hashes=hashes(source.get("sha256")),
            )
        )
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": component(
                "application", root["name"], root["version"], licenses=licence(root["license"]),
                purl=f"pkg:cargo/{root['name']}@{root['version']}",
            )
        },
        "components": components,
    }


def document(machine, pack):
    """The bill as its file has it."""
    return json.dumps(bill(machine, pack), indent=1, sort_keys=True) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machine", default=platform.machine())
    parser.add_argument("file", nargs="?", type=Path)
    arguments = parser.parse_args()
    text = document(arguments.machine, setup.served_pack() or setup.DEFAULT_PACK)
    if arguments.file:
        arguments.file.parent.mkdir(parents=True, exist_ok=True)
        arguments.file.write_text(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
