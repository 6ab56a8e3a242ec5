"""The plan of a candidate: composed, with its model where blocks vary, and validated like a run of a sweep."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from archsearch.compose.validate import FindDataset, named_dataset
from archsearch.config.search import BlockLimits
from archsearch.errors import ConfigError
from archsearch.search.architectures import Architectures
from archsearch.search.candidate import Model
from archsearch.sweep.composer import Composer
from archsearch.sweep.grid import GridPoint
from archsearch.sweep.plan import PlannedRun, plan_run

PlanOf: TypeAlias = Callable[[GridPoint, Model | None], PlannedRun]


def planner(composer: Composer, find_dataset: FindDataset = named_dataset, precision: str | None = None) -> PlanOf:
    """Plans a point, with a model in place of the composed one's blocks and head.

    `precision` is what `trainer.precision=auto` stands for, if not the fastest here.
    """

    def plan_of(point: GridPoint, model: Model | None) -> PlannedRun:
        def compose() -> Any:
            request = composer.request(point.overrides, 0)
            return request if model is None else replace(request, config=with_model(request.config, model))

        return plan_run(0, point, compose, find_dataset, precision=precision)

    return plan_of


def with_model(config: Mapping[str, Any], model: Model) -> dict[str, Any]:
    """A composed configuration with the blocks and the head of `model`; its model's other settings stay."""
    return {**config, "model": {**config["model"], **model}}


def architectures_around(
    run: PlannedRun, limits: BlockLimits, find_dataset: FindDataset = named_dataset, *, from_nothing: bool = False
) -> Architectures:
    """Those near the model of a planned run. Raises `ConfigError` if that cannot be built."""
    if run.settings is None or run.plan is None or run.request is None:
        raise ConfigError(run.problems)
    return Architectures.around(
        run.request.config["model"],
        limits,
        run.plan.input_shape,
        len(find_dataset(run.settings).classes),
        run.settings.constraints,
        from_nothing=from_nothing,
    )
