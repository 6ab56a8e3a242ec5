"""A search before it starts: its settings, its space, its budget, all validated. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

from archsearch.compose.labels import describe
from archsearch.compose.precision import Precision, fastest_precision
from archsearch.compose.validate import FindDataset
from archsearch.config.search import (
    BlockLimits,
    SearchSettings,
    SpaceSettings,
    check_search,
    sampler_of,
    searches_blocks,
)
from archsearch.config.settings import Settings, SweepSettings, TrackingSettings, UiSettings, parse_settings
from archsearch.errors import ConfigError, Problem
from archsearch.runs.formatting import count
from archsearch.search.candidate import Checked
from archsearch.search.checks import Checks
from archsearch.search.feasibility import check_space, check_values
from archsearch.search.grammar import read_settings
from archsearch.search.planning import architectures_around, planner
from archsearch.search.space import Space, check_grid
from archsearch.search.spending import Spending
from archsearch.search.stopping import Halving, MedianStopping, NoStopping, Stopping, rungs_of
from archsearch.sweep.composer import Composer
from archsearch.sweep.grid import GridPoint
from archsearch.sweep.plan import SHARED, PlannedRun, read_sections, sweep_overrides


@dataclass(frozen=True)
class SearchPlan:
    """What a search does.

    `example` is a candidate that fits, `settings` are those of its run. `base` is the configuration of all trials,
    without what varies.
    """

    overrides: tuple[str, ...]
    search: SearchSettings
    sampler: str
    space: Space
    checks: Checks
    example: Checked
    settings: Settings
    sweep: SweepSettings
    tracking: TrackingSettings
    ui: UiSettings
    precision: Precision
    composer: Composer
    base: Mapping[str, Any]

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that tell trials apart."""
        return tuple(setting.name for setting in self.space.settings)

    def describe(self) -> str:
        """The space, who proposes what for which objectives, the budget, and a network that fits."""
        search, stopping, example = self.search, self.stopping(), self.example
        epochs = ", ".join(map(str, stopping.rungs[:-1]))
        stops = f"{search.stopping} after {epochs} of {count(stopping.rungs[-1], 'epoch')}" if epochs else "none"
        shown = describe(self.space.shown(example.candidate)) or example.candidate.change or "the model"
        rows = {
            "sampler": f"{self.sampler}, for {', '.join(search.objectives)}",
            "stopping": stops,
            "budget": Spending(search.budget).limits(),
            "example": f"{shown}: {example.params:,} parameters, {example.macs:,} MACs",
        }
        return "\n".join([self.space.describe(), *(f"{name:<9} {text}" for name, text in rows.items())])

    def stopping(self) -> Stopping:
        """The rule by which trials stop early, as it is at the beginning."""
        search, epochs = self.search, self.settings.trainer.epochs
        if search.stopping == "none":
            return NoStopping((epochs,))
        if search.stopping == "median":
            return MedianStopping(range(min(search.min_epochs, epochs), epochs + 1))
        return Halving(rungs_of(search.min_epochs, epochs, search.reduction), search.reduction)


def plan_search(
    loader: ConfigLoader, master: DictConfig, find_dataset: FindDataset, precision: Precision | None = None
) -> SearchPlan:
    """Read and validate a search. `precision` is what `trainer.precision=auto` stood for when it began, if it has.

    Raises `ConfigError` with all problems, or with the network closest to the budget if none fits.
    """
    _check_command(master)
    sections = {**SHARED, "search": SearchSettings, "space": SpaceSettings}
    sweep, tracking, ui, search, space_settings = read_sections(master, sections)
    problems = check_search(search, space_settings)
    if problems:
        raise ConfigError(problems)
    precision = precision or fastest_precision()
    overrides = sweep_overrides(master)
    composer = Composer(loader, master, find_dataset)
    plan_of = planner(composer, find_dataset, precision)
    varying, fixed = read_settings(overrides, space_settings.settings, loader)
    architectures = None
    if searches_blocks(search, space_settings):
        limits = space_settings.blocks or BlockLimits()
        base = plan_of(GridPoint(fixed, {}), None)
        architectures = architectures_around(base, limits, find_dataset, from_nothing=search.start == "nothing")
    space = Space(varying, fixed, architectures)
    sampler = sampler_of(search, space_settings)
    problems = check_grid(space) if sampler == "grid" else []
    if problems:
        raise ConfigError(problems)
    checks = Checks(space, plan_of)
    check_values(space, checks, search.seed)
    settings = _settings_of(plan_of(GridPoint(space.overrides(space.drawn(Random(search.seed))), {}), None))
    example = check_space(space, checks, settings.constraints, search.seed)
    _check_protocol(settings, search)
    return SearchPlan(
        tuple(overrides),
        search,
        sampler,
        space,
        checks,
        example,
        settings,
        sweep,
        tracking,
        ui,
        precision,
        composer,
        composer.request(fixed, 0).config,
    )


def _settings_of(run: PlannedRun) -> Settings:
    """The settings of a run whose network may not fit, or may not be possible."""
    if run.request is None:
        raise ConfigError(run.problems)
    settings, problems = parse_settings(run.request.config)
    if settings is None:
        raise ConfigError(problems)
    return settings


def _check_command(master: DictConfig) -> None:
    """Raise `ConfigError` if Hydra is asked for a launcher or for folders that a search cannot use."""
    problems = []
    if not str(master.hydra.launcher._target_).startswith("hydra_plugins.archsearch."):
        choice = master.hydra.runtime.choices["hydra/launcher"]
        rule = f"got {choice!r}, must be archsearch, whose workers train the trials of a search"
        problems.append(Problem("hydra/launcher", rule))
    sweep: Any = OmegaConf.to_container(master.hydra.sweep)  # unresolved: the number is not known yet
    if sweep["subdir"] != "${hydra.job.num}":
        problems.append(Problem("hydra.sweep.subdir", "cannot be set in a search, which numbers its folders"))
    if problems:
        raise ConfigError(problems)


def _check_protocol(settings: Settings, search: SearchSettings) -> None:
    """Raise `ConfigError` unless trials can be chosen on held-out images, and the test set stays unread."""
    problems = []
    epochs = settings.trainer.epochs
    if search.min_epochs > epochs and search.stopping != "none":
        rule = f"got {search.min_epochs}, must be at most trainer.epochs (={epochs})"
        problems.append(Problem("search.min_epochs", rule))
    if settings.data.validation == 0:
        rule = "got 0, must be at least 1: a search chooses networks on held-out images, never on the test set"
        problems.append(Problem("data.validation", rule))
    if settings.trainer.test_every_epoch:
        rule = "got true, must be false in a search, which leaves the test set to its finalists"
        problems.append(Problem("trainer.test_every_epoch", rule))
    if settings.trainer.device.startswith("cuda:"):
        rule = f"got {settings.trainer.device!r}, must be cuda in a search; choose its GPUs with CUDA_VISIBLE_DEVICES"
        problems.append(Problem("trainer.device", rule))
    if settings.sweep.stack > 1:
        problems.append(Problem("sweep.stack", f"got {settings.sweep.stack}, must be 1 in a search"))
    if settings.sweep.zip:
        problems.append(Problem("sweep.zip", "must be empty in a search, whose sampler combines the settings"))
    if settings.overwrite:
        rule = "got true, must be false in a search, which replaces no folder; choose another hydra.sweep.dir"
        problems.append(Problem("overwrite", rule))
    if problems:
        raise ConfigError(problems)
