"""Checkpoints: a trainer's state, configuration and history in one file of tensors and plain values.

The file is a zip archive with a CRC-32 for each tensor. torch writes them but does not check them; `load_checkpoint`
does, so that a flipped bit is found. The checkpoint before the last one is kept beside it.
"""

import io
import pickle
import zipfile
from collections.abc import Iterable
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
    """What a run needs to continue. `config` holds plain values, `trainer` is `Trainer.state_dict()`.

    `dataset` describes a data set of a person's own (`DatasetInfo.as_dict`), so that a network can be restored without.
    """

    config: dict[str, Any]
    data_fingerprint: str
    history: list[EpochMetrics]
    trainer: dict[str, Any]
    dataset: dict[str, Any] | None = None


def save_checkpoint(path: Path, checkpoint: Checkpoint, previous: Path | None = None) -> None:
    """Write `checkpoint` to `path` atomically, by rename. What was there moves to `previous`, if that is given."""
    values = {**vars(checkpoint), "format": FORMAT, "history": [metrics.as_dict() for metrics in checkpoint.history]}
    # Serialised in memory: torch.save to a path reports a full disk as a RuntimeError of its archive format.
    buffer = io.BytesIO()
    torch.save(values, buffer)
    with replacing(path) as scratch:
        scratch.write_bytes(buffer.getvalue())
        if previous is not None and path.exists():
            _keep(path, previous)


def _keep(path: Path, previous: Path) -> None:
    """Let `previous` be what `path` is, without a moment in which there is no `path`."""
    scratch = previous.with_name(f".{previous.name}.new")
    try:
        scratch.unlink(missing_ok=True)
        scratch.hardlink_to(path)
    except OSError:  # a file system without hard links
        path.replace(previous)
    else:
        scratch.replace(previous)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read `path` without executing pickled code. Raises `ResumeError` if it is not a checkpoint of this format."""
    try:
        return _read(path)
    except FileNotFoundError:
        raise ResumeError(f"{path}: there is no checkpoint to continue from") from None
    except _DamagedError as error:
        raise ResumeError(f"{path}: not a readable checkpoint: {error}") from error


def newest_readable(paths: Iterable[Path]) -> tuple[Checkpoint | None, list[str]]:
    """The checkpoint in the first of `paths` that is whole, or None; and what is wrong with those before it.

    Raises `ResumeError` for a checkpoint of another format.
    """
    problems: list[str] = []
    for path in paths:
        try:
            return _read(path), problems
        except FileNotFoundError:
            problems.append(f"{path.name} is missing")
        except _DamagedError as error:
            problems.append(f"{path.name} is damaged ({error})")
    return None, problems


class _DamagedError(Exception):
    """A file is not what was written."""


def _read(path: Path) -> Checkpoint:
    """Read `path`. Raises `FileNotFoundError`, `_DamagedError`, or `ResumeError` if it has another format."""
    try:
        content = io.BytesIO(path.read_bytes())
        with zipfile.ZipFile(content) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise _DamagedError(f"the checksum of {damaged} does not match")
        content.seek(0)
        values = torch.load(content, weights_only=True, map_location="cpu")
        if values.pop("format") != FORMAT:
            raise ResumeError(f"{path}: written by an incompatible version of archsearch; resume with that version")
        history = [EpochMetrics.from_dict(metrics) for metrics in values.pop("history")]
        return Checkpoint(**values, history=history)
    except (FileNotFoundError, ResumeError, _DamagedError):
        raise
    except pickle.UnpicklingError as error:  # torch advises to execute it
        raise _DamagedError("it holds objects that no checkpoint has") from error
    except Exception as error:  # damaged bytes raise nearly anything
        raise _DamagedError(first_line(error)) from error
