#!/usr/bin/env python3
"""Images per second of networks with branches and of depthwise ones, with fused layers compared with plain ones.

usage: PYTHONPATH=. python benchmarks/branches.py [--nets resnet20,mobile] [--width 0.5] [--steps 100] [--json FILE]

`resnet20` is the preset, `mobile` has nine separable blocks; both for 1x28x28. Two networks with the same weights train
in turn in one process, A B A B: with `trainer.fused` and without. Each trains --steps batches of 128 a round; ratios
are taken within a round. The first round is a warm-up and does not count. Before that, the losses of three steps must
agree. Training on the CPU only, with at most two threads (OMP_NUM_THREADS); beyond, nothing is fused. ARCHSEARCH_DATA
names the folder with MNIST; without it, training uses random bytes of the same shape.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gpu_setup
import machine
import torch
import yaml
from arguments import parser_of
from summary import Row, format_spread, spread

from archsearch.config.recipe import SGD, OneCycle
from archsearch.config.settings import TrainerSettings
from archsearch.data.load import Dataset
from archsearch.model.builder import build_plan
from archsearch.model.plan import Plan, plan
from archsearch.model.spec import parse_model
from archsearch.system.process import keep_freed_memory
from archsearch.training.fused.network import fused
from archsearch.training.trainer import Trainer

CPU = torch.device("cpu")
WAYS = {"fused": True, "plain": False}
OPTIMIZER = SGD(lr=0.01, momentum=0.9, nesterov=True)
TOLERANCE = 1e-3  # largest relative difference of the losses of three steps
MOBILE: dict[str, Any] = {
    "padding": 1,
    "bias": False,
    "order": ["conv", "norm", "activation", "dropout"],
    "blocks": {
        "conv1": {"channels": 16},
        "stage1": {"type": "separable", "channels": 32},
        "stage2": {"type": "separable", "channels": 64, "stride": 2, "repeat": 2},
        "stage3": {"type": "separable", "channels": 128, "stride": 2, "repeat": 6},
    },
    "head": {"type": "gap"},
}


def model_of(name: str) -> dict[str, Any]:
    """The model `mobile`, or a preset."""
    if name == "mobile":
        return MOBILE
    path = gpu_setup.CONF / "model" / f"{name}.yaml"
    if not path.is_file():
        raise SystemExit(f"--nets: got {name}, must be mobile or a preset in conf/model")
    return dict(yaml.safe_load(path.read_text()))


def plan_of(name: str, width: float) -> Plan:
    """The plan of a network at `width`, for MNIST."""
    spec, problems = parse_model({**model_of(name), "width": width})
    assert spec is not None, problems
    return plan(spec, gpu_setup.MNIST.shape, len(gpu_setup.MNIST.classes))


def trainers_of(plan: Plan, data: Dataset, options: argparse.Namespace, steps: int, epochs: int) -> dict[str, Trainer]:
    """A trainer for each of the `WAYS`, whose networks have the same weights."""
    splits = gpu_setup.splits_of(data, CPU, channels_last=True, images=steps * options.batch_size)
    trainers = {}
    for way, is_fused in WAYS.items():
        torch.manual_seed(0)
        network = build_plan(plan)
        if fused(network.to(memory_format=torch.channels_last), CPU) is network:
            raise SystemExit(f"nothing is fused here, with {torch.get_num_threads()} threads; set OMP_NUM_THREADS=2")
        settings = TrainerSettings(epochs=epochs, batch_size=options.batch_size, fused=is_fused)
        trainers[way] = Trainer(network, splits, settings, OPTIMIZER, OneCycle(), seed=0, device=CPU)
    return trainers


def measure(name: str, data: Dataset, options: argparse.Namespace) -> Row:
    """Images per second in each round after the warm-up, after a check that both ways compute the same."""
    network = plan_of(name, options.width)
    losses = [next(trainer.run()).train.loss for trainer in trainers_of(network, data, options, 3, 1).values()]
    difference = abs(losses[0] - losses[1]) / losses[1]
    if not difference <= TOLERANCE:
        raise SystemExit(f"{name}: the losses of three steps differ by {difference:.1e}, more than {TOLERANCE:g}")
    trainers = trainers_of(network, data, options, options.steps, options.rounds + 1)
    running = {way: trainer.run() for way, trainer in trainers.items()}
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(options.rounds + 1):
        for way, epochs in running.items():
            seconds = next(epochs).seconds
            if number:
                rates[way].append(options.steps * options.batch_size / seconds)
    ratios = [ours / plain for ours, plain in zip(rates["fused"], rates["plain"], strict=True)]
    return {
        "net": name,
        "params": network.params,
        "macs": network.macs,
        "loss_difference": difference,
        **rates,
        "ratios": ratios,
    }


def show(row: Row) -> None:
    """Print the medians and ranges of one network."""
    rates = " ".join(f"{way} {format_spread(spread(row[way]), '{:,.0f}')}" for way in WAYS)
    ratio = format_spread(spread(row["ratios"]))
    print(f"{row['net']:9} {row['params']:8,} parameters, images/s: {rates}  ratio {ratio}", flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure each network, print, and write the results."""
    parser = parser_of(__doc__)
    parser.add_argument("--nets", default="resnet20,mobile", help="mobile, and presets in conf/model")
    parser.add_argument("--width", type=float, default=0.5)
    parser.add_argument("--steps", type=int, default=100, help="batches per round and network")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args(argv)
    keep_freed_memory()
    load = machine.load_before()
    data, real = gpu_setup.load_mnist()
    rows = []
    for name in options.nets.split(","):
        rows.append(measure(name, data, options))
        show(rows[-1])
    gpu_setup.write(options, CPU, real, load_before=load, rows=rows)


if __name__ == "__main__":
    main()
