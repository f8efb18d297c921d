#!/usr/bin/env python3
"""cargo-deny over Cargo.lock: licences, bans and sources always; advisories where their database can be fetched.

    deny.py [--advisories]

With --advisories, a database that cannot be reached is an error too.

cargo-deny is built once into .setup/cargo-deny, at a pinned version and with its own lock file.
"""

import os
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


def build():
    print(f"deny: building cargo-deny {VERSION} (a minute or two, once)", file=sys.stderr)
    # It runs for a second: that it is fast is not worth the time of an optimised build.
    command = ["cargo", "install", "--quiet", "--debug", "--locked", "--version", VERSION, "--root", str(PLACE)]
    settings = {"CARGO_PROFILE_DEV_DEBUG": "0", "CARGO_INCREMENTAL": "0"}
    subprocess.run([*command, "cargo-deny"], check=True, cwd=ROOT, env=os.environ | settings)


def deny(*arguments, **options):
    return subprocess.run([PROGRAM, *arguments], cwd=ROOT, **options)


def main():
    if version() != VERSION:
        build()
    checked = deny("--log-level", "error", "check", "--hide-inclusion-graph", "--allow", "duplicate", "licenses", "bans", "sources")
    if checked.returncode != 0:
        sys.exit(checked.returncode)
    if deny("--log-level", "off", "fetch", "db", capture_output=True).returncode == 0:
        # What was fetched is looked at, whatever it says.
        sys.exit(deny("check", "--disable-fetch", "--hide-inclusion-graph", "advisories").returncode)
    print("deny: WARNING: the advisory database cannot be reached: known vulnerabilities were NOT looked for")
    sys.exit("--advisories" in sys.argv[1:])


if __name__ == "__main__":
    main()
