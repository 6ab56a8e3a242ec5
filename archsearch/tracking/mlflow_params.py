"""Params and tags that identify a run in MLflow and make runs comparable."""

from collections.abc import Mapping
from typing import Any
from unicodedata import category

from archsearch.config.augment import Augment
from archsearch.config.schema import names_of
from archsearch.model.order import block_order
from archsearch.model.spec import HOLDER

# Settings that become columns of MLflow's tables. Paths and display options do not.
_SECTIONS = ("model", "init", "augment", "optimizer", "scheduler", "averaging")
_SETTINGS = {
    "data": ("size", "channels", "validation", "split_seed"),
    "trainer": ("epochs", "batch_size", "label_smoothing", "class_weights", "precision"),
}

RUN_NUMBER = "sweep.run"  # tag: a run's number in its sweep
LEGACY_RUN_NUMBER = "sweep.variant"  # the same tag in older stores


def params_of(config: Mapping[str, Any], choices: Mapping[str, str], data: str) -> dict[str, object]:
    """A run's params, flattened to keys like `model.blocks.conv3.channels`.

    `config` is the composed configuration, `choices` the options of its groups, `data` the name of the data set.
    """
    model = config["model"].get("network", choices["model"])  # a network of one's own has its class's name
    params: dict[str, object] = {"model": model, "seed": config["seed"], "data": data}

    def add(path: str, value: object) -> None:
        if isinstance(value, dict):
            for key, child in value.items():
                if not str(key).startswith(HOLDER):
                    add(f"{path}.{key}", child)
        elif value is not None:
            params[path] = value

    for section in _SECTIONS:
        add(section, config.get(section))
    augment = config.get("augment") or {}
    transforms = [name for name in names_of(Augment) if augment.get(name) is not None]
    params["augment"] = " ".join(transforms) or "none"
    if "blocks" in config["model"]:
        blocks, _ = block_order(config["model"]["blocks"], "model.blocks", has_head=True)
        params["model.blocks"] = " ".join(blocks)  # no other param records the order of the blocks
    for section, names in _SETTINGS.items():
        for name in names:
            add(f"{section}.{name}", config[section].get(name))
    return params


def as_text(value: object) -> str:
    """A param's value as MLflow stores it."""
    return str(value).lower() if isinstance(value, bool) else printable(str(value))


def printable(text: str) -> str:
    """`text` with control characters and lone surrogates as escapes: XML and some databases do not have them."""
    if text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode()
        if category(character) in ("Cc", "Cs") and character not in "\n\t"
        else character
        for character in text
    )


def sweep_tags(sweep: str, number: int, parent: str | None) -> dict[str, str]:
    """Tags of run `number` of a sweep. `parent` is the id of the sweep's own run, if it has one."""
    tags = {"sweep": sweep, RUN_NUMBER: str(number)}
    return tags | {"mlflow.parentRunId": parent} if parent is not None else tags


def run_number(tags: Mapping[str, str]) -> int | None:
    """A run's number in its sweep, read from its tags."""
    number = tags.get(RUN_NUMBER, tags.get(LEGACY_RUN_NUMBER, ""))
    return int(number) if number.isdecimal() else None
