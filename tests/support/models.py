"""Models for tests, lowered to plans."""

import pytest

from archsearch.errors import ConfigError
from archsearch.model.plan import Plan, plan
from archsearch.model.spec import parse_model

MNIST = (1, 28, 28)


def lower(model: object, shape: tuple[int, ...] = MNIST, classes: int = 10) -> Plan:
    spec, problems = parse_model(model)
    assert spec is not None, problems
    return plan(spec, shape, classes)


def problems_of(model: object, shape: tuple[int, ...] = MNIST) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        lower(model, shape)
    return [str(problem) for problem in caught.value.problems]
