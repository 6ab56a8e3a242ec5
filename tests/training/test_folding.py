"""The network for inference gives what the network gives, whatever it is made of, and does less."""

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import nn

from archsearch.errors import ConfigError
from archsearch.training.folding import folded
from tests.support.models import BLOCKS, HEADS, trained
from tests.support.requests import session4


def kinds(network: nn.Module) -> list[str]:
    return [type(layer).__name__ for layer in network.modules() if not isinstance(layer, nn.Sequential)]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.filter_too_much])
@given(
    blocks=st.lists(BLOCKS, min_size=1, max_size=4),
    head=HEADS,
    size=st.sampled_from([(1, 28, 28), (3, 19, 24), (2, 9, 7)]),
    last=st.booleans(),
)
def test_folding_changes_nothing(
    blocks: list[dict[str, Any]], head: dict[str, Any], size: tuple[int, int, int], last: bool
) -> None:
    try:
        network = trained({"blocks": {f"b{i}": block for i, block in enumerate(blocks)}, "head": head}, size, last)
    except ConfigError:
        assume(False)
    images = torch.randn(3, *size, dtype=torch.float64)
    kept, before = images.clone(), {name: value.clone() for name, value in network.state_dict().items()}
    with torch.inference_mode():
        expected = network.eval()(images)
        found = folded(network)(images)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(images, kept, rtol=0, atol=0)  # the input is not written to
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)  # nor the network


def test_session4_is_left_without_norms_and_dropout() -> None:
    assert set(kinds(folded(trained(session4())))) == {"Conv2d", "ReLU", "AvgPool2d", "Flatten", "Linear"}


def test_what_cannot_be_folded_stays() -> None:
    padded = folded(trained(session4(conv2={"padding": 1})))  # sees the shift inside the image only
    assert kinds(padded).count("BatchNorm2d") == 1
    pooled = folded(trained(session4(trans1={"pool": "max"})))  # a scale can be negative
    assert kinds(pooled).count("BatchNorm2d") == 1
