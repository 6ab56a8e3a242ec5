"""`trainer.precision=auto`: the number format that this machine trains fastest with. No torch."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from archsearch.compose.request import Request
from archsearch.system.hardware import gpu_may_be_here, processor_has_bfloat16

Precision = Literal["float32", "bfloat16"]


def fastest_precision() -> Precision:
    """bfloat16 on processors with instructions for it and without a GPU beside them, else float32.

    It depends on the machine only, not on its load, so that the same command gives the same numbers.
    """
    return "bfloat16" if processor_has_bfloat16() and not gpu_may_be_here() else "float32"


def with_precision(request: Request, fastest: str | None = None) -> Request:
    """`request` with float32 or bfloat16 in place of `auto`; `fastest` replaces that of this machine.

    bfloat16 pays only where the layers between convolutions are fused: on the CPU, with `trainer.fused` and
    `trainer.channels_last`, without `trainer.compile`, and for models, not for networks of one's own.
    """
    trainer = request.config.get("trainer")
    if not isinstance(trainer, Mapping) or trainer.get("precision") != "auto":
        return request
    is_fused = trainer.get("fused") is True and trainer.get("channels_last") is True
    on_cpu = trainer.get("device") in ("auto", "cpu") and trainer.get("compile") is not True
    model: Any = request.config.get("model")
    pays = is_fused and on_cpu and isinstance(model, Mapping) and "network" not in model
    precision = (fastest or fastest_precision()) if pays else "float32"
    return replace(request, config={**request.config, "trainer": {**trainer, "precision": precision}})
