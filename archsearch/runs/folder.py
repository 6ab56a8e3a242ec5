"""Run and sweep folders: what is in them, and finding them. No torch.

A run's folder (`outputs/runs/...`, or a sweep's under `outputs/sweeps/...`) holds `result.json` from its first moment
on, so that its state and its numbers can be read whatever happens to the run.
"""

import json
import os
import shlex
from pathlib import Path
from typing import Any

import yaml

from archsearch.errors import ResumeError
from archsearch.runs.result import RESULT, Result, read_result

OUTPUTS = Path("outputs")
CHECKPOINT, CONFIG, LAYERS = "checkpoint.pt", "config.yaml", "layers.txt"
SWEEP = "sweep.json"  # in a sweep's folder
PREDICTIONS, CURVES, CONFUSION, MISTAKES = "predictions.csv", "curves.png", "confusion.png", "mistakes.png"


def resume_argument(result: Result, folder: Path, outputs: Path = OUTPUTS) -> str:
    """What continues a run on the command line: its id where that finds it, else its folder, quoted for a shell."""
    inside = outputs.absolute() in folder.absolute().parents
    return shlex.quote(f"resume={result.run_id if inside else folder}")


def find_run(name: str, outputs: Path = OUTPUTS, setting: str = "resume") -> Path:
    """The folder of the run that `name` means: its folder, its id (or the id's beginning), or `last`.

    Raises `ResumeError`, which names the `setting`, where that is no run, or more than one.
    """
    if (Path(name) / RESULT).is_file():
        return Path(name)
    if (Path(name) / SWEEP).is_file():
        raise ResumeError(
            f"{setting}={name}: this is a sweep, not a run; " + ("add -m" if setting == "resume" else f"sweep={name}")
        )
    found = {path.parent: read_result(path.parent) for path in outputs.glob(f"**/{RESULT}")}
    runs = {folder: result for folder, result in found.items() if result}
    if name == "last":
        if not runs:
            raise ResumeError(f"{setting}=last: there is no run under {outputs}{os.sep}")
        return max(runs, key=lambda folder: str(runs[folder].get("started")))
    matching = [folder for folder, result in runs.items() if str(result.get("run_id", "")).startswith(name)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise ResumeError(f"{setting}={name}: {len(matching)} runs begin like this; give more of the id")
    raise ResumeError(f"{setting}={name}: no run with this id under {outputs}{os.sep}, and no folder with a {RESULT}")


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration of the run in `folder`. Raises `OSError` or `yaml.YAMLError` where it cannot be read."""
    config: dict[str, Any] = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    if "variant" in config:  # its name before
        config["sweep_run"] = config.pop("variant")
    return config


def read_sweep(folder: Path) -> dict[str, Any]:
    """The content of a folder's `sweep.json`. Raises `ResumeError` where it cannot be read."""
    try:
        content = json.loads((folder / SWEEP).read_text(encoding="utf-8"))
        content.setdefault("runs", content.pop("variants", None))  # their name in format 1
        for key in ("overrides", "hydra", "config_dir"):  # what is read without further checks
            content[key]
        if not isinstance(content["runs"], list):
            raise KeyError("runs")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResumeError(f"{folder / SWEEP}: not a sweep's: {type(error).__name__}: {error}") from error
    return dict(content)


def _started(folder: Path) -> str:
    try:
        return str(read_sweep(folder).get("started"))
    except ResumeError:
        return ""


def find_sweep(name: str, outputs: Path = OUTPUTS, setting: str = "resume") -> Path:
    """The folder of the sweep that `name` means: its folder, its folder's name, or `last`.

    Raises `ResumeError`, which names the `setting`, where that is no sweep.
    """
    if (Path(name) / SWEEP).is_file():
        return Path(name)
    found = [path.parent for path in outputs.glob(f"**/{SWEEP}")]
    if name == "last":
        started = {folder: _started(folder) for folder in found}
        readable = [folder for folder in found if started[folder]]
        if readable:
            return max(readable, key=lambda folder: started[folder])
    matching = [folder for folder in found if folder.name == name]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise ResumeError(f"{setting}={name}: {len(matching)} sweeps have this name; give the folder of one")
    which = "" if name == "last" else " of this name"
    raise ResumeError(f"{setting}={name}: no sweep{which} under {outputs}{os.sep}, and no folder with a {SWEEP}")
