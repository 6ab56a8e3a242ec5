"""Source files of networks with every block and every head: the same names, weights and logits."""

import ast
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings

from archsearch.deploy.checks import example_pixels
from archsearch.model.plan import Plan
from archsearch.runs.source import class_name, module_name, source_of
from tests.support.deployed import MadeUpRun
from tests.support.drawn import PARTS, Drawn, models
from tests.support.models import MNIST, lower

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")


def network_of(run: MadeUpRun) -> torch.nn.Module:
    """The network that the source of `run` makes, with its weights."""
    values: dict[str, Any] = {"__name__": "drawn"}
    exec(source_of(run.plan, run.info, "drawn", "drawn"), values)
    network: torch.nn.Module = values["Drawn"]()
    network.load_state_dict(run.classifier.network.state_dict())
    return network.eval()


@pytest.mark.parametrize("part", PARTS)
def test_source_computes_the_same(part: str) -> None:
    compared = 0

    @settings(
        max_examples=6, deadline=None, derandomize=True,
        suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
    )  # fmt: skip
    @given(models(part))
    def test(drawn: Drawn) -> None:
        nonlocal compared
        plan: Plan | None = drawn.plan()
        if plan is None:
            return
        run = MadeUpRun.of(plan, "drawn")
        pixels = example_pixels(run.classifier, 3)
        torch.testing.assert_close(network_of(run)(pixels), run.classifier(pixels), equal_nan=True)
        compared += 1

    test()
    assert compared


def test_a_source_reads_like_a_hand_written_one() -> None:
    model = {"blocks": {"conv1": {"channels": 3, "pool": "max"}}, "head": {"type": "gap"}}
    run = MadeUpRun.of(lower(model, (3, 8, 8), 2), "my-net")
    text = source_of(run.plan, run.info, 'my-net a="""', module_name("my-net"))
    ast.parse(text)
    assert '        self.conv1 = sequence({\n            "conv": nn.Conv2d(3, 3, kernel_size=3),\n' in text
    assert "        x = self.conv1(x)  # 3x3x3\n" in text
    assert 'CLASSES = ("class 0", "class 1")\n' in text and "class MyNet(nn.Module)" in text
    assert "Parallel" not in text and "archsearch" not in text


def test_a_long_name_and_many_classes_take_several_lines() -> None:
    run = MadeUpRun.of(lower({"blocks": {"a": {"channels": 2}}, "head": {"type": "gap"}}, MNIST, 100), "a")
    text = source_of(run.plan, run.info, f"a {' '.join(f'model.blocks.a.channels={n}' for n in range(20))}", "a")
    values: dict[str, Any] = {"__name__": "a"}
    exec(text, values)
    assert values["CLASSES"] == run.info.classes and "model.blocks.a.channels=19" in values["__doc__"]
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize(
    ("model", "module", "cls"),
    [("resnet20_b", "resnet20_b", "Resnet20B"), ("a/b-c", "a_b_c", "ABC"), ("3d", "network_3d", "Network3d"),
     ("class", "network_class", "NetworkClass"), ("parallel", "parallel", "ParallelNetwork"),
     ("path", "path", "PathNetwork"), ("ü", "network", "Network"), ("none", "none", "NoneNetwork"),
     ("random", "network_random", "NetworkRandom"), ("torch", "network_torch", "NetworkTorch")],
)  # fmt: skip
def test_names_are_identifiers_and_hide_nothing(model: str, module: str, cls: str) -> None:
    assert module_name(model) == module and class_name(module) == cls


def test_a_class_is_not_named_as_a_layer_of_ones_own_that_its_file_imports() -> None:
    assert class_name("scale", {"Scale"}) == "ScaleNetwork"


def test_a_long_name_of_a_model_leaves_room_in_names_of_files() -> None:
    assert module_name("a" * 250) == "a" * 80


def test_a_block_can_have_the_name_of_a_keyword() -> None:
    run = MadeUpRun.of(lower({"blocks": {"class": {"channels": 2}}, "head": {"type": "gap"}}), "a")
    pixels = example_pixels(run.classifier, 3)
    torch.testing.assert_close(network_of(run)(pixels), run.classifier(pixels))


def test_other_pixels_are_refused() -> None:
    network: Callable[[torch.Tensor], torch.Tensor] = network_of(
        MadeUpRun.of(lower({"blocks": {"a": {"channels": 2}}, "head": {"type": "gap"}}), "a")
    )
    for pixels in (torch.zeros(2, 28, 28), torch.zeros(2, 27, 28, dtype=torch.uint8)):
        with pytest.raises(ValueError, match=r"must be uint8 \(N, 28, 28\), \(N, 1, 28, 28\) or \(N, 28, 28, 1\)"):
            network(pixels)
