"""What a person asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Request:
    """What a person asked for: the composed `config` as plain values, the `choices` of its groups, the `overrides`."""

    config: dict[str, Any]
    choices: Mapping[str, str]
    overrides: tuple[str, ...]

    @property
    def name(self) -> str:
        """A run's name: its model, and what else was said on the command line."""
        said = [override.lstrip("+") for override in self.overrides]
        about = [word for word in said if not word.startswith(("model=", "hydra", "data.root=", "tracking"))]
        return " ".join([self.choices["model"], *about])[:200]
