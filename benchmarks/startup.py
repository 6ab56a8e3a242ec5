#!/usr/bin/env python3
"""Time the commands that must answer at once: median of 5, alternately, in fresh processes.

usage: python benchmarks/startup.py
"""

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "--cfg job": ["-m", "archsearch", "--cfg", "job"],
    "--help": ["-m", "archsearch", "--help"],
    "mistyped override": ["-m", "archsearch", "trainer.epocs=3"],
    "check": ["-m", "archsearch.check", "model=session4"],
}


def main() -> None:
    """Run each command once to warm up, then five times in turn, and print medians and ranges."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for round_number in range(6):
        for name, arguments in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
            if round_number:
                seconds[name].append(time.perf_counter() - began)
    for name, values in seconds.items():
        print(f"{name:18} {statistics.median(values):.2f} s  ({min(values):.2f} to {max(values):.2f})")


if __name__ == "__main__":
    main()
