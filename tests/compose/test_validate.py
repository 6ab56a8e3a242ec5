"""Validation of a whole configuration."""

import pytest

from archsearch.compose.validate import validate
from archsearch.errors import ConfigError
from tests.support.requests import ask

# A network whose second block gets a 1x1 image.
SHRUNK = (
    "++model.blocks.conv1.kernel_size=28",
    *(f"++model.blocks.{name}.kernel_size=1" for name in ("conv2", "conv3", "conv4", "conv5")),
    *(f"++model.blocks.{name}.pool=none" for name in ("trans1", "trans2")),
)


def problems_of(*overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        validate(ask(*overrides).config).require()
    return [str(problem) for problem in caught.value.problems]


def test_a_valid_configuration_has_settings_and_a_plan() -> None:
    settings, plan = validate(ask("model=session4", "data=digits", "tracking=none").config).require()
    assert (settings.data.name, plan.params) == ("digits", 12_954)


def test_errors_of_model_settings_and_constraints_are_reported_at_once() -> None:
    assert problems_of("seed=-1", "++model.blocks.conv2.kernel_size=40", "data.validation=60000", "+foo=1") == [
        "model.blocks.conv2: kernel_size 40 does not fit its 26x26 input",
        "seed: got -1, must be at least 0",
        "foo: unknown setting",
    ]


@pytest.mark.parametrize(
    ("overrides", "setting"),
    [
        (("trainer.batch_size=1", *SHRUNK), "trainer.batch_size"),
        (("trainer.batch_size=1", "+model.head.hidden=[4]", "+model.head.norm=batch"), "trainer.batch_size"),
        (("trainer.epochs=1", "trainer.batch_size=60000"), "scheduler.pct_start"),
        (("data.validation=60000",), "data.validation"),
        (("data=digits", "data.validation=1499"), "data.validation"),
        (("trainer.compile=true", "trainer.cuda_graphs=true"), "trainer.cuda_graphs"),
    ],
)
def test_settings_that_contradict_each_other_are_rejected(overrides: tuple[str, ...], setting: str) -> None:
    problems = problems_of(*overrides)
    assert [problem.split(":")[0] for problem in problems] == [setting], problems


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("constraints.max_params=10000", "constraints.max_params: the model has 12,954 parameters, 10,000 are allowed"),
        ("constraints.max_macs=1000000", "constraints.max_macs: the model has 2,605,712 MACs"),
        ("constraints.min_receptive_field=28", "constraints.min_receptive_field: the model's receptive field is 26"),
    ],
)
def test_constraints_are_violations_not_problems(override: str, message: str) -> None:
    result = validate(ask(override).config)
    assert not result.problems
    (violation,) = result.violations
    assert str(violation).startswith(message)
    with pytest.raises(ConfigError):
        result.require()


def test_constraints_include_their_bounds() -> None:
    bounds = ("constraints.max_params=12954", "constraints.max_macs=2605712", "constraints.min_receptive_field=26")
    assert not validate(ask(*bounds).config).violations


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("model.blocks.conv1.channels=100000000000000000000", "model.blocks.conv1.channels: got 100000000000000000000"),
        ("++model.width=1e308", "model.width: got 1e+308, must be at most 1000.0"),
        ("model.head.type=[1,2]", "model.head.type: got [1, 2], must be one of linear, gap, conv, none"),
        (
            "+model.blocks.x={type: [conv], channels: 3}",
            "model.blocks.x.type: got ['conv'], must be one of adaptive_pool, conv",
        ),
    ],
)
def test_values_beyond_sense_are_refused(override: str, problem: str) -> None:
    lines = list(map(str, validate(ask(override).config).problems))
    assert any(line.startswith(problem) for line in lines), lines


def test_models_that_no_memory_holds_are_refused() -> None:
    overrides = [f"model.blocks.conv{number}.channels=65536" for number in (1, 2)]
    lines = list(map(str, validate(ask(*overrides).config).problems))
    assert any("parameters, must be at most 1,000,000,000" in line for line in lines), lines
