#!/usr/bin/env python3
"""What MLflow, figures and checkpoints add to a run: the default run, in turn with one without MLflow and figures.

usage: python benchmarks/overhead.py [--rounds 5] [--epochs 2]

Both train the default recipe on MNIST for a few epochs. Added time is the difference between the two before the first
epoch, during the epochs (a process beside them imports MLflow while the first epoch is trained) and after the
last one, plus all of the time between epochs, where both write checkpoints. It is reported relative to a run of all the
epochs of the default recipe, and to one of the reference's 19 epochs on all images. The tracking store exists already,
as it does for all but the first run in a folder. ARCHSEARCH_DATA names the folder with the MNIST files.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence

import machine
from arguments import data_root, parser_of_benchmark
from candidates.reference import EPOCHS, TRAINING_IMAGES
from checkout import BENCHMARKS, default_epochs
from results_file import output_path, write_results
from runner import Candidate, Table, alternate
from summary import Row, format_spread, spread, target

WITH, WITHOUT = "tracking=mlflow", "tracking=none"
BARE = [WITHOUT, "tracking.log_figures=false", "tracking.log_model=false"]
METRICS = (
    "seconds", "seconds_to_first_epoch", "seconds_between_epochs", "seconds_after_last_epoch",
    "training_seconds", "evaluation_seconds",
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = parser_of_benchmark(__doc__, rounds=5)
    parser.add_argument("--epochs", type=int, default=2, help="epochs per run, at least 2")
    parser.add_argument("--words", nargs="*", default=[], metavar="OVERRIDE", help="for both runs; for trials only")
    options = parser.parse_args(argv)
    trial = bool(options.words)
    output = output_path(parser, options.output, "overhead", trial=trial)
    if options.epochs < 2:
        parser.error(f"--epochs: got {options.epochs}, must be at least 2 to have a time between epochs")

    load = machine.load_before()
    overrides = ["data=mnist", f"data.root={data_root()}", f"trainer.epochs={options.epochs}", "seed={round}"]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "candidates.command", "--folder", folder, "--"]
        create_store = [*command, "data=digits", "trainer.epochs=1"]
        subprocess.run(create_store, cwd=BENCHMARKS, check=True, capture_output=True)
        command += [*overrides, *options.words]
        table = alternate([Candidate(WITHOUT, [*command, *BARE]), Candidate(WITH, [*command, WITH])], options.rounds)
    epochs = default_epochs()
    summary = summarize(table, epochs)
    show(table, summary, epochs)
    targets = [] if trial else targets_of(summary)
    settings = {"rounds": options.rounds, "epochs": options.epochs, "default_epochs": epochs, "load_before": load}
    write_results(output, settings, table, METRICS, added=summary, targets=targets)


def summarize(table: Table, epochs: int) -> dict[str, Row]:
    """Spreads over the rounds of what is `added` to a run of so many `epochs`, and of the share of the reference's."""
    rounds = list(zip(table.rows[WITHOUT], table.rows[WITH], strict=True))
    rows = [added(bare, full, epochs) for bare, full in rounds]
    summary = {key: spread([row[key] for row in rows]) for key in rows[0]}
    percents = [added(bare, full, EPOCHS, TRAINING_IMAGES)["percent"] for bare, full in rounds]
    return {**summary, "percent_of_reference": spread(percents)}


def added(bare: Row, full: Row, epochs: int, images: int | None = None) -> Row:
    """The seconds that the `full` run of a round adds to the `bare` one, and `whole`, its own, scaled to `epochs`.

    `images` is the number of images per epoch; the default is the number that the runs trained on.
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


def show(table: Table, summary: dict[str, Row], epochs: int) -> None:
    """Print where the time went: seconds, medians with ranges."""
    print(f"\n{'seconds':28}{WITHOUT:>24}{WITH:>24}")
    for metric in METRICS:
        cells = [format_spread(spread(table.values(name, metric))) for name in (WITHOUT, WITH)]
        print(f"{metric:28}" + "".join(f"{cell:>24}" for cell in cells))
    parts = {key: format_spread(values) for key, values in summary.items()}
    print(f"\nadded to a run of {epochs} epochs, seconds: before training {parts['before']}", end="")
    print(f", during it {parts['during']}, checkpoints and records between epochs {parts['between']}", end="")
    print(f", after the last one {parts['after']}")
    print(f"of {summary['whole']['median']:.0f} s: {parts['percent']} %", end="")
    print(f"; of the reference's {EPOCHS} epochs: {parts['percent_of_reference']} %\n")


def targets_of(summary: dict[str, Row]) -> list[Row]:
    """The targets for what a run adds."""
    return [
        target("% of a default run that is added", summary["percent"]["median"], 2.0),
        target("% of the reference's run", summary["percent_of_reference"]["median"], 2.0),
        target("seconds added after the last epoch", summary["after"]["median"], 5.0),
    ]


if __name__ == "__main__":
    main()
