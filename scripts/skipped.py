#!/usr/bin/env python3
"""Passes on what `cargo test` prints and ends with a line that says how many tests were skipped, and what they need.

    cargo test ... | skipped.py
"""

import re
import sys
from collections import Counter

# A test that is skipped has what it lacks in brackets before its name.
SKIPPED = re.compile(r"^test \[(.+)\] \S+ +\.\.\. ignored")
RAN = re.compile(r"^test (?:\[.+\] )?\S+.* \.\.\. (?:ok|FAILED)")


def main():
    reasons, ran = Counter(), 0
    for line in sys.stdin:
        print(line, end="", flush=True)
        if skipped := SKIPPED.match(line):
            reasons[skipped[1]] += 1
        elif RAN.match(line):
            ran += 1
    needs = ", ".join(f"{count} ({reason})" for reason, count in reasons.most_common())
    print(f"test: {ran} tests ran, {reasons.total()} were skipped" + (f": {needs}" if needs else ""))


if __name__ == "__main__":
    main()
