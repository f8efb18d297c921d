#!/usr/bin/env python3
"""Latency of what is accepted while more and more is offered: the real binary on loopback, two workers, one client to many.

Prints the tables of docs/performance.md, sections "Overload" and "Memory of the C library". Bounded: SECONDS for each row, and
ROUNDS of a few seconds.
"""

import statistics

from serving import Service, load, resident_mib

SECONDS = 8
CLIENTS = (1, 2, 4, 8, 32, 128, 2)
ROUNDS = 5
# What glibc does by itself: the program leaves it alone where this variable says anything of its memory.
GLIBCS_OWN = {"GLIBC_TUNABLES": "glibc.malloc.perturb=0"}


def main():
    with Service(2) as service:
        print("| clients | verifications/s | p50 | p95 | p99 | 503 a second | p99 of a 503 | CPU of a verification | resident |")
        print("|---|---|---|---|---|---|---|---|---|")
        for clients in CLIENTS:
            done = load(service, clients, SECONDS)
            refused = done["refused"]
            slowest = f" {refused['p99_ms']} ms" if refused["count"] else ""
            print(
                f"| {clients} | {done['per_second']} | {done['p50_ms']} ms | {done['p95_ms']} ms | {done['p99_ms']} ms "
                f"| {refused['per_second']} |{slowest} | {done['cost_ms']:.1f} ms | {resident_mib(service.pid):.0f} MiB |",
                flush=True,
            )
    print()
    memory()


def memory():
    """With what the program sets of glibc and with what glibc does by itself, in turn."""
    ways = {"as the program sets it": {}, "glibc's own": GLIBCS_OWN}
    found = {}
    for _ in range(ROUNDS):
        for way, variables in ways.items():
            with Service(2, variables=variables) as service:
                load(service, 2, 1)
                for clients in (1, 2):
                    done = load(service, clients, 2)
                    numbers = (done["per_second"], done["p50_ms"], done["cost_ms"], resident_mib(service.pid))
                    found.setdefault((clients, way), []).append(numbers)
    print("| clients | freed memory | verifications/s | p50 | CPU of a verification | resident |")
    print("|---|---|---|---|---|---|")
    for (clients, way), rounds in sorted(found.items()):
        per_second, p50, cost, resident = (statistics.median(numbers) for numbers in zip(*rounds))
        print(f"| {clients} | {way} | {per_second:.1f} | {p50:.1f} ms | {cost:.1f} ms | {resident:.0f} MiB |")


if __name__ == "__main__":
    main()
