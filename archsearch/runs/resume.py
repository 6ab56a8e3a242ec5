"""`resume=`: the command line and the request that continue a run or a sweep. No torch."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from archsearch.compose.overrides import quote, split_flags
from archsearch.compose.request import Request
from archsearch.errors import ResumeError
from archsearch.runs.folder import find_run, find_sweep, is_search, read_config, read_sweep, search_of
from archsearch.runs.formatting import count
from archsearch.runs.result import RESULT, read_result

# Settings that may change when resuming: where things are and how they run, but not what is computed.
_CHANGEABLE = ("data.root", "trainer.eval_batch_size", "tracking", "ui", "sweep", "constraints")
# What a search that goes on may change, too: when it ends.
_OF_SEARCHES = ("search.budget", "search.finalists", "search.finalist_seeds")


def may_move(override: str) -> bool:
    """Whether `override` is allowed beside `resume=`."""
    return _names_any(override, (*_CHANGEABLE, *_OF_SEARCHES, "resume", "hydra"))


def run_arguments(name: str, arguments: Sequence[str]) -> list[str]:
    """The command line that continues run `name` in its folder, without changing the `.hydra` there."""
    folder = quote(find_run(name))
    # Quoted, because an id may look like a number, and a path may contain characters of Hydra's grammar.
    return [*arguments, f"resume={quote(name)}", f"hydra.run.dir={folder}", "hydra.output_subdir=null"]


def sweep_arguments(name: str, arguments: Sequence[str]) -> list[str]:
    """The command line that continues sweep `name` in its folder.

    Inherits the sweep's overrides unless `arguments` include overrides of settings that may not change. A search, which
    refuses those, inherits all that `arguments` do not set.
    """
    folder = search_of(find_sweep(name))
    sweep = read_sweep(folder)
    flags, overrides = split_flags(arguments)
    keys = {override.split("=", 1)[0] for override in overrides}
    inherited = [override for override in sweep["hydra"] if override.split("=", 1)[0] not in keys]
    if all(map(may_move, overrides)):
        inherited += sweep["overrides"]
    elif is_search(folder):
        typed = set(map(_key, overrides))
        inherited += [override for override in sweep["overrides"] if _key(override) not in typed]
    if sweep["config_dir"] and not any(flag.startswith(("--config-dir", "-cd")) for flag in flags):
        flags += ["--config-dir", *sweep["config_dir"][:1]]
    return [*flags, *inherited, *overrides, f"resume={quote(folder)}", f"hydra.sweep.dir={quote(folder)}"]


def continued_request(request: Request, folder: Path) -> Request:
    """The request of the run in `folder`, with the settings that `request` may change. Raises `ResumeError`."""
    rejected = [override for override in request.overrides if not may_move(override)]
    if rejected:
        raise ResumeError(
            f"resume: got {' '.join(rejected)}, must keep the run's settings;"
            " leave out these overrides, or start a new run with them"
        )
    result = read_result(folder)
    if result is None:
        raise ResumeError(f"resume: {folder / RESULT} is damaged or missing; restore it, or start a new run")
    if result["state"] == "FINISHED" and result["tracking"].get("complete", True):
        raise ResumeError(f"resume: the run in {folder} is finished, after {count(result['epochs_trained'], 'epoch')}")
    try:
        config = read_config(folder)
        choices, overrides = result["choices"], tuple(result["overrides"])
        if "model" not in choices:
            raise KeyError("choices")
        for override in request.overrides:
            if _names_any(override, _CHANGEABLE):
                _copy_setting(_key(override).replace("/", ".").split("."), request.config, config)
    except (ResumeError, KeyError, TypeError, AttributeError) as error:
        raise ResumeError(f"resume: the run in {folder} cannot be continued: {error}") from error
    return replace(request, config={**config, "resume": request.config["resume"]}, choices=choices, overrides=overrides)


def _key(override: str) -> str:
    return override.lstrip("+").split("=", 1)[0]


def _names_any(override: str, settings: Sequence[str]) -> bool:
    key = _key(override)
    return any(key == setting or key.startswith((f"{setting}.", f"{setting}/")) for setting in settings)


def _copy_setting(path: Sequence[str], source: Any, target: Any) -> None:
    """Copy the value at `path` from `source` to `target`."""
    *parents, name = path
    for parent in parents:
        source, target = source[parent], target.setdefault(parent, {})
    target[name] = source[name]
