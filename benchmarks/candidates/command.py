"""A real command, `python -m archsearch ...`, in a folder of its own, and what its record says of its time.

    python -m candidates.command [--folder FOLDER] [--sweep] -- WORDS

With `--folder` the tracking store in it is used again; otherwise everything is new, and removed afterwards.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from candidates.reference import peak_rss, versions

if TYPE_CHECKING:
    from archsearch.training.metrics import EpochMetrics

REPOSITORY = Path(__file__).resolve().parent.parent.parent
Row = dict[str, Any]


def measure(words: Sequence[str], folder: Path, *, sweep: bool = False) -> Row:
    """Run it in `folder`; the numbers of a run, or of a sweep: the sums of its workers' rates."""
    before = set(folder.glob("outputs/**/checkpoint.pt"))
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))  # this checkout's archsearch
    command = [sys.executable, "-m", "archsearch", *(["-m"] if sweep else []), *words]
    screen = folder / "screen.txt"
    with screen.open("w") as output:
        began = time.time()
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, "PYTHONPATH": path}, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)  # the peak of the largest process, a sweep's workers included
        except BaseException:
            process.kill()
            raise
        ended = time.time()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(
            f"archsearch {' '.join(words)}: exit status {process.returncode}\n{screen.read_text()[-2000:]}"
        )
    new = sorted(set(folder.glob("outputs/**/checkpoint.pt")) - before)
    rows = [_row(checkpoint, began, ended) for checkpoint in new]
    found = together(rows) if sweep else rows[0]
    return {**found, "seconds": ended - began, "peak_rss_bytes": peak_rss(usage)}


def _row(checkpoint: Path, began: float, ended: float) -> Row:
    from archsearch.training.checkpoint import load_checkpoint

    kept = load_checkpoint(checkpoint)
    result = json.loads((checkpoint.parent / "result.json").read_text())
    if result["state"] != "FINISHED" or result["data"]["fallback"] is not None:
        raise SystemExit(f"the run is {result['state']}; data: {result['data']}")
    return {
        **timing(kept.history, began, ended, kept.config["trainer"]["batch_size"]),
        "test_accuracy": result["final"]["test/accuracy"],
        "params": result["params"],
        "seed": result["seed"],
        "data": result["data"]["name"],
        "versions": versions("torch", "mlflow", "hydra-core"),
    }


def timing(history: Sequence["EpochMetrics"], began: float, ended: float, batch_size: int) -> Row:
    """Where the time between `began` and `ended` went, from what the epochs say of themselves.

    An epoch's timestamp is of its end, after evaluation. Between one's end and the next one's start lie the
    checkpoint, `result.json` and the tracking store.
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
        "test_images": evaluated // len(history) if evaluated else None,  # after each epoch
        "images_trained": trained,
        "epochs": len(history),
        "training_seconds": seconds,
        "evaluation_seconds": evaluation,
        "seconds_to_first_epoch": starts[0] - began,
        # No step has a time of its own on record; where an epoch is a single step, this is exact.
        "seconds_to_first_step": starts[0] - began + history[0].seconds / ceil(history[0].train.total / batch_size),
        "seconds_between_epochs": statistics.fmean(gaps) if gaps else None,
        "seconds_after_last_epoch": ended - ends[-1],
    }


def together(rows: Sequence[Row]) -> Row:
    """A sweep from its variants, which ran side by side."""
    added = ("images_per_second", "evaluation_images_per_second", "images_trained")
    row = {**rows[0], **{key: sum(each[key] for each in rows) for key in added}}
    row["test_accuracy"] = statistics.fmean(each["test_accuracy"] for each in rows)
    row["seconds_to_first_step"] = min(each["seconds_to_first_step"] for each in rows)
    row["workers"] = len(rows)
    for key in ("params", "train_images", "test_images"):
        assert len({each[key] for each in rows}) == 1, key
    for key in ("seed", "training_seconds", "evaluation_seconds", "seconds_between_epochs"):
        row[key] = [each[key] for each in rows]
    del row["seconds_to_first_epoch"], row["seconds_after_last_epoch"]  # of one of them, they say nothing
    return row


def main() -> None:
    """Run what the command line says, and print one line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--sweep", action="store_true")
    parser.add_argument("words", nargs="*")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(measure(asked.words, asked.folder or Path(scratch), sweep=asked.sweep)))


if __name__ == "__main__":
    main()
