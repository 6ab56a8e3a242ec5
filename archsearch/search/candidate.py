"""What a search proposes: values of settings, and a model where blocks vary."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

from archsearch.errors import Problem

Value: TypeAlias = str | int | float  # a string is written as in an override
Model: TypeAlias = Mapping[str, Any]  # `blocks` and `head`, as YAML has them


@dataclass(frozen=True)
class Candidate:
    """Something to propose. `change` says how it differs from trial `parent`, if it comes from one."""

    params: Mapping[str, Value]
    model: Model | None = None
    parent: int | None = field(default=None, compare=False)
    change: str = field(default="", compare=False)

    @cached_property
    def key(self) -> str:
        """Equal for equal candidates. Two keys can describe the same network: see `Checked.identity`."""
        return json.dumps([dict(self.params), self.model])


@dataclass(frozen=True)
class Checked:
    """A candidate and what arithmetic says about it.

    `identity` is None if it cannot be trained, because of `problems`. `excess` is by how much it exceeds each
    constraint that it breaks, as a fraction of the constraint. `protocol` has settings in which the trials of a search
    must not differ.
    """

    candidate: Candidate
    identity: str | None
    params: int = 0
    macs: int = 0
    receptive_field: int = 0
    seed: int = 0
    problems: tuple[Problem, ...] = ()
    excess: Mapping[str, float] = field(default_factory=dict)
    protocol: Mapping[str, object] = field(default_factory=dict)

    @property
    def fits(self) -> bool:
        """Whether it can be trained, within the budget."""
        return self.identity is not None and not self.excess

    @property
    def misfit(self) -> tuple[bool, float]:
        """How far it is from fitting: candidates that cannot be built are farthest."""
        return self.identity is None, sum(self.excess.values())


@dataclass(frozen=True)
class Member:
    """A trial as samplers see it. `losses` are its objectives, smaller being better; None unless it is trained."""

    number: int
    candidate: Candidate
    identity: str
    losses: tuple[float, ...] | None
    is_running: bool = False
