#!/usr/bin/env python3
"""Latency of what is accepted while more and more is offered: the real binary on loopback, two workers, one client to many.

Prints the table of docs/performance.md, section "Overload". Bounded: SECONDS for each row.
"""

from serving import Service, load, resident_mib

SECONDS = 8
CLIENTS = (1, 2, 4, 8, 32, 128, 2)


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


if __name__ == "__main__":
    main()
