#!/usr/bin/env python3
"""Latency of what is accepted while more and more is offered: the real binary on loopback, two workers, one client to many.

Prints the table of docs/performance.md, section "Overload". Bounded: SECONDS for each row.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("LIKENESS_SHARED") or ROOT.parent / "shared")
SECONDS = 8
CLIENTS = (1, 2, 4, 8, 32, 128, 2)
KEY = "bench-load-key"


def resident_mib(pid):
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) / 1024


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    pictures = SHARED / "data" / "faces"
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "LIKENESS_APPS": f"bench:{KEY}", "LIKENESS__STORAGE__FOLDER": folder, "RUST_LOG": "error"}
        server = subprocess.Popen(
            [ROOT / "target/release/likeness", "serve", "--workers", "2", "--listen", "127.0.0.1:0"],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True,
        )
        try:
            ready = server.stdout.readline()
            address = re.search(r"http://(\S+)", ready)
            if not address:
                sys.exit(f"bench-load: the service did not start: {ready}")
            print("| clients | verifications/s | p50 | p95 | p99 | 503 a second | p99 of a 503 | CPU of a verification | resident |")
            print("|---|---|---|---|---|---|---|---|---|")
            for clients in CLIENTS:
                before = cpu_seconds(server.pid)
                load = subprocess.run(
                    [ROOT / "target/release/examples/load", "--address", address[1], "--app-id", "bench", "--seconds", str(SECONDS)]
                    + ["--clients", str(clients), "--selfie", pictures / "img2.jpg", "--photo", pictures / "img11.jpg"],
                    env={**os.environ, "LIKENESS_APP_KEY": KEY}, stdout=subprocess.PIPE, text=True, check=True,
                )
                spent = cpu_seconds(server.pid) - before
                by_status = json.loads(load.stdout)["by_status"]
                unexpected = set(by_status) - {"200", "503"}
                if unexpected or "200" not in by_status:
                    sys.exit(f"bench-load: {by_status}")
                done, refused = by_status["200"], by_status.get("503", {"per_second": 0, "p99_ms": "-"})
                print(
                    f"| {clients} | {done['per_second']} | {done['p50_ms']} ms | {done['p95_ms']} ms | {done['p99_ms']} ms "
                    f"| {refused['per_second']} | {refused['p99_ms']} ms | {spent / done['count'] * 1e3:.1f} ms "
                    f"| {resident_mib(server.pid):.0f} MiB |",
                    flush=True,
                )
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=30)


if __name__ == "__main__":
    main()
