"""Checkpoints: a trainer's state, configuration and history in one file of tensors and plain values."""

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from archsearch.errors import ResumeError, first_line
from archsearch.system.atomic import replacing
from archsearch.training.metrics import EpochMetrics

FORMAT = 3


@dataclass(frozen=True)
class Checkpoint:
    """What a run needs to continue. `config` holds plain values, `trainer` is `Trainer.state_dict()`."""

    config: dict[str, Any]
    data_fingerprint: str
    history: list[EpochMetrics]
    trainer: dict[str, Any]


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` to `path` atomically, by rename."""
    values = {**vars(checkpoint), "format": FORMAT, "history": [metrics.as_dict() for metrics in checkpoint.history]}
    # Serialised in memory: torch.save to a path reports a full disk as a RuntimeError of its archive format.
    buffer = io.BytesIO()
    torch.save(values, buffer)
    with replacing(path) as scratch:
        scratch.write_bytes(buffer.getvalue())


def load_checkpoint(path: Path) -> Checkpoint:
    """Read `path` without executing pickled code. Raises `ResumeError` if it is not a checkpoint of this format."""
    try:
        values = torch.load(path, weights_only=True, map_location="cpu")
        if values.pop("format") != FORMAT:
            raise ResumeError(f"{path}: written by an incompatible version of archsearch; resume with that version")
        history = [EpochMetrics.from_dict(metrics) for metrics in values.pop("history")]
        return Checkpoint(**values, history=history)
    except FileNotFoundError:
        raise ResumeError(f"{path}: there is no checkpoint to continue from") from None
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError, AttributeError) as error:
        raise ResumeError(f"{path}: not a readable checkpoint: {first_line(error)}") from error
