#!/usr/bin/env python3
"""What a verification costs with one pack and with another: the real binary on loopback, one worker and one client each, in turn.

    bench_packs.py [PACK PACK ...]    the first is what the others are compared with (default: open-1 open-2 edge-1)

Needs target/release/likeness and target/release/load (`cargo build --release --workspace`), the packs in the model store. Bounded:
SECONDS for each pack in each of ROUNDS.
"""

import statistics
import sys
from contextlib import ExitStack

from serving import Service, load, resident_mib

SECONDS = 3
ROUNDS = 5


def main():
    packs = sys.argv[1:] or ["open-1", "open-2", "edge-1"]
    found = {pack: [] for pack in packs}
    with ExitStack() as running:
        services = {pack: running.enter_context(Service(1, pack=pack)) for pack in packs}
        for service in services.values():
            load(service, 1, 1)
        for _ in range(ROUNDS):
            for pack, service in services.items():
                done = load(service, 1, SECONDS)
                found[pack].append((done["cost_ms"], done["p50_ms"]))
        print("| pack | CPU of a verification | times | p50 | times | resident |")
        print("|---|---|---|---|---|---|")
        for pack, rounds in found.items():
            cells = []
            for which in (0, 1):
                # The median of the rounds' ratios: both of a ratio were measured within seconds.
                ratios = [one[which] / base[which] for one, base in zip(rounds, found[packs[0]])]
                cells.append(f"{statistics.median(one[which] for one in rounds):.1f} ms | {statistics.median(ratios):.2f}")
            print(f"| `{pack}` | {cells[0]} | {cells[1]} | {resident_mib(services[pack].pid):.0f} MiB |")


if __name__ == "__main__":
    main()
