#!/usr/bin/env python3
"""Seconds an epoch of the reference net alone on a GPU, and of 19 epochs with their evaluations, by way of training.

usage: PYTHONPATH=. python benchmarks/gpu_epoch.py [--ways eager,graphs] [--precision bfloat16] [--json FILE]

60,000 images that lie on the device, batch 128, one-cycle SGD, the 10,000 test images after every epoch: the protocol
of EVA6's session 4. `eager` is `Trainer`; `graphs` is the same with trainer.cuda_graphs; `stack` is a stack of one
member, whose steps are CUDA graphs, too. The ways take turns, --rounds times. The first epoch of each (algorithms,
recording) is shown, and left out of the median. What was wanted is held against the quickest way. ARCHSEARCH_DATA names
the folder with MNIST; without it random bytes of the same shape are trained on. Needs neither Hydra nor MLflow.
"""

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import runner
import torch
from resident import environment, mnist, reference_plan, splits_of, write

from archsearch.config.recipe import SGD, OneCycle
from archsearch.config.settings import TrainerSettings
from archsearch.model.builder import build_plan
from archsearch.system.process import keep_freed_memory
from archsearch.training.device import pick_device
from archsearch.training.metrics import EpochMetrics
from archsearch.training.stacked.trainer import Member, StackedTrainer
from archsearch.training.trainer import Splits, Trainer

RATE = SGD(lr=0.1, momentum=0.9, nesterov=True)
WAYS = ("eager", "graphs", "stack")


def epochs_of(
    way: str, splits: Splits, options: argparse.Namespace, seed: int, device: torch.device
) -> Iterator[EpochMetrics]:
    """A fresh network, trained in one of the `WAYS`."""
    settings = TrainerSettings(
        epochs=options.epochs,
        batch_size=options.batch_size,
        test_every_epoch=True,
        precision=options.precision,
        channels_last=options.channels_last,
        compile=options.compile,
        cuda_graphs=way == "graphs",
    )
    torch.manual_seed(seed)
    network = build_plan(reference_plan(options.dropout))
    trainer: Trainer | StackedTrainer
    if way != "stack":
        trainer = Trainer(network, splits, settings, RATE, OneCycle(), seed=seed, device=device)
    else:
        members = [Member(network, RATE, seed)]
        trainer = StackedTrainer(members, splits, settings, OneCycle(), device=device)
    if options.fused:
        for group in trainer.optimizer.param_groups:
            group.update(fused=True, foreach=False)
    for epoch in trainer.run():
        found = epoch[0] if isinstance(epoch, list) else epoch
        if not isinstance(found, EpochMetrics):
            raise found
        yield found


def measure(way: str, splits: Splits, options: argparse.Namespace, seed: int, device: torch.device) -> dict[str, Any]:
    """One run: seconds of each epoch's training and evaluation, of the whole, and what came out."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
    began = time.perf_counter()
    history = list(epochs_of(way, splits, options, seed, device))
    whole = time.perf_counter() - began
    last = history[-1]
    assert last.test is not None
    reached = next((m.epoch for m in history if m.test is not None and m.test.accuracy >= 99), None)
    return {
        "way": way,
        "training": [metrics.seconds for metrics in history],
        "evaluation": [metrics.evaluation_seconds for metrics in history],
        "whole": whole,
        "seconds_to_99": None if reached is None else sum(metrics.seconds for metrics in history[:reached]),
        "test_accuracy": last.test.accuracy,
        "peak_bytes": torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
    }


def targets_of(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was wanted of all images and 19 epochs, against the quickest of `rows`."""
    reached = [row["seconds_to_99"] for row in rows if row["seconds_to_99"] is not None]
    return [
        runner.target("seconds an epoch", min(statistics.median(row["training"]) for row in rows), 0.35),
        runner.target("seconds of 19 epochs with everything", min(row["whole"] for row in rows), 10.0),
        *([runner.target("seconds of training to 99 %", min(reached), 1.0)] if reached else []),
    ]


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--ways", default="eager,graphs", help=f"of {', '.join(WAYS)}")
    parser.add_argument("--epochs", type=int, default=19)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--channels-last", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--fused", action="store_true", help="torch's fused optimizer step")
    parser.add_argument("--cudnn-benchmark", action="store_true")
    parser.add_argument("--images", type=int, help="of the training set; all of them unless given")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(words)
    ways = options.ways.split(",")
    if not set(ways) <= set(WAYS):
        parser.error(f"--ways {options.ways}: must be of {', '.join(WAYS)}")
    torch.backends.cudnn.benchmark = options.cudnn_benchmark
    keep_freed_memory()
    device = pick_device(options.device)
    data, real = mnist()
    splits = splits_of(data, device, options.channels_last, options.images)
    rows = []
    for number in range(options.rounds):
        for way in ways:
            row = measure(way, splits, options, number + 1, device)
            rows.append(row)
            first, *later = row["training"]
            usual = statistics.median(later or [first])
            print(
                f"{way:7} first epoch {first:.3f} s, then {usual:.3f} s ({min(later or [first]):.3f} to"
                f" {max(later or [first]):.3f}), {len(splits.train) / usual:,.0f} images/s; evaluation"
                f" {statistics.median(row['evaluation']):.3f} s; {options.epochs} epochs {row['whole']:.2f} s;"
                f" test {row['test_accuracy']:.2f} %",
                flush=True,
            )
    wanted = real and options.images is None and options.epochs == 19  # the rest are trials
    targets = targets_of(rows) if wanted else []
    said = {name: value for name, value in vars(options).items() if name != "json"}
    write(options.json, {**environment(device), "options": said, "mnist": real, "rows": rows, "targets": targets})


if __name__ == "__main__":
    main()
