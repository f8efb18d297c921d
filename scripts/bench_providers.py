#!/usr/bin/env python3
"""Times the models and whole verifications with an execution provider and with `cpu`, in turn in the same minute, and prints a
table of the times and their ratios.

    bench_providers.py PROVIDER [--option NAME=VALUE ...] [--rounds N] [--calls N] [--runs N] [--batches N,N...]
                       [--tools FOLDER]

The rows are bare calls of one session of each model (the tool `time_models`: the shortest call of a round), the embedder with
batches too, and the stages of a verification of faces/img2.jpg and faces/img11.jpg with one worker (the tool `time_verify`: the
median of a round). Times are medians of the rounds, ratios medians of the rounds' ratios: above 1, `cpu` takes longer.
"""

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

from bench_reference import medians
from environment import ROOT, SHARED


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("provider")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="of the provider")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is run (default: %(default)s)")
    parser.add_argument("--calls", type=int, default=200, help="calls of a model a round (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=15, help="verifications a round (default: %(default)s)")
    parser.add_argument("--batches", default="1,2,4,8", help="of the embedder (default: %(default)s)")
    parser.add_argument("--tools", type=Path, metavar="FOLDER", help="has the two programs; they are built unless given")
    arguments = parser.parse_args()
    options = [option.split("=", 1) for option in arguments.option]
    if any(len(option) != 2 for option in options):
        parser.error("--option must be NAME=VALUE")
    pictures = [SHARED / "data" / "faces" / name for name in ("img2.jpg", "img11.jpg")]
    if not all(picture.is_file() for picture in pictures):
        sys.exit("bench_providers: ../shared/data/faces is needed")

    if arguments.tools is None:
        tools = ["-p", "likeness-tools", *(argument for name in ("time_models", "time_verify") for argument in ("--bin", name))]
        build = ["cargo", "build", "--release", "--locked", "--target-dir", "target", *tools]
        subprocess.run(build, check=True, cwd=ROOT)
    folder = (arguments.tools or ROOT / "target" / "release").resolve()
    commands = [
        [folder / "time_models", str(arguments.calls), *arguments.batches.split(",")],
        [folder / "time_verify", *pictures, str(arguments.runs)],
    ]
    rounds = []
    for _ in range(arguments.rounds):
        turn = []
        for provider, of_provider in (("cpu", []), (arguments.provider, options)):
            turn.append({name: time for command in commands for name, time in medians(command, provider, of_provider).items()})
        rounds.append(turn)

    print(f"| | cpu | {arguments.provider} | cpu / {arguments.provider} |\n|---|---|---|---|")
    for name in rounds[0][0]:
        cpu, other = (statistics.median(turn[i][name] for turn in rounds) for i in (0, 1))
        ratio = statistics.median(turn[0][name] / turn[1][name] for turn in rounds)
        print(f"| {name} | {cpu:.2f} ms | {other:.2f} ms | {ratio:.2f} |")


if __name__ == "__main__":
    main()
