#!/usr/bin/env python3
"""Measures Likeness on the development images with its own commands and writes docs/accuracy.md from their reports.

    accuracy.py

Each section is a function that runs what it needs with `evaluate` and gives the lines of its part of the page; `main` puts
them together.
"""

import csv
import json
import os
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What the commands on the page call it, whatever LIKENESS_SHARED says, from the root of the checkout.
SHOWN = "../shared"
SHARED = Path(os.path.abspath(os.environ["LIKENESS_SHARED"])) if os.environ.get("LIKENESS_SHARED") else Path(SHOWN)
DATA = SHARED / "data"
OUT = Path(".out/accuracy")
PAGE = ROOT / "docs" / "accuracy.md"
LIKENESS = "target/release/likeness"
# What follows on the page is written by hand and kept.
MARK = "<!-- From here on written by hand; scripts/accuracy.py keeps it. -->"


def evaluate(name, *arguments):
    """Runs `likeness eval ...` into OUT/name; its report, its scores and the command for the page."""
    print(f"likeness eval {arguments[0]}: {name}", file=sys.stderr)
    command = ["eval", *map(str, arguments), "--out", str(OUT / name)]
    subprocess.run([LIKENESS, *command], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    report = json.loads((ROOT / OUT / name / "report.json").read_text(encoding="utf-8"))
    shown = shlex.join([LIKENESS, *command]).replace(str(SHARED), SHOWN)
    return report, scores(name), ["```sh", shown.replace(" --", " \\\n  --", 1), "```", ""]


def scores(name):
    path = ROOT / OUT / name / "scores.csv"
    # Where all pairs are compared they are not written.
    if not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def percent(rate):
    """As the reports print it: with digits that say something."""
    hundred = 100 * rate
    if hundred == 0:
        return "0 %"
    if hundred >= 0.1:
        return f"{hundred:.2f} %"
    if hundred >= 0.001:
        return f"{hundred:.4f} %"
    return f"{hundred:.1e} %".replace("e-0", "e-")


def estimate(found, at_most=None):
    """A rate with its interval, or with what it may still be where no error was seen."""
    if found is None:
        return "-"
    if at_most is not None:
        return f"{percent(found['value'])} (at most {percent(at_most)})"
    interval = found["interval"]
    if interval is None:
        return percent(found["value"])
    return f"{percent(found['value'])} ({percent(interval['low'])} to {percent(interval['high'])})"


def at_most(trials):
    """The 95 % bound where no error was seen, were the trials independent."""
    return 1 - 0.05 ** (1 / trials)


def binomial(right, trials):
    """Wilson's 95 % interval of a share, were the trials independent."""
    z, share = 1.959964, right / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * (share * (1 - share) / trials + z * z / (4 * trials * trials)) ** 0.5
    return f"{share:.4f} ({middle - half:.4f} to {middle + half:.4f})"


def prose(*paragraphs):
    """Paragraphs and list items, broken at the width of the other pages."""
    lines = []
    for text in paragraphs:
        item = text.startswith("- ")
        lines += textwrap.wrap(text, 120, subsequent_indent="  " if item else "", break_long_words=False,
                               break_on_hyphens=False)
        if not item:
            lines.append("")
    return lines


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows] + [""]


def acquisition(report):
    """Failures to acquire in a sentence."""
    found = report["acquisition"]
    failures, pictures = found["failures_to_acquire"], found["pictures"]
    unread = sum(found["by_status"].get(status, 0) for status in ("missing", "unreadable"))
    if unread:
        sys.exit(f"accuracy: {unread} images of the list are missing")
    if failures == 0:
        return f"no failure to acquire (at most {percent(at_most(pictures))})"
    return f"{failures} failures to acquire ({percent(found['failure_to_acquire_rate'])})"


def profile_bounds(report):
    """FMR and FNMR at the bounds of each profile."""
    rows = []
    for profile in report["profiles"]:
        for name in ("reject_below", "review_below"):
            bound = profile[name]
            rows.append([
                f"`{profile['profile']}`",
                f"{name.split('_')[0]} below {bound['confidence']:.2f}",
                f"{bound['similarity']:.4f}",
                estimate(bound["false_match_rate"], bound["false_match_rate_at_most"]),
                estimate(bound["false_non_match_rate"]),
            ])
    return table(["profile", "threshold", "similarity", "FMR", "FNMR"], rows)


def profile_shares(report):
    """What becomes of genuine and impostor comparisons."""
    rows = []
    for profile in report["profiles"]:
        for kind in ("genuine", "impostor"):
            shares = profile[kind]
            rows.append([f"`{profile['profile']}`", kind] + [
                percent(shares[name]) for name in ("pass", "review", "reject")])
    return table(["profile", "comparisons", "pass", "review", "reject"], rows)


def introduction(setup):
    return ["# Accuracy", "", *prose(
        "Measured error rates of the default pack, how to read them, and what cannot be claimed. `make accuracy` runs the commands below on the development images and writes this page up to [Image quality](#image-quality); do not edit that part by hand.",
        f"**Measured with** Likeness {setup['likeness']}, pack `{setup['pack']}`, execution provider "
        f"`{setup['provider']}`, ONNX Runtime {setup['onnx_runtime']}. Calibration of the match confidence: "
        f"{setup['match_calibration']}; of the liveness score: {setup['liveness_calibration']}. Cohort: {setup['cohort']}.",
        "The similarity is normalised by that cohort ([evaluate.md](evaluate.md#cohort)), unless it is said to be a cosine.",
        "**How to read it.** Each rate is followed by its 95 % interval over people in brackets (a bootstrap, see "
        "[evaluate.md](evaluate.md)). \"At most\" is the 95 % bound where no error was seen, if the comparisons were "
        "independent. These images were known while Likeness was built: the figures show what its models achieve, not how "
        "it performs on your population. For that, measure on your own images.",
    )]


def lfw_all_pairs():
    lfw = DATA / "lfw-dev"
    report, _, command = evaluate(
        "lfw-all-pairs", "match", "--pairs", lfw / "pairs-train.csv", "--root", lfw / "images", "--all-pairs",
        "--face", "centre")
    counts = report["comparisons"]
    rows = []
    for row in report["at_false_match_rates"]:
        rate = f"{row['false_match_rate']:.0e}".replace("e-0", "e-")
        if row["sufficient_data"]:
            threshold = row["threshold"]
            interval = threshold["interval"]
            rows.append([
                rate,
                f"{threshold['value']:.4f} ({interval['low']:.4f} to {interval['high']:.4f})",
                f"{row['confidence']:.4f}",
                estimate(row["false_non_match_rate"]),
            ])
        else:
            needed = f"insufficient data: {row['impostor_comparisons_needed']:,} impostor comparisons needed"
            rows.append([rate, needed, "", ""])
    equal = report["equal_error_rate"]
    return report["setup"], [
        "## Match: all pairs of LFW's training images",
        "",
        *command,
        *prose(
            f"{report['acquisition']['pictures']:,} images of {report['people']:,} people (the face nearest the "
            f"centre is LFW's subject), {counts['genuine']:,} genuine and {counts['impostor']:,} zero-effort impostor "
            f"comparisons; {acquisition(report)}.",
        ),
        *table(["FMR", "similarity", "confidence", "FNMR"], rows),
        *prose(
            f"Equal error rate {estimate(equal['rate'])} at similarity {equal['threshold']:.4f}.",
            "Error rates at the thresholds of each profile:",
        ),
        *profile_bounds(report),
        *prose("Decisions of each profile:"),
        *profile_shares(report),
        *prose(
            "The calibration was fitted to these comparisons: the FMR at its points is exact by construction, up to the rounding of confidences to four decimals. The FNMR is measured."
            "",
        ),
    ]


def lfw_largest_face():
    lfw = DATA / "lfw-dev"
    report, _, command = evaluate(
        "lfw-largest-face", "match", "--pairs", lfw / "pairs-train.csv", "--root", lfw / "images", "--all-pairs")
    return [
        "## Match: the same, largest face",
        "",
        *command,
        *prose(
            "The service uses the largest face of an image. On LFW that is sometimes a bystander's, which counts as an error here;"
            f" {acquisition(report)}.",
        ),
        *profile_bounds(report),
    ]


def lfw_test_pairs():
    lfw = DATA / "lfw-dev"
    report, found, command = evaluate(
        "lfw-test", "match", "--pairs", lfw / "pairs-test.csv", "--root", lfw / "images", "--train",
        lfw / "pairs-train.csv", "--face", "centre")
    accuracy, threshold = report["accuracy_at_trained_threshold"]
    return [
        "## Match: LFW's test pairs",
        "",
        *command,
        *prose(
            f"At the threshold that is best on the training pairs, similarity {threshold:.4f}, the share of correct results on the"
            f" {len(found):,} test pairs of other people is **{binomial(round(accuracy * len(found)), len(found))}** "
            f"(Wilson's interval, if the pairs were independent); {acquisition(report)}.",
        ),
        *profile_bounds(report),
    ]


def portraits():
    report, found, command = evaluate("faces", "match", "--pairs", DATA / "faces" / "pairs.csv")
    of = {label: [float(row["similarity"]) for row in found if row["label"] == label and row["similarity"]]
          for label in ("0", "1")}
    return [
        "## Match: portraits",
        "",
        *command,
        *prose(
            f"{len(of['1'])} genuine and {len(of['0'])} impostor pairs of {report['acquisition']['pictures']} portraits "
            f"and snapshots, the largest face of each, as in the service; {acquisition(report)}. The lowest genuine "
            f"similarity is {min(of['1']):.4f}, the highest impostor one {max(of['0']):.4f}.",
        ),
        *profile_shares(report),
    ]


def groups():
    """False match rates within groups of people who look alike."""
    people = DATA / "people-groups"
    report, _, command = evaluate(
        "groups", "match", "--images", people / "test", "--groups", people / "groups.csv", "--face", "centre")
    found = report["groups"]
    rows, thresholds = [], found["at_thresholds"]
    for index, group in enumerate(found["groups"]):
        rates = [at["false_match_rate"]["groups"][index] for at in thresholds]
        rows.append([group["group"], *(estimate(rate["rate"], rate["at_most"]) for rate in rates)])
    rates = [at["false_match_rate"] for at in thresholds]
    rows.append(["**mean**", *(estimate(rate["mean"]) for rate in rates)])
    rows.append(["**worst**", *(f"{rate['worst']['group']} {percent(rate['worst']['rate']['value'])}" for rate in rates)])
    rows.append(["worst over best", *(
        "-" if rate["worst_over_best"] is None else f"{rate['worst_over_best']:.1f}" for rate in rates)])
    rows.append(["across groups", *(
        estimate(at["false_match_rate_across"], at["false_match_rate_across_at_most"]) for at in thresholds)])
    return [
        "## Match: by group",
        "",
        *command,
        *prose(
            f"{report['acquisition']['pictures']:,} images of UTKFace in {len(found['groups'])} groups, by the data set's own "
            f"labels of origin and sex; {acquisition(report)}. There are no identities: each image counts as a person of its own, "
            f"so there are impostor comparisons only, {found['groups'][0]['comparisons']['impostor']:,} in a group, and **FNMR by "
            "group could not be measured here**. Some people are there more than once; those comparisons count as false matches, "
            "so the rates are upper bounds.",
            "FMR within each group, by the confidence of the threshold:",
        ),
        *table(["group", *(f"{at['confidence']:.2f}" for at in thresholds)], rows),
    ]


def subject(name):
    """The subject of an image of the list: NUAA's file names begin with the subject's four digits. The samples of the
    models' publishers have one subject each."""
    stem = Path(name).stem
    return stem[:4] if stem[:4].isdigit() else stem


def presentations():
    """The list with a column for the subject of each image, which it lacks; paths from the list's folder."""
    with open(ROOT / DATA / "liveness" / "labels.csv", newline="", encoding="utf-8") as file:
        return [(row["file"], row["species"], subject(row["file"])) for row in csv.DictReader(file)]


def halves(rows):
    """The development half, on which choices are made, and the held-out half: the subjects of odd and of even rank by
    number, counted from 1. The publishers' samples are in neither."""
    numbers = sorted({person for _, _, person in rows if person.isdigit()})
    development = set(numbers[0::2])
    return (
        [row for row in rows if row[2] in development],
        [row for row in rows if row[2].isdigit() and row[2] not in development],
    )


def write_labels(name, rows):
    labels = OUT / f"{name}.csv"
    (ROOT / OUT).mkdir(parents=True, exist_ok=True)
    with open(ROOT / labels, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "species", "person"), *rows])
    return labels


def liveness_of(name, title, rows):
    labels = write_labels(name, rows)
    report, _, command = evaluate(name, "liveness", "--labels", labels, "--root", DATA / "liveness")
    live = [row for row in rows if row[1] == "live"]
    species = [one["species"] for one in report["species"]]
    people = len({person for _, _, person in rows})
    lines = []
    for at in report["at_thresholds"]:
        used_as = [used.removesuffix("_below").split() for used in at["used_as"]]
        cells = [f"{at['threshold']:.2f}", ", ".join(f"`{profile}` {bound}" for profile, bound in used_as)]
        cells += [estimate(one["apcer"], one["apcer_at_most"]) for one in at["apcer_by_species"]]
        lines.append([*cells, estimate(at["bpcer"])])
    attacks = []
    for one in report["species"]:
        row = [one["species"], one["non_response"]["presentations"], percent(one["non_response"]["rate"])]
        for at in one["bpcer_at"]:
            insufficient = f"insufficient data: {at['presentations_needed']} attacks needed"
            row.append(estimate(at["bpcer"]) if at["sufficient_data"] else insufficient)
        equal = one["equal_error_rate"]
        attacks.append([*row, percent(equal["rate"]) if equal else "-"])
    non_response = report["bona_fide_non_response"]
    return [
        f"### {title}",
        "",
        *command,
        *prose(
            f"{len(live)} live presentations and {len(rows) - len(live)} attacks of {people} people; "
            f"{non_response['count']} live presentations without a face.",
        ),
        *table(["threshold", "of profile", *(f"APCER {name}" for name in species), "BPCER"], lines),
        *table(["species", "attacks", "no face", "BPCER10", "BPCER20", "BPCER100", "EER"], attacks),
    ]


def liveness():
    rows = presentations()
    development, held_out = halves(rows)
    return [
        "## Liveness",
        "",
        *prose(
            "Webcam frames of NUAA's training list (live people and printed photographs of them) and three samples of the models' publishers. A presentation passes at a score of the threshold or above. APCER is the share of attacks that pass, for each species; BPCER the share of live presentations that do not. Intervals over so few people are rough, and an APCER of two attacks says nothing."
            "",
            "The list is `liveness/labels.csv` with a column `person`: the first four digits of NUAA's file names; "
            "`scripts/accuracy.py` writes it. By rank of that number, the subjects of odd rank are the **development half**, "
            "on which choices are made, those of even rank the **held-out half**, which is for reporting only. The publishers' samples are in neither."
            "",
        ),
        *liveness_of("liveness", "All", rows),
        *liveness_of("liveness-development", "Development half", development),
        *liveness_of("liveness-held-out", "Held-out half", held_out),
    ]


def tried():
    """What was tried to get better scores from the same models, and what it costs."""
    print("score_variants", file=sys.stderr)
    command = ["target/release/score_variants", str(DATA)]
    found = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout
    match, liveness_table = (part.splitlines() for part in found.strip().split("\n\n"))
    return [
        "## Rejected variants",
        "",
        "```sh",
        "cargo run --release --locked --target-dir target -p likeness-tools --bin score_variants",
        "```",
        "",
        *prose(
            "Attempts to get better scores from the same models, made with `open-1`: similarities are cosines, liveness is that of its two models. LFW, face nearest the centre, with the service's detection passes (the tables above use all passes): all pairs of the training images, test pairs at the training threshold, and the portraits."
            "",
        ),
        *match,
        "",
        *prose(
            "None was kept. Differences of a few tenths of a per cent are a handful of the 2,209 genuine comparisons, well inside the intervals above. Averaging the embeddings of both passes is better or equal on LFW but not on the portraits, and doubles the most expensive part of a verification. Bilinear alignment stays: averaging has no discernible effect."
            "",
            "Liveness: webcam frames, and the portraits of `faces/`, which are not presentations to a camera, to check that no other kind of image scores worse:"
            "",
        ),
        *liveness_table,
        "",
        *prose(
            "The widened crop was chosen on the development half and kept: it costs nothing. It differs from the publishers' only where the image does not hold the whole crop: for a face that fills a landscape frame the surroundings at the sides are included and the face is not stretched. The mirror image costs twice as much and gains nothing. Small live faces and small prints fail as not live rather than pass, so their size has no limit but the warning `SMALL_FACE_IN_SELFIE`."
            "",
        ),
    ]


def reduced():
    """What decoding JPEGs at a part of their size does."""
    print("reduced_decoding", file=sys.stderr)
    command = ["target/release/reduced_decoding", str(DATA)]
    found = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout
    match, liveness_table = (part.splitlines() for part in found.strip().split("\n\n"))
    return [
        "## Decoding at reduced size",
        "",
        "```sh",
        "cargo run --release --locked --target-dir target -p likeness-tools --bin reduced_decoding",
        "```",
        "",
        *prose(
            "A JPEG photo of 1,279 pixels or more on its longest side is decoded at a half, a quarter or an eighth of its size, with at least 640 pixels left, and larger where its face would have fewer than 128. The images are enlarged (Catmull-Rom), encoded again at quality 90, and evaluated twice: decoded whole and at reduced size. All pairs of LFW's test images, largest face."
            "",
        ),
        *match,
        "",
        *prose(
            "An image with a similarity below 0.5 to its whole decoding is named on standard error: one image, `Winona_Ryder_0015.jpg` at 8x. It shows "
            "two faces, whose boxes of 503x1292 and 670x971 pixels have the same area within a thousandth: which one is larger is chance.",
        ),
        *prose(
            "A selfie keeps at least 960 pixels on its longest side, and 256 of its face. The liveness models were trained on crops whose pixels are sampled and not averaged, so the scores of faces of 512 pixels or more change, as in 18 of the original portraits:"
            "",
        ),
        *liveness_table,
        "",
    ]


def calibration():
    return ["## Calibration of the default pack", "", *prose(
        "The default pack's match confidence is straight in log-odds between three measured points (`make calibrate` prints them, `models/open-2/pack.toml` holds them): 0.40 is the similarity that 1 in 1,000 zero-effort impostors reach, 0.56 1 in 10,000, 0.70 1 in 100,000. It was measured from an FMR of 0.1 down to 1e-5; beyond, the lines are extrapolated. A confidence is not a probability of being the same person, which would depend on the share of impostors."
        " "
        "`tests/calibration.rs` fails when a change of detection or alignment moves these rates.",
        "Both calibrations of the match confidence are in the pack: for the normalised similarity, and for the cosine, which `--no-cohort` uses.",
        "Liveness: a fused live probability of 0.60, 0.80 and 0.92 is a liveness of 0.40, 0.60 and 0.80, straight in log-odds between and beyond. The points were chosen by hand so that at 0.60 fewer live people are refused than with `open-1` ([models/open-2](../models/open-2/README.md)); `likeness calibrate liveness` fits a curve to attacks of your own ([evaluate.md](evaluate.md#calibrate)).",
    )]


def limits():
    return ["## Limitations", "", *prose(
        "- **Presentation attacks other than prints.** Liveness is scored from one image, passively, by five small networks. "
        "The attacks above are printed photographs, the easiest kind, taken with one webcam years ago. Not measured here: "
        "replays on good screens, masks, make-up and prostheses. One image does not reliably reveal a sharp screen in good light or a good mask."
        " No conformance with ISO/IEC 30107-3 at any level is claimed."
        " [Liveness of the pack open-2](#liveness-of-the-pack-open-2) has what is known of replays and worn masks.",
        "- **Injected images and deepfakes.** An image that is injected behind the camera, generated or stolen, is a perfect image of a live person; nothing in it need reveal the attack."
        " That needs a trusted capture app or an active challenge.",
        "- **Look-alikes and twins.** The FMRs are those of people who did not try to look like someone else "
        "(zero-effort impostors). Relatives, twins, people chosen for their likeness and morphed photographs match far more often.",
        "- **Demographic differences.** False match rates within eight groups of origin and sex are [above](#match-by-group). **Not measured: "
        "false non-match rates by group**, since those images have no identities, anything by age, and liveness by group. The cohort makes a threshold stand for "
        "about the same false match rate in every group.",
        "- **What the cohort does not do.** It does not separate faces better within a group. Genuine pairs of groups in which "
        "the embedder is weak are therefore sent to review more often than by the cosine. LFW is mostly press photos of men from a few "
        "countries in the early 2000s. NUAA shows a handful of young people from one university.",
        "- **Documents.** A photo of an identity document, with its print, holograms, small size and age, is harder than a press photo. None was measured."
        "",
        "- **`image_multiface`** takes the best of n faces, which multiplies the false match rate by up to n.",
        "- **Capture.** LFW's images are cropped around the face, NUAA's are of one camera; other cameras, light, distance and age between two images give other rates."
        "",
        "- **Unseen data.** All these images were known while Likeness was built, and the thresholds were fitted to LFW. "
        "The held-out half of the liveness subjects and LFW's test pairs are for reporting only, but come from the same cameras "
        "and the same sources as the rest. Expect worse on yours, and measure: [evaluate.md](evaluate.md).",
    )]


# The packs that are compared with the default one, and how each is asked for.
COMPARED = {
    "open-1": ["--pack", "open-1"], "open-2": [], "open-2 --no-cohort": ["--no-cohort"], "edge-1": ["--pack", "edge-1"],
    "registry-1": ["--pack", "registry-1"],
}
# The file of edge-1 that its operator brings.
EDGEFACE = SHARED / "optional" / "edgeface-xs" / "edgeface_xs.onnx"


def side_by_side():
    """The figures above for each pack, with the same commands."""
    lfw, people = DATA / "lfw-dev", DATA / "people-groups"
    train = ["match", "--pairs", lfw / "pairs-train.csv", "--root", lfw / "images", "--all-pairs", "--face", "centre"]
    test = ["match", "--pairs", lfw / "pairs-test.csv", "--root", lfw / "images", "--train", lfw / "pairs-train.csv",
            "--face", "centre"]
    by_group = ["match", "--images", people / "test", "--groups", people / "groups.csv", "--face", "centre"]
    faces = [(str(path), "live", path.stem) for path in sorted((ROOT / DATA / "faces").glob("*.jpg"))]
    columns, wrong = [], []
    for pack, choice in COMPARED.items():
        name = pack.replace(" --", "-")
        rows = {}
        report, _, _ = evaluate(f"{name}-all-pairs", *train, *choice)
        for row in report["at_false_match_rates"]:
            if row["false_match_rate"] in (1e-3, 1e-4, 1e-5):
                rows[f"LFW training images: FNMR at FMR {row['false_match_rate']:.0e}".replace("e-0", "e-")] = estimate(
                    row["false_non_match_rate"])
        for profile in report["profiles"]:
            shares = profile["genuine"]
            rows[f"genuine pairs of these, `{profile['profile']}`: pass, review, reject"] = ", ".join(
                percent(shares[share]) for share in ("pass", "review", "reject"))
        report, found, _ = evaluate(f"{name}-test", *test, *choice)
        right = round(report["accuracy_at_trained_threshold"][0] * len(found))
        rows["LFW test pairs: accuracy at the training threshold"] = binomial(right, len(found))
        wrong.append(len(found) - right)
        report, _, _ = evaluate(f"{name}-groups", *by_group, *choice)
        for at in report["groups"]["at_thresholds"]:
            if at["confidence"] in (0.4, 0.56, 0.7):
                rate, confidence = at["false_match_rate"], f"{at['confidence']:.2f}"
                rows[f"FMR within groups at {confidence}, mean"] = estimate(rate["mean"])
                rows[f"FMR within groups at {confidence}, worst"] = (
                    f"{rate['worst']['group']} {percent(rate['worst']['rate']['value'])}")
                rows[f"FMR across groups at {confidence}"] = estimate(
                    at["false_match_rate_across"], at["false_match_rate_across_at_most"])
        for what, listed, root in (
            ("webcam frames", presentations(), DATA / "liveness"), ("portraits", faces, None),
        ):
            labels = write_labels(f"{name}-{what}".replace(" ", "-"), listed)
            report, _, _ = evaluate(f"{name}-liveness-{what.split()[0]}", "liveness", "--labels", labels,
                                    *(["--root", root] if root else ["--root", "."]), *choice)
            for at in report["at_thresholds"]:
                if at["threshold"] in (0.4, 0.6, 0.8):
                    rows[f"{what}: BPCER at {at['threshold']:.2f}"] = percent(at["bpcer"]["value"])
                    if at["apcer_by_species"] and what == "webcam frames":
                        rows[f"{what}: APCER of prints at {at['threshold']:.2f}"] = next(
                            estimate(one["apcer"], one["apcer_at_most"]) for one, species in
                            zip(at["apcer_by_species"], report["species"]) if species["species"] == "print")
        columns.append(rows)
    rows = [[name, *(column.get(name, "-") for column in columns)] for name in columns[-1]]
    return [
        "## The packs side by side",
        "",
        *prose(
            "Each column repeats the commands above for one pack: `--pack open-1`, the default, `--no-cohort`, `--pack edge-1`, whose licence has to be cleared ([its card](../models/edge-1/README.md)), and `--pack registry-1`, of which it is not known on whom its models were trained: its rows of LFW, webcam frames and portraits may be too good ([its card](../models/registry-1/README.md)). The rows of the portraits take all of `faces/` as live presentations."
        ),
        *prose(
            "The cohort lowers false match rates within groups and costs some false non-matches at the same FMR; what it costs on LFW is in the first rows."
            f" With it {wrong[1]} of the 1,000 test pairs are wrong, without it {wrong[2]}.",
        ),
        *table(["", *(f"`{pack}`" for pack in COMPARED)], rows),
    ]


def main():
    if len(sys.argv) > 1:
        sys.exit(__doc__)
    if not (ROOT / DATA / "lfw-dev").is_dir():
        sys.exit(f"accuracy: {DATA} is needed")
    subprocess.run([LIKENESS, "models", "pull", "edge-1", "--accept-license", "--quiet", "--source", f"edgeface_xs.onnx={EDGEFACE}"],
                   check=True, cwd=ROOT)
    subprocess.run([LIKENESS, "models", "pull", "registry-1", "--quiet"], check=True, cwd=ROOT)
    setup, match = lfw_all_pairs()
    lines = [
        *introduction(setup),
        *match,
        *lfw_largest_face(),
        *lfw_test_pairs(),
        *portraits(),
        *groups(),
        *liveness(),
        *side_by_side(),
        *calibration(),
        *tried(),
        *reduced(),
        *limits(),
    ]
    by_hand = PAGE.read_text(encoding="utf-8").partition(MARK)[2]
    page = "\n".join(lines).rstrip() + "\n\n" + MARK + by_hand
    PAGE.write_text(page, encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()
