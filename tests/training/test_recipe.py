"""The rules for the settings of a recipe: initial weights, rates, smoothing, averaging."""

import pytest

from archsearch.compose.validate import validate
from archsearch.errors import ConfigError
from tests.support.requests import ask


def problems_of(*overrides: str, blocks: dict[str, object] | None = None) -> str:
    config = ask(*overrides).config
    if blocks is not None:
        config["model"]["blocks"] = blocks
    with pytest.raises(ConfigError) as caught:
        validate(config).require()
    return str(caught.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.label_smoothing=1", "trainer.label_smoothing: got 1, must be less than 1"),
        ("init.convs=direc", "init.convs: got 'direc', must be one of torch, dirac (did you mean dirac?)"),
        ("optimizer.norm_lr_factor=0", "optimizer.norm_lr_factor: got 0, must be at least 1e-06"),
        ("+averaging.decay=0.9", "averaging.decay: unknown setting"),
    ],
)
def test_invalid_settings_are_refused_with_their_rule(override: str, message: str) -> None:
    assert message in problems_of(override)


POOL_ONLY: dict[str, object] = {"pool": {"type": "pool", "pool": "avg"}}


def test_whitening_needs_a_first_convolution_of_all_channels() -> None:
    message = "init.first_conv: got 'whitening', which needs a convolution of all channels"
    assert message in problems_of("init.first_conv=whitening", "data=mnist", blocks=POOL_ONLY)


def test_dirac_needs_a_convolution() -> None:
    message = "init.convs: got 'dirac', but the model has no convolution"
    assert message in problems_of("init.convs=dirac", "data=mnist", blocks=POOL_ONLY)


def test_whitening_and_dirac_are_valid_for_a_convolutional_network() -> None:
    validate(ask("init.first_conv=whitening", "init.convs=dirac", "data=mnist").config).require()
