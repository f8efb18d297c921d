#!/usr/bin/env python3
"""Runs the checks that a release must pass beyond those of every change (`.ci/run`): each feature by itself, public dependencies, crates as
archives, the guide for embedders, the wheel, several replicas, a fresh machine, long fuzzing, and the release built twice.

    check_release.py [CHECK ...]

All checks run, whatever fails, and a test that would be skipped fails. The output of each is in a file in .out/check-release, beside
summary.txt, which keeps the results of earlier runs for the same commit where nothing else is in the folder.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import environment
from package import chosen

ROOT = environment.ROOT
OUT = ROOT / ".out" / "check-release"
SUMMARY = OUT / "summary.txt"
HACK, SEMVER_CHECKS = ("cargo-hack", "0.6.46"), ("cargo-semver-checks", "0.51.0")
DIRTY = ", with uncommitted changes"
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
    """The API of each published crate against that of the last tag: the tool does not follow re-exports to other crates."""
    latest = environment.last_release()
    if latest is None:
        return ["echo", "there is no tag of a release yet: nothing to compare with"]
    program = environment.cargo_program(*SEMVER_CHECKS)
    return [program, "semver-checks", *chosen(), "--baseline-rev", latest]


CHECKS = {
    "otel": lambda: make("test-otel"),
    "features": each_feature,
    "semver": semver,
    "public": lambda: make("public-dependencies"),
    "package": lambda: make("package", "PACKAGE_ARGUMENTS="),
    "embed": lambda: make("test-embed"),
    "wheel": lambda: make("wheel"),
    "replicas": lambda: make("test-replicas"),
    "fuzz-images": lambda: make("fuzz-images", f"FUZZ_SECONDS={FUZZ_SECONDS}"),
    "fuzz-readers": lambda: make("fuzz-readers", f"FUZZ_SECONDS={FUZZ_SECONDS}"),
    "release": lambda: [sys.executable, "scripts/release.py", "--unchecked", "--twice"],
    "fresh": lambda: make("test-fresh"),
}


def commit():
    """The commit that is checked out, with a mark if anything else is in the folder."""
    return environment.output("git", "describe", "--always", "--abbrev=12", "--exclude=*", f"--dirty={DIRTY}")


def results():
    """The results for this commit so far, a line for each check; none where anything else is in the folder."""
    first, *lines = SUMMARY.read_text().splitlines() if SUMMARY.is_file() else [""]
    is_kept = first == f"commit {commit()}" and not first.endswith(DIRTY)
    return {line.split()[0]: line for line in lines} if is_kept else {}


def have_passed():
    """Whether all checks have passed for this commit."""
    lines = results()
    return all(lines.get(name, "").endswith(" passed") for name in CHECKS)


def passes(name, log):
    """Runs a check; its output goes to the file."""
    with log.open("w") as file:
        try:
            command = CHECKS[name]()
        except (Exception, SystemExit) as error:
            print(f"check-release: {error!r}", file=file)
            return False
        settings = os.environ | {"LIKENESS_NO_SKIP": "1"}
        return subprocess.run(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, env=settings).returncode == 0


def run(names):
    """Runs checks, and returns whether all of them have passed for this commit."""
    OUT.mkdir(parents=True, exist_ok=True)
    checked, lines, failed = commit(), {}, False
    for name in names:
        begin, log = time.monotonic(), OUT / f"{name}.log"
        result = "passed" if passes(name, log) else f"FAILED, see {log.relative_to(ROOT)}"
        if commit() != checked:
            result = "FAILED: another commit was checked out meanwhile"
        failed |= result != "passed"
        line = f"{name:14}{time.monotonic() - begin:7.0f} s  {result}"
        print(line, flush=True)
        # Other checks may run beside this one.
        lines = results() | lines | {name: line}
        SUMMARY.write_text("\n".join([f"commit {checked}", *lines.values()]) + "\n")
    return not failed


def main():
    names = sys.argv[1:] or list(CHECKS)
    unknown = [name for name in names if name not in CHECKS]
    if unknown:
        sys.exit(f"check-release: there is no check {', '.join(unknown)}; there are {', '.join(CHECKS)}")
    sys.exit(not run(names))


if __name__ == "__main__":
    main()
