#!/usr/bin/env python3
"""How long training to 99.4 % takes, compared with the whole reference recipe in the plain loop.

usage: python benchmarks/time_to_accuracy.py [--seeds 5] [--recipe OVERRIDE ...]

Trains archsearch's default recipe, changed by the overrides given, with seeds 1, 2, ... as single runs with torch's
default number of threads. Each run is followed by one epoch of the plain loop on all 60,000 images, of which the
reference's recipe has 19. Reported are the test accuracy of the final epoch, so that no epoch is selected, and the
seconds of training. The whole time of archsearch is that of its command; that of the loop includes an evaluation of the
test set after each epoch, as in the reference. ARCHSEARCH_DATA names the folder with the MNIST files.
"""

import os
import statistics
import sys
from collections.abc import Sequence

import machine
from arguments import data_root, parser_of_benchmark
from candidates.reference import EPOCHS, TRAINING_IMAGES
from checkout import composed_config
from results_file import output_path, write_results
from runner import BenchmarkError, Candidate, Table, alternate
from summary import Row, format_spread, spread, target

ARCHSEARCH, LOOP = "archsearch", "loop_epoch"
MAX_PARAMS = 13_000
METRICS = ("training_seconds", "seconds", "test_accuracy", "peak_rss_bytes")


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = parser_of_benchmark(__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--recipe", nargs="*", default=[], metavar="OVERRIDE", help="such as data.validation=0")
    parser.add_argument("--loop-images", type=int, default=TRAINING_IMAGES, help="change it for trials only")
    options = parser.parse_args(argv)
    trial = options.loop_images != TRAINING_IMAGES
    output = output_path(parser, options.output, "time_to_accuracy", trial=trial)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the loop runs on the CPU

    load = machine.load_before()
    root = data_root()
    overrides = ["data=mnist", f"data.root={root}", *options.recipe]
    config = composed_config(*overrides)
    loop = ["--root", str(root), "--images", str(options.loop_images), "--epochs", "1", "--seed", "{round}"]
    candidates = [
        Candidate(LOOP, [sys.executable, "-m", "candidates.loop", *loop]),
        Candidate(ARCHSEARCH, [sys.executable, "-m", "candidates.command", "--", *overrides, "seed={round}"]),
    ]
    table = alternate(candidates, options.seeds)
    for row in table.rows[ARCHSEARCH]:
        if row["params"] > MAX_PARAMS:
            raise BenchmarkError(f"the network has {row['params']:,} parameters, must have at most {MAX_PARAMS:,}")
    shares = shares_of(table, options.loop_images)
    accuracy = accuracy_of(table)
    show(table, shares, accuracy)
    settings = {
        "seeds": options.seeds,
        "recipe": options.recipe,
        "epochs": config["trainer"]["epochs"],
        "train_images": table.rows[ARCHSEARCH][0]["train_images"],
        "loop_images": options.loop_images,
        "reference_epochs": EPOCHS,
        "load_before": load,
    }
    targets = [] if trial else targets_of(shares, accuracy)
    write_results(output, settings, table, METRICS, accuracy=accuracy, shares=shares, targets=targets)


def accuracy_of(table: Table) -> Row:
    """Mean and sd of the test accuracy of the final epoch, and its values by seed."""
    values = table.values(ARCHSEARCH, "test_accuracy")
    return {
        "mean": statistics.fmean(values),
        "sd": statistics.stdev(values) if len(values) > 1 else None,
        "values": values,
    }


def shares_of(table: Table, loop_images: int = TRAINING_IMAGES) -> Row:
    """Seconds of archsearch divided by those of the whole reference, by round: `training` alone, and the `whole`."""
    scale = EPOCHS * TRAINING_IMAGES / loop_images
    training, whole, reference = [], [], []
    for run, loop in zip(table.rows[ARCHSEARCH], table.rows[LOOP], strict=True):
        reference.append(scale * loop["training_seconds"])
        training.append(run["training_seconds"] / reference[-1])
        whole.append(run["seconds"] / (reference[-1] + EPOCHS * loop["evaluation_seconds"]))
    shares = {"training": training, "whole": whole, "reference_training_seconds": reference}
    return {key: {**spread(values), "values": values} for key, values in shares.items()}


def show(table: Table, shares: Row, accuracy: Row) -> None:
    """Print every round, and the summary."""
    print("\nseed  test accuracy  training, s  reference, s   share  in all, s")
    for number, row in enumerate(table.rows[ARCHSEARCH]):
        reference, share = (shares[key]["values"][number] for key in ("reference_training_seconds", "training"))
        print(f"{number + 1:>4}  {row['test_accuracy']:>13.2f}  {row['training_seconds']:>11.1f}", end="")
        print(f"  {reference:>12.0f}  {share:>6.3f}  {row['seconds']:>9.1f}")
    sd = "" if accuracy["sd"] is None else f", sd {accuracy['sd']:.3f}"
    print(f"\nmean test accuracy of the final epoch {accuracy['mean']:.3f}{sd}, seeds: {len(accuracy['values'])}")
    for key, what in (("training", "training"), ("whole", "everything")):
        median = shares[key]["median"]
        print(f"{what}: {format_spread(shares[key], '{:.3f}')} of the reference's time, 1/{1 / median:.1f}")
    print()


def targets_of(shares: Row, accuracy: Row) -> list[Row]:
    """The targets for accuracy and time."""
    return [
        target("mean test accuracy of the final epoch", accuracy["mean"], 99.4, at_least=True),
        target("training over that of the whole reference", shares["training"]["median"], 1 / 15),
    ]


if __name__ == "__main__":
    main()
