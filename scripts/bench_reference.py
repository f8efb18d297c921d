#!/usr/bin/env python3
"""Runs Likeness and the plain Python pipeline ../shared/reference/reference.py in turn, in the same minute, on one thread
each, and prints the medians and their ratio.

    bench_reference.py [--rounds N] [--runs N] [--provider NAME] [SELFIE PHOTO]

With --provider Likeness is run with this execution provider too, in the same turns.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

from environment import ROOT, SHARED, interpreter

REQUIREMENTS = ["numpy==2.2.6", "opencv-python-headless==4.12.0.88", "onnxruntime==1.32.0", "pillow==12.0.0"]


def medians(command, provider="cpu", options=()):
    """What a command prints, by its name in order, in milliseconds; with this execution provider and options of it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIKENESS__ENGINE__")}
    environment["LIKENESS__ENGINE__PROVIDER"] = provider
    for name, value in options:
        environment[f"LIKENESS__ENGINE__{name.upper()}"] = value
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    if run.returncode != 0:
        sys.exit(f"{Path(command[0]).name} with {provider}: {run.stderr.strip()}")
    return {name: float(time) for name, time in re.findall(r"^(\S+)\s+([\d.]+) ms$", run.stdout, re.M)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="*", metavar="SELFIE PHOTO")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is run (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=15, help="verifications a round (default: %(default)s)")
    parser.add_argument("--provider", help="an execution provider besides cpu")
    arguments = parser.parse_args()
    faces = SHARED / "data" / "faces"
    pictures = arguments.pictures or [str(faces / "img2.jpg"), str(faces / "img11.jpg")]
    reference = SHARED / "reference" / "reference.py"
    if len(pictures) != 2 or not reference.is_file():
        sys.exit("bench_reference: two pictures and ../shared/reference/reference.py are needed")

    build = ["cargo", "build", "--release", "--locked", "--target-dir", "target", "-p", "likeness-tools", "--bin", "time_verify"]
    subprocess.run(build, check=True, cwd=ROOT)
    ours = [ROOT / "target/release/time_verify", *pictures, str(arguments.runs)]
    theirs = [interpreter("reference-venv", REQUIREMENTS), reference, *pictures, str(arguments.runs)]
    providers = ["cpu"] + ([arguments.provider] if arguments.provider else [])
    rounds = [
        [medians(ours, provider) for provider in providers] + [medians(theirs)] for _ in range(arguments.rounds)
    ]

    names = ["Likeness"] + [f"with {provider}" for provider in providers[1:]]
    print(f"{'':9}" + "".join(f" {name:>13}" for name in [*names, "reference"]) + "".join(f" {'ratio':>6}" for _ in names))
    for stage in rounds[0][0]:
        times = [statistics.median(times[stage] for times in column) for column in zip(*rounds)]
        ratios = [statistics.median(turn[i][stage] / turn[-1][stage] for turn in rounds) for i in range(len(names))]
        print(f"{stage:9}" + "".join(f" {time:10.2f} ms" for time in times) + "".join(f" {ratio:6.2f}" for ratio in ratios))


if __name__ == "__main__":
    main()
