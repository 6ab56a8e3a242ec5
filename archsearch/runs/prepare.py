"""From what a person asked for to an experiment that can start: judged, its data there, its tracking store answering.

Imports torch only where a data set must be downloaded.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from archsearch.compose.request import Request
from archsearch.compose.validate import judge
from archsearch.config.settings import Settings, TrackingSettings
from archsearch.data.load import Choice, choose
from archsearch.errors import ConfigError, Problem, ResumeError
from archsearch.model.plan import Plan
from archsearch.runs.folder import CHECKPOINT, CONFIG, OUTPUTS, find_run, read_result
from archsearch.tracking.store import Store, check_store, resolve_store

Chooser = Callable[[str, Path], Choice]

# What may be said beside `resume=`: where things lie, not what is computed.
_MAY_MOVE = ("resume", "data.root", "tracking", "hydra")


@dataclass(frozen=True)
class Experiment:
    """A run that can start. `resumed` is the folder of the run that is continued, if one is."""

    request: Request
    settings: Settings
    plan: Plan
    data: Choice
    store: Store | None
    resumed: Path | None = None

    @property
    def record(self) -> tuple[bool, bool]:
        """Whether figures are drawn, and whether the model is logged."""
        tracking, alone = self.settings.tracking, self.settings.variant is None
        return (
            alone if tracking.log_figures == "auto" else tracking.log_figures,
            alone if tracking.log_model == "auto" else tracking.log_model,
        )


def prepare(request: Request) -> Experiment:
    """Judge a request, then see to its data and ask its tracking store, so that nothing starts that cannot end.

    Raises `UserError`s. Downloads the data set where that is needed and possible.
    """
    resumed = None
    if request.config.get("resume") is not None:
        resumed = find_run(str(request.config["resume"]))
        request = _continued(request, resumed)
    settings, _ = judge(request.config)
    root = Path(settings.data.root)
    data = choose(settings.data.name, root) if resumed is None else _same_data(resumed, root)
    settings, network = judge(request.config, data.definition)
    return Experiment(request, settings, network, data, open_store(settings.tracking), resumed)


def prepare_variant(request: Request, folder: Path, choose: Chooser = choose) -> Experiment:
    """Like `prepare`, for a variant of a sweep: it goes on where there is a checkpoint in its `folder`.

    The tracking store is not asked: the sweep has done that, and a variant is trained even if it is away.
    """
    resumed = folder if (folder / CHECKPOINT).is_file() and read_result(folder) is not None else None
    settings, _ = judge(request.config)
    root = Path(settings.data.root)
    data = choose(settings.data.name, root) if resumed is None else _same_data(resumed, root)
    settings, network = judge(request.config, data.definition)
    return Experiment(request, settings, network, data, _store(settings.tracking), resumed)


def open_store(tracking: TrackingSettings) -> Store | None:
    """The tracking store that was asked for, if any. Raises `ConfigError` or `TrackingError` for one that won't do."""
    store = _store(tracking)
    if store is not None:
        if tracking.uri is not None and store.has_password:
            rule = "holds a password, which would be kept with the run; say it in MLFLOW_TRACKING_URI instead"
            raise ConfigError([Problem("tracking.uri", f"got {str(store)!r}, which {rule}")])
        check_store(store)
    return store


def _store(tracking: TrackingSettings) -> Store | None:
    return resolve_store(tracking.uri, OUTPUTS) if tracking.enabled else None


def _same_data(folder: Path, root: Path) -> Choice:
    """The data set that the run in `folder` began with, whatever `data=auto` would be now."""
    data = (read_result(folder) or {}).get("data", {})
    return replace(choose(str(data.get("name")), root), fallback=data.get("fallback"))


def _continued(request: Request, folder: Path) -> Request:
    """The request of the run in `folder`, with what may have moved since."""
    refused = [word for word in request.overrides if not word.lstrip("+").startswith(_MAY_MOVE)]
    if refused:
        raise ResumeError(
            f"resume continues a run as it was configured; leave out {' '.join(refused)}, or start a new run with it"
        )
    result = read_result(folder) or {}
    if result.get("state") == "FINISHED" and result.get("tracking", {}).get("complete", True):
        raise ResumeError(f"resume: the run in {folder} is finished, after {result.get('epochs_trained')} epochs")
    try:
        config = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
        choices, overrides = result["choices"], tuple(result["overrides"])
    except (OSError, yaml.YAMLError, KeyError) as error:
        raise ResumeError(f"resume: {folder} is no run that can be continued: {error}") from error
    keys = [word.lstrip("+").split("=", 1)[0] for word in request.overrides]
    if any(key.startswith("tracking") for key in keys):
        config = {**config, "tracking": request.config["tracking"]}
    if "data.root" in keys:
        config = {**config, "data": {**config["data"], "root": request.config["data"]["root"]}}
    return Request({**config, "resume": request.config["resume"]}, choices, overrides)
