#!/usr/bin/env python3
"""How long training to 99.4 % takes, against the whole reference recipe in the plain loop.

usage: python benchmarks/time_to_accuracy.py [--seeds 5] [--recipe OVERRIDE ...]

Trains archsearch's default recipe, or that with the overrides given, with seeds 1, 2, ... one after another as single
runs with torch's own number of threads; in turn with one epoch of the plain loop on all 60,000 images, of which the
reference's recipe has 19. What counts is the test accuracy after the final epoch, which nobody has chosen, and the
seconds of training; for whole times, archsearch's is from the command to its prompt, and the loop's has the test set
evaluated after each epoch, as in the reference. ARCHSEARCH_DATA names the folder with the MNIST files.
"""

import argparse
import os
import statistics
import sys
from pathlib import Path

import runner
from runner import Candidate, Row, Table
from words import composed

OURS, LOOP = "archsearch", "loop_epoch"
EPOCHS, IMAGES = 19, 60_000  # of the reference's recipe
MAX_PARAMS = 13_000
METRICS = ("training_seconds", "seconds", "test_accuracy", "peak_rss_bytes")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--recipe", nargs="*", default=[], metavar="OVERRIDE", help="such as data.validation=0")
    parser.add_argument("--loop-images", type=int, default=IMAGES, help="fewer is for trials only")
    parser.add_argument("--output", type=Path, help="of the results; a trial must say it")
    asked = parser.parse_args()
    trial = asked.loop_images != IMAGES
    output = runner.output_of(parser, asked.output, "time_to_accuracy", trial=trial)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the loop is on the CPU

    load = runner.load_before()
    root = Path(os.environ.get("ARCHSEARCH_DATA", "data")).absolute()
    words = ["data=mnist", f"data.root={root}", *asked.recipe]
    config = composed(*words)
    loop = ["--root", str(root), "--images", str(asked.loop_images), "--epochs", "1", "--seed", "{round}"]
    candidates = [
        Candidate(LOOP, [sys.executable, "-m", "candidates.loop", *loop]),
        Candidate(OURS, [sys.executable, "-m", "candidates.command", "--", *words, "seed={round}"]),
    ]
    table = runner.alternate(candidates, asked.seeds)
    for row in table.rows[OURS]:
        if row["params"] > MAX_PARAMS:
            raise runner.BenchmarkError(f"{row['params']:,} parameters; at most {MAX_PARAMS:,} may reach the accuracy")
    shares = shares_of(table, asked.loop_images)
    accuracies = table.values(OURS, "test_accuracy")
    accuracy: Row = {
        "mean": statistics.fmean(accuracies),
        "sd": statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        "values": accuracies,
    }
    show(table, shares, accuracy)
    targets = (
        []
        if trial
        else [
            runner.target("mean test accuracy of the final epoch", accuracy["mean"], 99.4, at_least=True),
            runner.target("training over that of the whole reference", shares["training"]["median"], 1 / 6),
        ]
    )
    settings = {
        "seeds": asked.seeds,
        "recipe": asked.recipe,
        "epochs": config["trainer"]["epochs"],
        "train_images": table.rows[OURS][0]["train_images"],
        "loop_images": asked.loop_images,
        "reference_epochs": EPOCHS,
        "load_before": load,
    }
    more = {"accuracy": accuracy, "shares": shares, "targets": targets}
    runner.write_results(output, settings, table, METRICS, **more)


def shares_of(table: Table, loop_images: int = IMAGES) -> Row:
    """Our seconds over those of the whole reference, by round: training alone, and everything."""
    scale = EPOCHS * IMAGES / loop_images
    training, whole, reference = [], [], []
    for ours, loop in zip(table.rows[OURS], table.rows[LOOP], strict=True):
        reference.append(scale * loop["training_seconds"])
        training.append(ours["training_seconds"] / reference[-1])
        whole.append(ours["seconds"] / (reference[-1] + EPOCHS * loop["evaluation_seconds"]))
    found = {"training": training, "whole": whole, "reference_training_seconds": reference}
    return {key: {**runner.spread(values), "values": values} for key, values in found.items()}


def show(table: Table, shares: Row, accuracy: Row) -> None:
    """Print it round by round, and in all."""
    print("\nseed  test accuracy  training, s  reference, s   share  in all, s")
    for number, row in enumerate(table.rows[OURS]):
        reference, share = (shares[key]["values"][number] for key in ("reference_training_seconds", "training"))
        print(f"{number + 1:>4}  {row['test_accuracy']:>13.2f}  {row['training_seconds']:>11.1f}", end="")
        print(f"  {reference:>12.0f}  {share:>6.3f}  {row['seconds']:>9.1f}")
    sd = "" if accuracy["sd"] is None else f", sd {accuracy['sd']:.3f}"
    print(f"\nmean test accuracy of the final epoch {accuracy['mean']:.3f}{sd}, {len(accuracy['values'])} seeds")
    for key, what in (("training", "training"), ("whole", "everything")):
        middle = shares[key]["median"]
        print(f"{what}: {runner.show_spread(shares[key], '{:.3f}')} of the reference's time, 1/{1 / middle:.1f}")
    print()


if __name__ == "__main__":
    main()
