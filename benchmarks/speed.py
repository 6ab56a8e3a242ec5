#!/usr/bin/env python3
"""How fast the reference net is trained and evaluated: archsearch, the plain loop, Lightning, Keras, in turn.

usage: python benchmarks/speed.py [--rounds 3] [--epochs 2] [--candidates loop,archsearch,sweep,lightning,keras]

All train the same net (12,954 parameters) on 50,000 images of MNIST in batches of 128 by the same recipe, on the CPU
with torch's own number of threads, and evaluate 10,000 images; a sweep has one variant a core. Their test accuracies
must agree, or there is no result. ARCHSEARCH_DATA names the folder with the MNIST files. `--rivals-python` names the
interpreter of an environment with benchmarks/requirements.txt.
"""

import argparse
import os
import statistics
import sys
from pathlib import Path

import runner
from candidates.reference import BATCH, TRAINING_IMAGES
from runner import Candidate, Row, Table

MODULES = {
    "loop": "loop",
    "archsearch": "archsearch_run",
    "sweep": "archsearch_sweep",
    "lightning": "lightning",
    "keras": "keras",
}
BASE, IMAGES = "loop", 50_000
RIVALS = ("lightning", "keras")
METRICS = (
    "images_per_second", "evaluation_images_per_second", "whole_images_per_second", "test_accuracy",
    "seconds_to_first_step", "peak_rss_bytes", "seconds",
)  # fmt: skip
RATIOS = METRICS[:3]
EXACT = ("params", "train_images")
# Points between two candidates' mean test accuracies. Seeds differed by 0.16 points (one sd) in a trial of 200 steps of
# the reference's recipe; after the 782 steps of two epochs about 0.1 is expected, so that means of three rounds differ
# by about 0.08: 0.3 is beyond luck. Every result has the sd that it had itself, as `sd_between_seeds`.
TOLERANCE = 0.3


def main() -> None:
    """Measure, check, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--candidates", default=",".join(MODULES))
    parser.add_argument("--rivals-python", default=sys.executable, metavar="PATH")
    parser.add_argument("--images", type=int, default=IMAGES, help="trained on; fewer is for trials only")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help="of accuracies; more is for trials only")
    parser.add_argument("--output", type=Path, help="of the results; a trial must say it")
    asked = parser.parse_args()
    trial = (asked.images, asked.tolerance) != (IMAGES, TOLERANCE)
    output = runner.output_of(parser, asked.output, "speed", trial=trial)
    names = asked.candidates.split(",")
    unknown = [name for name in names if name not in MODULES]
    if unknown or BASE not in names:
        parser.error(f"--candidates: some of {', '.join(MODULES)}, and {BASE} among them; got {asked.candidates}")
    if not 0 < asked.images < TRAINING_IMAGES:
        parser.error(f"--images: fewer than {TRAINING_IMAGES:,}, so that some are left for evaluation")
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # some would use a GPU and some would not

    load = runner.load_before()
    root = Path(os.environ.get("ARCHSEARCH_DATA", "data")).absolute()
    told = ["--root", str(root), "--images", str(asked.images), "--epochs", str(asked.epochs), "--seed", "{round}"]
    candidates = [
        Candidate(
            name,
            [asked.rivals_python if name in RIVALS else sys.executable, "-m", f"candidates.{MODULES[name]}", *told],
        )
        for name in names
    ]
    table = runner.alternate(candidates, asked.rounds)
    for row in (row for rows in table.rows.values() for row in rows):
        row["whole_images_per_second"] = row["images_trained"] / row["seconds"]
    apart = runner.require_same(table, BASE, EXACT, {"test_accuracy": asked.tolerance})
    check = {
        "equal": list(EXACT),
        "accuracy_tolerance": asked.tolerance,
        "accuracy_largest_difference": apart["test_accuracy"],
        "sd_between_seeds": _noise(table),
    }
    ratios = {
        name: {metric: runner.spread(table.ratios(name, BASE, metric)) for metric in RATIOS} for name in table.rows
    }
    show(table, ratios, check)
    settings = {
        "rounds": asked.rounds,
        "epochs": asked.epochs,
        "images": asked.images,
        "batch_size": BATCH,
        "load_before": load,
    }
    targets = [] if trial else _targets(table, ratios)
    runner.write_results(output, settings, table, METRICS, ratios=ratios, same=check, targets=targets)


def _noise(table: Table) -> float | None:
    """The sd of test accuracy within a candidate, over rounds with different seeds, pooled; a sweep has means."""
    groups = [table.values(name, "test_accuracy") for name in table.rows if name != "sweep"]
    variances = [statistics.variance(group) for group in groups if len(group) > 1]
    return statistics.fmean(variances) ** 0.5 if variances else None


def show(table: Table, ratios: dict[str, Row], check: Row) -> None:
    """Print the table: medians over the rounds, with their ranges."""
    print(f"\n{'':11}{'training, images/s':>27}  {f'times the {BASE}':>21}  {'evaluation, images/s':>27}", end="")
    print(f"  {f'times the {BASE}':>21}  {'whole command':>13}  accuracy  first step, s  peak, MB")
    for name in table.rows:
        one = {metric: runner.spread(table.values(name, metric)) for metric in METRICS}
        cells = [
            f"{runner.show_spread(one['images_per_second'], '{:,.0f}'):>27}",
            f"{runner.show_spread(ratios[name]['images_per_second']):>21}",
            f"{runner.show_spread(one['evaluation_images_per_second'], '{:,.0f}'):>27}",
            f"{runner.show_spread(ratios[name]['evaluation_images_per_second']):>21}",
            f"{one['whole_images_per_second']['median']:>13,.0f}",
            f"{statistics.fmean(table.values(name, 'test_accuracy')):>8.2f}",
            f"{one['seconds_to_first_step']['median']:>13.1f}",
            f"{one['peak_rss_bytes']['median'] / 1e6:>8,.0f}",
        ]
        print(f"{name:11}" + "  ".join(cells))
    sd = check["sd_between_seeds"]
    print(
        f"\nthe same net and images; mean accuracies within {check['accuracy_largest_difference']:.2f} points", end=""
    )
    print(f" (allowed: {check['accuracy_tolerance']:g}; sd between seeds {'unknown' if sd is None else f'{sd:.2f}'})")
    for name, reason in table.skipped.items():
        print(f"SKIPPED {name}: {reason}")


def _targets(table: Table, ratios: dict[str, Row]) -> list[Row]:
    """What was wanted of two CPU cores, and what came out."""
    found = []
    for name, metric, bound in (
        ("archsearch", "images_per_second", 1.7),
        ("sweep", "images_per_second", 2.5),
        ("archsearch", "evaluation_images_per_second", 3.0),
    ):
        if name in ratios:
            what = f"{name}: {metric} over the {BASE}'s"
            found.append(runner.target(what, ratios[name][metric]["median"], bound, at_least=True))
    if "sweep" in table.rows:
        peak = max(table.values("sweep", "peak_rss_bytes"))
        found.append(runner.target("sweep: GB of a worker at its peak", peak / 1e9, 1.5))
    return found


if __name__ == "__main__":
    main()
