#!/usr/bin/env python3
"""cargo-deny over Cargo.lock: licences, bans and sources always; advisories where their database can be fetched.

cargo-deny is built once into .setup/cargo-deny, at a pinned version and with its own lock file.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSION = "0.20.2"
PLACE = ROOT / ".setup" / "cargo-deny"
PROGRAM = PLACE / "bin" / "cargo-deny"


def version():
    if not PROGRAM.is_file():
        return None
    return subprocess.run([PROGRAM, "--version"], capture_output=True, text=True).stdout.split()[-1]


def main():
    if version() != VERSION:
        print(f"deny: building cargo-deny {VERSION} (some minutes, once)", file=sys.stderr)
        command = ["cargo", "install", "--quiet", "--locked", "--version", VERSION, "--root", str(PLACE), "cargo-deny"]
        subprocess.run(command, check=True, cwd=ROOT)
    checked = subprocess.run([PROGRAM, "check", "--hide-inclusion-graph", "licenses", "bans", "sources"], cwd=ROOT)
    if checked.returncode != 0:
        sys.exit(checked.returncode)
    advisories = subprocess.run([PROGRAM, "check", "advisories"], cwd=ROOT, capture_output=True, text=True)
    if advisories.returncode == 0:
        print("deny: no known vulnerability")
    elif "fetch" in advisories.stderr:
        print("deny: WARNING: the advisory database cannot be reached: known vulnerabilities were NOT looked for")
    else:
        sys.stderr.write(advisories.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
