#!/usr/bin/env python3
"""What the service holds after its models were changed again and again, and what it held before.

Prints the table of docs/performance.md, section "Memory of the C library". Bounded: CHANGES, and SECONDS of load before and after.
"""

import json
import re
import shutil
import tempfile
import urllib.request
from pathlib import Path

from serving import ROOT, Service, load, resident_mib

WORKERS = 2
CHANGES = 40
SHOWN = (1, 2, 5, 10, 20, 40)
SECONDS = 3


def write_pack(folder, version):
    """The default pack under another name, as an operator installs one: in one step."""
    manifest = (ROOT / "models/open-2/pack.toml").read_text()
    for key, value in [("name", "changing-1"), ("version", version)]:
        manifest, found = re.subn(rf'^{key} = ".*"$', f'{key} = "{value}"', manifest, count=1, flags=re.MULTILINE)
        assert found == 1, key
    fresh = folder / "fresh.toml"
    fresh.write_text(manifest)
    fresh.rename(folder / "pack.toml")


def main():
    print("| changes of the models | resident |")
    print("|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        pack = Path(folder)
        write_pack(pack, "0")
        shutil.copy(ROOT / "models/open-2/cohort.bin", pack)
        with Service(WORKERS, pack=pack) as service:

            def show(when):
                print(f"| {when} | {resident_mib(service.pid):.0f} MiB |", flush=True)

            show("none, nothing verified yet")
            load(service, WORKERS, SECONDS)
            show(f"none, after {SECONDS} s of {WORKERS} clients")
            for change in range(1, CHANGES + 1):
                write_pack(pack, str(change))
                request = urllib.request.Request(f"http://{service.admin_address}/admin/reload", method="POST")
                with urllib.request.urlopen(request, timeout=60) as answer:
                    assert json.load(answer)["reloaded"]
                if change in SHOWN:
                    show(change)
            load(service, WORKERS, SECONDS)
            show(f"{CHANGES}, after {SECONDS} s of {WORKERS} clients")


if __name__ == "__main__":
    main()
