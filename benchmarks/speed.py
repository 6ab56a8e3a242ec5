#!/usr/bin/env python3
"""How fast the reference network is trained and evaluated by archsearch, the plain loop, Lightning and Keras, in turn.

usage: python benchmarks/speed.py [--rounds 3] [--epochs 2] [--candidates loop,archsearch,sweep,...]

All candidates train the same network (12,954 parameters) with the same recipe on 50,000 images of MNIST in batches of
128, on the CPU with torch's default number of threads, and evaluate 10,000 images. A sweep has one run per core. There
is no result unless their test accuracies agree. ARCHSEARCH_DATA names the folder with the MNIST files.
`--rivals-python` names the interpreter of an environment with benchmarks/requirements.txt.
"""

import os
import statistics
import sys
from collections.abc import Sequence

import machine
from arguments import data_root, parser_of_benchmark
from candidates.reference import BATCH, TRAINING_IMAGES
from results_file import output_path, write_results
from runner import Candidate, Table, alternate, require_same
from summary import Row, format_spread, spread, target

MODULES = {
    "loop": ["loop"],
    "archsearch": ["archsearch_run"],
    "sweep": ["archsearch_sweep"],
    "archsearch-float32": ["archsearch_run", "--precision", "float32"],
    "sweep-float32": ["archsearch_sweep", "--precision", "float32"],
    "lightning": ["lightning"],
    "keras": ["keras"],
}
BASE, IMAGES = "loop", 50_000
RIVALS = ("lightning", "keras")
METRICS = (
    "images_per_second", "evaluation_images_per_second", "whole_images_per_second", "test_accuracy",
    "seconds_to_first_step", "peak_rss_bytes", "seconds",
)  # fmt: skip
RATIOS = METRICS[:3]
EXACT = ("params", "train_images")
# The largest allowed difference of two candidates' mean test accuracies, in points. Seeds differed by 0.16 points (one
# sd) after 200 steps of the reference's recipe. After the 782 steps of two epochs about 0.1 is expected, so means of
# three rounds differ by about 0.08, and 0.3 is significant. Each result has its own sd, `sd_between_seeds`.
TOLERANCE = 0.3


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, check, print, write."""
    parser = parser_of_benchmark(__doc__, rounds=3)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--candidates", default=",".join(MODULES))
    parser.add_argument("--rivals-python", default=sys.executable, metavar="PATH")
    parser.add_argument(
        "--images", type=int, default=IMAGES, help="size of the training set; change it for trials only"
    )
    parser.add_argument(
        "--tolerance", type=float, default=TOLERANCE, help="points between mean accuracies; change it for trials only"
    )
    options = parser.parse_args(argv)
    trial = (options.images, options.tolerance) != (IMAGES, TOLERANCE)
    output = output_path(parser, options.output, "speed", trial=trial)
    names = options.candidates.split(",")
    unknown = [name for name in names if name not in MODULES]
    if unknown or BASE not in names:
        parser.error(f"--candidates: got {options.candidates}, must be {BASE} and any of {', '.join(MODULES)}")
    if not 0 < options.images < TRAINING_IMAGES:
        parser.error(f"--images: got {options.images}, must be between 1 and {TRAINING_IMAGES - 1}")
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # not all candidates would use a GPU

    load = machine.load_before()
    shared = ["--root", str(data_root()), "--images", str(options.images), "--epochs", str(options.epochs)]
    candidates = [
        Candidate(
            name,
            [
                options.rivals_python if name in RIVALS else sys.executable,
                *("-m", f"candidates.{module}", *arguments, *shared, "--seed", "{round}"),
            ],
        )
        for name in names
        for module, *arguments in [MODULES[name]]
    ]
    table = alternate(candidates, options.rounds)
    for row in (row for rows in table.rows.values() for row in rows):
        row["whole_images_per_second"] = row["images_trained"] / row["seconds"]
    differences = require_same(table, BASE, EXACT, {"test_accuracy": options.tolerance})
    check = {
        "equal": list(EXACT),
        "accuracy_tolerance": options.tolerance,
        "accuracy_largest_difference": differences["test_accuracy"],
        "sd_between_seeds": deviation_between_seeds(table),
    }
    ratios = {name: {metric: spread(table.ratios(name, BASE, metric)) for metric in RATIOS} for name in table.rows}
    show(table, ratios, check)
    settings = {
        "rounds": options.rounds,
        "epochs": options.epochs,
        "images": options.images,
        "batch_size": BATCH,
        "load_before": load,
    }
    targets = [] if trial else targets_of(table, ratios)
    write_results(output, settings, table, METRICS, ratios=ratios, same=check, targets=targets)


def deviation_between_seeds(table: Table) -> float | None:
    """The sd of test accuracy between seeds, pooled over candidates. A sweep's accuracies are means, so it is left out.

    None if there is only one round.
    """
    groups = [table.values(name, "test_accuracy") for name in table.rows if not name.startswith("sweep")]
    variances = [statistics.variance(group) for group in groups if len(group) > 1]
    return statistics.fmean(variances) ** 0.5 if variances else None


def show(table: Table, ratios: dict[str, Row], check: Row) -> None:
    """Print medians over the rounds, with their ranges."""
    print(f"\n{'':19}{'training, images/s':>27}  {f'times the {BASE}':>21}  {'evaluation, images/s':>27}", end="")
    print(f"  {f'times the {BASE}':>21}  {'whole command':>13}  accuracy  first step, s  peak, MB")
    for name in table.rows:
        spreads = {metric: spread(table.values(name, metric)) for metric in METRICS}
        cells = [
            f"{format_spread(spreads['images_per_second'], '{:,.0f}'):>27}",
            f"{format_spread(ratios[name]['images_per_second']):>21}",
            f"{format_spread(spreads['evaluation_images_per_second'], '{:,.0f}'):>27}",
            f"{format_spread(ratios[name]['evaluation_images_per_second']):>21}",
            f"{spreads['whole_images_per_second']['median']:>13,.0f}",
            f"{statistics.fmean(table.values(name, 'test_accuracy')):>8.2f}",
            f"{spreads['seconds_to_first_step']['median']:>13.1f}",
            f"{spreads['peak_rss_bytes']['median'] / 1e6:>8,.0f}",
        ]
        print(f"{name:19}" + "  ".join(cells))
    sd = check["sd_between_seeds"]
    print(
        f"\nsame network and images; mean accuracies within {check['accuracy_largest_difference']:.2f} points", end=""
    )
    print(f" (allowed: {check['accuracy_tolerance']:g}; sd between seeds {'unknown' if sd is None else f'{sd:.2f}'})")
    for name, reason in table.skipped.items():
        print(f"SKIPPED {name}: {reason}")


def targets_of(table: Table, ratios: dict[str, Row]) -> list[Row]:
    """The targets for two CPU cores."""
    targets = []
    for name, metric, bound in (
        ("archsearch", "images_per_second", 3.0),
        ("sweep", "images_per_second", 4.5),
        ("archsearch", "evaluation_images_per_second", 7.0),
    ):
        if name in ratios:
            what = f"{name}: {metric} over the {BASE}'s"
            targets.append(target(what, ratios[name][metric]["median"], bound, at_least=True))
    if "sweep" in table.rows:
        peak = max(table.values("sweep", "peak_rss_bytes"))
        targets.append(target("sweep: GB of a worker at its peak", peak / 1e9, 1.5))
    return targets


if __name__ == "__main__":
    main()
