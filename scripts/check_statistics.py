#!/usr/bin/env python3
"""Computes the figures of `likeness eval ... --out OUT` again from OUT/scores.csv, with scikit-learn and SciPy, which it
installs to a virtual environment of its own.

    check_statistics.py [OUT ...]    without a folder: evaluates development images and checks those reports
"""

import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from environment import ROOT, SHARED, enter, interpreter

REQUIREMENTS = ["numpy==2.2.6", "scipy==1.15.3", "scikit-learn==1.6.1"]
LIKENESS = ROOT / "target/release/likeness"


class Checked:
    """Compares figures and counts them."""

    def __init__(self, out):
        self.out = out
        self.figures = 0

    def same(self, name, found, expected, tolerance=1e-9):
        self.figures += 1
        # Also where one of them is no number.
        if not abs(found - expected) <= tolerance:
            sys.exit(f"{self.out}: {name}: report {found}, here {expected}")

    def value(self, name, estimate, expected, tolerance=1e-9):
        """A rate with its interval, which holds it."""
        self.same(name, estimate["value"], expected, tolerance)
        interval = estimate["interval"]
        if interval and not interval["low"] <= interval["high"]:
            sys.exit(f"{self.out}: {name}: interval {interval}")


def equal_error_rate(label, score):
    """Where the straight lines of the ROC curve cross the diagonal."""
    from scipy.interpolate import interp1d
    from scipy.optimize import brentq
    from sklearn.metrics import roc_curve

    false, true, _ = roc_curve(label, score, drop_intermediate=False)
    return brentq(lambda x: 1 - x - interp1d(false, true)(x), 0, 1, xtol=1e-12)


def match(report, rows, checked):
    import numpy as np
    from sklearn.metrics import roc_curve

    rows = [row for row in rows if row["similarity"]]
    label = np.array([int(row["label"]) for row in rows])
    # The scores are single-precision numbers, and ties must stay ties.
    score = np.array([np.float64(np.float32(row["similarity"])) for row in rows])
    false_match, true_match, _ = roc_curve(label, score, drop_intermediate=False)
    impostors = int((label == 0).sum())

    for row in report["at_false_match_rates"]:
        if row["sufficient_data"] != (impostors >= round(30 / row["false_match_rate"])):
            sys.exit(f"{checked.out}: sufficient data for {row['false_match_rate']}?")
        if row["sufficient_data"]:
            # The last point of the ROC curve with no more false matches.
            best = np.flatnonzero(false_match <= row["false_match_rate"] + 1e-12)[-1]
            checked.value("FNMR", row["false_non_match_rate"], 1 - true_match[best])
    equal = report["equal_error_rate"]
    checked.value("EER", equal["rate"], equal_error_rate(label, score), 1e-6)

    def share(of, threshold):
        return (score[label == of] >= threshold).mean()

    def rates(found):
        checked.value("FMR", found["false_match_rate"], share(0, found["similarity"]))
        checked.value("FNMR", found["false_non_match_rate"], 1 - share(1, found["similarity"]))

    def shares(found, reject, review):
        for kind, of in (("genuine", 1), ("impostor", 0)):
            checked.same("pass", found[kind]["pass"], share(of, review))
            checked.same("review", found[kind]["review"], share(of, reject) - share(of, review))
            checked.same("reject", found[kind]["reject"], 1 - share(of, reject))

    for profile in report["profiles"]:
        rates(profile["reject_below"])
        rates(profile["review_below"])
        shares(profile, profile["reject_below"]["similarity"], profile["review_below"]["similarity"])
    for row in report["what_if"]:
        rates(row)
        for profile, moved in zip(report["profiles"], row["profiles"], strict=True):
            if moved["as_reject_below"]:
                shares(moved["as_reject_below"], row["similarity"], profile["review_below"]["similarity"])
            if moved["as_review_below"]:
                shares(moved["as_review_below"], profile["reject_below"]["similarity"], row["similarity"])
    for point in report["det"]:
        checked.same("DET", point["false_positive"], share(0, point["threshold"]))
        checked.same("DET", point["false_negative"], 1 - share(1, point["threshold"]))


def liveness(report, rows, checked):
    import numpy as np
    from sklearn.metrics import roc_curve

    def scores(species):
        return np.array([float(row["liveness"]) for row in rows if row["species"] == species and row["liveness"]])

    def shown(species):
        """Presentations: a file that is not there is none."""
        return [row for row in rows if row["species"] == species and row["status"] not in ("missing", "unreadable")]

    def non_response(found, species):
        presentations = shown(species)
        missed = sum(row["status"] != "ok" for row in presentations)
        checked.same("presentations", found["presentations"], len(presentations))
        checked.same("non-response", found["rate"], missed / len(presentations))

    live = scores("live")
    attacks = {one["species"]: scores(one["species"]) for one in report["species"]}
    if set(attacks) != {row["species"] for row in rows} - {"live"}:
        sys.exit(f"{checked.out}: species {sorted(attacks)}")
    non_response(report["bona_fide_non_response"], "live")
    for at in report["at_thresholds"] + report["what_if"]:
        threshold = at["threshold"]
        bpcer = (live < threshold).mean()
        checked.value("BPCER", at["bpcer"], bpcer)
        apcers = {}
        for one in at["apcer_by_species"]:
            if one["apcer"] is None:
                continue
            apcers[one["species"]] = (attacks[one["species"]] >= threshold).mean()
            checked.value("APCER", one["apcer"], apcers[one["species"]])
        checked.same("worst APCER", at["apcer"], max(apcers.values()))
        checked.same("worst species", apcers[at["worst_species"]], max(apcers.values()))
        checked.same("ACER", at["acer_for_comparison_only"], (max(apcers.values()) + bpcer) / 2)
    for one in report["species"]:
        attack = attacks[one["species"]]
        non_response(one["non_response"], one["species"])
        if not len(attack):
            continue
        label = np.concatenate([np.ones(len(live)), np.zeros(len(attack))])
        score = np.concatenate([live, attack])
        passed, lived, _ = roc_curve(label, score, drop_intermediate=False)
        for at in one["bpcer_at"]:
            if at["sufficient_data"] != (len(attack) >= at["apcer_one_in"]):
                sys.exit(f"{checked.out}: sufficient data for BPCER{at['apcer_one_in']}?")
            if at["sufficient_data"]:
                best = np.flatnonzero(passed <= 1 / at["apcer_one_in"] + 1e-12)[-1]
                checked.value(f"BPCER{at['apcer_one_in']}", at["bpcer"], 1 - lived[best])
        checked.same("EER", one["equal_error_rate"]["rate"], equal_error_rate(label, score), 1e-6)
        for point in one["det"]:
            checked.same("DET", point["false_positive"], (attack >= point["threshold"]).mean())
            checked.same("DET", point["false_negative"], (live < point["threshold"]).mean())


def check(out):
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    with open(out / "scores.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    checked = Checked(out)
    (match if "comparisons" in report else liveness)(report, rows, checked)
    if checked.figures < 10:
        sys.exit(f"{out}: there was too little to check")
    print(f"{out.name}: {checked.figures} figures agree")


def swapped(labels, folder):
    """The list with an attack called live now and then and the other way round, so that the two overlap."""
    with open(labels, newline="", encoding="utf-8") as file:
        rows = [(row["file"], row["species"]) for row in csv.DictReader(file)]
    other = {"live": "print", "print": "live"}
    mixed = folder / "mixed.csv"
    with open(mixed, "w", newline="", encoding="utf-8") as file:
        lines = [(name, other.get(kind, kind) if index % 7 == 0 else kind) for index, (name, kind) in enumerate(rows)]
        csv.writer(file).writerows([("file", "species"), *lines])
    return mixed


def evaluate(out, *arguments):
    command = [LIKENESS, "eval", *arguments, "--out", out]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return out


def development(folder):
    """Reports on development images: pairs that overlap and pairs that do not, and liveness likewise."""
    data = SHARED / "data"
    if not data.is_dir():
        sys.exit(f"check_statistics: {data} is needed")
    labels, root = data / "liveness/labels.csv", data / "liveness"
    lfw = data / "lfw-dev"
    yield evaluate(folder / "faces", "match", "--pairs", data / "faces/pairs.csv")
    yield evaluate(folder / "lfw-test", "match", "--pairs", lfw / "pairs-test.csv", "--root", lfw / "images", "--face", "centre")
    yield evaluate(folder / "liveness", "liveness", "--labels", labels, "--root", root)
    yield evaluate(folder / "liveness-mixed", "liveness", "--labels", swapped(labels, folder), "--root", root)


def main():
    enter(interpreter("statistics-venv", REQUIREMENTS))
    if sys.argv[1:]:
        for out in sys.argv[1:]:
            check(Path(out))
        return
    with tempfile.TemporaryDirectory() as folder:
        for out in development(Path(folder)):
            check(out)


if __name__ == "__main__":
    main()
