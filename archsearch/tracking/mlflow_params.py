"""Params and tags by which people find and compare runs in MLflow."""

from collections.abc import Mapping
from typing import Any

# Settings that are worth a column in MLflow's tables; where files are and how they are drawn is not.
_SECTIONS = ("model", "init", "augment", "optimizer", "scheduler", "averaging")
_SETTINGS = {
    "data": ("validation", "split_seed"),
    "trainer": ("epochs", "batch_size", "label_smoothing", "precision"),
}

RUN_NUMBER = "sweep.run"  # a run's number in its sweep
LEGACY_RUN_NUMBER = "sweep.variant"  # its name in stores that were written before


def params_of(config: Mapping[str, Any], choices: Mapping[str, str], data: str) -> dict[str, object]:
    """A run's params, flattened to `model.blocks.conv3.channels` and the like.

    `config` is the composed configuration, `choices` are the options of its groups, `data` is the data set's name.
    """
    params: dict[str, object] = {"model": choices["model"], "seed": config["seed"], "data": data}

    def add(path: str, value: object) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                add(f"{path}.{key}", inner)
        elif value is not None:
            params[path] = value

    for section in _SECTIONS:
        add(section, config.get(section))
    params["model.blocks"] = " ".join(config["model"]["blocks"])  # their order, which no other param has
    for section, names in _SETTINGS.items():
        for name in names:
            add(f"{section}.{name}", config[section].get(name))
    return params


def sweep_tags(sweep: str, number: int, parent: str | None) -> dict[str, str]:
    """The tags that make a run part of a sweep; `parent` is the sweep's own run, if it has one."""
    tags = {"sweep": sweep, RUN_NUMBER: str(number)}
    return tags | {"mlflow.parentRunId": parent} if parent is not None else tags


def run_number(tags: Mapping[str, str]) -> int | None:
    """A run's number in its sweep, from its tags."""
    number = tags.get(RUN_NUMBER, tags.get(LEGACY_RUN_NUMBER, ""))
    return int(number) if number.isdecimal() else None
