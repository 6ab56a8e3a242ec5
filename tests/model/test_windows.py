"""Receptive fields and jumps of blocks in blocks, compared with the gradient of one output."""

from typing import Any

import pytest

from tests.support.models import lower
from tests.support.windows import last_of, windows_of_blocks

SIDE = 48
EVEN = {"channels": 4, "kernel_size": 2, "padding": "same"}  # begins at its pixel, so that two in a row are off centre
MAX = {"type": "pool"}
CONV = {"channels": 4, "padding": 1}
WIDE = {"channels": 4, "kernel_size": 5, "padding": 2}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize(
    ("block", "window", "jumps"),
    [
        ({"type": "residual", "body": {"a": CONV, "b": CONV}, "repeat": 2}, (9, 9), (1, 1)),
        ({"type": "residual", "body": {"a": CONV, "b": CONV}, "stride": 2, "repeat": 2}, (15, 15), (2, 2)),
        ({"type": "residual", "body": {"a": CONV}, "shortcut": "pad", "stride": 2}, (3, 3), (2, 2)),
        ({"type": "parallel", "branches": {"a": {"a": EVEN, "b": EVEN}, "b": {"a": CONV}}}, (4, 4), (1, 1)),
        ({"type": "parallel", "branches": {"a": {"a": MAX}, "b": {"a": CONV | {"stride": 2}}}}, (3, 3), (2, 2)),
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
    end = last_of(plan.nodes[0])
    assert (end.window, end.jumps) == (window, jumps)
    windows = windows_of_blocks(plan)
    assert windows is not None and windows[0] == window
    assert windows[1] == ((set(), set()) if block.get("output_size") == 13 else ({jumps[0]}, {jumps[1]}))
