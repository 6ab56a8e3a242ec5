#!/usr/bin/env python3
"""Seconds per epoch of one reference network on a GPU, and of 19 epochs with evaluation, for each way to train it.

usage: PYTHONPATH=. python benchmarks/gpu_epoch.py [--ways eager,graphs] [--precision bfloat16] [--json FILE]

The protocol of EVA6's session 4: 60,000 images on the device, batch 128, one-cycle SGD, and the 10,000 test images
after every epoch. `eager` is `Trainer`, `graphs` is `Trainer` with trainer.cuda_graphs, and `stack` is a stack of one
member, whose steps are CUDA graphs as well. The ways take turns, --rounds times. The first epoch of each includes the
choice of algorithms and the recording of graphs; it is printed, but not part of the median. Targets are for the fastest
way. ARCHSEARCH_DATA names the folder with MNIST; without it, training uses random bytes of the same shape. Needs
neither Hydra nor MLflow.
"""

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence

import gpu_setup
import torch
from arguments import parser_of
from candidates.reference import EPOCHS
from summary import Row, target

from archsearch.config.recipe import SGD, OneCycle
from archsearch.model.builder import build_plan
from archsearch.training.metrics import EpochMetrics
from archsearch.training.stacked.trainer import Member, StackedTrainer
from archsearch.training.trainer import Splits, Trainer

OPTIMIZER = SGD(lr=0.1, momentum=0.9, nesterov=True)
WAYS = ("eager", "graphs", "stack")


def train(
    way: str, splits: Splits, options: argparse.Namespace, seed: int, device: torch.device
) -> Iterator[EpochMetrics]:
    """Train a fresh network in one of the `WAYS`, yielding after each epoch."""
    settings = gpu_setup.trainer_settings(options, options.epochs, test_every_epoch=True, cuda_graphs=way == "graphs")
    torch.manual_seed(seed)
    plan = gpu_setup.reference_plan(options.dropout)
    network = build_plan(plan)
    trainer: Trainer | StackedTrainer
    if way != "stack":
        trainer = Trainer(network, splits, settings, OPTIMIZER, OneCycle(), seed=seed, device=device)
    else:
        members = [Member(network, OPTIMIZER, seed)]
        trainer = StackedTrainer(members, plan, splits, settings, OneCycle(), device=device)
    if options.fused:
        for group in trainer.optimizer.param_groups:
            group.update(fused=True, foreach=False)
    for epoch in trainer.run():
        yield gpu_setup.metrics_of(epoch)[0]


def measure(way: str, splits: Splits, options: argparse.Namespace, seed: int, device: torch.device) -> Row:
    """The row of one run: seconds of training and evaluation per epoch, seconds in all, accuracy and peak memory."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    gpu_setup.reset_peak_memory(device)
    began = time.perf_counter()
    history = list(train(way, splits, options, seed, device))
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
        "peak_bytes": gpu_setup.peak_memory(device),
    }


def targets_of(rows: Sequence[Row]) -> list[Row]:
    """The targets for all images and 19 epochs, compared with the fastest of `rows`."""
    reached = [row["seconds_to_99"] for row in rows if row["seconds_to_99"] is not None]
    return [
        target("seconds an epoch", min(statistics.median(row["training"]) for row in rows), 0.35),
        target("seconds of 19 epochs with everything", min(row["whole"] for row in rows), 10.0),
        *([target("seconds of training to 99 %", min(reached), 1.0)] if reached else []),
    ]


def show(row: Row, images: int) -> None:
    """Print one run, with the images per second of epochs of so many `images`."""
    first, *later = row["training"]
    later = later or [first]
    usual = statistics.median(later)
    print(
        f"{row['way']:7} first epoch {first:.3f} s, then {usual:.3f} s ({min(later):.3f} to {max(later):.3f}),"
        f" {images / usual:,.0f} images/s; evaluation {statistics.median(row['evaluation']):.3f} s;"
        f" {len(row['training'])} epochs {row['whole']:.2f} s; test {row['test_accuracy']:.2f} %",
        flush=True,
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Train in each way in turn; print, and write the results."""
    parser = parser_of(__doc__)
    parser.add_argument("--ways", default="eager,graphs", help=f"some of {', '.join(WAYS)}")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--images", type=int, help="size of the training set; all images by default")
    parser.add_argument("--fused", action="store_true", help="use torch's fused optimizer step")
    gpu_setup.add_options(parser, device="cuda", rounds=2)
    options = parser.parse_args(argv)
    ways = options.ways.split(",")
    if not set(ways) <= set(WAYS):
        parser.error(f"--ways: got {options.ways}, must be some of {', '.join(WAYS)}")
    device = gpu_setup.prepare(options)
    data, real = gpu_setup.load_mnist()
    splits = gpu_setup.splits_of(data, device, options.channels_last, options.images)
    rows = []
    for number in range(options.rounds):
        for way in ways:
            rows.append(measure(way, splits, options, number + 1, device))
            show(rows[-1], len(splits.train))
    trial = not real or options.images is not None or options.epochs != EPOCHS
    gpu_setup.write(options, device, real, rows=rows, targets=[] if trial else targets_of(rows))


if __name__ == "__main__":
    main()
