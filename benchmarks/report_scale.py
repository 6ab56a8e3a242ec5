"""How long a report over many runs in MLflow takes, and how much memory.

Fills a fresh SQLite store with generated runs (nothing is trained): a grid of dropout, width and learning rate over
several seeds, each run with a history of epochs, as training records it. Then runs `python -m archsearch.report` on it.

    python benchmarks/report_scale.py [--runs 1000] [--epochs 20] [--store FOLDER]
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

REPOSITORY = Path(__file__).resolve().parent.parent
SEEDS = 5


def settings(runs: int) -> list[dict[str, str]]:
    """As many settings as `runs` need with `SEEDS` seeds each: flattened, as MLflow has them."""
    grid = itertools.product(range(8), range(8), range(1 + runs // (64 * SEEDS)))
    fixed = {
        "model": "session4", "data": "mnist", "data.split_seed": "0", "trainer.epochs": "20",
        "trainer.batch_size": "128", "trainer.precision": "float32", "optimizer.type": "sgd",
        "optimizer.momentum": "0.9", "scheduler.type": "one_cycle",
        **{f"model.blocks.conv{n}.channels": str(8 + 4 * n) for n in range(1, 6)},
    }  # fmt: skip
    rows = [
        {
            **fixed,
            "model.dropout": f"{0.02 * a:g}",
            "model.width": f"{0.5 + 0.25 * b:g}",
            "optimizer.lr": f"{0.05 * (1 + c):g}",
        }
        for a, b, c in grid
    ]
    return [{**row, "seed": str(seed)} for row in rows for seed in range(1, SEEDS + 1)][:runs]


def fill(folder: Path, runs: int, epochs: int) -> None:
    """Make the store in `folder`."""
    from mlflow.entities import Metric, Param, RunTag

    from archsearch.tracking.store import open_experiment, resolve_store

    client, experiment = open_experiment(resolve_store(None, folder / "outputs"), "archsearch")
    random = np.random.default_rng(0)
    for number, chosen in enumerate(tqdm(settings(runs), desc="generating runs", unit="run")):
        width, dropout = float(chosen["model.width"]), float(chosen["model.dropout"])
        level = 99.0 + 0.3 * np.log2(1 + width) - 20 * (dropout - 0.05) ** 2
        accuracies = level + 0.06 * random.standard_normal() - 2 * np.exp(-np.arange(1, epochs + 1) / 2)
        run = client.create_run(experiment, run_name=f"run {number}").info.run_id
        params = [Param(key, value) for key, value in chosen.items()]
        tags = {
            "data.fingerprint": "1aacd4202d115f2d",
            "state": "FINISHED",
            "hardware": "generated",
            "folder": "/nowhere",
        }
        client.log_batch(run, params=params, tags=[RunTag(key, value) for key, value in tags.items()])
        now = int(time.time() * 1000)
        history = [
            Metric(name, float(value), now + epoch, epoch)
            for epoch, accuracy in enumerate(accuracies, 1)
            for name, value in (
                ("val/accuracy", min(accuracy, 99.9)), ("val/loss", 5 / accuracy), ("train/accuracy", accuracy - 0.5),
                ("train/loss", 6 / accuracy), ("lr", 0.1 / epoch),
            )
        ]  # fmt: skip
        size = int(12_954 * width**2)
        last = {
            "test/accuracy": min(float(accuracies[-1]) + 0.1, 99.9),
            "params": size,
            "macs": size * 200,
            "receptive_field": 26,
        }
        last |= {
            "epoch_seconds": 30 * width,
            "val/best_accuracy": float(min(accuracies.max(), 99.9)),
            "best_epoch": epochs,
        }
        history += [Metric(name, float(value), now + epochs, epochs) for name, value in last.items()]
        client.log_batch(run, metrics=history)
        client.set_terminated(run)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--store", type=Path, help="keep the store in this folder, and use it again")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (arguments.store or Path(scratch)).absolute()
        if not (folder / "outputs" / "mlflow.db").exists():
            fill(folder, arguments.runs, arguments.epochs)
        for attempt in range(3):
            print(f"attempt {attempt + 1}: {measure(folder)}")


def measure(folder: Path) -> str:
    """Report on everything in the store of `folder`: seconds and peak memory of the process."""
    command = [sys.executable, "-m", "archsearch.report", "experiment=archsearch", f"html={folder / 'report.html'}"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "ARCHSEARCH_DATA": str(folder)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # as a person has it: compiled once
    began = time.perf_counter()
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(output)
    size = (folder / "report.html").stat().st_size
    heading = next(line for line in output.splitlines() if "variants" in line)
    return f"{seconds:.1f} s, {usage.ru_maxrss / 1024:.0f} MiB at most, page of {size / 1e6:.1f} MB; {heading}"


if __name__ == "__main__":
    main()
