"""Networks for inference."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from torch import nn

from archsearch.training.folding import folded
from tests.support.models import ALL_BLOCKS, networks, trained
from tests.support.requests import session4


def kinds(network: nn.Module) -> list[str]:
    return [type(layer).__name__ for layer in network.modules() if not isinstance(layer, nn.Sequential)]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.filter_too_much])
@given(networks(kinds=ALL_BLOCKS))
def test_folding_changes_neither_outputs_nor_inputs_nor_the_network(
    drawn: tuple[list[nn.Sequential], tuple[int, ...]],
) -> None:
    (network,), shape = drawn
    images = torch.randn(3, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    original, state = images.clone(), {name: value.clone() for name, value in network.state_dict().items()}
    with torch.inference_mode():
        expected = network.eval()(images)
        outputs = folded(network)(images)
    torch.testing.assert_close(outputs, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(images, original, rtol=0, atol=0)
    torch.testing.assert_close(network.state_dict(), state, rtol=0, atol=0)


def test_session4_folds_to_no_norms_and_no_dropout() -> None:
    assert set(kinds(folded(trained(session4())))) == {"Conv2d", "ReLU", "AvgPool2d", "Flatten", "Linear"}


def test_a_norm_before_a_padded_convolution_stays() -> None:
    assert kinds(folded(trained(session4(conv2={"padding": 1})))).count("BatchNorm2d") == 1


def test_a_norm_before_max_pooling_stays() -> None:
    assert kinds(folded(trained(session4(trans1={"pool": "max"})))).count("BatchNorm2d") == 1
