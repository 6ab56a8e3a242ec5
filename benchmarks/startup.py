#!/usr/bin/env python3
"""Time the commands that must answer at once, and how long it takes to the first training step: in turn, five times.

usage: python benchmarks/startup.py [--rounds 5]

The first step is of the real command on MNIST with all but 128 images held out, so that its only epoch is one step,
whose end is on record; importing torch, measured in the same round, is taken off. With tracking, into a store that is
there already and into one that must be made. ARCHSEARCH_DATA names the folder with the MNIST files; without them only
the commands are timed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import runner
from candidates.reference import BATCH, TRAINING_IMAGES
from runner import Candidate, Finished, Row, Table

COMMANDS = {
    "python -c pass": (["-c", "pass"], 0),
    "--cfg job": (["-m", "archsearch", "--cfg", "job"], 0),
    "--help": (["-m", "archsearch", "--help"], 0),
    "mistyped override": (["-m", "archsearch", "trainer.epocs=3"], 2),
    "check": (["-m", "archsearch.check", "model=session4"], 0),
    "import torch": (["-c", "import torch"], 0),
}
EXISTING, NEW, NONE = "first step", "first step, new store", "first step, tracking=none"
# Its only epoch is a single step; figures and model belong to the end, and are left out to save time.
ONE_STEP = [
    "data=mnist", f"data.validation={TRAINING_IMAGES - BATCH}", f"trainer.batch_size={BATCH}", "trainer.epochs=1",
    "scheduler=constant", "tracking.log_figures=false", "tracking.log_model=false",
]  # fmt: skip


def main() -> None:
    """Run each command once to warm up, then in turn; print and write medians and ranges."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, help="of the results")
    asked = parser.parse_args()
    output = runner.output_of(parser, asked.output, "startup")
    load = runner.load_before()
    with tempfile.TemporaryDirectory() as folder:
        candidates = [
            Candidate(name, [sys.executable, *words], _seconds, status) for name, (words, status) in COMMANDS.items()
        ]
        table = runner.alternate([*candidates, *_first_steps(folder)], asked.rounds, warm_up=True)
    _take_off_torch(table)
    print()
    for name in table.rows:
        metrics = [each for each in ("seconds", "seconds_without_torch") if each in table.rows[name][0]]
        found = [runner.show_spread(runner.spread(table.values(name, metric))) for metric in metrics]
        print(f"{name:28} {found[0]} s" + (f"; without importing torch {found[1]} s" if len(found) > 1 else ""))
    print()
    targets = [_target(table, "--cfg job", "seconds", 1.0), _target(table, "check", "seconds", 1.5)]
    if EXISTING in table.rows:
        targets += [_target(table, name, "seconds_without_torch", 5.0) for name in (EXISTING, NEW)]
    both = ("seconds", "seconds_without_torch")
    runner.write_results(output, {"rounds": asked.rounds, "load_before": load}, table, both, targets=targets)


def _seconds(done: Finished) -> Row:
    return {"seconds": done.seconds}


def _first_step(done: Finished) -> Row:
    row = runner.last_line(done)
    if row["train_images"] != BATCH:
        raise ValueError(f"its epoch is not one step, but of {row['train_images']} images")
    return {"seconds": row["seconds_to_first_step"], "seconds_to_first_epoch": row["seconds_to_first_epoch"]}


def _first_steps(folder: str) -> list[Candidate]:
    root = Path(os.environ.get("ARCHSEARCH_DATA", "data")).absolute()
    if not (root / "MNIST" / "raw").is_dir():
        print("SKIPPED the first training step: no MNIST there; ARCHSEARCH_DATA names its folder", file=sys.stderr)
        return []
    command = [sys.executable, "-m", "candidates.command"]
    words = [*ONE_STEP, f"data.root={root}"]
    existing = [*command, "--folder", folder, "--"]
    subprocess.run([*existing, *words], cwd=runner.BENCHMARKS, check=True, capture_output=True)  # makes the store
    return [
        Candidate(NONE, [*existing, *words, "tracking=none"], _first_step),
        Candidate(EXISTING, [*existing, *words], _first_step),
        Candidate(NEW, [*command, "--", *words], _first_step),
    ]


def _take_off_torch(table: Table) -> None:
    """Each round's own import of torch, beyond starting Python; a first step begins with one."""
    imports = zip(table.values("import torch", "seconds"), table.values("python -c pass", "seconds"), strict=True)
    for number, (torch, bare) in enumerate(imports):
        for name in (NONE, EXISTING, NEW):
            if name in table.rows:
                row = table.rows[name][number]
                row["seconds_without_torch"] = row["seconds"] - (torch - bare)


def _target(table: Table, name: str, metric: str, bound: float) -> Row:
    return runner.target(f"{name}: {metric}", runner.spread(table.values(name, metric))["median"], bound)


if __name__ == "__main__":
    main()
