"""What a variant's result depends on, as a short text that is equal where the results would be."""

import hashlib
import json
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from archsearch.config.recipe import Initial, NoAveraging
from archsearch.config.settings import Settings
from archsearch.data.info import DatasetInfo
from archsearch.model.spec import ModelSpec

# Raised when the same settings begin to train differently.
FORMAT = 1

# Where things lie, how many images are evaluated at once, what computes them how: none of it is part of the idea.
_BESIDE_THE_POINT = {"data": {"name", "root"}, "trainer": {"eval_batch_size", "threads", "fused", "cuda_graphs"}}


def fingerprint(spec: ModelSpec, settings: Settings, info: DatasetInfo) -> str:
    """Identifies everything that influences the result of training `spec` on `info`, in 16 hexadecimal digits."""
    influences = {
        "format": FORMAT,
        "model": _said(spec),
        "data": [info.name, _said(settings.data, _BESIDE_THE_POINT["data"])],
        "augment": _said(settings.augment),
        "optimizer": _said(settings.optimizer),
        "scheduler": _said(settings.scheduler),
        "trainer": _said(settings.trainer, _BESIDE_THE_POINT["trainer"]),
        "seed": settings.seed,
    }
    for name, later in {"averaging": settings.averaging, "init": settings.init}.items():
        if later not in (NoAveraging(), Initial()):  # those groups are younger than this format
            influences[name] = _said(later)
    return hashlib.blake2b(json.dumps(influences).encode(), digest_size=8).hexdigest()


def _said(value: Any, without: set[str] | None = None) -> Any:
    """Plain values, less whatever is at its default: a setting that is added later changes no fingerprint."""
    if is_dataclass(value):
        said = {
            field.name: getattr(value, field.name)
            for field in fields(value)
            if field.name not in (without or ())
            and (field.default is MISSING or getattr(value, field.name) != field.default)
        }
        return [type(value).__name__, {name: _said(inner) for name, inner in said.items()}]
    if isinstance(value, (tuple, list)):
        return [_said(inner) for inner in value]
    return value
