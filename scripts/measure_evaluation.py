#!/usr/bin/env python3
"""Runs `likeness eval match` once over all pairs of LFW's training images and prints images per second and peak memory.

    measure_evaluation.py [ARGUMENT ...]    arguments for `likeness eval` instead, without --out
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from environment import ROOT, SHARED



def main():
    lfw = SHARED / "data" / "lfw-dev"
    arguments = sys.argv[1:] or ["match", "--all-pairs", "--face", "centre", "--pairs", lfw / "pairs-train.csv"] + [
        "--root", lfw / "images"]
    with tempfile.TemporaryDirectory() as out:
        command = [ROOT / "target/release/likeness", "eval", *arguments, "--out", out]
        begin = time.monotonic()
        ended = subprocess.run(command, stdout=subprocess.DEVNULL, cwd=ROOT)
        wall = time.monotonic() - begin
        if ended.returncode != 0:
            sys.exit(ended.returncode)
        report = json.loads((Path(out) / "report.json").read_text())
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Linux counts in KiB, macOS in bytes.
    peak = used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    images = report["acquisition"]["pictures"]
    comparisons = sum(report["comparisons"].values()) if "comparisons" in report else 0
    print(f"{images:,} images and {comparisons:,} comparisons in {wall:.1f} s: {images / wall:.1f} images/s")
    print(f"{used.ru_utime + used.ru_stime:.1f} s of processor time, peak memory {peak:.0f} MiB")


if __name__ == "__main__":
    main()
