"""From a command line that sweeps to its plan: what `python -m archsearch.check -m` shows and a sweep begins with."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from archsearch.data.definitions import Definition, definition_of
from archsearch.errors import ConfigError, Problem
from archsearch.overrides import resume_of, task_words
from archsearch.runs import OUTPUTS
from archsearch.schema import read
from archsearch.settings import Settings, SweepSettings, TrackingSettings, UiSettings
from archsearch.sweep.compose import Composer
from archsearch.sweep.estimate import slowness_here
from archsearch.sweep.grid import expand
from archsearch.sweep.plan import Variant, judge_variants

T = TypeVar("T")


@dataclass(frozen=True)
class Planned:
    """A sweep's variants, judged; its `words` without what it resumes; and the settings that are the same for all."""

    words: tuple[str, ...]
    keys: tuple[str, ...]
    variants: list[Variant]
    sweep: SweepSettings
    tracking: TrackingSettings
    ui: UiSettings


def plan_sweep(
    loader: ConfigLoader,
    master: DictConfig,
    define: Callable[[Settings], Definition] = lambda settings: definition_of(settings.data.name),
) -> Planned:
    """Expand and judge what `master`, the configuration of a multirun as Hydra composed it, asks for.

    `define` says which data set a variant's settings mean. Raises `ConfigError` where nothing can be expanded.
    """
    problems: list[Problem] = []

    def section(cls: type[T], name: str) -> T | None:
        settings, found = read(cls, OmegaConf.to_container(master[name], resolve=True), name)
        problems.extend(found)
        return settings

    sweep, tracking, ui = (
        section(SweepSettings, "sweep"),
        section(TrackingSettings, "tracking"),
        section(UiSettings, "ui"),
    )
    if sweep is None or tracking is None or ui is None:
        raise ConfigError(problems)
    words = _words(master)
    rows = expand(words, sweep.zip)
    with tqdm(total=len(rows), desc="judging variants", file=sys.stderr, disable=None, leave=False, delay=1) as bar:
        slowness = slowness_here(OUTPUTS)
        variants = judge_variants(rows, Composer(loader, master), define, slowness, bar.update)
    return Planned(tuple(words), tuple(rows[0].values), variants, sweep, tracking, ui)


def _words(master: DictConfig) -> Sequence[str]:
    """What is swept over: the sweeper's parameters in the configuration, then the command line."""
    params: Any = master.hydra.sweeper.get("params") or {}
    said = [*(f"{key}={value}" for key, value in params.items()), *task_words(master.hydra)]
    return [word for word in said if resume_of(word) is None]
