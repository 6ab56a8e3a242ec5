"""Params of a run."""

from archsearch.config.augment import in_present_form
from archsearch.tracking.mlflow_params import params_of
from tests.support.requests import ask


def test_the_order_of_blocks_is_that_of_the_network() -> None:
    request = ask("+model.blocks.extra={channels: 8, after: conv2}", "++model.blocks.conv5.before=conv4")
    params = params_of(request.config, request.choices, "digits")
    assert params["model.blocks"] == "conv1 conv2 extra conv3 trans1 conv5 conv4 trans2"
    assert params["model.blocks.extra.after"] == "conv2"


def test_the_transforms_of_an_augmentation_are_a_param() -> None:
    request = ask("augment=[flip,crop]", "augment.flip=null")
    params = params_of(request.config, request.choices, "digits")
    assert {name: value for name, value in params.items() if name.startswith("augment")} == {
        "augment": "crop", "augment.crop.padding": 4, "augment.crop.padding_mode": "constant",
    }  # fmt: skip


def test_the_param_does_not_depend_on_the_order_in_which_transforms_are_listed() -> None:
    requests = [ask(f"augment=[{transforms}]") for transforms in ("cutout,flip,crop", "crop,flip,cutout")]
    first, second = [params_of(request.config, request.choices, "digits") for request in requests]
    assert first == second and first["augment"] == "crop flip cutout"


def test_augmentation_from_before_transforms_could_be_combined_has_the_same_params() -> None:
    old = {"none": {"type": "none"}, "affine": {"type": "affine", "degrees": 10.0, "translate": 0.1, "scale": 0.1}}
    for option, section in old.items():
        request = ask(f"augment={option}")
        expected = params_of(request.config, request.choices, "digits")
        config = in_present_form({**request.config, "augment": section})
        assert params_of(config, request.choices, "digits") == expected
