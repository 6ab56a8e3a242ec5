"""From what a person asked for to an experiment that can start: judged, its data there, its tracking store answering.

Imports torch only where a data set must be downloaded.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from archsearch import runs
from archsearch.data.load import Choice, choose
from archsearch.errors import ConfigError, Problem, ResumeError
from archsearch.judge import judge
from archsearch.request import Request
from archsearch.settings import Settings
from archsearch.shapes import Plan
from archsearch.tracking.store import Store, check_store, resolve_store

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


def prepare(request: Request) -> Experiment:
    """Judge a request, then see to its data and ask its tracking store, so that nothing starts that cannot end.

    Raises `UserError`s. Downloads the data set where that is needed and possible.
    """
    resumed = None
    if request.config.get("resume") is not None:
        resumed = runs.find_run(str(request.config["resume"]))
        request = _continued(request, resumed)
    settings, network = judge(request.config)
    root = Path(settings.data.root)
    data = choose(settings.data.name, root) if resumed is None else _same_data(resumed, root)
    if data.fallback is not None:
        settings, network = judge(request.config, data.definition)
    store = resolve_store(settings.tracking.uri, runs.OUTPUTS) if settings.tracking.enabled else None
    if store is not None:
        if settings.tracking.uri is not None and store.has_password:
            rule = "holds a password, which would be kept with the run; say it in MLFLOW_TRACKING_URI instead"
            raise ConfigError([Problem("tracking.uri", f"got {str(store)!r}, which {rule}")])
        check_store(store)
    return Experiment(request, settings, network, data, store, resumed)


def _same_data(folder: Path, root: Path) -> Choice:
    """The data set that the run in `folder` began with, whatever `data=auto` would be now."""
    data = (runs.read_result(folder) or {}).get("data", {})
    return replace(choose(str(data.get("name")), root), fallback=data.get("fallback"))


def _continued(request: Request, folder: Path) -> Request:
    """The request of the run in `folder`, with what may have moved since."""
    refused = [word for word in request.overrides if not word.lstrip("+").startswith(_MAY_MOVE)]
    if refused:
        raise ResumeError(
            f"resume continues a run as it was configured; leave out {' '.join(refused)}, or start a new run with it"
        )
    result = runs.read_result(folder) or {}
    if result.get("state") == "FINISHED" and result.get("tracking", {}).get("complete", True):
        raise ResumeError(f"resume: the run in {folder} is finished, after {result.get('epochs_trained')} epochs")
    try:
        config = yaml.safe_load((folder / runs.CONFIG).read_text(encoding="utf-8"))
        choices, overrides = result["choices"], tuple(result["overrides"])
    except (OSError, yaml.YAMLError, KeyError) as error:
        raise ResumeError(f"resume: {folder} is no run that can be continued: {error}") from error
    keys = [word.lstrip("+").split("=", 1)[0] for word in request.overrides]
    if any(key.startswith("tracking") for key in keys):
        config = {**config, "tracking": request.config["tracking"]}
    if "data.root" in keys:
        config = {**config, "data": {**config["data"], "root": request.config["data"]["root"]}}
    return Request({**config, "resume": request.config["resume"]}, choices, overrides)
