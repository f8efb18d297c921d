#!/usr/bin/env python3
"""Measures FMR and FNMR on a list of pairs and plots both against the threshold of the match confidence.

    error_rates.py pairs.csv --root images --plot rates.svg

The list has the columns left, right (paths below --root) and label (1: the same person). For error rates with confidence
intervals and by group, use `likeness eval match`.
"""

import argparse
import csv
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import likeness


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--root", type=Path, help="default: the folder of the list")
    parser.add_argument("--pack")
    parser.add_argument("--models", type=Path)
    parser.add_argument("--plot", type=Path, help="SVG, PNG or PDF to write; needs matplotlib")
    arguments = parser.parse_args()
    root = arguments.root or arguments.pairs.parent
    with arguments.pairs.open(newline="") as file:
        pairs = [(row["left"], row["right"], row["label"] == "1") for row in csv.DictReader(file)]

    engine = likeness.Engine(arguments.pack, models=arguments.models)

    def embedding(name):
        try:
            faces = engine.embed(root / name)
        except likeness.LikenessError as error:
            print(f"{name}: {error}", file=sys.stderr)
            faces = []
        return name, faces[0].embedding if faces else None

    # Requests release the GIL: threads are enough.
    names = sorted({name for left, right, _ in pairs for name in (left, right)})
    with ThreadPoolExecutor() as threads:
        embeddings = dict(threads.map(embedding, names))
    scores = {True: [], False: []}
    for left, right, is_genuine in pairs:
        one, other = embeddings[left], embeddings[right]
        # An image without a face matches no other image.
        is_missing = one is None or other is None
        scores[is_genuine].append(0.0 if is_missing else engine.compare(one, other).confidence)
    genuine, impostor = np.sort(scores[True]), np.sort(scores[False])
    print(f"{len(genuine)} genuine and {len(impostor)} impostor pairs, pack {engine.pack}")
    if not len(genuine) or not len(impostor):
        sys.exit("error rates need pairs of both kinds")

    thresholds = np.linspace(0, 1, 1001)
    fnmr = np.searchsorted(genuine, thresholds, side="left") / len(genuine)
    fmr = 1 - np.searchsorted(impostor, thresholds, side="left") / len(impostor)
    print("threshold     FMR    FNMR")
    for threshold in (0.40, 0.56, 0.70):
        at = round(threshold * 1000)
        print(f"{threshold:9.2f} {fmr[at]:7.3%} {fnmr[at]:7.3%}")
    if arguments.plot:
        draw(arguments.plot, thresholds, fmr, fnmr)
        print(f"wrote {arguments.plot}")


def draw(path, thresholds, fmr, fnmr):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    axes.step(thresholds, fmr, where="post", label="FMR")
    axes.step(thresholds, fnmr, where="post", label="FNMR")
    axes.set_xlabel("threshold on the match confidence")
    axes.set_ylabel("error rate")
    axes.set_yscale("symlog", linthresh=1e-3)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, bbox_inches="tight")


if __name__ == "__main__":
    main()
