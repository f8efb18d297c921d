#!/usr/bin/env python3
"""What the service takes before anyone calls: time to start, memory at rest and for each worker, processor time when idle, size.

Prints the tables of docs/performance.md, section "Start and footprint". Bounded: IDLE_SECONDS and STARTS for each row.
"""

import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from serving import ROOT, Service, cpu_seconds, resident_mib

WORKERS = (1, 2, 4)
STARTS = 7
IDLE_SECONDS = 10


def context_switches(pid):
    """Of all threads, wanted and not: a thread that spins or wakes up for nothing shows here."""
    switches = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        switches += sum(int(number) for number in re.findall(r"ctxt_switches:\s+(\d+)", (task / "status").read_text()))
    return switches


def main():
    binary = ROOT / "target/release/likeness"
    library = next((ROOT / ".setup/onnxruntime").glob("libonnxruntime.so*"))
    print("| workers | start to ready | resident at rest | threads | processor time idle | wake-ups idle |")
    print("|---|---|---|---|---|---|")
    at_rest = {}
    for workers in WORKERS:
        starts = []
        for last in [False] * (STARTS - 1) + [True]:
            begin = time.monotonic()
            with Service(workers) as service:
                starts.append(time.monotonic() - begin)
                if not last:
                    continue
                pid = service.pid
                # What starting leaves to do in the background is no rest.
                time.sleep(1)
                spent, switches = cpu_seconds(pid), context_switches(pid)
                time.sleep(IDLE_SECONDS)
                spent, switches = cpu_seconds(pid) - spent, context_switches(pid) - switches
                at_rest[workers] = resident_mib(pid)
                threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
                print(
                    f"| {workers} | {1e3 * statistics.median(starts):.0f} ms | {at_rest[workers]:.0f} MiB | {threads} "
                    f"| {1e3 * spent / IDLE_SECONDS:.1f} ms/s | {switches / IDLE_SECONDS:.0f}/s |"
                )
    first, last = WORKERS[0], WORKERS[-1]
    each = (at_rest[last] - at_rest[first]) / (last - first)
    print()
    with tempfile.TemporaryDirectory() as folder:
        stripped = Path(folder) / "likeness"
        subprocess.run(["strip", "--strip-debug", "-o", stripped, binary], check=True)
        size = stripped.stat().st_size / 2**20
    print(f"Each further worker: {each:.0f} MiB. Binary without tables of lines, as in the image: {size:.0f} MiB, ", end="")
    print(f"with them {binary.stat().st_size / 2**20:.0f} MiB; ONNX Runtime: {library.stat().st_size / 2**20:.0f} MiB.")


if __name__ == "__main__":
    main()
