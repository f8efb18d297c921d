#!/usr/bin/env python3
"""Makes variants of smaller numbers of the models of the pack open-1, measures how fast they are, and what those that are faster
do to the error rates: the tables of "Precision" in docs/performance.md. Everything is left in .out/precision; the pack that
docs/packs.md speaks of, with a match calibration of its own, in .out/precision/open-1-int8.

    precision.py [--made]    with --made the variants of the last run are taken
"""

import csv
import hashlib
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import accuracy
from accuracy import DATA, LIKENESS, ROOT, estimate, table
from bench_reference import medians

OUT = Path(".out/precision")
MODELS = ROOT / OUT
TOOL = "target/release/precision"
# The pack open-1 with the embedder in 8 bits; and, only to see what that does, with the whole of it and with the liveness
# models.
PACK, WHOLE, LIVENESS = OUT / "open-1-int8", OUT / "whole-int8", OUT / "liveness-int8"
EMBEDDER = {"face-reidentification-retail-0095": "int8-ends-fp32"}
WHOLE_EMBEDDER = {"face-reidentification-retail-0095": "int8-qoperator"}
LIVENESS_MODELS = {"minifasnet_v2": "int8-qoperator", "minifasnet_v1se": "int8-qoperator"}
RATES = (1e-3, 1e-4)
# The bounds of optimal-v0, and the highest of all.
THRESHOLDS = (0.4, 0.6, 0.8)
ROUNDS, RUNS = 7, 15


def run(*command):
    subprocess.run(list(map(str, command)), check=True, cwd=ROOT)


def make_variants():
    shutil.rmtree(MODELS, ignore_errors=True)
    run(TOOL, "inputs", OUT, DATA)
    run(sys.executable, "scripts/quantize.py", OUT)


def make_pack(pack, variants):
    """The manifest of open-1 with models replaced, their files beside it; without what the scores mean."""
    text = (ROOT / "models/open-1/pack.toml").read_text(encoding="utf-8")
    text = text[text.index("format = "):text.index("# ---- What the scores mean")]
    text = "# Made by scripts/precision.py of the pack open-1: models in 8 bits.\n" + text
    text = text.replace('name = "open-1"', f'name = "{pack.name}"', 1)
    shutil.rmtree(ROOT / pack, ignore_errors=True)
    (ROOT / pack).mkdir(parents=True)
    for model, variant in variants.items():
        made = (MODELS / f"{model}.{variant}.onnx").read_bytes()
        name = f"{model}-int8"
        (ROOT / pack / f"{name}.onnx").write_bytes(made)
        text = without_sources(text, model)
        # What the model of FP32 answers to the pattern is not what this one does.
        self_test = r"((?:\n#[^\n]*)*)\nself_test = [^\n]*"
        text = re.sub(rf'(model = )"{model}"((?:(?!\n\[\[).)*?){self_test}', rf'\1"{name}"\2', text, flags=re.S)
        text = re.sub(rf"\[models\.{model}\]\n(?:[^\n]+\n)+", lambda _: (
            f'[sources."{name}.onnx"]\nsha256 = "{hashlib.sha256(made).hexdigest()}"\nlicense = "Apache-2.0"\n'
            f'attribution = "{model} in 8 bits, made by scripts/quantize.py"\n\n'
            f'[models.{name}]\nimport = {{ from = "onnx", file = "{name}.onnx" }}\n'), text)
    (ROOT / pack / "pack.toml").write_text(text, encoding="utf-8")


def calibrate(pack):
    """Gives the pack a match calibration, fitted as that of open-1 is."""
    lfw = DATA / "lfw-dev"
    measured, manifest = OUT / "match.toml", ROOT / pack / "pack.toml"
    run(LIKENESS, "calibrate", "match", "--pairs", lfw / "pairs-train.csv", "--root", lfw / "images", "--all-pairs",
        "--face", "centre", "--name", "lfw-dev", "--pack", pack, "--out", measured)
    calibration = (ROOT / measured).read_text(encoding="utf-8")
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(text + calibration[calibration.index("[calibration.match]"):], encoding="utf-8")


def without_sources(text, model):
    """The manifest without the files that the model was made of."""
    recipe = re.search(rf"\[models\.{model}\]\nimport = ([^\n]*)", text).group(1)
    for file in re.findall(r'"([^"]+)"', recipe):
        text = re.sub(rf'\[sources\."{re.escape(file)}"\]\n(?:[^\n]+\n)+\n', "", text)
    return text


def evaluate(name, pack, *arguments):
    """The reports and the scores of open-1 and of this one."""
    found = [accuracy.evaluate(f"{name}-{Path(one).name}", *arguments, "--pack", one) for one in ("open-1", pack)]
    return [report for report, _, _ in found], [scores for _, scores, _ in found]


def judged(before, after):
    """Whether a rate stays inside the interval that FP32's has."""
    interval = before["interval"]
    if interval is None:
        return "same" if before["value"] == after["value"] else "no interval"
    return "inside" if interval["low"] <= after["value"] <= interval["high"] else "**outside**"


def row(what, before, after, bounds=(None, None)):
    change = f"{100 * (after['value'] - before['value']):+.2f} points"
    return [what, estimate(before, bounds[0]), estimate(after, bounds[1]), change, judged(before, after)]


def match_rows(pack, *names):
    lfw = DATA / "lfw-dev"
    rows = []
    for name in names:
        (before, after), _ = evaluate(f"lfw-{name}", pack, "match", "--pairs", lfw / f"pairs-{name}.csv", "--root",
                                      lfw / "images", "--all-pairs", "--face", "centre")
        for rate in RATES:
            at = [next(one for one in report["at_false_match_rates"] if one["false_match_rate"] == rate)
                  ["false_non_match_rate"] for report in (before, after)]
            rows.append(row(f"LFW {name}: FNMR at FMR {rate:.0e}".replace("e-0", "e-"), *at))
        # Where the thresholds lie that the pack's own calibration was given on the training pictures.
        bounds = [next(one for one in report["profiles"] if one["profile"] == "optimal-v0")["review_below"]
                  for report in (before, after)]
        for key, title in (("false_match_rate", "FMR"), ("false_non_match_rate", "FNMR")):
            rows.append(row(f"LFW {name}: {title} at confidence {bounds[0]['confidence']}", bounds[0][key], bounds[1][key],
                            [bound.get(f"{key}_at_most") for bound in bounds]))
    return rows


def liveness_rows():
    rows = []
    presentations = accuracy.presentations()
    _, held_out = accuracy.halves(presentations)
    for name, part in (("held-out half", held_out), ("all", presentations)):
        labels = OUT / "labels.csv"
        with open(ROOT / labels, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("file", "species", "person"), *part])
        (before, after), scores = evaluate(f"liveness-{name.split()[0]}", LIVENESS, "liveness", "--labels", labels,
                                           "--root", DATA / "liveness")
        for at in zip(before["at_thresholds"], after["at_thresholds"]):
            if at[0]["threshold"] not in THRESHOLDS:
                continue
            where = f"at {at[0]['threshold']:.2f}, {name}"
            prints = [next(one for one in report["apcer_by_species"] if one["species"] == "print") for report in at]
            rows.append(row(f"APCER of prints {where}", *(one["apcer"] for one in prints),
                            [one["apcer_at_most"] for one in prints]))
            rows.append(row(f"BPCER {where}", *(one["bpcer"] for one in at)))
        moved = [abs(float(one["liveness"]) - float(other["liveness"])) for one, other in zip(*scores) if one["liveness"]]
        mean, largest = f"{statistics.mean(moved):.4f}", f"{max(moved):.4f}"
        rows.append([f"scores, {name}", "", "", f"{mean} in the mean, {largest} at most", ""])
    return rows


def verification():
    """A whole verification with each pack, in turn on one thread."""
    faces = DATA / "faces"
    command = ["target/release/time_verify", str(faces / "img2.jpg"), str(faces / "img11.jpg"), str(RUNS)]
    rounds = [(medians([*command, "open-1"]), medians([*command, str(PACK)])) for _ in range(ROUNDS)]
    rows = []
    for stage in rounds[0][0]:
        before, after = (statistics.median(one[index][stage] for one in rounds) for index in (0, 1))
        ratio = statistics.median(one[0][stage] / one[1][stage] for one in rounds)
        rows.append([stage, f"{before:.2f} ms", f"{after:.2f} ms", f"{ratio:.2f}"])
    return rows


def main():
    if not (ROOT / DATA / "lfw-dev").is_dir():
        sys.exit(f"precision: {DATA} is needed")
    if sys.argv[1:] != ["--made"]:
        make_variants()
    run(TOOL, "time", OUT)
    print(flush=True)
    make_pack(PACK, EMBEDDER)
    make_pack(LIVENESS, LIVENESS_MODELS)
    make_pack(WHOLE, WHOLE_EMBEDDER)
    calibrate(PACK)
    calibrate(WHOLE)
    accuracy.OUT = OUT / "evaluations"
    header = ["", "FP32", "INT8", "change", "of FP32's interval"]
    print("\n".join(["", *table(header, match_rows(PACK, "test", "train"))]), flush=True)
    print("\n".join(table([WHOLE.name, *header[1:]], match_rows(WHOLE, "test"))), flush=True)
    print("\n".join(table(header, liveness_rows())), flush=True)
    print("\n".join(table(["stage", "FP32", "INT8", "speed ratio"], verification())), flush=True)


if __name__ == "__main__":
    main()
