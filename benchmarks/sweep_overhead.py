#!/usr/bin/env python3
"""What a sweep costs beyond training: 200 runs of a tiny network on digits.

usage: python benchmarks/sweep_overhead.py [--epochs 8]

Prints the time of the whole command, multiplied by the number of workers and divided by the seconds that the runs spent
in their epochs: training, and evaluation of the held-out images. Peak memory is the largest sum of the proportional set
sizes (shared pages count once) of all processes, sampled twice a second; Linux only.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import machine
from arguments import parser_of

from archsearch.runs.formatting import count

DROPOUTS, SEEDS = ("0", "0.05", "0.1", "0.15", "0.2"), range(1, 41)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the sweep in a folder of its own, sample its memory, and print what it cost."""
    parser = parser_of(__doc__)
    parser.add_argument("--epochs", type=int, default=8)
    epochs = parser.parse_args(argv).epochs
    with tempfile.TemporaryDirectory() as folder:
        fixed = ["data=digits", "model=session5_step1", "model.width=0.4", f"trainer.epochs={epochs}"]
        grid = [f"model.dropout={','.join(DROPOUTS)}", f"seed=range({SEEDS.start},{SEEDS.stop})"]
        places = [f"hydra.sweep.dir={folder}/sweep", f"tracking.uri=sqlite:///{folder}/mlflow.db"]
        began = time.perf_counter()
        with (Path(folder) / "output.txt").open("w") as output:
            command = [sys.executable, "-m", "archsearch", "-m", *fixed, *grid, *places]
            sweep = subprocess.Popen(command, stdout=output)
            peak = peak_memory(sweep)
        seconds = time.perf_counter() - began
        assert sweep.returncode == 0
        results = [json.loads(path.read_text()) for path in Path(folder).glob("sweep/*/result.json")]
        first = min(path.stat().st_mtime for path in Path(folder).glob("sweep/*/config.yaml"))
        last = max(path.stat().st_mtime for path in Path(folder).glob("sweep/*/predictions.csv"))
    workers = machine.cores()
    assert len(results) == len(DROPOUTS) * len(SEEDS)
    print(f"{count(len(results), 'run')} of {count(len(DROPOUTS), 'variant')}", end="")
    print(f", {results[0]['params']:,} parameters, {count(epochs, 'epoch')}, {count(workers, 'worker')}")
    training = sum(result["seconds"] for result in results)
    in_epochs = training + sum(result["evaluation_seconds"] for result in results)
    print(f"whole command {seconds:.0f} s, from the start of the first run to the end of the last {last - first:.0f} s")
    print(f"in epochs, summed over runs: {in_epochs:.0f} s, of which training {training:.0f} s")
    for what, divisor in (("epochs", in_epochs), ("training alone", training)):
        whole, between = seconds * workers / divisor, (last - first) * workers / divisor
        print(f"time x workers / {what}: {whole:.3f} whole, {between:.3f} from first start to last end")
    print(f"peak memory of all processes: {peak / 2**30:.2f} GiB")


def peak_memory(process: "subprocess.Popen[bytes]") -> int:
    """Sample the memory of `process` and its descendants until it ends; returns the peak in bytes."""
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
    return [*children, *(descendant for child in children for descendant in _descendants(child))]


def _proportional_size(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


if __name__ == "__main__":
    main()
