"""A hash of everything that a run's result depends on: runs with equal fingerprints have equal results."""

import hashlib
import json
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from archsearch.config.augment import Augment
from archsearch.config.recipe import Initial, NoAveraging
from archsearch.config.settings import Settings
from archsearch.data.info import DatasetInfo
from archsearch.model.spec import ModelSpec

# Incremented when the same settings start to train differently.
FORMAT = 1

# Without influence on the result: where data lies, the evaluation batch size, how computations are executed.
_IGNORED = {"data": {"name", "root", "path"}, "trainer": {"eval_batch_size", "threads", "fused", "cuda_graphs"}}


def fingerprint(spec: ModelSpec | list[object], settings: Settings, info: DatasetInfo) -> str:
    """Hash everything that influences the result of training `spec` on `info`, as 16 hexadecimal digits.

    In place of a spec, a network can be described by plain values.
    """
    influences = {
        "format": FORMAT,
        "model": _plain(spec),
        "data": [info.name, _plain(settings.data, _IGNORED["data"]), *([info.content] if info.content else [])],
        "augment": _augment(settings.augment),
        "optimizer": _plain(settings.optimizer),
        "scheduler": _plain(settings.scheduler),
        "trainer": _plain(settings.trainer, _IGNORED["trainer"]),
        "seed": settings.seed,
    }
    for name, group in {"averaging": settings.averaging, "init": settings.init}.items():
        if group not in (NoAveraging(), Initial()):  # these groups were added after format 1
            influences[name] = _plain(group)
    return hashlib.blake2b(json.dumps(influences).encode(), digest_size=8).hexdigest()


def _augment(augment: Augment) -> Any:
    """`augment` as plain values; as before transforms could be combined, where that describes it."""
    if augment == Augment():
        return ["NoAugment", {}]
    if augment == Augment(affine=augment.affine):
        return ["AffineAugment", _plain(augment.affine)[1]]
    return _plain(augment)


def _plain(value: Any, ignored: set[str] | None = None) -> Any:
    """`value` as plain values, without defaults, so that adding a setting later changes no fingerprint."""
    if is_dataclass(value):
        values = {
            field.name: getattr(value, field.name)
            for field in fields(value)
            if field.name not in (ignored or ())
            and (field.default is MISSING or getattr(value, field.name) != field.default)
        }
        return [type(value).__name__, {name: _plain(item) for name, item in values.items()}]
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value
