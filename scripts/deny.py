#!/usr/bin/env python3
"""cargo-deny over Cargo.lock and that of the Python bindings: licences, bans and sources always; advisories of the first where their database can be fetched.

    deny.py [--advisories]

With --advisories, a database that cannot be reached is an error too.

cargo-deny is built once into .setup/cargo-deny, at a pinned version and with its own lock file.
"""

import subprocess
import sys

import environment

ROOT = environment.ROOT
VERSION = "0.20.2"


def main():
    program = environment.cargo_program("cargo-deny", VERSION)

    def deny(*arguments, **options):
        return subprocess.run([program, *arguments], cwd=ROOT, **options)

    for manifest in ("Cargo.toml", "bindings/python/Cargo.toml"):
        place = ["--manifest-path", manifest, "--config", "deny.toml", "--log-level", "error"]
        checked = deny(*place, "check", "--hide-inclusion-graph", "--allow", "duplicate", "licenses", "bans", "sources")
        if checked.returncode != 0:
            sys.exit(checked.returncode)
    if deny("--log-level", "off", "fetch", "db", capture_output=True).returncode == 0:
        # What was fetched is looked at, whatever it says.
        sys.exit(deny("check", "--disable-fetch", "--hide-inclusion-graph", "advisories").returncode)
    print("deny: WARNING: the advisory database cannot be reached: known vulnerabilities were NOT looked for")
    sys.exit("--advisories" in sys.argv[1:])


if __name__ == "__main__":
    main()
