"""From a command line that sweeps to its plan: what `python -m archsearch.check -m` shows and a sweep begins with."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from archsearch.compose.overrides import may_move, resume_of, task_words
from archsearch.config.schema import read
from archsearch.config.settings import Settings, SweepSettings, TrackingSettings, UiSettings
from archsearch.data.definitions import Definition, definition_of
from archsearch.errors import ConfigError, Problem
from archsearch.runs.folder import OUTPUTS
from archsearch.sweep.composer import Composer
from archsearch.sweep.estimate import slowness_here
from archsearch.sweep.grid import Row, expand
from archsearch.sweep.plan import Variant, judge_variants
from archsearch.sweep.record import SweepRecord

T = TypeVar("T")


@dataclass(frozen=True)
class Planned:
    """A sweep's variants, judged; its `words` without what it resumes; and the settings that are the same for all.

    `again` says that they are those that a resumed sweep has, and no others.
    """

    words: tuple[str, ...]
    keys: tuple[str, ...]
    variants: list[Variant]
    sweep: SweepSettings
    tracking: TrackingSettings
    ui: UiSettings
    again: bool = False


def plan_sweep(
    loader: ConfigLoader,
    master: DictConfig,
    define: Callable[[Settings], Definition] = lambda settings: definition_of(settings.data.name),
    before: SweepRecord | None = None,
) -> Planned:
    """Expand and judge what `master`, the configuration of a multirun as Hydra composed it, asks for.

    `define` says which data set a variant's settings mean; `before` is the sweep that is resumed. Raises `ConfigError`
    where nothing can be expanded.
    """
    problems: list[Problem] = []

    def section(cls: type[T], name: str) -> T | None:
        node = OmegaConf.select(master, name)
        values = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
        settings, found = read(cls, values, name)
        problems.extend(found)
        return settings

    sweep = section(SweepSettings, "sweep")
    tracking = section(TrackingSettings, "tracking")
    ui = section(UiSettings, "ui")
    if sweep is None or tracking is None or ui is None:
        raise ConfigError(problems)
    words = _words(master)
    moved = [word for word in words if before is not None and word not in before.overrides]
    again = before is not None and set(before.overrides) <= set(words) and all(map(may_move, moved))
    if before is not None and again:
        rows = [Row(_replaced(entry.overrides, moved), entry.values) for entry in before.entries]
        numbers = [entry.number for entry in before.entries]
        keys = tuple(before.keys)
    else:
        rows = expand(words, sweep.zip, loader)
        numbers, keys = list(range(len(rows))), tuple(rows[0].values)
    with tqdm(total=len(rows), desc="judging variants", file=sys.stderr, disable=None, leave=False, delay=1) as bar:
        slowness = slowness_here(OUTPUTS)
        variants = judge_variants(numbers, rows, Composer(loader, master), define, slowness, bar.update)
    return Planned(tuple(words), keys, variants, sweep, tracking, ui, again)


def _words(master: DictConfig) -> list[str]:
    """What is swept over: the sweeper's parameters in the configuration, then the command line."""
    params: Any = master.hydra.sweeper.get("params") or {}
    said = [*(f"{key}={value}" for key, value in params.items()), *task_words(master.hydra)]
    return [word for word in said if resume_of(word) is None]


def _replaced(words: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    """`words`, and `others` in place of those that they are about, too."""
    return expand([*words, *others])[0].words
