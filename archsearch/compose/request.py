"""A request: what the command line asks for, composed but not yet validated."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LONGEST_NAME = 200  # characters; MLflow's databases take 250
_NOT_IN_A_NAME = ("model=", "hydra", "data.root=", "tracking", "sweep.", "sweep_run=", "overwrite=")


@dataclass(frozen=True)
class Request:
    """The composed `config` as plain values, the `choices` of its groups, and the `overrides` as typed.

    `folder` is where Hydra will put a single run, if that is known.
    """

    config: dict[str, Any]
    choices: Mapping[str, str]
    overrides: tuple[str, ...]
    folder: Path | None = None

    @property
    def name(self) -> str:
        """The run's name: what varies in its sweep, or else its model and the other overrides."""
        sweep_run = self.config.get("sweep_run")
        if sweep_run is not None and sweep_run["name"]:
            return str(sweep_run["name"])[:_LONGEST_NAME]
        overrides = [override.lstrip("+") for override in self.overrides]
        others = [override for override in overrides if not override.startswith(_NOT_IN_A_NAME)]
        model = self.config["model"].get("network", self.choices["model"])  # or the class of a network of one's own
        return " ".join([model, *others])[:_LONGEST_NAME]
