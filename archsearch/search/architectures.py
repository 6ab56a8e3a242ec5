"""Whole architectures: random ones and neighbours of one, all of which can be built."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from archsearch.config.search import BlockLimits
from archsearch.config.settings import Constraints
from archsearch.errors import ConfigError
from archsearch.model.plan import Plan, plan
from archsearch.model.spec import parse_model
from archsearch.model.tree import Shape
from archsearch.search.budget import excess_of
from archsearch.search.candidate import Model
from archsearch.search.identity import described
from archsearch.search.mutations import MUTATIONS, count_blocks, plain_model

NOTHING: Model = {"blocks": {"conv1": {"channels": 8}}, "head": {"type": "gap"}}
_WALK = 12  # most mutations from the start to a random architecture
_TRIES = 200  # mutations that are tried until one can be built
_MOST_PARAMS = 10**9


@dataclass(frozen=True)
class Architectures:
    """Models near `start`, as plain mappings with `blocks` and `head`.

    `defaults` are the model's other settings, such as `dropout` and `width`. Images have `input_shape`. Mutations lead
    into `constraints`, but need not reach them.
    """

    start: Model
    defaults: Mapping[str, Any]
    limits: BlockLimits
    input_shape: Shape
    classes: int
    constraints: Constraints

    @classmethod
    def around(
        cls,
        model: Mapping[str, Any],
        limits: BlockLimits,
        input_shape: Shape,
        classes: int,
        constraints: Constraints,
        *,
        from_nothing: bool = False,
    ) -> "Architectures":
        """Those near `model`, a valid model's section, or near a single convolution."""
        start = NOTHING if from_nothing else plain_model(model)
        defaults = {key: value for key, value in model.items() if key not in ("blocks", "head")}
        if from_nothing:  # as the smallest block that the limits allow
            start = {**start, "blocks": {"conv1": {"channels": limits.channels[0]}}}
        return cls(start, defaults, limits, input_shape, classes, constraints)

    def drawn(self, random: Random) -> Model:
        """A random architecture: a walk of some mutations from the start."""
        model = self.start
        for _ in range(random.randint(1, _WALK)):
            mutated = self.mutated(model, random)
            if mutated is None:
                break
            model = mutated[0]
        return model

    def mutated(self, model: Model, random: Random) -> tuple[Model, str] | None:
        """`model` with one change, and what it is. The network is another one, which can be built.

        If `model` exceeds the constraints, the other one does not exceed them more; if `model` fits, it fits. None if
        there is no such change.
        """
        before = self.planned(model)
        allowed = sum(excess_of(self.constraints, before).values()) if before is not None else float("inf")
        for _ in range(_TRIES):
            changed = copy.deepcopy(dict(model))
            words = random.choice(MUTATIONS)(changed, random, self.limits)
            if words is None or count_blocks(changed) > max(self.limits.most_blocks, count_blocks(model)):
                continue
            after = self.planned(changed)
            if after is None or sum(excess_of(self.constraints, after).values()) > allowed:
                continue
            if before is None or described(after) != described(before):
                return changed, words
        return None

    def planned(self, model: Model) -> Plan | None:
        """The plan of `model`; None if it cannot be built."""
        spec, _ = parse_model({**self.defaults, **model})
        if spec is None:
            return None
        try:
            network = plan(spec, self.input_shape, self.classes)
        except ConfigError:
            return None
        return network if network.params <= _MOST_PARAMS else None

    def describe(self) -> str:
        """`from 7 blocks: at most 20 blocks (conv, pool), 4 to 128 channels, heads linear, gap`."""
        fewest, most = self.limits.channels
        blocks = count_blocks(self.start)
        return (
            f"from {blocks} block{'' if blocks == 1 else 's'}: at most {self.limits.most_blocks}"
            f" blocks ({', '.join(self.limits.types)}), {fewest} to {most} channels,"
            f" heads {', '.join(self.limits.heads)}"
        )
