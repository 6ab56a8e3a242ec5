#!/usr/bin/env python3
"""How long commands that must answer quickly take, and how long it takes to the first training step.

usage: python benchmarks/startup.py [--rounds 5]

The first step is that of the real command on MNIST. All but 128 training images are held out, so the only epoch is one
step, whose end is recorded. The time to import torch, measured in the same round, is subtracted. With tracking, the
store either exists already or is created. ARCHSEARCH_DATA names the folder with the MNIST files; without them only the
commands are timed.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence

import machine
from arguments import data_root, parser_of_benchmark
from candidates.reference import BATCH, TRAINING_IMAGES
from checkout import BENCHMARKS
from results_file import output_path, write_results
from runner import Candidate, Finished, Table, alternate, last_line
from summary import Row, format_spread, spread, target

PYTHON, TORCH = "python -c pass", "import torch"
COMMANDS = {
    PYTHON: (["-c", "pass"], 0),
    "--cfg job": (["-m", "archsearch", "--cfg", "job"], 0),
    "--help": (["-m", "archsearch", "--help"], 0),
    "mistyped override": (["-m", "archsearch", "trainer.epocs=3"], 2),
    "check": (["-m", "archsearch.check", "model=session4"], 0),
    TORCH: (["-c", "import torch"], 0),
}
EXISTING, NEW, NONE = "first step", "first step, new store", "first step, tracking=none"
METRICS = ("seconds", "seconds_without_torch")
# The only epoch is a single step. Figures and model belong to the end, and are left out to save time.
ONE_STEP = [
    "data=mnist", f"data.validation={TRAINING_IMAGES - BATCH}", f"trainer.batch_size={BATCH}", "trainer.epochs=1",
    "scheduler=constant", "tracking.log_figures=false", "tracking.log_model=false",
]  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    """Run each command once to warm up, then in turn; print and write medians and ranges."""
    parser = parser_of_benchmark(__doc__, rounds=5)
    options = parser.parse_args(argv)
    output = output_path(parser, options.output, "startup")
    load = machine.load_before()
    with tempfile.TemporaryDirectory() as folder:
        commands = [
            Candidate(name, [sys.executable, *arguments], _seconds, status)
            for name, (arguments, status) in COMMANDS.items()
        ]
        table = alternate([*commands, *first_steps(folder)], options.rounds, warm_up=True)
    subtract_torch(table)
    show(table)
    settings = {"rounds": options.rounds, "load_before": load}
    write_results(output, settings, table, METRICS, targets=targets_of(table))


def first_steps(folder: str) -> list[Candidate]:
    """The candidates that train one step, with a tracking store in `folder`; none if MNIST is missing."""
    root = data_root()
    if not (root / "MNIST" / "raw").is_dir():
        print(f"SKIPPED the first training step: no MNIST in {root}; ARCHSEARCH_DATA names its folder", file=sys.stderr)
        return []
    command = [sys.executable, "-m", "candidates.command"]
    overrides = [*ONE_STEP, f"data.root={root}"]
    existing = [*command, "--folder", folder, "--", *overrides]
    subprocess.run(existing, cwd=BENCHMARKS, check=True, capture_output=True)  # creates the store
    return [
        Candidate(NONE, [*existing, "tracking=none"], _first_step),
        Candidate(EXISTING, existing, _first_step),
        Candidate(NEW, [*command, "--", *overrides], _first_step),
    ]


def _seconds(process: Finished) -> Row:
    return {"seconds": process.seconds}


def _first_step(process: Finished) -> Row:
    row = last_line(process)
    if row["train_images"] != BATCH:
        raise ValueError(f"its epoch has {row['train_images']} images, must be one step of {BATCH}")
    return {"seconds": row["seconds_to_first_step"], "seconds_to_first_epoch": row["seconds_to_first_epoch"]}


def subtract_torch(table: Table) -> None:
    """Add `seconds_without_torch` to each first step: without the round's import of torch, beyond Python's start."""
    imports = zip(table.values(TORCH, "seconds"), table.values(PYTHON, "seconds"), strict=True)
    for number, (torch, bare) in enumerate(imports):
        for name in (NONE, EXISTING, NEW):
            if name in table.rows:
                row = table.rows[name][number]
                row["seconds_without_torch"] = row["seconds"] - (torch - bare)


def show(table: Table) -> None:
    """Print medians and ranges."""
    print()
    for name, rows in table.rows.items():
        spreads = [format_spread(spread(table.values(name, metric))) for metric in METRICS if metric in rows[0]]
        print(f"{name:28} {spreads[0]} s" + (f"; without importing torch {spreads[1]} s" if len(spreads) > 1 else ""))
    print()


def targets_of(table: Table) -> list[Row]:
    """The targets for the commands and, if measured, for the first step."""
    targets = [_target(table, "--cfg job", "seconds", 1.0), _target(table, "check", "seconds", 1.5)]
    if EXISTING in table.rows:
        targets += [_target(table, name, "seconds_without_torch", 5.0) for name in (EXISTING, NEW)]
    return targets


def _target(table: Table, name: str, metric: str, bound: float) -> Row:
    return target(f"{name}: {metric}", spread(table.values(name, metric))["median"], bound)


if __name__ == "__main__":
    main()
