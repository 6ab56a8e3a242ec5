"""`archsearch.plan`, `build` and `parse_model`: a model as a mapping, every error at once."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

import archsearch
from tests.support.requests import session4

GAP: dict[str, Any] = {"blocks": {"conv1": {"channels": 12}}, "head": {"type": "gap"}}


def problems_of(call: Any, *arguments: Any) -> list[str]:
    with pytest.raises(archsearch.ConfigError) as caught:
        call(*arguments)
    return [str(problem) for problem in caught.value.problems]


def test_a_plan_is_made_of_a_mapping() -> None:
    plan = archsearch.plan(session4(), input_shape=(1, 28, 28), classes=10)
    assert (plan.params, plan.macs, plan.output_shape) == (12_954, 2_605_712, (10,))


def test_a_plan_is_made_of_a_parsed_model() -> None:
    spec = archsearch.parse_model(GAP)
    assert archsearch.plan(spec, (1, 28, 28), 10) == archsearch.plan(GAP, (1, 28, 28), 10)
    assert archsearch.parse_model(spec) is spec


def test_a_network_is_built_of_a_mapping() -> None:
    network = archsearch.build(GAP, [3, 32, 32], 5)
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 5)


def test_sizes_may_be_numpys_and_torchs() -> None:
    plan = archsearch.plan(GAP, torch.zeros(1, 28, 28).shape, np.int64(10))  # type: ignore[arg-type]
    assert plan.input_shape == (1, 28, 28) and plan.output_shape == (10,)


@pytest.mark.parametrize("function", [archsearch.plan, archsearch.build, archsearch.parse_model])
def test_all_errors_of_a_model_come_together(function: Any) -> None:
    model = {"blocks": {"conv1": {"chanels": 12}}, "head": {"type": "gab"}, "widht": 2}
    arguments = [model] if function is archsearch.parse_model else [model, (1, 28, 28), 10]
    paths = [problem.split(":")[0] for problem in problems_of(function, *arguments)]
    assert paths == ["model.widht", "model.blocks.conv1", "model.blocks.conv1.chanels", "model.head.type"]


@pytest.mark.parametrize("shape", [(28, 28), (0, 28, 28), (1, 28, -1), (1, 28, 28.5), (1, 28, True), 28, "abc", None])
def test_a_shape_must_be_channels_height_and_width(shape: Any) -> None:
    (problem,) = problems_of(archsearch.plan, GAP, shape, 10)
    assert problem == (f"input_shape: got {shape!r}, must be (channels, height, width), whole numbers from 1 to 65,536")


@pytest.mark.parametrize("classes", [0, -1, 2.5, "10", None, True])
def test_there_must_be_classes(classes: Any) -> None:
    (problem,) = problems_of(archsearch.build, GAP, (1, 28, 28), classes)
    assert problem == f"classes: got {classes!r}, must be a whole number from 1 to 65,536"


def test_errors_of_model_shape_and_classes_come_together() -> None:
    problems = problems_of(archsearch.plan, {**GAP, "blocks": {}}, (28, 28), 0)
    assert [problem.split(":")[0] for problem in problems] == ["model.blocks", "input_shape", "classes"]


def test_planning_needs_neither_torch_nor_pandas() -> None:
    code = """
import sys, archsearch
archsearch.plan({"blocks": {"a": {"channels": 2}}, "head": {"type": "gap"}}, (1, 8, 8), 10)
print({"torch", "pandas", "mlflow", "hydra"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
