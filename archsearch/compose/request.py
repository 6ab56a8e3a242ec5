"""What a person asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_LONGEST = 200  # letters of a name; MLflow's databases take 250


@dataclass(frozen=True)
class Request:
    """What a person asked for: the composed `config` as plain values, the `choices` of its groups, the `overrides`."""

    config: dict[str, Any]
    choices: Mapping[str, str]
    overrides: tuple[str, ...]

    @property
    def name(self) -> str:
        """A run's name: what makes a variant different, else its model and what else was said on the command line."""
        sweep_run = self.config.get("sweep_run")
        if sweep_run is not None and sweep_run["name"]:
            return str(sweep_run["name"])[:_LONGEST]
        said = [override.lstrip("+") for override in self.overrides]
        about = [
            word
            for word in said
            if not word.startswith(("model=", "hydra", "data.root=", "tracking", "sweep.", "sweep_run="))
        ]
        return " ".join([self.choices["model"], *about])[:_LONGEST]
