#!/usr/bin/env python3
"""Computes the figures of `likeness eval match --pairs ... --out OUT` again from OUT/scores.csv, with scikit-learn and SciPy.

    check_statistics.py OUT
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn.metrics import roc_curve


def main():
    out = Path(sys.argv[1])
    report = json.loads((out / "report.json").read_text())
    with open(out / "scores.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["similarity"]]
    label = np.array([int(row["label"]) for row in rows])
    # The scores are single-precision numbers, and ties must stay ties.
    score = np.array([np.float64(np.float32(row["similarity"])) for row in rows])
    false_match, true_match, thresholds = roc_curve(label, score, drop_intermediate=False)
    checked = 0

    def same(name, found, expected, tolerance=1e-9):
        nonlocal checked
        checked += 1
        if not abs(found - expected) <= tolerance:
            sys.exit(f"{name}: report {found}, here {expected}")

    for row in report["at_false_match_rates"]:
        impostors = int((label == 0).sum())
        if row["sufficient_data"] != (impostors >= round(30 / row["false_match_rate"])):
            sys.exit(f"sufficient data for {row['false_match_rate']}?")
        if row["sufficient_data"]:
            # The last point of the ROC curve with no more false matches.
            best = np.flatnonzero(false_match <= row["false_match_rate"] + 1e-12)[-1]
            same("FNMR", row["false_non_match_rate"]["value"], 1 - true_match[best])
    equal = brentq(lambda x: 1 - x - interp1d(false_match, true_match)(x), 0, 1, xtol=1e-12)
    same("EER", report["equal_error_rate"]["rate"]["value"], equal, 1e-6)
    for profile in report["profiles"]:
        for bound in (profile["reject_below"], profile["review_below"]):
            reached = score >= bound["similarity"]
            same("FMR", bound["false_match_rate"]["value"], reached[label == 0].mean())
            same("FNMR", bound["false_non_match_rate"]["value"], (~reached[label == 1]).mean())
    for point in report["det"]:
        reached = score >= point["threshold"]
        same("DET", point["false_positive"], reached[label == 0].mean())
        same("DET", point["false_negative"], (~reached[label == 1]).mean())
    if len(thresholds) < 3 or checked < 10:
        sys.exit("there was too little to check")
    print(f"{checked} figures agree")


if __name__ == "__main__":
    main()
