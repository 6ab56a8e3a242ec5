#!/usr/bin/env python3
"""What a busy process of somebody else's costs a run, on two cores: with one and two threads, spinning and waiting.

usage: python benchmarks/neighbour.py [--rounds 3] [--output FILE]

Trains one epoch of the reference network on MNIST in each way, with and without a process beside it that keeps one
core busy. torch's threads wait for each other after each operation: they spin for a while before they sleep; the
environment says how often. ARCHSEARCH_DATA names the folder with the MNIST files.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import machine
from arguments import data_root, parser_of_benchmark
from candidates.command import measure
from results_file import output_path, write_results
from runner import Candidate, Table, alternate
from summary import format_spread, spread

# torch's threads, and the environment of OpenMP's library, which reads it when torch is imported.
WAYS: dict[str, tuple[int, dict[str, str]]] = {
    "two threads, 300,000 spins": (2, {"GOMP_SPINCOUNT": "300000"}),  # OpenMP's default
    "two threads, 10,000 spins": (2, {"GOMP_SPINCOUNT": "10000"}),  # archsearch's default
    "two threads, 1,000 spins": (2, {"GOMP_SPINCOUNT": "1000"}),
    "two threads, passive": (2, {"OMP_WAIT_POLICY": "passive"}),
    "one thread": (1, {}),
}
METRICS = ("images_per_second",)
ONE_EPOCH = ["data=mnist", "trainer.epochs=1", "scheduler=constant", "tracking=none", "tracking.log_figures=false"]


def main(argv: Sequence[str] | None = None) -> None:
    """Train in each way, with and without a neighbour, in turn; print and write medians and ranges."""
    parser = parser_of_benchmark(__doc__, rounds=3)
    parser.add_argument("--train", help=argparse.SUPPRESS)  # one of WAYS, in a process of its own
    parser.add_argument("--busy", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.train is not None:
        print(json.dumps(train(options.train, busy=options.busy)))
        return
    output = output_path(parser, options.output, "neighbour")
    load = machine.load_before()
    candidates = [
        Candidate(name_of(way, busy), [sys.executable, __file__, "--train", way, *(["--busy"] if busy else [])])
        for way in WAYS
        for busy in (False, True)
    ]
    table = alternate(candidates, options.rounds)
    show(table)
    write_results(output, {"rounds": options.rounds, "load_before": load}, table, METRICS)


def name_of(way: str, busy: bool) -> str:
    """The candidate's name."""
    return f"{way}, busy neighbour" if busy else way


def train(way: str, *, busy: bool) -> dict[str, float]:
    """Train an epoch; returns the images per second of its training."""
    threads, environment = WAYS[way]
    os.environ.update(environment)
    neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if busy else None
    try:
        with tempfile.TemporaryDirectory() as folder:
            overrides = [*ONE_EPOCH, f"trainer.threads={threads}", f"data.root={data_root()}"]
            row = measure(overrides, Path(folder))
    finally:
        if neighbour is not None:
            neighbour.kill()
            neighbour.wait()
    return {"images_per_second": row["images_per_second"]}


def show(table: Table) -> None:
    """Print the images per second, and what is left of them beside a neighbour."""
    for way in WAYS:
        alone, beside = (spread(table.values(name_of(way, busy), METRICS[0])) for busy in (False, True))
        left = spread(table.ratios(name_of(way, True), name_of(way, False), METRICS[0]))
        print(f"{way}: {format_spread(alone, '{:,.0f}')}, beside a busy neighbour {format_spread(beside, '{:,.0f}')},")
        print(f"    {format_spread(left)} of it")


if __name__ == "__main__":
    main()
