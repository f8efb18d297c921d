#!/usr/bin/env python3
"""Sets up what the tests of HEIC and AVIF need, from Debian's packages: heif-enc, and libheif with it.

    setup_heif.py

It installs system packages, and so `make test` never runs it; without it these tests are reported as skipped.
"""

import sys

import packages

PROGRAMS = {"heif-enc": "libheif-examples"}


def say(message):
    print(f"setup-heif: {message}", file=sys.stderr)


if __name__ == "__main__":
    packages.install(PROGRAMS, say, "install heif-enc and libheif.so.1 yourself")
