"""One run of archsearch by the reference's recipe, with everything that a run does by default, in a fresh folder.

Evaluation is of the held-out images, after each epoch.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from candidates import reference
from candidates.command import measure


def recipe(asked: argparse.Namespace) -> list[str]:
    """The words of the command: the reference's own recipe, with its test set left for the end."""
    return [
        "experiment=eva6_session4",
        f"data.root={asked.root}",
        f"data.validation={reference.TRAINING_IMAGES - asked.images}",
        f"trainer.epochs={asked.epochs}",
        "trainer.test_every_epoch=false",
    ]


def main(workers: int | None = None) -> None:
    """Run it, and print one line; with `workers` a sweep of as many seeds."""
    asked = reference.arguments()
    seeds = [asked.seed] if workers is None else range(1 + (asked.seed - 1) * workers, 1 + asked.seed * workers)
    words = [*recipe(asked), f"seed={','.join(map(str, seeds))}"]
    with tempfile.TemporaryDirectory() as folder:
        row = measure(words, Path(folder), sweep=workers is not None)
    if row["data"] != "mnist" or len(seeds) != row.get("workers", 1):
        sys.exit(f"not what was asked for: {row}")
    print(json.dumps(row))


if __name__ == "__main__":
    main()
