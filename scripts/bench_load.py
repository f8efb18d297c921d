#!/usr/bin/env python3
"""Latency of what is accepted while more and more is offered: the real binary on loopback, two workers, one client to many.

Prints the table of docs/performance.md, section "Overload". Bounded: SECONDS for each row.
"""

import json
import os
import subprocess
import sys

from serving import APP, KEY, ROOT, SHARED, Service, cpu_seconds, resident_mib

SECONDS = 8
CLIENTS = (1, 2, 4, 8, 32, 128, 2)


def main():
    pictures = SHARED / "data" / "faces"
    with Service(2) as service:
        print("| clients | verifications/s | p50 | p95 | p99 | 503 a second | p99 of a 503 | CPU of a verification | resident |")
        print("|---|---|---|---|---|---|---|---|---|")
        for clients in CLIENTS:
            before = cpu_seconds(service.pid)
            load = subprocess.run(
                [ROOT / "target/release/examples/load", "--address", service.address, "--app-id", APP, "--seconds", str(SECONDS)]
                + ["--clients", str(clients), "--selfie", pictures / "img2.jpg", "--photo", pictures / "img11.jpg"],
                env={**os.environ, "LIKENESS_APP_KEY": KEY}, stdout=subprocess.PIPE, text=True, check=True,
            )
            spent = cpu_seconds(service.pid) - before
            by_status = json.loads(load.stdout)["by_status"]
            unexpected = set(by_status) - {"200", "503"}
            if unexpected or "200" not in by_status:
                sys.exit(f"bench-load: {by_status}")
            done, refused = by_status["200"], by_status.get("503", {"per_second": 0, "p99_ms": "-"})
            print(
                f"| {clients} | {done['per_second']} | {done['p50_ms']} ms | {done['p95_ms']} ms | {done['p99_ms']} ms "
                f"| {refused['per_second']} | {refused['p99_ms']} ms | {spent / done['count'] * 1e3:.1f} ms "
                f"| {resident_mib(service.pid):.0f} MiB |",
                flush=True,
            )


if __name__ == "__main__":
    main()
