"""Params of a run."""

from archsearch.tracking.mlflow_params import params_of
from tests.support.requests import ask


def test_the_order_of_blocks_is_that_of_the_network() -> None:
    request = ask("+model.blocks.extra={channels: 8, after: conv2}", "++model.blocks.conv5.before=conv4")
    params = params_of(request.config, request.choices, "digits")
    assert params["model.blocks"] == "conv1 conv2 extra conv3 trans1 conv5 conv4 trans2"
    assert params["model.blocks.extra.after"] == "conv2"
