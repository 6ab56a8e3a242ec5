"""One run of archsearch with the reference's recipe and everything that a run does by default, in a fresh folder.

The held-out images are evaluated after each epoch.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from candidates import reference
from candidates.command import measure


def recipe(options: argparse.Namespace) -> list[str]:
    """Overrides for the reference's recipe, with the test set evaluated only at the end."""
    return [
        "experiment=eva6_session4",
        f"trainer.precision={options.precision}",  # that experiment has float32; the default is auto
        f"data.root={options.root}",
        f"data.validation={reference.TRAINING_IMAGES - options.images}",
        f"trainer.epochs={options.epochs}",
        "trainer.test_every_epoch=false",
    ]


def main(workers: int | None = None) -> None:
    """Train one run, or with `workers` a sweep of as many seeds; print one line of JSON."""
    options = reference.arguments()
    seeds = [options.seed] if workers is None else range(1 + (options.seed - 1) * workers, 1 + options.seed * workers)
    overrides = [*recipe(options), f"seed={','.join(map(str, seeds))}"]
    with tempfile.TemporaryDirectory() as folder:
        row = measure(overrides, Path(folder), sweep=workers is not None)
    if row["data"] != "mnist" or len(seeds) != row.get("workers", 1):
        sys.exit(f"expected MNIST and {len(seeds)} seeds, got {row}")
    print(json.dumps(row))


if __name__ == "__main__":
    main()
