"""Networks for inference."""

from torch import nn

from archsearch.training.folding import folded
from tests.support.drawn import trained
from tests.support.models import lower
from tests.support.requests import session4


def kinds(network: nn.Module) -> list[str]:
    return [type(layer).__name__ for layer in network.modules() if not isinstance(layer, nn.Sequential)]


def test_session4_folds_to_no_norms_and_no_dropout() -> None:
    assert set(kinds(folded(trained(lower(session4()))))) == {"Conv2d", "ReLU", "AvgPool2d", "Flatten", "Linear"}


def test_a_norm_before_a_padded_convolution_stays() -> None:
    assert kinds(folded(trained(lower(session4(conv2={"padding": 1}))))).count("BatchNorm2d") == 1


def test_a_norm_before_max_pooling_stays() -> None:
    assert kinds(folded(trained(lower(session4(trans1={"pool": "max"}))))).count("BatchNorm2d") == 1
