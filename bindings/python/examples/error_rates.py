#!/usr/bin/env python3
"""Measures FMR, FNMR and FTA on a list of pairs and plots FMR and FNMR against the threshold of the match confidence.

    error_rates.py pairs.csv --root images --plot rates.svg

The list has the columns left, right (paths below --root) and label (1: the same person, 0: different people). An image without a
usable face is a failure to acquire: its pairs are in neither FMR nor FNMR. For error rates with confidence intervals and by group,
use `likeness eval match`.
"""

import argparse
import csv
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import likeness

LABELS = {"1": True, "0": False}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--root", type=Path, help="default: the folder of the list")
    parser.add_argument("--pack")
    parser.add_argument("--models", type=Path)
    parser.add_argument("--plot", type=Path, help="SVG, PNG or PDF to write; needs matplotlib")
    arguments = parser.parse_args()
    # Faults are found before the measurement, which may take long.
    pyplot = plotter(arguments.plot) if arguments.plot else None
    root = arguments.root or arguments.pairs.parent
    try:
        pairs = read(arguments.pairs, root)
    except OSError as error:
        sys.exit(f"cannot read {error.filename}: {error.strerror}")

    try:
        engine = likeness.Engine(arguments.pack, models=arguments.models)
    except likeness.SetupError as error:
        sys.exit(str(error))
    names = sorted({name for left, right, _ in pairs for name in (left, right)})
    try:
        embeddings = embed(engine, root, names)
    except OSError as error:
        sys.exit(f"cannot read {error.filename}: {error.strerror}")
    missed = [name for name in names if embeddings[name] is None]
    scores = {True: [], False: []}
    for left, right, is_genuine in pairs:
        one, other = embeddings[left], embeddings[right]
        if one is not None and other is not None:
            scores[is_genuine].append(engine.compare(one, other).confidence)
    genuine, impostor = np.sort(scores[True]), np.sort(scores[False])
    print(f"{len(genuine)} genuine and {len(impostor)} impostor pairs, pack {engine.pack}")
    left_out = len(pairs) - len(genuine) - len(impostor)
    print(f"FTA {len(missed) / len(names):.3%}: {len(missed)} of {len(names)} images; {left_out} pairs are in no rate")
    if not len(genuine) or not len(impostor):
        sys.exit("error rates need pairs of both kinds")

    thresholds = np.linspace(0, 1, 1001)
    fnmr = np.searchsorted(genuine, thresholds, side="left") / len(genuine)
    fmr = 1 - np.searchsorted(impostor, thresholds, side="left") / len(impostor)
    print("threshold     FMR    FNMR")
    for threshold in (0.40, 0.56, 0.70):
        at = round(threshold * 1000)
        print(f"{threshold:9.2f} {fmr[at]:7.3%} {fnmr[at]:7.3%}")
    if pyplot:
        draw(pyplot, arguments.plot, thresholds, fmr, fnmr)
        print(f"wrote {arguments.plot}")


def read(path, root):
    """Reads the list; exits where a line is invalid or names a missing file."""
    pairs = []
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        if missing := {"left", "right", "label"} - set(rows.fieldnames or []):
            sys.exit(f"{path}: missing columns: {', '.join(sorted(missing))}")
        for row in rows:
            place, label = f"{path}, line {rows.line_num}", row["label"]
            if label not in LABELS:
                sys.exit(f"{place}: label is {label!r}; use 1 (same person) or 0 (different people)")
            for name in (row["left"], row["right"]):
                if not name or not (root / name).is_file():
                    sys.exit(f"{place}: missing file {root / (name or '')}")
            pairs.append((row["left"], row["right"], LABELS[label]))
    if not pairs:
        sys.exit(f"{path}: no pairs")
    return pairs


def embed(engine, root, names):
    """Returns the embeddings of the images by name; None for an image without a usable face."""

    def embedding(name):
        try:
            faces = engine.embed(root / name)
        except likeness.LikenessError as error:
            print(f"{name}: {error}", file=sys.stderr)
            faces = []
        return name, faces[0].embedding if faces else None

    # Requests release the GIL: threads are enough.
    with ThreadPoolExecutor() as threads:
        return dict(threads.map(embedding, names))


def plotter(path):
    if not path.parent.is_dir():
        sys.exit(f"--plot {path}: there is no folder {path.parent}")
    try:
        import matplotlib
    except ImportError:
        sys.exit("--plot needs matplotlib: pip install matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def draw(pyplot, path, thresholds, fmr, fnmr):
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
