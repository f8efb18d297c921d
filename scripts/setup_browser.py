#!/usr/bin/env python3
"""Sets up what the tests of the console need: a browser with its driver, from Debian's packages, and axe-core, which checks
accessibility.

    setup_browser.py

It installs system packages, and so `make test` never runs it; without it the tests in a browser are reported as skipped.
axe-core comes from npm, pinned by version and SHA-256, and is unpacked into .setup/axe; it is used by the tests alone.
"""

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import packages
import registry

ROOT = Path(__file__).resolve().parent.parent
AXE = ROOT / ".setup" / "axe" / "axe.min.js"
AXE_VERSION = "4.14.1"
# Of axe.min.js in the package.
AXE_SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
PROGRAMS = {"chromium": "chromium", "chromedriver": "chromium-driver"}


def say(message):
    print(f"setup-browser: {message}", file=sys.stderr)


def fail(message):
    say(message)
    sys.exit(1)


def set_up_browser():
    packages.install(PROGRAMS, say, "install chromium and chromedriver of the same version yourself")


def set_up_axe():
    if AXE.is_file() and hashlib.sha256(AXE.read_bytes()).hexdigest() == AXE_SHA256:
        return
    say(f"fetching axe-core {AXE_VERSION}")
    environment = registry.environment_with_npm(say)
    with tempfile.TemporaryDirectory() as folder:
        pack = ["npm", "pack", "--silent", f"axe-core@{AXE_VERSION}"]
        if subprocess.run(pack, cwd=folder, env=environment, stdout=sys.stderr).returncode != 0:
            fail(f"npm cannot fetch axe-core {AXE_VERSION}")
        with tarfile.open(Path(folder) / f"axe-core-{AXE_VERSION}.tgz") as package:
            script = package.extractfile("package/axe.min.js").read()
    found = hashlib.sha256(script).hexdigest()
    if found != AXE_SHA256:
        fail(f"axe.min.js is not the pinned file: expected SHA-256 {AXE_SHA256}, found {found}")
    AXE.parent.mkdir(parents=True, exist_ok=True)
    AXE.write_bytes(script)


if __name__ == "__main__":
    set_up_browser()
    set_up_axe()
    say("ready")
