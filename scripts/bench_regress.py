#!/usr/bin/env python3
"""Compares this checkout's program with that of another commit, and fails where it is slower by more than 5 %.

    bench_regress.py [--base COMMIT] [--rounds N]

The base (default: the last tag of a release, else the commit before) is built separately, in .out/bench-regress. Both verify the same two
images, with the same models and ONNX Runtime: their instructions are counted by callgrind (Debian: valgrind), where other
work on the machine does not count, and their times are measured alternately, N times (default 15), as the ratio of medians. The
processor time of a process includes opening the models.
"""

import argparse
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from environment import ROOT, SHARED, last_release, output
from setup import DEFAULT_PACK, served_pack

OUT = ROOT / ".out" / "bench-regress"
HERE = ROOT / "target" / "release" / "likeness"
# More than this is a regression.
LIMIT = 1.05


def build_base(commit):
    """The program of a commit, built by the toolchain and assembler of this checkout."""
    source = OUT / "base"
    if not source.is_dir():
        OUT.mkdir(parents=True, exist_ok=True)
        output("git", "worktree", "prune")
        output("git", "worktree", "add", "--detach", source, commit)
    output("git", "checkout", "--quiet", "--detach", commit, cwd=source)
    subprocess.run(["cargo", "build", "--release", "--locked", "--target-dir", OUT / "target", "--bin", "likeness"], cwd=source, check=True)
    return OUT / "target" / "release" / "likeness"


def commands(program):
    """What is measured: a verification and a liveness check of a process of one worker."""
    selfie, photo = images()
    # The pack that set-up has chosen: the default of another commit may be another one.
    models = ["--models", ROOT / "models" / "store", "--pack", served_pack() or DEFAULT_PACK]
    return {
        "verify": [program, "verify", selfie, photo, *models],
        "liveness": [program, "liveness", selfie, *models],
    }


def images():
    faces = SHARED / "data" / "faces"
    if faces.is_dir():
        return faces / "img2.jpg", faces / "img11.jpg"
    return ROOT / ".setup/images/obama.jpg", ROOT / ".setup/images/obama2.jpg"


def run(command):
    # Neither a reject nor a liveness score below the threshold is a failure here.
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode not in (0, 3, 4):
        sys.exit(f"bench-regress: {command[0]} {command[1]} ended with {ended.returncode}: {ended.stderr.strip()}")
    return ended


def instructions(command):
    file = OUT / "callgrind.out"
    run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={file}", *command])
    return int(re.search(r"^(?:summary|totals): (\d+)", file.read_text(), re.MULTILINE)[1])


def processor_seconds(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default=last_release() or "HEAD~1")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    base_commit = output("git", "rev-parse", "--short", f"{arguments.base}^{{commit}}")
    base = commands(build_base(base_commit))
    here = commands(HERE)
    os.environ["ORT_DYLIB_PATH"] = os.environ.get("ORT_DYLIB_PATH") or str(ROOT / ".setup/onnxruntime/libonnxruntime.so")
    rows = []
    for name in here:
        if shutil.which("valgrind"):
            rows.append((name, "instructions", instructions(base[name]), instructions(here[name])))
        times = [[], []]
        for _ in range(arguments.rounds):
            for side, command in enumerate((base[name], here[name])):
                times[side].append(processor_seconds(command))
        rows.append((name, "processor seconds", *map(statistics.median, times)))
    if not shutil.which("valgrind"):
        print("bench-regress: WARNING: there is no valgrind: instructions are not counted", file=sys.stderr)
    print(f"base {base_commit}, here {output('git', 'rev-parse', '--short', 'HEAD')}, {arguments.rounds} rounds")
    print(f"{'what':10}{'of':20}{'base':>16}{'here':>16}{'ratio':>8}")
    slower = []
    for name, what, before, after in rows:
        ratio = after / before
        numbers = [f"{value:,}" if isinstance(value, int) else f"{value:.3f}" for value in (before, after)]
        print(f"{name:10}{what:20}{numbers[0]:>16}{numbers[1]:>16}{ratio:8.3f}")
        if ratio > LIMIT:
            slower.append(f"{name}: {what}")
    if slower:
        sys.exit(f"bench-regress: slower by more than {LIMIT - 1:.0%}: {'; '.join(slower)}")


if __name__ == "__main__":
    main()
