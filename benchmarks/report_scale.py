#!/usr/bin/env python3
"""Time and memory of a report over many runs in MLflow.

usage: python benchmarks/report_scale.py [--runs 1000] [--epochs 20] [--store FOLDER]

Fills a fresh SQLite store with generated runs, without training: a grid of dropout, width and learning rate over
several seeds, each run with a history of epochs as training records it. Then runs `python -m archsearch.report` on it,
three times.
"""

import itertools
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from arguments import parser_of
from checkout import run_module
from tqdm import tqdm

SEEDS = 5


def main(argv: Sequence[str] | None = None) -> None:
    """Fill a store, and report on it three times."""
    parser = parser_of(__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--store", type=Path, metavar="FOLDER", help="keep the store in this folder, and use it again")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        folder = (options.store or Path(scratch)).absolute()
        if not (folder / "outputs" / "mlflow.db").exists():
            fill(folder, options.runs, options.epochs)
        for attempt in range(3):
            print(f"attempt {attempt + 1}: {measure(folder)}")


def settings_of_runs(runs: int) -> list[dict[str, str]]:
    """The settings of so many runs, with `SEEDS` seeds per variant: flattened, as in MLflow."""
    grid = itertools.product(range(8), range(8), range(1 + runs // (64 * SEEDS)))
    fixed = {
        "model": "session4", "data": "mnist", "data.split_seed": "0", "trainer.epochs": "20",
        "trainer.batch_size": "128", "trainer.precision": "float32", "optimizer.type": "sgd",
        "optimizer.momentum": "0.9", "scheduler.type": "one_cycle",
        **{f"model.blocks.conv{n}.channels": str(8 + 4 * n) for n in range(1, 6)},
    }  # fmt: skip
    variants = [
        {
            **fixed,
            "model.dropout": f"{0.02 * a:g}",
            "model.width": f"{0.5 + 0.25 * b:g}",
            "optimizer.lr": f"{0.05 * (1 + c):g}",
        }
        for a, b, c in grid
    ]
    return [{**variant, "seed": str(seed)} for variant in variants for seed in range(1, SEEDS + 1)][:runs]


def fill(folder: Path, runs: int, epochs: int) -> None:
    """Create the store in `folder`."""
    from mlflow.entities import Metric, Param, RunTag

    from archsearch.tracking.store import open_experiment, resolve_store

    client, experiment = open_experiment(resolve_store(None, folder / "outputs"), "archsearch")
    random = np.random.default_rng(0)
    tags = {
        "data.fingerprint": "1aacd4202d115f2d",
        "state": "FINISHED",
        "hardware": "generated",
        "folder": "/nowhere",
    }
    for number, settings in enumerate(tqdm(settings_of_runs(runs), desc="generating runs", unit="run")):
        run = client.create_run(experiment, run_name=f"run {number}").info.run_id
        params = [Param(key, value) for key, value in settings.items()]
        client.log_batch(run, params=params, tags=[RunTag(key, value) for key, value in tags.items()])
        now = int(time.time() * 1000)
        history = metrics_of_run(settings, epochs, random)
        metrics = [Metric(name, value, now + epoch, epoch) for epoch, name, value in history]
        client.log_batch(run, metrics=metrics)
        client.set_terminated(run)


def metrics_of_run(
    settings: Mapping[str, str], epochs: int, random: np.random.Generator
) -> list[tuple[int, str, float]]:
    """Epoch, name and value of a run's generated metrics."""
    width, dropout = float(settings["model.width"]), float(settings["model.dropout"])
    level = 99.0 + 0.3 * np.log2(1 + width) - 20 * (dropout - 0.05) ** 2
    accuracies = level + 0.06 * random.standard_normal() - 2 * np.exp(-np.arange(1, epochs + 1) / 2)
    params = int(12_954 * width**2)
    by_epoch = [
        {
            "val/accuracy": min(accuracy, 99.9),
            "val/loss": 5 / accuracy,
            "train/accuracy": accuracy - 0.5,
            "train/loss": 6 / accuracy,
            "lr": 0.1 / epoch,
        }
        for epoch, accuracy in enumerate(accuracies, 1)
    ]
    final = {
        "test/accuracy": min(float(accuracies[-1]) + 0.1, 99.9),
        "params": params,
        "macs": params * 200,
        "receptive_field": 26,
        "epoch_seconds": 30 * width,
        "val/best_accuracy": float(min(accuracies.max(), 99.9)),
        "best_epoch": epochs,
    }
    return [
        (epoch, name, float(value))
        for epoch, values in [*enumerate(by_epoch, 1), (epochs, final)]
        for name, value in values.items()
    ]


def measure(folder: Path) -> str:
    """Report on all runs in the store of `folder`; returns the seconds and peak memory of the command as text."""
    arguments = ["archsearch.report", "experiment=archsearch", f"html={folder / 'report.html'}"]
    report = run_module(arguments, folder, ARCHSEARCH_DATA=str(folder))
    size = (folder / "report.html").stat().st_size
    heading = next(line for line in report.output.splitlines() if "variant" in line)
    peak = f"{report.peak_rss / 2**20:.0f} MiB at most"
    return f"{report.seconds:.1f} s, {peak}, page of {size / 1e6:.1f} MB; {heading}"


if __name__ == "__main__":
    main()
