"""Runs `python -m archsearch OVERRIDES` in a folder of its own, and reads from its record where the time went.

    python -m candidates.command [--folder FOLDER] [--sweep] -- OVERRIDES

With `--folder` the tracking store in that folder is used again. Otherwise everything is new, and removed afterwards.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from checkout import Completed, run_module
from summary import Row

from candidates.reference import versions

if TYPE_CHECKING:
    from archsearch.training.metrics import EpochMetrics


def measure(overrides: Sequence[str], folder: Path, *, sweep: bool = False) -> Row:
    """Run the command in `folder`; returns the numbers of its run, or those of a sweep's runs, put together."""
    before = set(folder.glob("outputs/**/checkpoint.pt"))
    command = run_module(["archsearch", *(["-m"] if sweep else []), *overrides], folder)
    new = sorted(set(folder.glob("outputs/**/checkpoint.pt")) - before)
    rows = [_row(checkpoint, command) for checkpoint in new]
    row = together(rows) if sweep else rows[0]
    return {**row, "seconds": command.seconds, "peak_rss_bytes": command.peak_rss}


def _row(checkpoint: Path, command: Completed) -> Row:
    from archsearch.training.checkpoint import load_checkpoint

    state = load_checkpoint(checkpoint)
    result = json.loads((checkpoint.parent / "result.json").read_text())
    if result["state"] != "FINISHED" or result["data"]["fallback"] is not None:
        raise SystemExit(f"the run is {result['state']}; data: {result['data']}")
    return {
        **timing(state.history, command.began, command.ended, state.config["trainer"]["batch_size"]),
        "test_accuracy": result["final"]["test/accuracy"],
        "params": result["params"],
        "seed": result["seed"],
        "data": result["data"]["name"],
        "versions": versions("torch", "mlflow", "hydra-core"),
    }


def timing(history: Sequence["EpochMetrics"], began: float, ended: float, batch_size: int) -> Row:
    """Where the time between `began` and `ended` went, according to the epochs' metrics.

    An epoch's timestamp is taken at its end, after evaluation. Between the end of one epoch and the start of the next,
    the checkpoint, `result.json` and the tracking store are written.
    """
    ends = [metrics.timestamp / 1000 for metrics in history]
    starts = [end - m.evaluation_seconds - m.seconds for end, m in zip(ends, history, strict=True)]
    seconds = sum(metrics.seconds for metrics in history)
    trained = sum(metrics.train.total for metrics in history)
    evaluation = sum(metrics.evaluation_seconds for metrics in history)
    evaluated = sum(score.total for m in history for score in (m.validation, m.test) if score is not None)
    gaps = [start - end for end, start in zip(ends[:-1], starts[1:], strict=True)]
    return {
        "images_per_second": trained / seconds,
        "evaluation_images_per_second": evaluated / evaluation if evaluated else None,
        "train_images": history[0].train.total,
        "test_images": evaluated // len(history) if evaluated else None,  # per epoch
        "images_trained": trained,
        "epochs": len(history),
        "training_seconds": seconds,
        "evaluation_seconds": evaluation,
        "seconds_to_first_epoch": starts[0] - began,
        # Steps are not timed one by one: this is an estimate, and exact if the epoch is a single step.
        "seconds_to_first_step": starts[0] - began + history[0].seconds / ceil(history[0].train.total / batch_size),
        "seconds_between_epochs": statistics.fmean(gaps) if gaps else None,
        "seconds_after_last_epoch": ended - ends[-1],
    }


def together(rows: Sequence[Row]) -> Row:
    """One row for a sweep, from the rows of its runs, which trained side by side."""
    added = ("images_per_second", "evaluation_images_per_second", "images_trained")
    sweep = {**rows[0], **{key: sum(row[key] for row in rows) for key in added}}
    sweep["test_accuracy"] = statistics.fmean(row["test_accuracy"] for row in rows)
    sweep["seconds_to_first_step"] = min(row["seconds_to_first_step"] for row in rows)
    sweep["workers"] = len(rows)
    for key in ("params", "train_images", "test_images"):
        assert len({row[key] for row in rows}) == 1, key
    for key in ("seed", "training_seconds", "evaluation_seconds", "seconds_between_epochs"):
        sweep[key] = [row[key] for row in rows]
    del sweep["seconds_to_first_epoch"], sweep["seconds_after_last_epoch"]  # a single run's, not the sweep's
    return sweep


def main() -> None:
    """Run the command, and print one line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--sweep", action="store_true")
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(measure(options.overrides, options.folder or Path(scratch), sweep=options.sweep)))


if __name__ == "__main__":
    main()
