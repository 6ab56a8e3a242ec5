#!/usr/bin/env python3
"""What MLflow, plots and checkpoints add to a run: the default run with them and, in turn, without MLflow and plots.

usage: python benchmarks/overhead.py [--rounds 5] [--epochs 2]

Both train the default recipe on MNIST for a few epochs. What is added are the differences of the times before the first
epoch, of the epochs themselves (a process beside them imports MLflow and torch while the first is trained), and after
the last one; and all of the time between epochs, where checkpoints are written with and without MLflow. That is then
held against runs of all the epochs of the default recipe, and of the reference's 19 on all images. The tracking store
exists already, as in all runs but a folder's first. ARCHSEARCH_DATA names the folder with the MNIST files.
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

REFERENCE_EPOCHS, REFERENCE_IMAGES = 19, 60_000
WITH, WITHOUT = "tracking=mlflow", "tracking=none"
BARE = [WITHOUT, "tracking.log_figures=false", "tracking.log_model=false"]
METRICS = (
    "seconds", "seconds_to_first_epoch", "seconds_between_epochs", "seconds_after_last_epoch",
    "training_seconds", "evaluation_seconds",
)  # fmt: skip


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
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
    rounds = list(zip(table.rows[WITHOUT], table.rows[WITH], strict=True))
    found = [added(bare, full, epochs) for bare, full in rounds]
    summary = {key: runner.spread([each[key] for each in found]) for key in found[0]}
    longer = [added(bare, full, REFERENCE_EPOCHS, REFERENCE_IMAGES)["percent"] for bare, full in rounds]
    summary["percent_of_reference"] = runner.spread(longer)
    show(table, summary, epochs)
    targets = (
        []
        if asked.words
        else [
            runner.target("% of a default run that is added", summary["percent"]["median"], 2.0),
            runner.target("% of the reference's run", summary["percent_of_reference"]["median"], 2.0),
            runner.target("seconds added after the last epoch", summary["after"]["median"], 5.0),
        ]
    )
    settings = {"rounds": asked.rounds, "epochs": asked.epochs, "default_epochs": epochs, "load_before": load}
    runner.write_results(output, settings, table, METRICS, added=summary, targets=targets)


def added(bare: Row, full: Row, epochs: int, images: int | None = None) -> Row:
    """The seconds that a round's `full` run of so many epochs would take in all, and those that `bare` would not.

    `images` are those of an epoch, if not as many as were trained on.
    """
    epoch = (bare["training_seconds"] + bare["evaluation_seconds"]) / bare["epochs"]
    if images is not None:
        epoch *= images / bare["train_images"]
    before = full["seconds_to_first_epoch"] - bare["seconds_to_first_epoch"]
    during = sum(full[key] - bare[key] for key in ("training_seconds", "evaluation_seconds"))
    between = full["seconds_between_epochs"] * epochs
    after = full["seconds_after_last_epoch"] - bare["seconds_after_last_epoch"]
    whole = full["seconds_to_first_epoch"] + epochs * epoch + during + between + full["seconds_after_last_epoch"]
    percent = 100 * (before + during + between + after) / whole
    return {"before": before, "during": during, "between": between, "after": after, "whole": whole, "percent": percent}


def show(table: Table, summary: Row, epochs: int) -> None:
    """Print where the time went, in seconds: medians, with ranges."""
    print(f"\n{'seconds':28}{WITHOUT:>24}{WITH:>24}")
    for metric in METRICS:
        cells = [runner.show_spread(runner.spread(table.values(name, metric))) for name in (WITHOUT, WITH)]
        print(f"{metric:28}" + "".join(f"{cell:>24}" for cell in cells))
    parts = {key: runner.show_spread(found) for key, found in summary.items()}
    print(f"\nadded to a run of {epochs} epochs, seconds: before training {parts['before']}", end="")
    print(f", during it {parts['during']}, checkpoints and records between epochs {parts['between']}", end="")
    print(f", after the last one {parts['after']}")
    print(f"of {summary['whole']['median']:.0f} s: {parts['percent']} %", end="")
    print(f"; of the reference's 19 epochs: {parts['percent_of_reference']} %\n")


if __name__ == "__main__":
    main()
