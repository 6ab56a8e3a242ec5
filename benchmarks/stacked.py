#!/usr/bin/env python3
"""Images per second of K networks trained as one stack, compared with training them one after another.

usage: PYTHONPATH=. python benchmarks/stacked.py [--device cuda] [--members 1,4,16,64] [--steps 100] [--json FILE]

All members are the reference network (session4) with seeds of their own, batch 128, one-cycle SGD. `Trainer` trains one
member after another (at most --alone of them, since their rate does not depend on their number), `StackedTrainer` all
of them at once. Both train --steps batches per round, in turn; the first round is a warm-up and does not count. Before
that, three steps without dropout must give the same losses in both. Images per second are summed over members.
ARCHSEARCH_DATA names the folder with MNIST; without it, training uses random bytes of the same shape. Needs neither
Hydra nor MLflow.
"""

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import gpu_setup
import torch
from arguments import parser_of
from summary import Row, format_spread, spread, target

from archsearch.config.recipe import SGD, OneCycle
from archsearch.model.builder import build_plan
from archsearch.training.stacked.trainer import Member, StackedTrainer
from archsearch.training.trainer import Trainer

OPTIMIZER = SGD(lr=0.01, momentum=0.9, nesterov=True)


class Bench:
    """The options, the device and the images of all measurements."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.device = gpu_setup.prepare(options)
        self.data, self.real = gpu_setup.load_mnist()

    def optimizers(self, count: int) -> list[SGD]:
        """One optimizer for all members, or with --distinct one per member, so that each has its own rate."""
        distinct = self.options.distinct
        return [replace(OPTIMIZER, lr=OPTIMIZER.lr * (1 + k / 1000)) if distinct else OPTIMIZER for k in range(count)]

    def trainers(
        self, count: int, alone: int, epochs: int, steps: int, dropout: float
    ) -> tuple[list[Trainer], StackedTrainer]:
        """Trainers for the first `alone` of `count` members, and one trainer for all members as a stack."""
        plan, settings = gpu_setup.reference_plan(dropout), gpu_setup.trainer_settings(self.options, epochs)
        images = steps * self.options.batch_size
        splits = gpu_setup.splits_of(self.data, self.device, self.options.channels_last, images)
        optimizers = self.optimizers(count)

        def build(seed: int) -> Any:
            torch.manual_seed(seed)
            return build_plan(plan)

        single = [
            Trainer(build(seed), splits, settings, optimizers[seed], OneCycle(), seed=seed, device=self.device)
            for seed in range(alone)
        ]
        members = [Member(build(seed), optimizers[seed], seed) for seed in range(count)]
        stack = StackedTrainer(
            members, plan, splits, settings, OneCycle(), device=self.device, graphs=self.options.graphs
        )
        return single, stack

    def check(self) -> float:
        """The largest relative difference between losses alone and stacked, over three steps and three members."""
        single, stack = self.trainers(3, 3, epochs=1, steps=3, dropout=0.0)
        alone = [next(trainer.run()).train.loss for trainer in single]
        together = [metrics.train.loss for metrics in gpu_setup.metrics_of(next(stack.run()))]
        return max(abs(a - b) / a for a, b in zip(alone, together, strict=True))

    def measure(self, count: int) -> Row:
        """Images per second of `count` members, alone and stacked, in each round after the warm-up."""
        options = self.options
        images = options.steps * options.batch_size
        single, stack = self.trainers(
            count, min(count, options.alone), options.rounds + 1, options.steps, options.dropout
        )
        running, stacked = [trainer.run() for trainer in single], stack.run()
        alone, together = [], []
        for number in range(options.rounds + 1):
            seconds = sum(next(run).seconds for run in running)
            gpu_setup.reset_peak_memory(self.device)
            stacked_seconds = sum(metrics.seconds for metrics in gpu_setup.metrics_of(next(stacked)))
            if number:
                alone.append(len(single) * images / seconds)
                together.append(count * images / stacked_seconds)
        peak = gpu_setup.peak_memory(self.device)
        return {"members": count, "alone": alone, "stacked": together, "stacked_peak_bytes": peak}


def ratios_of(row: Row) -> list[float]:
    """Stacked over alone, one per round."""
    return [stacked / alone for alone, stacked in zip(row["alone"], row["stacked"], strict=True)]


def show(row: Row) -> None:
    """Print the medians and ranges of one number of members."""
    rates = " ".join(f"{name} {format_spread(spread(row[name]), '{:,.0f}')}" for name in ("alone", "stacked"))
    print(f"{row['members']:3} members, images/s: {rates}  ratio {format_spread(spread(ratios_of(row)))}", flush=True)


def targets_of(rows: Sequence[Row]) -> list[Row]:
    """The target for 64 or more members, if the last of `rows` has as many."""
    last = rows[-1]
    if last["members"] < 64:
        return []
    what = f"images/s of {last['members']} stacked, over those of one after another"
    return [target(what, statistics.median(ratios_of(last)), 4.0, at_least=True)]


def main(argv: Sequence[str] | None = None) -> None:
    """Check that both compute the same, measure each number of members, print, and write the results."""
    parser = parser_of(__doc__)
    parser.add_argument("--members", default="1,4,16,64")
    parser.add_argument("--steps", type=int, default=100, help="batches per round and member")
    parser.add_argument("--alone", type=int, default=3, help="train at most this many members one after another")
    parser.add_argument(
        "--graphs", action=argparse.BooleanOptionalAction, default=True, help="CUDA graphs for the stack"
    )
    parser.add_argument("--distinct", action="store_true", help="give each member a learning rate of its own")
    parser.add_argument("--tolerance", type=float, help="largest relative difference of losses alone and stacked")
    gpu_setup.add_options(parser, device="auto", rounds=3)
    options = parser.parse_args(argv)
    bench = Bench(options)
    # TF32 and bfloat16 keep 10 and 8 bits of a number, and kernels differ in where they round.
    loose = bench.device.type == "cuda" or options.precision == "bfloat16"
    tolerance = options.tolerance or (2e-2 if loose else 1e-3)
    difference = bench.check()
    print(f"losses of three steps, alone and stacked: largest relative difference {difference:.1e}")
    if difference > tolerance:
        raise SystemExit(f"this exceeds --tolerance {tolerance:g}: alone and stacked do not compute the same")
    rows = []
    for count in map(int, options.members.split(",")):
        rows.append(bench.measure(count))
        show(rows[-1])
    gpu_setup.write(options, bench.device, bench.real, loss_difference=difference, rows=rows, targets=targets_of(rows))


if __name__ == "__main__":
    main()
