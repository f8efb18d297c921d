"""The texts of the licences of what is compiled into a program."""

import zipfile
from pathlib import Path

import sbom

# What a crate calls the texts of its licences.
NAMES = ("license", "licence", "copying", "copyright", "notice", "unlicense")
RULE = "=" * 80


def of_crates(machine, folder=sbom.ROOT):
    """The texts of all crates of the package in a folder but this workspace's own, and of what they embed; each text once."""
    _, packages = sbom.crates(machine, folder)
    texts, without = {}, []
    for package in packages:
        # Those of the workspace are under its own.
        if package["source"] is None:
            continue
        place = Path(package["manifest_path"]).parent
        name = f"{package['name']} {package['version']} ({package['license'] or 'see its file'})"
        files = [file for file in sorted(place.iterdir()) if file.is_file() and is_licence(file.name)]
        found = [file.read_bytes() for file in files]
        if package["name"] in sbom.EMBEDDED:
            found += embedded(place)
        for text in found:
            texts.setdefault(text.decode(errors="replace").strip(), set()).add(name)
        if not found:
            without.append(name)
    parts = ["Crates without a file of their own:", *without, RULE, ""]
    for text, names in sorted(texts.items(), key=lambda entry: sorted(entry[1])):
        parts.append("\n".join([*sorted(names), "-" * 80, text, RULE, ""]))
    return "\n".join(parts)


def is_licence(name):
    return name.lower().startswith(NAMES)


def embedded(place):
    """The texts of the program whose archive is in a crate, from its top folder."""
    found = []
    for path in sorted(place.glob("res/*.zip")):
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.count("/") == 1 and is_licence(name.split("/")[1])]
            found += [archive.read(name) for name in names]
    assert found, f"{place.name} has no archive with licences"
    return found
