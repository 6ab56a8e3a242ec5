"""Reads the folder of a run for a report. What is damaged counts as missing; nothing here raises."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from stat import S_ISREG
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass

from archsearch.compose.overrides import as_typed
from archsearch.config.augment import present_name
from archsearch.model.plan import CUSTOM
from archsearch.report.study import TRIAL, StudyRun, plain_number
from archsearch.runs.folder import CONFIG, parse_config
from archsearch.runs.result import RESULT
from archsearch.system.terminal import printable
from archsearch.tracking.mlflow_params import as_text, params_of

_NOT_SETTINGS = ("seed", "data")  # among a run's params
_INTERNAL = ("sweep_run", "variant")  # overrides that a sweep adds for its runs

_Accuracy = Annotated[float | None, Field(ge=0, le=100)]
_Count = Annotated[int, Field(ge=0, le=10**18)]
_FINITE = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)


@dataclass(frozen=True, config=_FINITE)
class _Data:
    name: str
    fingerprint: str


@dataclass(frozen=True, config=_FINITE)
class _Tracking:
    uri: str | None = None
    experiment_id: str | None = None


@dataclass(frozen=True, config=_FINITE)
class _Scores:
    """An epoch in `result.json`; its keys contain slashes."""

    val: Annotated[_Accuracy, Field(alias="val/accuracy")] = None
    test: Annotated[_Accuracy, Field(alias="test/accuracy")] = None
    epoch: _Count = 0


@dataclass(frozen=True, config=_FINITE)
class _Result:
    """What a report needs of `result.json`."""

    run_id: str
    name: str
    state: str
    started: str
    seed: _Count
    choices: dict[str, str]
    data: _Data
    params: _Count
    macs: _Count
    epochs_trained: _Count
    seconds: Annotated[float, Field(ge=0, le=1e10)]
    final: _Scores | None = None
    best: _Scores | None = None
    tracking: _Tracking = Field(default_factory=_Tracking)
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True, config=_FINITE)
class _Epochs:
    history: list[_Scores]


_RESULT, _EPOCHS = TypeAdapter(_Result), TypeAdapter(_Epochs)


def read_study_run(folder: Path, varying: Mapping[str, str] | None = None, port: int = 5000) -> StudyRun | None:
    """The run in `folder`; None if it cannot be read.

    `varying` holds the values that a sweep gave to the run; they may include settings that are no MLflow param. `port`
    is that of `archsearch.ui`.
    """
    try:
        result = _RESULT.validate_json(_content(folder / RESULT))
        config = parse_config(_content(folder / CONFIG).decode())
        params = {key: as_text(value) for key, value in params_of(config, result.choices, result.data.name).items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    # Without choices of a group.
    others = {key: value for key, value in (varying or {}).items() if "." in key or key == TRIAL}
    final, best = result.final or _Scores(), result.best or _Scores()
    return StudyRun(
        run_id=result.run_id,
        name=printable(result.name),
        state=printable(result.state),
        started=result.started,
        seed=result.seed,
        settings=settings_of({**others, **params}),
        data=printable(result.data.name),
        fingerprint=printable(result.data.fingerprint),
        params=result.params,
        macs=result.macs,
        validation=percent(final.val),
        best=percent(best.val),
        test=percent(final.test),
        epoch_seconds=result.seconds / result.epochs_trained if result.epochs_trained else None,
        fetch=lambda name: folder / name if (folder / name).is_file() else None,
        history=lambda: read_history(folder / RESULT),
        link=lambda: run_link(result.tracking.uri, result.tracking.experiment_id, result.run_id, port),
        command=None if result.choices.get("model") == CUSTOM else command_of(result.overrides),
    )


def _content(path: Path) -> bytes:
    """The content of a regular file; reading a pipe would wait for ever."""
    if not S_ISREG(path.stat().st_mode):
        raise OSError(f"{path} is not a regular file")
    return path.read_bytes()


def read_history(path: Path) -> list[tuple[int, float]]:
    """Epochs and accuracies of a `result.json`: on held-out images, else on the test set. Empty if it is damaged."""
    try:
        epochs = _EPOCHS.validate_json(_content(path)).history
    except (OSError, ValueError):
        return []
    values = [(row.epoch, percent(row.test if row.val is None else row.val)) for row in epochs]
    return [(epoch, value) for epoch, value in values if value is not None]


def command_of(overrides: Sequence[str]) -> str | None:
    """The command that trains a run with these overrides again; None without any."""
    kept = [as_typed(override) for override in overrides]
    kept = [override for override in kept if override.lstrip("+").partition("=")[0] not in _INTERNAL]
    return printable(" ".join(["python -m archsearch", *map(quote, kept)])) if kept else None


def run_link(uri: str | None, experiment: str | None, run_id: str, port: int) -> str | None:
    """The address of the run's page in the MLflow UI: the server's, else that of `archsearch.ui`."""
    if uri is None or experiment is None:
        return None
    page = f"#/experiments/{experiment}/runs/{run_id}?workflowType=machine_learning"
    if not uri.startswith(("http://", "https://")):
        return f"http://127.0.0.1:{port}/{page}"
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    host = parts.netloc.rpartition("@")[2]  # without a password
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}/{page}"


def settings_of(params: Mapping[str, str]) -> dict[str, str]:
    """The settings among the params of a run, with numbers in one spelling and without control characters.

    Settings of earlier versions have their present names.
    """
    return {
        printable(present_name(key)): printable(plain_number(value))
        for key, value in params.items()
        if key not in _NOT_SETTINGS
    }


def percent(value: float | None) -> float | None:
    """`value` if it is an accuracy in percent, else None."""
    return float(value) if value is not None and 0 <= value <= 100 else None
