#!/usr/bin/env python3
"""What one core carries and what two do: the real binary on loopback, one worker for each core, one to 64 clients that ask
again at once (closed loop), then requests at a part of what that reached, whatever comes back (open loop).

Prints the tables of docs/performance.md, section "Sizing". Bounded: SECONDS for each row. With one core the service has
one and the clients the other; with two they share both, as nothing else can be had on two cores.
"""

import json
import os
import subprocess
import sys
import time

from serving import APP, KEY, ROOT, SHARED, Service, cpu_seconds, resident_mib

SECONDS = 5
CLIENTS = (1, 2, 4, 16, 64)
SHARES = (0.5, 0.8, 0.95)
# As many as can wait for a late service before requests of the open loop go out late themselves.
OPEN_CLIENTS = 64


def busy_seconds():
    """Of all processors and all programs."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(number) for number in file.readline().split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def load(service, cores, clients, rate=None):
    pictures = SHARED / "data" / "faces"
    before = cpu_seconds(service.pid)
    command = ["taskset", "--cpu-list", cores, ROOT / "target/release/examples/load", "--address", service.address]
    command += ["--app-id", APP, "--seconds", str(SECONDS), "--clients", str(clients)]
    command += ["--selfie", pictures / "img2.jpg", "--photo", pictures / "img11.jpg"]
    if rate is not None:
        command += ["--rate", f"{rate:.2f}"]
    environment = {**os.environ, "LIKENESS_APP_KEY": KEY}
    run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    by_status = json.loads(run.stdout)["by_status"]
    if set(by_status) - {"200", "503"} or "200" not in by_status:
        sys.exit(f"bench-sizing: {by_status}")
    done = by_status["200"]
    done["refused"] = by_status.get("503", {"per_second": 0})["per_second"]
    done["cost_ms"] = 1e3 * (cpu_seconds(service.pid) - before) / done["count"]
    return done


def row(cores, offered, done, resident):
    print(
        f"| {cores} | {offered} | {done['per_second']:.1f} | {done['p50_ms']} ms | {done['p95_ms']} ms | {done['p99_ms']} ms "
        f"| {done['refused']} | {done['cost_ms']:.1f} ms | {resident:.0f} MiB |",
        flush=True,
    )


def main():
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        sys.exit("bench-sizing: needs two cores")
    first, second = available[:2]
    print("| cores | offered | verifications/s | p50 | p95 | p99 | 503 a second | CPU of each | resident |")
    print("|---|---|---|---|---|---|---|---|---|")
    capacity = {}
    begin, busy = time.monotonic(), busy_seconds()
    for cores, clients_on in (([first], [second]), ([first, second], [first, second])):
        clients_on = ",".join(map(str, clients_on))
        with Service(len(cores), cores=cores) as service:
            load(service, clients_on, 4)
            rows = []
            for clients in CLIENTS:
                done = load(service, clients_on, clients)
                rows.append(done)
                row(len(cores), f"{clients} clients", done, resident_mib(service.pid))
            best = max(rows, key=lambda done: done["per_second"])
            capacity[len(cores)] = best
            for share in SHARES:
                rate = share * best["per_second"]
                done = load(service, clients_on, OPEN_CLIENTS, rate)
                row(len(cores), f"{rate:.1f} a second ({100 * share:.0f} %)", done, resident_mib(service.pid))
    children = os.times()
    others = busy_seconds() - busy - children.children_user - children.children_system
    one, two = capacity[1], capacity[2]
    print()
    print(
        f"One core: {one['per_second']:.1f} a second at {one['cost_ms']:.1f} ms each, which is {one['per_second'] * one['cost_ms'] / 10:.0f} % of it. "
        f"Two, from that: {2 * one['per_second']:.1f}; measured: {two['per_second']:.1f}, {100 * two['per_second'] / (2 * one['per_second']):.0f} % "
        "with the clients on the same cores."
    )
    print(f"Other programs took {100 * others / (time.monotonic() - begin) / len(available):.0f} % of the machine meanwhile.")


if __name__ == "__main__":
    main()
