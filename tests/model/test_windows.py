"""Receptive fields and jumps of blocks in blocks, compared with the gradient of one output."""

from typing import Any

import pytest
import torch
from torch import nn

from archsearch.model.builder import build_plan
from tests.support.models import lower

SIDE = 48
CONV = {"channels": 4, "padding": 1}
WIDE = {"channels": 4, "kernel_size": 5, "padding": 2}


@pytest.mark.parametrize(
    ("block", "window", "jumps"),
    [
        ({"type": "residual", "body": {"a": CONV, "b": CONV}, "repeat": 2}, (9, 9), (1, 1)),
        ({"type": "residual", "body": {"a": CONV, "b": CONV}, "stride": 2, "repeat": 2}, (15, 15), (2, 2)),
        ({"type": "residual", "body": {"a": CONV}, "shortcut": "pad", "stride": 2}, (3, 3), (2, 2)),
        ({"type": "parallel", "branches": {"a": {"a": CONV}, "b": {"a": WIDE, "b": CONV}}}, (7, 7), (1, 1)),
        ({"type": "parallel", "join": "add", "branches": {"a": {"a": CONV}, "b": {}}}, (3, 3), (1, 1)),
        ({"type": "inverted_residual", "channels": 4, "padding": 1, "stride": 2, "repeat": 2}, (7, 7), (2, 2)),
        ({"type": "separable", "channels": 4, "padding": 2, "dilation": 2}, (5, 5), (1, 1)),
        ({"channels": 4, "kernel_size": [1, 5]}, (1, 5), (1, 1)),
        ({"channels": 4, "stride": [1, 2], "pool": "avg"}, (4, 5), (2, 4)),
        ({"type": "pool", "pool": "avg", "pool_size": 3, "pool_stride": 2, "ceil_mode": True}, (3, 3), (2, 2)),
        ({"type": "pool", "pool": "blur", "pool_size": 4}, (4, 4), (2, 2)),
        ({"type": "adaptive_pool", "output_size": 12}, (4, 4), (4, 4)),
        ({"type": "adaptive_pool", "output_size": 13}, (5, 5), (3, 3)),
        ({"type": "squeeze_excite", "reduction": 2}, (1, 1), (1, 1)),
        ({"type": "spatial_attention", "kernel_size": 5}, (5, 5), (1, 1)),
    ],
)
def test_the_window_is_what_the_gradient_covers(
    block: dict[str, Any], window: tuple[int, int], jumps: tuple[int, int]
) -> None:
    model = {"norm": "none", "activation": "none", "blocks": {"block": block}, "head": {"type": "gap"}}
    plan = lower(model, (4, SIDE, SIDE))
    node = plan.nodes[0]
    last = node.children[-1]  # type: ignore[union-attr]
    while hasattr(last, "children"):
        last = last.children[-1]
    assert (last.window, last.jumps) == (window, jumps)
    if block.get("type") == "squeeze_excite":
        return  # the branch that squeezes sees the whole image, which does not count

    network = build_plan(plan).get_submodule("block").double()
    for weight in network.parameters():
        nn.init.uniform_(weight, 0.5, 1)  # positive, so that no two paths cancel
    images = torch.rand(1, 4, SIDE, SIDE, dtype=torch.double, requires_grad=True)
    output = network(images)
    row, column = (size // 2 for size in output.shape[2:])
    largest = [0, 0]
    for down in range(3):  # the windows of adaptive pooling differ
        (gradient,) = torch.autograd.grad(output[0, :, row + down, column + down].sum(), images, retain_graph=True)
        used = gradient[0].abs().sum(dim=0) > 0
        for axis in (0, 1):
            positions = used.any(dim=1 - axis).nonzero().flatten()
            largest[axis] = max(largest[axis], int(positions.max() - positions.min()) + 1)
    assert tuple(largest) == window
