"""From a request to a run that can start: validated, its data set on disk, its tracking store reachable.

Imports torch only where a data set must be downloaded.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from archsearch.compose.request import Request
from archsearch.compose.validate import named_dataset, validate
from archsearch.config.settings import Settings, TrackingSettings
from archsearch.data.load import ResolvedDataset, resolve_dataset
from archsearch.errors import ConfigError, Problem
from archsearch.model.plan import Plan
from archsearch.runs.folder import CHECKPOINT, OUTPUTS, find_run
from archsearch.runs.result import read_result
from archsearch.runs.resume import continued_request
from archsearch.tracking.store import Store, check_store, resolve_store

Resolver = Callable[[str, Path], ResolvedDataset]


@dataclass(frozen=True)
class PreparedRun:
    """A run that can start. `resumed` is the folder of the run that is continued, if one is."""

    request: Request
    settings: Settings
    plan: Plan
    data: ResolvedDataset
    store: Store | None
    resumed: Path | None = None

    @property
    def log_figures(self) -> bool:
        """Whether figures are drawn and recorded."""
        chosen = self.settings.tracking.log_figures
        return self.settings.sweep_run is None if chosen == "auto" else chosen

    @property
    def log_model(self) -> bool:
        """Whether the trained network is recorded."""
        chosen = self.settings.tracking.log_model
        return self.settings.sweep_run is None if chosen == "auto" else chosen


def prepare(request: Request) -> PreparedRun:
    """Validate `request`, find or download its data set, and check that its tracking store answers.

    Raises `UserError`s.
    """
    resumed = None
    if request.config.get("resume") is not None:
        resumed = find_run(str(request.config["resume"]))
        request = continued_request(request, resumed)
    prepared = _prepare(request, resumed, resolve_dataset)
    return replace(prepared, store=open_store(prepared.settings.tracking))


def prepare_in_sweep(request: Request, folder: Path, resolve: Resolver = resolve_dataset) -> PreparedRun:
    """Like `prepare`, for a run of a sweep, which continues from the checkpoint in `folder` if there is one.

    The tracking store is not asked: the sweep has done that, and trains even while the store is down.
    """
    resumed = folder if (folder / CHECKPOINT).is_file() and read_result(folder) is not None else None
    return _prepare(request, resumed, resolve)


def open_store(tracking: TrackingSettings) -> Store | None:
    """The configured tracking store, if any. Raises `ConfigError` or `TrackingError` for an unusable one."""
    store = _store(tracking)
    if store is not None:
        if tracking.uri is not None and store.has_password:
            rule = "holds a password, which would be kept with the run; set it in MLFLOW_TRACKING_URI instead"
            raise ConfigError([Problem("tracking.uri", f"got {str(store)!r}, which {rule}")])
        check_store(store)
    return store


def _prepare(request: Request, resumed: Path | None, resolve: Resolver) -> PreparedRun:
    settings, network = validate(request.config).require()
    root = Path(settings.data.root)
    data = resolve(settings.data.name, root) if resumed is None else _same_data(resumed, root)
    if data.info != named_dataset(settings):  # `data=auto` fell back to images of another number
        settings, network = validate(request.config, lambda _: data.info).require()
    return PreparedRun(request, settings, network, data, _store(settings.tracking), resumed)


def _store(tracking: TrackingSettings) -> Store | None:
    return resolve_store(tracking.uri, OUTPUTS) if tracking.enabled else None


def _same_data(folder: Path, root: Path) -> ResolvedDataset:
    """The data set that the run in `folder` began with, whatever `data=auto` would resolve to now."""
    data = (read_result(folder) or {}).get("data", {})
    return replace(resolve_dataset(str(data.get("name")), root), fallback=data.get("fallback"))
