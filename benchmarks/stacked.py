#!/usr/bin/env python3
"""Images a second of K members trained as one network against one after another, alternately, A B A B.

usage: PYTHONPATH=. python benchmarks/stacked.py [--device cuda] [--members 1,4,16,64] [--steps 100] [--json FILE]

All are the reference net (session4) with seeds of their own, batch 128, one-cycle SGD. A is `Trainer`, for one member
after the other (not more than --alone of them: their images a second do not depend on how many there are); B is
`StackedTrainer`. Each trains --steps batches a round; the first round warms up and is not counted. Before that, three
steps without dropout must give the same losses in both. Images a second are the sum over members. ARCHSEARCH_DATA names
the folder with MNIST; without it random bytes of the same shape are trained on. Needs neither Hydra nor MLflow.
"""

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import runner
import torch
from resident import environment, mnist, reference_plan, splits_of, write

from archsearch.config.recipe import SGD, OneCycle
from archsearch.config.settings import TrainerSettings
from archsearch.data.load import Dataset
from archsearch.model.builder import build_plan
from archsearch.system.process import keep_freed_memory
from archsearch.training.device import pick_device
from archsearch.training.metrics import EpochMetrics
from archsearch.training.stacked.trainer import Member, StackedTrainer
from archsearch.training.trainer import Trainer

RATE = SGD(lr=0.01, momentum=0.9, nesterov=True)


class Bench:
    """What all measurements have in common."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.device = pick_device(options.device)
        self.data: Dataset
        self.data, self.real = mnist()

    def settings(self, epochs: int) -> TrainerSettings:
        options = self.options
        return TrainerSettings(
            epochs=epochs,
            batch_size=options.batch_size,
            precision=options.precision,
            channels_last=options.channels_last,
            compile=options.compile,
        )

    def optimizers(self, count: int) -> list[SGD]:
        """The same for all, or (--distinct) a rate of its own for each, as parameter groups of their own."""
        return [replace(RATE, lr=RATE.lr * (1 + k / 1000)) if self.options.distinct else RATE for k in range(count)]

    def trainers(
        self, count: int, alone: int, epochs: int, steps: int, dropout: float
    ) -> tuple[list[Trainer], StackedTrainer]:
        """Some of `count` members as they are alone, and all of them as one."""
        network, settings = reference_plan(dropout), self.settings(epochs)
        splits = splits_of(self.data, self.device, self.options.channels_last, steps * self.options.batch_size)
        optimizers = self.optimizers(count)

        def build(seed: int) -> Any:
            torch.manual_seed(seed)
            return build_plan(network)

        single = [
            Trainer(build(seed), splits, settings, optimizers[seed], OneCycle(), seed=seed, device=self.device)
            for seed in range(alone)
        ]
        members = [Member(build(seed), optimizers[seed], seed) for seed in range(count)]
        stack = StackedTrainer(members, splits, settings, OneCycle(), device=self.device, graphs=self.options.graphs)
        return single, stack

    def check(self) -> float:
        """The largest relative difference between losses alone and stacked, over three steps and three members."""
        single, stack = self.trainers(3, 3, epochs=1, steps=3, dropout=0.0)
        alone = [next(trainer.run()).train.loss for trainer in single]
        together = [metrics.train.loss for metrics in metrics_of(next(stack.run()))]
        return max(abs(a - b) / a for a, b in zip(alone, together, strict=True))

    def measure(self, count: int) -> dict[str, Any]:
        """Images a second, alone and stacked, of each round but the first."""
        options = self.options
        images = options.steps * options.batch_size
        single, stack = self.trainers(
            count, min(count, options.alone), options.rounds + 1, options.steps, options.dropout
        )
        running, stacked = [trainer.run() for trainer in single], stack.run()
        alone, together = [], []
        for number in range(options.rounds + 1):
            seconds = sum(next(run).seconds for run in running)
            if self.device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(self.device)
            shares = sum(metrics.seconds for metrics in metrics_of(next(stacked)))
            if number:
                alone.append(len(single) * images / seconds)
                together.append(count * images / shares)
        peak = torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else None
        return {"members": count, "alone": alone, "stacked": together, "stacked_peak_bytes": peak}


def metrics_of(epoch: list[Any]) -> list[EpochMetrics]:
    """An epoch's metrics; a member that failed ends the benchmark."""
    for metrics in epoch:
        if not isinstance(metrics, EpochMetrics):
            raise metrics
    return epoch


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--members", default="1,4,16,64")
    parser.add_argument("--steps", type=int, default=100, help="a round and member")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alone", type=int, default=3, help="members that are trained one after another, at most")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--channels-last", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--graphs", action=argparse.BooleanOptionalAction, default=True, help="of the stack, on cuda")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--distinct", action="store_true", help="each member has a learning rate of its own")
    parser.add_argument("--cudnn-benchmark", action="store_true")
    parser.add_argument("--tolerance", type=float, help="relative, between losses alone and stacked")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(words)
    torch.backends.cudnn.benchmark = options.cudnn_benchmark
    keep_freed_memory()
    bench = Bench(options)
    # TF32 and bfloat16 keep 10 and 8 bits of a number; other kernels round them elsewhere.
    loose = bench.device.type == "cuda" or options.precision == "bfloat16"
    tolerance = options.tolerance or (2e-2 if loose else 1e-3)
    difference = bench.check()
    print(f"losses of three steps, alone and stacked: {difference:.1e} apart at most")
    if difference > tolerance:
        raise SystemExit(f"that is more than {tolerance:g} (--tolerance): they do not compute the same")
    rows = []
    for count in map(int, options.members.split(",")):
        row = bench.measure(count)
        rows.append(row)
        ratios = sorted(b / a for a, b in zip(row["alone"], row["stacked"], strict=True))
        shown = " ".join(
            f"{name} {statistics.median(row[name]):>10,.0f} ({min(row[name]):,.0f} to {max(row[name]):,.0f})"
            for name in ("alone", "stacked")
        )
        print(
            f"{count:3} members, images/s: {shown}  ratio {statistics.median(ratios):.2f}"
            f" ({ratios[0]:.2f} to {ratios[-1]:.2f})",
            flush=True,
        )
    most = rows[-1]
    ratio = statistics.median(b / a for a, b in zip(most["alone"], most["stacked"], strict=True))
    what = f"images/s of {most['members']} stacked, over those of one after another"
    targets = [runner.target(what, ratio, 4.0, at_least=True)] if most["members"] >= 64 else []
    said = {name: value for name, value in vars(options).items() if name != "json"}
    result = {
        "options": said,
        "mnist": bench.real,
        "loss_difference": difference,
        "rows": rows,
        "targets": targets,
    }
    write(options.json, {**environment(bench.device), **result})


if __name__ == "__main__":
    main()
