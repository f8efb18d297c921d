#!/usr/bin/env python3
"""What one core carries and what two do: the real binary on loopback, one worker for each core, one to 64 clients that ask
again at once (closed loop), then requests at a part of what that reached and at ten times as many, whatever comes back (open
loop), and how it is in the second after that.

Prints the tables of docs/performance.md, section "Sizing". Bounded: SECONDS for each row. With one core the service has
one and the clients the other; with two they share both, as nothing else can be had on two cores.
"""

import os
import sys
import time

from serving import Service, load, resident_mib

SECONDS = 5
CLIENTS = (1, 2, 4, 16, 64)
SHARES = (0.5, 0.8, 0.95, 10)
# As many as can wait for a late service before requests of the open loop go out late themselves.
OPEN_CLIENTS = 64


def busy_seconds():
    """Of all processors and all programs."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(number) for number in file.readline().split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def children_seconds():
    """Of the service and the clients that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def row(cores, offered, done, resident):
    print(
        f"| {cores} | {offered} | {done['per_second']:.1f} | {done['p50_ms']} ms | {done['p95_ms']} ms | {done['p99_ms']} ms "
        f"| {done['refused']['per_second']} | {done['cost_ms']:.1f} ms | {resident:.0f} MiB |",
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
    begin, others = time.monotonic(), busy_seconds() - children_seconds()
    for cores, clients_on in (([first], [second]), ([first, second], [first, second])):
        with Service(len(cores), cores=cores) as service:
            load(service, 4, SECONDS, clients_on)
            rows = []
            for clients in CLIENTS:
                done = load(service, clients, SECONDS, clients_on)
                rows.append(done)
                row(len(cores), f"{clients} client{'s' if clients > 1 else ''}", done, resident_mib(service.pid))
            best = max(rows, key=lambda done: done["per_second"])
            capacity[len(cores)] = best
            for share in SHARES:
                rate = share * best["per_second"]
                done = load(service, OPEN_CLIENTS, SECONDS, clients_on, rate)
                row(len(cores), f"{rate:.1f} a second ({100 * share:.0f} %)", done, resident_mib(service.pid))
            done = load(service, len(cores), 1, clients_on)
            row(len(cores), f"{len(cores)} client{'s' if len(cores) > 1 else ''}, the second after", done, resident_mib(service.pid))
    others = busy_seconds() - children_seconds() - others
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
