"""The folders of runs and sweeps: their files, and how to find them. No torch.

A run's folder lies under `outputs/runs/` or in its sweep's folder under `outputs/sweeps/`. It holds `result.json` from
the start, so that the state and the numbers of a run can be read however it ends.
"""

import json
import os
import shlex
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from archsearch.config.augment import in_present_form
from archsearch.errors import ResumeError, StorageError, first_line
from archsearch.runs.formatting import count
from archsearch.runs.result import RESULT, Result, read_result

OUTPUTS = Path("outputs")
CHECKPOINT, CONFIG, LAYERS, NETWORK = "checkpoint.pt", "config.yaml", "layers.txt", "network.svg"
PREVIOUS = "checkpoint.previous.pt"  # used where the last one cannot be read
SWEEP = "sweep.json"  # in a sweep's folder
STUDY, FRONT, FINALISTS = "study.log", "front.csv", "finalists"  # in a search's folder
JOINED = "study.txt"  # there, in place of the study: which study in which database the search works on
_ORDER = ".order"  # in `outputs`: the folders of runs and sweeps in the order in which they began, one a line
DATASET = "data.json"  # of runs on data of one's own
PREDICTIONS, CURVES, CONFUSION, MISTAKES = "predictions.csv", "curves.png", "confusion.png", "mistakes.png"
AUGMENTED = "augmented.png"  # training images before and after their augmentation
WRITTEN_AT_THE_END = (PREDICTIONS, CURVES, CONFUSION, MISTAKES, AUGMENTED)

try:
    _YAML_LOADER: Any = yaml.CSafeLoader
except AttributeError:  # PyYAML without libyaml
    _YAML_LOADER = yaml.SafeLoader


def note_begun(folder: Path, outputs: Path = OUTPUTS) -> None:
    """Note that a run or a sweep has begun, or goes on, in `folder`, so that `last` finds it whatever the clock says.

    The order of these notes replaces times, which go backwards when a clock is set. Folders outside of `outputs` are
    never the last.
    """
    root, path = outputs.absolute(), folder.absolute()
    if root not in path.parents:
        return
    with suppress(OSError), open(root / _ORDER, "a", encoding="utf-8") as file:  # without it, times decide
        file.write(f"{json.dumps(path.relative_to(root).as_posix())}\n")


def sweep_of(folder: Path, outputs: Path = OUTPUTS) -> Path | None:
    """The folder of the sweep that the run in `folder` belongs to, if both lie in `outputs`."""
    parents = folder.absolute().parents
    return next((path for path in parents if outputs.absolute() in path.parents and (path / SWEEP).is_file()), None)


def resume_argument(result: Result, folder: Path, outputs: Path = OUTPUTS) -> str:
    """The argument that resumes a run, quoted for a shell: by id if its folder lies in `outputs`, else by folder."""
    has_id = outputs.absolute() in folder.absolute().parents
    return shlex.quote(f"resume={result.run_id if has_id else folder}")


def find_run(name: str, outputs: Path = OUTPUTS, setting: str = "resume") -> Path:
    """The folder of run `name`: a folder, an id or the beginning of one, or `last`.

    Raises `ResumeError`, which names `setting`, if no run or more than one matches.
    """
    if (Path(name) / RESULT).is_file():
        return Path(name)
    if (Path(name) / SWEEP).is_file():
        raise ResumeError(
            f"{setting}={name}: this is a sweep, not a run; use " + ("-m" if setting == "resume" else f"sweep={name}")
        )
    runs = _runs_in(outputs)
    if name == "last":
        if not runs:
            raise ResumeError(f"{setting}=last: there is no run under {outputs}{os.sep}")
        return _begun_last({folder: result["started"] for folder, result in runs.items()}, outputs)
    matches = [folder for folder, result in runs.items() if result["run_id"].startswith(name)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise ResumeError(f"{setting}={name}: {len(matches)} runs match; give more characters of the id")
    raise ResumeError(f"{setting}={name}: no run with this id under {outputs}{os.sep}, and no folder with a {RESULT}")


def find_last(outputs: Path = OUTPUTS) -> Path | None:
    """The folder of the run or the sweep that has begun last, if there is any."""
    started = {folder: str(result["started"]) for folder, result in _runs_in(outputs).items()}
    started |= _sweeps_in(outputs)
    return _begun_last(started, outputs) if started else None


def refuse_used(folder: Path) -> None:
    """Raise `StorageError` if a new run in `folder` would replace what a run or a sweep has left there."""
    problem = ""
    if (folder / SWEEP).is_file():
        raise StorageError(f"hydra.run.dir: got {folder}, which holds a sweep; choose another folder")
    if (folder / RESULT).exists():
        result = read_result(folder)
        if result is None:
            problem = f"which holds a damaged {RESULT}"
        elif result["state"] == "FINISHED":
            problem = "which holds a finished run"
        elif result["epochs_trained"]:
            trained = count(result["epochs_trained"], "epoch")
            problem = f"which holds a run of {trained} (resume={folder} continues it)"
    if problem:
        advice = "choose another folder, or replace that run with overwrite=true"
        raise StorageError(f"hydra.run.dir: got {folder}, {problem}; {advice}")


def parse_config(text: str) -> Any:
    """The content of a `config.yaml`, as it is written today. Raises `ValueError` if it is damaged."""
    try:
        return in_present_form(yaml.load(text, _YAML_LOADER))
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(first_line(error)) from error


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration of the run in `folder`. Raises `ResumeError` if it cannot be read."""
    try:
        config = parse_config((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResumeError(f"{folder / CONFIG}: cannot be read: {first_line(error)}") from error
    if not isinstance(config, dict):
        raise ResumeError(f"{folder / CONFIG}: damaged: it holds no settings")
    if "variant" in config:  # its old name
        config["sweep_run"] = config.pop("variant")
    return config


def read_sweep(folder: Path) -> dict[str, Any]:
    """The content of the `sweep.json` in `folder`. Raises `ResumeError` if it cannot be read."""
    if is_search(folder) and not (folder / SWEEP).exists():
        rule = f"repeat the command that began it, with hydra.sweep.dir={shlex.quote(str(folder))}"
        raise ResumeError(f"{folder} holds a search without its {SWEEP}; restore that file, or {rule}")
    try:
        if not (folder / SWEEP).is_file() and (folder / SWEEP).exists():
            raise OSError("not a regular file")  # reading a pipe would wait for ever
        content = json.loads((folder / SWEEP).read_text(encoding="utf-8"))
        content.setdefault("runs", content.pop("variants", None))  # their old name, in format 1
        for key in ("overrides", "hydra", "config_dir"):  # keys that callers rely on
            if not isinstance(content[key], list) or not all(isinstance(word, str) for word in content[key]):
                raise TypeError(f"{key} must be a list of strings")
        if not isinstance(content["runs"], list):
            raise KeyError("runs")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ResumeError(f"{folder / SWEEP}: not a sweep's: {type(error).__name__}: {error}") from error
    return dict(content)


def find_sweep(name: str, outputs: Path = OUTPUTS, setting: str = "resume") -> Path:
    """The folder of sweep `name`: a folder, a folder's name, or `last`.

    Raises `ResumeError`, which names `setting`, if no sweep or more than one matches.
    """
    if (Path(name) / SWEEP).is_file():
        return Path(name)
    if name == "last" and (started := _sweeps_in(outputs)):
        return _begun_last(started, outputs)
    matches = [path.parent for path in outputs.glob(f"**/{SWEEP}") if path.parent.name == name]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise ResumeError(f"{setting}={name}: {len(matches)} sweeps have this name; give the folder of one")
    for folder in (Path(name), outputs / "sweeps" / name):
        if is_search(folder):
            return folder  # to read it is an error, which says how it goes on
    requested = "" if name == "last" else " of this name"
    raise ResumeError(f"{setting}={name}: no sweep{requested} under {outputs}{os.sep}, and no folder with a {SWEEP}")


def is_search(folder: Path) -> bool:
    """Whether the sweep in `folder` is a search."""
    return any((folder / name).is_file() for name in (STUDY, JOINED))


def search_of(folder: Path) -> Path:
    """The folder of the search whose finalists are the sweep in `folder`; `folder` itself for any other sweep."""
    is_of_search = folder.name == FINALISTS and is_search(folder.absolute().parent)
    return folder.parent if is_of_search else folder


def _runs_in(outputs: Path) -> dict[Path, dict[str, Any]]:
    """The results of all runs by folder. Trials that a function has evaluated are no runs."""
    results = {path.parent: read_result(path.parent) for path in outputs.glob(f"**/{RESULT}")}
    return {folder: result for folder, result in results.items() if result and result["run_id"]}


def _sweeps_in(outputs: Path) -> dict[Path, str]:
    """When the sweeps began, by folder, of those that can be read."""
    started = {}
    for path in outputs.glob(f"**/{SWEEP}"):
        with suppress(ResumeError):
            started[path.parent] = str(read_sweep(path.parent).get("started"))
    return started


def _begun_last(started: Mapping[Path, str], outputs: Path) -> Path:
    """The folder in which a run or sweep has begun last, of those that are given with their time.

    Times decide between the one that was noted last and those that were never noted, because an earlier version made
    them or somebody copied them here.
    """
    try:
        lines = (outputs / _ORDER).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        lines = []
    rank = {line: number for number, line in enumerate(lines)}
    keys = {folder: json.dumps(folder.relative_to(outputs).as_posix()) for folder in started}
    noted = [folder for folder in started if keys[folder] in rank]
    candidates = [folder for folder in started if keys[folder] not in rank]
    if noted:
        candidates.append(max(noted, key=lambda folder: rank[keys[folder]]))
    return max(candidates, key=lambda folder: started[folder])
