#!/usr/bin/env python3
"""Runs the checks that a release must pass beyond those of every change (`.ci/run`): each feature by itself, crates as archives, the guide for
embedders, the wheel, several replicas, a fresh machine, long fuzzing, and the release built twice.

    check_release.py [CHECK ...]

All checks run, whatever fails. The output of each is in a file in .out/check-release, beside summary.txt.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import environment

ROOT = environment.ROOT
OUT = ROOT / ".out" / "check-release"
HACK, SEMVER_CHECKS = ("cargo-hack", "0.6.46"), ("cargo-semver-checks", "0.51.0")
# Seconds of each of the two groups of fuzz targets.
FUZZ_SECONDS = "600"


def make(target, *arguments):
    return ["make", target, *arguments]


def each_feature():
    """Each feature by itself, and none."""
    program = environment.cargo_program(*HACK)
    # Found as a subcommand.
    search = os.pathsep.join([str(program.parent), os.environ["PATH"]])
    command = ["cargo", "hack", "check", "--workspace", "--each-feature", "--locked", "--target-dir", "target/hack"]
    return ["env", f"PATH={search}", *command]


def semver():
    """The facade's API against that of the last tag."""
    tags = subprocess.run(["git", "tag", "--list", "v*", "--sort=-version:refname"], cwd=ROOT, capture_output=True, text=True)
    latest = tags.stdout.split()
    if not latest:
        return ["echo", "there is no tag of a release yet: nothing to compare with"]
    program = environment.cargo_program(*SEMVER_CHECKS)
    return [program, "semver-checks", "--package", "likeness", "--baseline-rev", latest[0]]


CHECKS = {
    "otel": lambda: make("test-otel"),
    "features": each_feature,
    "semver": semver,
    "package": lambda: make("package", "PACKAGE_ARGUMENTS="),
    "embed": lambda: make("test-embed"),
    "wheel": lambda: make("wheel"),
    "replicas": lambda: make("test-replicas"),
    "fuzz-images": lambda: make("fuzz-images", f"FUZZ_SECONDS={FUZZ_SECONDS}"),
    "fuzz-readers": lambda: make("fuzz-readers", f"FUZZ_SECONDS={FUZZ_SECONDS}"),
    "release": lambda: [sys.executable, "scripts/release.py", "--check"],
    "fresh": lambda: make("test-fresh"),
}


def main():
    chosen = sys.argv[1:] or list(CHECKS)
    unknown = [name for name in chosen if name not in CHECKS]
    if unknown:
        sys.exit(f"check-release: there is no check {', '.join(unknown)}; there are {', '.join(CHECKS)}")
    OUT.mkdir(parents=True, exist_ok=True)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    summary, has_failed = [f"commit {commit}"], False
    for name in chosen:
        begin = time.monotonic()
        log = OUT / f"{name}.log"
        with log.open("w") as file:
            ended = subprocess.run(CHECKS[name](), cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)
        result = "passed" if ended.returncode == 0 else f"FAILED, see {log.relative_to(ROOT)}"
        has_failed |= ended.returncode != 0
        summary.append(f"{name:14}{time.monotonic() - begin:7.0f} s  {result}")
        print(summary[-1], flush=True)
    (OUT / "summary.txt").write_text("\n".join(summary) + "\n")
    sys.exit(has_failed)


if __name__ == "__main__":
    main()
