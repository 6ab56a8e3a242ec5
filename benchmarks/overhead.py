#!/usr/bin/env python3
"""What MLflow, plots and checkpoints add to a run: the default run with them and, in turn, without MLflow and plots.

usage: python benchmarks/overhead.py [--rounds 3] [--epochs 2]

Both train the default recipe on MNIST for a few epochs. What is added is not taken from whole times, in which the
noise of training would drown it, but from the times before the first epoch, between epochs and after the last one,
which the runs have on record: the differences of the first and the last, and all of the time between epochs, where
checkpoints are written with and without MLflow. That is then held against a run of all the epochs of the default
recipe. The tracking store exists already, as in all runs but a folder's first. ARCHSEARCH_DATA names the folder with
the MNIST files.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import runner
from runner import Candidate, Row, Table
from words import default_epochs

WITH, WITHOUT = "tracking=mlflow", "tracking=none"
BARE = [WITHOUT, "tracking.log_figures=false", "tracking.log_model=false"]
METRICS = (
    "seconds", "seconds_to_first_epoch", "seconds_between_epochs", "seconds_after_last_epoch",
    "training_seconds", "evaluation_seconds",
)  # fmt: skip


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=2, help="of each run; at least 2, or nothing lies between them")
    parser.add_argument("--words", nargs="*", default=[], help="overrides of both runs; for trials only")
    parser.add_argument("--output", type=Path, help="of the results; a trial must say it")
    asked = parser.parse_args()
    output = runner.output_of(parser, asked.output, "overhead", trial=bool(asked.words))
    if asked.epochs < 2:
        parser.error("--epochs must be at least 2")

    load = runner.load_before()
    root = Path(os.environ.get("ARCHSEARCH_DATA", "data")).absolute()
    words = ["data=mnist", f"data.root={root}", f"trainer.epochs={asked.epochs}", "seed={round}", *asked.words]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "candidates.command", "--folder", folder, "--"]
        first = [*command, "data=digits", "trainer.epochs=1"]  # makes the store
        subprocess.run(first, cwd=runner.BENCHMARKS, check=True, capture_output=True)
        candidates = [Candidate(WITHOUT, [*command, *words, *BARE]), Candidate(WITH, [*command, *words, WITH])]
        table = runner.alternate(candidates, asked.rounds)
    epochs = default_epochs()
    found = [added(bare, full, epochs) for bare, full in zip(table.rows[WITHOUT], table.rows[WITH], strict=True)]
    summary = {key: runner.spread([each[key] for each in found]) for key in found[0]}
    show(table, summary, epochs)
    targets = (
        []
        if asked.words
        else [
            runner.target("% of a default run that is added", summary["percent"]["median"], 2.0),
            runner.target("seconds added after the last epoch", summary["after"]["median"], 5.0),
        ]
    )
    settings = {"rounds": asked.rounds, "epochs": asked.epochs, "default_epochs": epochs, "load_before": load}
    runner.write_results(output, settings, table, METRICS, added=summary, targets=targets)


def added(bare: Row, full: Row, epochs: int) -> Row:
    """The seconds that a round's `full` run of so many epochs would take in all, and those that `bare` would not."""
    before = full["seconds_to_first_epoch"] - bare["seconds_to_first_epoch"]
    after = full["seconds_after_last_epoch"] - bare["seconds_after_last_epoch"]
    between = full["seconds_between_epochs"] * epochs
    training = epochs * (full["training_seconds"] + full["evaluation_seconds"]) / full["epochs"]
    whole = full["seconds_to_first_epoch"] + training + between + full["seconds_after_last_epoch"]
    return {
        "before": before,
        "between": between,
        "after": after,
        "whole": whole,
        "percent": 100 * (before + between + after) / whole,
    }


def show(table: Table, summary: Row, epochs: int) -> None:
    """Print where the time went, in seconds: medians, with ranges."""
    print(f"\n{'seconds':28}{WITHOUT:>24}{WITH:>24}")
    for metric in METRICS:
        cells = [runner.show_spread(runner.spread(table.values(name, metric))) for name in (WITHOUT, WITH)]
        print(f"{metric:28}" + "".join(f"{cell:>24}" for cell in cells))
    parts = {key: runner.show_spread(summary[key]) for key in ("before", "between", "after", "percent")}
    print(f"\nadded to a run of {epochs} epochs, seconds: before training {parts['before']}", end="")
    print(f", checkpoints and records between epochs {parts['between']}, after the last one {parts['after']}")
    print(f"of {summary['whole']['median']:.0f} s: {parts['percent']} %\n")


if __name__ == "__main__":
    main()
