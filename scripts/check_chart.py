"""Helm's chart (deploy/helm/likeness), linted, rendered, and compared with the files for kustomize. To be run by the environment
`helm` (scripts/environment.py). Needs no cluster and contacts none.

    check_chart.py lint CHART [VALUES]             as `helm lint --strict`
    check_chart.py render CHART FOLDER [VALUES]    as `helm template likeness CHART --namespace likeness`, a file for each template
    check_chart.py compare CHART KUSTOMIZATION MONITORING    with the chart's defaults, and its monitoring, they make the same objects

VALUES is a YAML file. Names each finding, and ends with 1 where there is one.
"""

import sys
from pathlib import Path

import yaml
from helm_python import Chart, errors
from helm_python.chart import lint as helm_lint

# The release and its namespace: with this name the objects are named as those for kustomize.
NAME = "likeness"
SEVERITIES = ["unknown", "info", "warning", "error"]
# What the chart's objects have besides: the release they belong to, and the checksum of their configuration.
OF_HELM = {"app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart", "checksum/config"}


def values(files):
    return yaml.safe_load(files[0].read_text()) if files else {}


def lint(chart, *files):
    report = helm_lint(chart, values(files), strict=True, namespace=NAME)
    for message in report["messages"]:
        # Of the icon that every chart should have.
        if message["severity"] > 1:
            yield f"{SEVERITIES[message['severity']]}: {message['path']}: {message['error']}"
    if not report["total_charts_linted"]:
        yield "no chart was linted"


def rendered(chart, chosen):
    with Chart.load(chart) as loaded:
        return loaded.render(chosen, name=NAME, namespace=NAME)


def render(chart, folder, *files):
    for template, text in rendered(chart, values(files)).items():
        if template.endswith(".yaml") and text.strip():
            (folder / Path(template).name).write_text(text)
    return []


def compare(chart, kustomization, monitoring):
    made = rendered(chart, {"monitoring": {"podMonitor": True}})
    ours = objects(text for name, text in made.items() if name.endswith(".yaml"))
    theirs = objects([*kustomized(kustomization), *kustomized(monitoring)])
    # The chart creates no namespace; and the autoscaler sets the number of pods.
    theirs.pop(("Namespace", NAME))
    theirs["Deployment", NAME]["spec"].pop("replicas")
    for key in sorted(ours.keys() | theirs.keys()):
        if key not in ours or key not in theirs:
            yield f"{'/'.join(key)}: of the {'chart' if key in ours else 'files for kustomize'} alone"
        else:
            yield from differences("/".join(key), ours[key], theirs[key])


def kustomized(file):
    """The files that a kustomization names, with its image."""
    kustomization = yaml.safe_load(file.read_text())
    for name in kustomization["resources"]:
        text = (file.parent / name).read_text()
        for image in kustomization.get("images", []):
            text = text.replace(f"image: {image['name']}\n", f"image: {image['newName']}:{image['newTag']}\n")
        yield text


def objects(texts):
    found = [document for text in texts for document in yaml.safe_load_all(text) if document]
    return {(document["kind"], document["metadata"]["name"]): plain(document) for document in found}


def plain(value):
    """Drops what Helm adds, and labels and namespaces of whole objects, which kustomize adds."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    value = {key: plain(item) for key, item in value.items() if key not in OF_HELM}
    if "kind" in value and "metadata" in value:
        value["metadata"] = {key: item for key, item in value["metadata"].items() if key not in ("labels", "namespace")}
    return {key: item for key, item in value.items() if key != "annotations" or item}


def differences(where, ours, theirs):
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            yield from differences(f"{where}: {key}", ours.get(key), theirs.get(key))
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, (one, other) in enumerate(zip(ours, theirs)):
            yield from differences(f"{where}[{number}]", one, other)
    elif ours != theirs:
        yield f"{where}: {ours!r} in the chart, {theirs!r} for kustomize"


def main():
    checks = {check.__name__: check for check in (lint, render, compare)}
    if len(sys.argv) < 3 or sys.argv[1] not in checks:
        sys.exit(__doc__)
    try:
        found = list(checks[sys.argv[1]](*map(Path, sys.argv[2:])))
    except errors.HelmError as error:
        sys.exit(f"{sys.argv[1]}: {error}")
    if found:
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
