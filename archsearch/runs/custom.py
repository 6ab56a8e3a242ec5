"""Runs of a network of one's own, in place of a model. No torch, unless there is such a network."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from archsearch.compose.request import Request
from archsearch.config.settings import Settings
from archsearch.data.info import DatasetInfo
from archsearch.errors import ConfigError, Problem, ResumeError
from archsearch.model.plan import CUSTOM, Plan

if TYPE_CHECKING:
    from torch import nn


def with_network(request: Request, network: object, resumed: Path | None) -> "tuple[Request, nn.Module | None]":
    """`request` for `network` instead of its model, and a copy of `network` to train.

    Raises `ConfigError` if `network` cannot be trained, or beside settings of a model, and `ResumeError` if the run in
    `resumed` trained another network.
    """
    model = request.config.get("model")
    recorded = model if resumed is not None and isinstance(model, Mapping) and "network" in model else None
    if network is None:
        if recorded is not None:
            raise ResumeError(
                f"resume: the run in {resumed} trained a network of its own, {recorded['network']}; continue it from"
                f' Python with the same network: archsearch.train("resume=...", network={recorded["network"]}(...))'
            )
        return request, None
    from archsearch.model.custom import check_network, describe_network

    checked = check_network(network)
    description = describe_network(checked)
    if resumed is not None:
        if recorded != description:
            trained = "a model" if recorded is None else f"another network, {_text(recorded)}"
            raise ResumeError(
                f"resume: got network={_text(description)}, but the run in {resumed} trained {trained};"
                + (" leave out network" if recorded is None else " pass that one")
            )
        return request, checked
    overrides = [override.lstrip("+~") for override in request.overrides]
    problems = [
        Problem(override.split("=", 1)[0], "a model's settings have no effect on a network; leave them or network out")
        for override in overrides
        if override.startswith(("model=", "model.", "model@"))
    ]
    if problems:
        raise ConfigError(problems)
    choices = {**request.choices, "model": CUSTOM}
    return replace(request, config={**request.config, "model": description}, choices=choices), checked


def count(network: "nn.Module", settings: Settings, dataset: DatasetInfo) -> Plan:
    """The layers of `network` for the images of `dataset`. Raises `ConfigError` if it is not made for them."""
    from archsearch.model.custom import count_network

    channels_last = settings.trainer.channels_last
    return count_network(network, dataset.shape, len(dataset.classes), channels_last=channels_last)


def _text(description: Mapping[str, object]) -> str:
    return f"{description['network']} ({description['digest']})"
