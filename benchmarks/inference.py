#!/usr/bin/env python3
"""How long each layer of the reference network takes at inference in bfloat16: torch's layers, and archsearch's.

usage: PYTHONPATH=. python benchmarks/inference.py [--images 1000] [--rounds 20]

Prints microseconds per image on one thread, the shortest time of all rounds, for the network with its batch norms
folded. Beside them, the rate of its convolutions is compared with that of the product of two large matrices. oneDNN
computes multiples of 16 channels, so a convolution to 24 channels counts as one to 32. No data are needed.
"""

import copy
import time
from collections.abc import Callable, Sequence

import torch
from arguments import parser_of
from branches import plan_of
from torch import Tensor, nn

from archsearch.model.builder import build_plan
from archsearch.system.process import keep_freed_memory
from archsearch.training.bfloat16_inference import with_fast_layers
from archsearch.training.folding import folded

SIZE = 1024  # of the matrices
LANES = 16  # output channels that oneDNN computes at a time


def seconds_of(compute: Callable[[], Tensor], rounds: int) -> tuple[float, Tensor]:
    """The shortest time of all rounds, and the result."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        result = compute()
        times.append(time.perf_counter() - start)
    return min(times), result


def operations_of(layer: nn.Conv2d, outputs: Tensor) -> int:
    """Multiplications and additions of `layer` for `outputs`, with its channels rounded up."""
    channels = -(-layer.out_channels // LANES) * LANES
    return 2 * layer.weight[0].numel() * channels * outputs[:, 0].numel()


def main(argv: Sequence[str] | None = None) -> None:
    """Time both networks layer by layer, and print."""
    parser = parser_of(__doc__)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args(argv)
    keep_freed_memory()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = build_plan(plan_of("session4", width=1.0)).to(memory_format=torch.channels_last)
    images = torch.randn(options.images, 1, 28, 28)
    network(images)  # statistics for its batch norms
    rounded = copy.deepcopy(folded(network)).to(torch.bfloat16)
    assert isinstance(rounded, nn.Sequential)
    fast = with_fast_layers(copy.deepcopy(rounded))
    assert isinstance(fast, nn.Sequential)
    with torch.inference_mode():
        matrix = torch.randn(SIZE, SIZE).to(torch.bfloat16)
        seconds, _ = seconds_of(lambda: matrix @ matrix, options.rounds)
        rate = 2 * SIZE**3 / seconds / 1e9
        print(f"product of two matrices of {SIZE}x{SIZE}: {rate:.0f} billion operations a second")
        values = images.to(torch.bfloat16)
        totals = [0.0, 0.0]
        print(f"\n{'layer':<12}{'outputs':<14}{'torch':>8}{'archsearch':>12}  billion operations a second")
        for layer, other in zip(rounded, fast, strict=True):
            inputs = values
            times = []
            for module in (layer, other):
                seconds, values = seconds_of(lambda module=module, inputs=inputs: module(inputs), options.rounds)
                times.append(1e6 * seconds / options.images)
            totals = [total + time for total, time in zip(totals, times, strict=True)]
            shape = "x".join(map(str, values.shape[1:]))
            print(f"{type(layer).__name__:<12}{shape:<14}{times[0]:8.2f}{times[1]:12.2f}", end="")
            if isinstance(layer, nn.Conv2d):
                print(f"{operations_of(layer, values) / (times[0] * options.images * 1e3):10.0f}", end="")
            print()
        print(f"{'all':<26}{totals[0]:8.2f}{totals[1]:12.2f}")


if __name__ == "__main__":
    main()
