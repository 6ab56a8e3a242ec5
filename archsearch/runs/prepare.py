"""Prepares a run: validates the request, finds the data set, checks that the tracking store is reachable.

Imports torch only to download a data set, or to look for the GPU that is asked for.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from archsearch.compose.precision import with_precision
from archsearch.compose.request import Request
from archsearch.compose.validate import named_dataset, validate
from archsearch.config.settings import DataSettings, Settings, TrackingSettings
from archsearch.data.catalogue import DATASETS, OWN
from archsearch.data.info import DatasetInfo
from archsearch.data.load import ResolvedDataset, resolve_dataset, source_of
from archsearch.errors import ConfigError, Problem
from archsearch.model.plan import Plan
from archsearch.runs.custom import count, with_network
from archsearch.runs.folder import (
    CHECKPOINT,
    OUTPUTS,
    PREVIOUS,
    find_run,
    note_begun,
    read_sweep,
    refuse_used,
    sweep_of,
)
from archsearch.runs.result import read_result
from archsearch.runs.resume import continued_request
from archsearch.tracking.store import Store, check_store, resolve_store

if TYPE_CHECKING:
    from torch import nn

Resolver = Callable[[DataSettings], ResolvedDataset]


@dataclass(frozen=True)
class PreparedRun:
    """A run that is ready to train. `resumed` is the folder of the run to continue, if any."""

    request: Request
    settings: Settings
    plan: Plan
    data: ResolvedDataset
    store: Store | None
    resumed: Path | None = None
    network: "nn.Module | None" = None  # one's own, in place of a model

    @property
    def log_figures(self) -> bool:
        """Whether figures are drawn and recorded."""
        return self._unless_auto(self.settings.tracking.log_figures)

    @property
    def log_model(self) -> bool:
        """Whether the trained network is recorded."""
        return self._unless_auto(self.settings.tracking.log_model)

    def _unless_auto(self, choice: bool | Literal["auto"]) -> bool:
        """`choice` or, if it is `auto`, whether the run is not part of a sweep."""
        return self.settings.sweep_run is None if choice == "auto" else choice


def prepare(request: Request, network: object = None) -> PreparedRun:
    """Validate `request`, find or download its data set, and check that its tracking store is reachable.

    `network` is a network of one's own, to train instead of the model of `request`.

    Raises subclasses of `UserError`.
    """
    resumed = None
    if request.config.get("resume") is not None:
        resumed = find_run(str(request.config["resume"]))
        request = continued_request(request, resumed)
    elif request.folder is not None and request.config.get("overwrite") is not True:
        refuse_used(request.folder)
    request, module = with_network(request, network, resumed)
    request = with_precision(request)
    prepared = _prepare(request, resumed, resolve_dataset, module)
    check_device(prepared.settings.trainer.device)
    store = None if resumed is None else recorded_store(read_result(resumed) or {}, prepared.settings.tracking)
    return replace(prepared, store=store or open_store(prepared.settings.tracking))


def prepare_in_sweep(request: Request, folder: Path, resolve: Resolver = resolve_dataset) -> PreparedRun:
    """Like `prepare`, for a run of a sweep, which continues from the checkpoint in `folder` if there is one.

    Does not check the tracking store: the sweep has done so, and continues while the store is unreachable.
    """
    sweep = sweep_of(folder)
    _note_sweep(sweep)
    has_checkpoint = any((folder / name).is_file() for name in (CHECKPOINT, PREVIOUS))
    resumed = folder if has_checkpoint and read_result(folder) is not None else None
    return _prepare(with_precision(request, _precision_of(sweep)), resumed, resolve)


@lru_cache(maxsize=1)
def _precision_of(sweep: Path | None) -> str | None:
    """What `trainer.precision=auto` stands for in a sweep; None if its folder is not on this machine."""
    return read_sweep(sweep).get("precision") if sweep is not None else None


@lru_cache(maxsize=1)  # once for all runs of a sweep
def _note_sweep(folder: Path | None) -> None:
    if folder is not None:
        note_begun(folder)


def recorded_store(result: Mapping[str, Any], tracking: TrackingSettings) -> Store | None:
    """The SQLite store that a run to resume is recorded in, wherever it is resumed from; None if it is gone.

    `tracking.uri` and MLFLOW_TRACKING_URI come first.
    """
    uri = result.get("tracking", {}).get("uri")
    if not tracking.enabled or tracking.uri is not None or os.environ.get("MLFLOW_TRACKING_URI") or uri is None:
        return None
    store = Store(uri)
    return store if store.database is not None and store.database.is_file() else None


def check_device(name: str) -> None:
    """Raise `UserError` if torch does not see the device `name`. Imports torch if a GPU is asked for."""
    if name not in ("auto", "cpu"):
        from archsearch.training.device import pick_device

        pick_device(name)


def open_store(tracking: TrackingSettings) -> Store | None:
    """The configured tracking store, if any. Raises `ConfigError` or `TrackingError` if it cannot be used."""
    store = _store(tracking)
    if store is not None:
        if tracking.uri is not None and store.has_password:
            rule = "must not contain a password, because it is saved with the run; use MLFLOW_TRACKING_URI instead"
            raise ConfigError([Problem("tracking.uri", f"got {str(store)!r}, {rule}")])
        check_store(store)
    return store


def _prepare(
    request: Request, resumed: Path | None, resolve: Resolver, network: "nn.Module | None" = None
) -> PreparedRun:
    count_layers = None if network is None else partial(count, network)

    def find(settings: Settings) -> DatasetInfo:  # one's own is found once
        is_own = settings.data.name in OWN
        return resolve(source_of(settings.data)).info if is_own else named_dataset(settings)

    settings, plan = validate(request.config, find, count_layers).require()
    source = source_of(settings.data)
    begun_with = None if resumed is None else (read_result(resumed) or {}).get("data")
    if begun_with is None or begun_with["name"] not in DATASETS:
        data = resolve(source)
    else:  # even if `data=auto` now resolves to another
        data = replace(resolve(replace(source, name=begun_with["name"])), fallback=begun_with.get("fallback"))
    if data.info != find(settings):  # `data=auto` fell back to a data set with another number of images
        settings, plan = validate(request.config, lambda _: data.info, count_layers).require()
    return PreparedRun(request, settings, plan, data, _store(settings.tracking), resumed, network)


def _store(tracking: TrackingSettings) -> Store | None:
    return resolve_store(tracking.uri, OUTPUTS) if tracking.enabled else None
