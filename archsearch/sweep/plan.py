"""The plan of a sweep: all of its runs, validated before training starts. No torch.

`python -m archsearch.check -m` prints it; every sweep starts with it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

from archsearch.compose.composition import task_overrides
from archsearch.compose.overrides import as_typed, resume_of
from archsearch.compose.precision import Precision, fastest_precision, with_precision
from archsearch.compose.request import Request
from archsearch.compose.validate import FindDataset, named_dataset, validate
from archsearch.config.schema import read
from archsearch.config.settings import Settings, SweepSettings, TrackingSettings, UiSettings
from archsearch.errors import ConfigError, Problem, UserError
from archsearch.model.plan import Plan
from archsearch.runs.folder import OUTPUTS
from archsearch.runs.formatting import count
from archsearch.runs.resume import may_move
from archsearch.sweep.composer import Composer
from archsearch.sweep.estimate import estimate, slowness_here
from archsearch.sweep.fingerprint import fingerprint
from archsearch.sweep.grid import GridPoint, as_begun, expand
from archsearch.sweep.record import PlannedState, SweepRecord
from archsearch.system.bar import ProgressBar

# The sections that all runs of a sweep share.
SHARED: Mapping[str, type] = {"sweep": SweepSettings, "tracking": TrackingSettings, "ui": UiSettings}


@dataclass(frozen=True)
class PlannedRun:
    """One run of a sweep: its configuration, as far as it is valid, and whether it can be trained."""

    number: int
    point: GridPoint
    state: PlannedState
    problems: tuple[Problem, ...] = ()
    request: Request | None = None
    settings: Settings | None = None
    plan: Plan | None = None
    fingerprint: str | None = None
    seconds: float | None = None  # of training, estimated
    same_as: int | None = None

    @property
    def reason(self) -> str | None:
        """Why it is not trained, in one line."""
        if self.same_as is not None:
            return f"the same as {self.same_as}"
        return "; ".join(map(str, self.problems)) or None


@dataclass(frozen=True)
class SweepPlan:
    """A sweep's runs, its `overrides` without `resume=`, and the settings that all runs share.

    `keys` are the settings that vary. `unchanged` means that a sweep is resumed with exactly the runs that it has.
    """

    overrides: tuple[str, ...]
    keys: tuple[str, ...]
    runs: list[PlannedRun]
    sweep: SweepSettings
    tracking: TrackingSettings
    ui: UiSettings
    precision: Precision  # what trainer.precision=auto stands for
    unchanged: bool = False


def plan_sweep(
    loader: ConfigLoader,
    master: DictConfig,
    find_dataset: FindDataset = named_dataset,
    before: SweepRecord | None = None,
) -> SweepPlan:
    """Expand and validate `master`, the configuration of a multirun as Hydra composed it.

    `find_dataset` returns the data set of a run's settings; `before` is the sweep that is resumed. Raises `ConfigError`
    if the overrides cannot be expanded or the shared settings are invalid.
    """
    sweep, tracking, ui = read_sections(master, SHARED)
    overrides = sweep_overrides(master)
    _refuse_search(overrides)
    begun_with = set(map(as_typed, before.overrides)) if before is not None else set()
    moved = [override for override in overrides if before is not None and as_typed(override) not in begun_with]
    unchanged = begun_with <= set(map(as_typed, overrides)) and all(map(may_move, moved))
    if before is not None and unchanged:
        points = [GridPoint(_replace(entry.overrides, moved), entry.values) for entry in before.entries]
        numbers = [entry.number for entry in before.entries]
        keys = tuple(before.keys)
    else:
        points = expand(overrides, sweep.zip, loader, sweep.max_runs)
        if before is not None:
            points = as_begun(points, [entry.values for entry in before.entries])
        numbers, keys = list(range(len(points))), tuple(points[0].values)
    bar_format = f"validating {count(len(points), 'run')} {{percentage:3.0f}}%|{{bar}}| {{remaining}} left"
    with ProgressBar(total=len(points), disable=None, delay=1, bar_format=bar_format) as bar:
        precision = fastest_precision() if before is None else before.precision
        composer, slowness = Composer(loader, master, find_dataset), slowness_here(OUTPUTS)
        runs = plan_runs(numbers, points, composer, find_dataset, slowness, bar.update, precision)
    return SweepPlan(tuple(overrides), keys, runs, sweep, tracking, ui, precision, unchanged)


def _refuse_search(overrides: Sequence[str]) -> None:
    """Raise `ConfigError` for overrides that would do nothing in a grid."""
    keys = [override.lstrip("+").partition("=")[0] for override in overrides]
    rule = "is a setting of searches, and this is none; add hydra/sweeper=search, or leave it out"
    problems = [Problem(key, rule) for key in keys if key.partition(".")[0] in ("search", "space")]
    if problems:
        raise ConfigError(problems)


def plan_runs(
    numbers: Sequence[int],
    points: Sequence[GridPoint],
    composer: Composer,
    find_dataset: FindDataset,
    slowness: float = 1.0,
    on_planned: Callable[[], object] = lambda: None,
    precision: str | None = None,
) -> list[PlannedRun]:
    """Compose and validate each point of a grid; `on_planned` is called after each.

    `precision` is what `trainer.precision=auto` stands for, if not the fastest here.
    """
    runs: list[PlannedRun] = []
    first_with: dict[str, int] = {}  # the first run with a fingerprint
    for number, point in zip(numbers, points, strict=True):
        compose = partial(composer.request, point.overrides, number)
        run = plan_run(number, point, compose, find_dataset, slowness, precision)
        if run.state == "READY" and run.fingerprint is not None:
            same_as = first_with.setdefault(run.fingerprint, number)
            if same_as != number:
                run = replace(run, state="DUPLICATE", same_as=same_as)
        runs.append(run)
        on_planned()
    return runs


def plan_run(
    number: int,
    point: GridPoint,
    compose: Callable[[], Request],
    find_dataset: FindDataset,
    slowness: float = 1.0,
    precision: str | None = None,
) -> PlannedRun:
    """Validate the run that `compose` composes for `point`."""
    try:
        request = with_precision(compose(), precision)
        result = validate(request.config, find_dataset)
    except UserError as error:
        problems = error.problems if isinstance(error, ConfigError) else [Problem("data", str(error))]
        return PlannedRun(number, point, "INVALID", tuple(problems))
    if result.problems or result.settings is None or result.spec is None or result.plan is None:
        return PlannedRun(number, point, "INVALID", result.problems, request)
    return PlannedRun(
        number,
        point,
        "OVER_BUDGET" if result.violations else "READY",
        result.violations,
        request,
        result.settings,
        result.plan,
        fingerprint(result.spec, result.settings, result.dataset),
        estimate(result.settings, result.plan, result.dataset, slowness),
    )


def read_sections(master: DictConfig, classes: Mapping[str, type]) -> list[Any]:
    """The sections of `master` with these names, as settings of these classes. Raises `ConfigError`."""
    problems: list[Problem] = []
    sections: list[Any] = []
    for name, cls in classes.items():
        node = OmegaConf.select(master, name)
        values: Any = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
        settings, section_problems = read(cls, values, name)
        problems.extend(section_problems)
        sections.append(settings)
    if problems:
        raise ConfigError(problems)
    return sections


def sweep_overrides(master: DictConfig) -> list[str]:
    """The overrides of a sweep: the sweeper's parameters in the configuration, then the command line's."""
    params: Any = master.hydra.sweeper.get("params") or {}
    overrides = [*(f"{key}={value}" for key, value in params.items()), *task_overrides(master.hydra)]
    return [override for override in overrides if resume_of(override) is None]


def _replace(overrides: Sequence[str], replacements: Sequence[str]) -> tuple[str, ...]:
    """`overrides` followed by `replacements`, which replace overrides of the same settings."""
    return expand([*overrides, *replacements])[0].overrides
