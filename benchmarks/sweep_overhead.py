#!/usr/bin/env python3
"""What a sweep costs beyond training: 200 variants of a tiny network on digits.

usage: python benchmarks/sweep_overhead.py [--epochs 8]

Prints the sweep's whole time, from the command to its prompt, times its workers, over the seconds that the variants
spent in their epochs: training, and evaluating the held-out images after each. Peak memory is the largest sum of the
proportional set sizes (what is shared counts once) of all its processes, looked at twice a second; Linux only.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Run the sweep in a folder of its own, watch it, and print what it cost."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=8)
    epochs = parser.parse_args().epochs
    with tempfile.TemporaryDirectory() as folder:
        words = ["data=digits", "model=session5_step1", "model.width=0.4", f"trainer.epochs={epochs}"]
        grid = ["model.dropout=0,0.05,0.1,0.15,0.2", "seed=range(1,41)"]
        places = [f"hydra.sweep.dir={folder}/sweep", f"tracking.uri=sqlite:///{folder}/mlflow.db"]
        began = time.perf_counter()
        with (Path(folder) / "screen.txt").open("w") as screen:
            sweep = subprocess.Popen([sys.executable, "-m", "archsearch", "-m", *words, *grid, *places], stdout=screen)
            peak = _watch(sweep)
        seconds = time.perf_counter() - began
        assert sweep.returncode == 0
        results = [json.loads(path.read_text()) for path in Path(folder).glob("sweep/*/result.json")]
        first = min(path.stat().st_mtime for path in Path(folder).glob("sweep/*/config.yaml"))
        last = max(path.stat().st_mtime for path in Path(folder).glob("sweep/*/predictions.csv"))
    workers = len(os.sched_getaffinity(0))
    assert len(results) == 200
    print(f"{len(results)} variants of {results[0]['params']:,} parameters, {epochs} epochs, {workers} workers")
    training = sum(result["seconds"] for result in results)
    in_epochs = training + sum(result["evaluation_seconds"] for result in results)
    print(f"whole time {seconds:.0f} s, from the first variant's start to the last one's end {last - first:.0f} s")
    print(f"in epochs, all variants together: {in_epochs:.0f} s, {training:.0f} s of it training")
    for what, divisor in (("epochs", in_epochs), ("training alone", training)):
        whole, between = seconds * workers / divisor, (last - first) * workers / divisor
        print(f"time x workers / {what}: {whole:.3f} whole, {between:.3f} between first start and last end")
    print(f"peak memory of all processes: {peak / 2**30:.2f} GiB")


def _watch(process: "subprocess.Popen[bytes]") -> int:
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(map(_proportional_size, [process.pid, *_descendants(process.pid)])))
        time.sleep(0.5)
    return peak


def _descendants(pid: int) -> list[int]:
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [*children, *(below for child in children for below in _descendants(child))]


def _proportional_size(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


if __name__ == "__main__":
    main()
