"""archsearch from Python: the commands as functions, with the same words, folders, records and numbers.

Errors are exceptions of `archsearch.errors`; Ctrl-C is a `KeyboardInterrupt`. Nothing here exits the process.
"""

from __future__ import annotations

import logging
import operator
import os
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archsearch.config.schema import LARGEST_SIZE
from archsearch.errors import ConfigError, Problem
from archsearch.model import plan as planning
from archsearch.model import spec as language
from archsearch.model.plan import Plan
from archsearch.model.spec import ModelSpec
from archsearch.results import Report, Run, Search, Sweep
from archsearch.system.logs import LOG_LINE, messages_to
from archsearch.system.main_module import unrepeated_main

if TYPE_CHECKING:
    from torch import nn

    from archsearch.runs.prepare import PreparedRun
    from archsearch.search.evaluation import Evaluate

Model = Mapping[str, Any] | ModelSpec

_LOG = "archsearch.log"  # as Hydra names it, after the job
_LOCK = threading.RLock()  # Hydra and torch's random state are the process's: calls of several threads take turns
_FLAGS = ("--config-dir", "-cd")


def train(*settings: str, network: nn.Module | None = None) -> Run:
    """Train one run, as `python -m archsearch SETTINGS` does: `train("model=session4", "trainer.epochs=2")`.

    `network` is a network of one's own, to train instead of a model. A copy of it is trained, from the weights that it
    has. It maps (batch, channels, height, width) to logits (batch, classes). To resume its run, pass it again.

    Raises `UserError` before anything is created, `RunError` if the run fails, and `KeyboardInterrupt` after Ctrl-C.
    """
    from archsearch.cli import parse_command
    from archsearch.compose import session

    with _called(settings) as call:
        arguments = _checked(settings, "train")
        command = parse_command(arguments)
        if command.request is None:
            raise ConfigError([Problem("train", "these settings ask for a sweep; use archsearch.run_sweep")])
        from archsearch.runs.prepare import prepare

        with nullcontext() if network is None else _isolated():
            prepared = prepare(command.request, network)
        failures: list[Exception] = []
        folders: list[Path] = []

        def job(folder: Path) -> None:
            call.started = True
            folders.append(folder)
            try:
                _train(prepared, folder)
            except Exception as error:  # raised again outside of Hydra, which would print messages of its own
                failures.append(error)

        session.run_job(command.arguments, job)
        if failures:
            raise failures[0]
    return Run(folders[0], prepared.network)


def run_sweep(*settings: str) -> Sweep:
    """Train the runs of a sweep, as `python -m archsearch -m SETTINGS` does: `run_sweep("model.dropout=0,0.1")`.

    Raises `UserError` before anything is created, `SweepError` at the end if a run failed (`load()` returns the sweep
    all the same), and `KeyboardInterrupt` after Ctrl-C.
    """
    return Sweep(_run_sweep(settings))


def run_search(*settings: str, evaluate: Evaluate | None = None) -> Search:
    """Search for networks, as `python -m archsearch -m hydra/sweeper=search SETTINGS` does.

    `run_search("space=small_mnist", "constraints.max_params=5000", "search.budget.trials=60")`.

    `evaluate` is called with the `Plan` of each trial, in place of training: it returns the first objective as a
    number, or a mapping of objectives without what arithmetic knows (`params`, `macs`). Nothing is trained, then, and
    there are no finalists. If it raises an exception, the trial has failed.

    Raises `UserError` before anything is created (`ConfigError` later if `evaluate` returns something else),
    `SweepError` if a finalist or all trials failed, and `KeyboardInterrupt` after Ctrl-C.
    """
    words = ("hydra/sweeper=search", *settings)
    if evaluate is None:
        return Search(run_sweep(*words).folder)
    from archsearch.search.evaluation import evaluating

    with evaluating(evaluate):
        return Search(_run_sweep(words, isolated=False))


def make_report(*settings: str) -> Report:
    """Report on runs, as `python -m archsearch.report SETTINGS` does: `make_report("sweep=last", "compare=gap,conv")`.

    Writes the page, and returns the leaderboard as a DataFrame instead of printing it. Raises `UserError`.
    """
    from archsearch.compose.composition import compose_request
    from archsearch.report.options import parse_options

    with _called(settings) as call:
        options, overrides = parse_options(_checked(settings, "make_report"))
        request = compose_request(overrides)
        call.started = True
        from archsearch.report.command import report

        with redirect_stdout(StringIO()) as text:
            page = report(options, request)
    return Report(page.absolute(), text.getvalue())


def parse_model(model: Model) -> ModelSpec:
    """The validated `model`, a mapping with `blocks` and `head`. Raises `ConfigError` with every error."""
    if isinstance(model, ModelSpec):
        return model
    spec, problems = language.parse_model(model)
    if spec is None:
        raise ConfigError(problems)
    return spec


def plan(model: Model, input_shape: Sequence[int] | None, classes: int | None) -> Plan:
    """The layers of `model` with shapes, parameters, MACs and receptive fields, by arithmetic, without torch.

    `input_shape` is (channels, height, width). Raises `ConfigError` with every error.
    """
    shape, problems = _shape(input_shape)
    size = _integer(classes)
    if size is None or not 1 <= size <= LARGEST_SIZE:
        problems.append(Problem("classes", f"got {classes!r}, must be a whole number from 1 to {LARGEST_SIZE:,}"))
    spec = None
    try:
        spec = parse_model(model)
    except ConfigError as error:
        problems = [*error.problems, *problems]
    if problems or spec is None or shape is None or size is None:
        raise ConfigError(problems)
    return planning.plan(spec, shape, size)


def build(model: Model | Plan, input_shape: Sequence[int] | None = None, classes: int | None = None) -> nn.Sequential:
    """The network of `model`: it maps (batch, *input_shape) to logits (batch, classes).

    `input_shape` is (channels, height, width). A `Plan`, which knows both, is built as it is. Raises `ConfigError` with
    every error, before torch is imported.
    """
    layers = model if isinstance(model, Plan) else plan(model, input_shape, classes)
    from archsearch.model.builder import build_plan

    return build_plan(layers)


def _run_sweep(settings: Sequence[str], *, isolated: bool = True) -> Path:
    """The folder of the sweep or the search of `settings`; torch has the settings of a new process if `isolated`."""
    from archsearch.cli import parse_command
    from archsearch.compose import session

    folders: list[Path] = []
    with _called(settings):
        command = parse_command(["-m", *_checked(settings, "run_sweep")])
        from archsearch.sweep.job import run_job

        with _unchanged_process(isolated=isolated):
            session.run_sweep(command.arguments, run_job, folders.append)
    return folders[0]


class _Call:
    """A call of one of the functions above. `started` says whether a run has begun."""

    started = False


@contextmanager
def _called(settings: Sequence[str]) -> Iterator[_Call]:
    """What every call needs: a Hydra of its own, and errors in archsearch's words."""
    from archsearch.cli import terminate_like_ctrl_c, translate
    from archsearch.compose.session import own_hydra

    call = _Call()
    with _LOCK, own_hydra(), unrepeated_main(), terminate_like_ctrl_c(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found")  # tqdm's, in a notebook without ipywidgets
        try:
            yield call
        except Exception as raised:
            error = translate(raised, list(settings), call.started)
            if error is raised:
                raise
            raise error from None


def _checked(settings: Sequence[object], function: str) -> list[str]:
    """`settings`, which may include `--config-dir FOLDER`, but no other flag. Raises `ConfigError`."""
    problems, checked = [], []
    for setting in settings:
        if not isinstance(setting, str):
            rule = f"got {setting!r}, must be strings as on the command line, such as 'trainer.epochs=2'"
            problems.append(Problem(function, rule))
        elif setting.startswith("-") and (setting == settings[-1] or setting.split("=", 1)[0] not in _FLAGS):
            hint = "; use archsearch.run_sweep" if function == "train" and setting in ("-m", "--multirun") else ""
            rule = "must be followed by a folder" if setting in _FLAGS else f"must be settings, without flags{hint}"
            problems.append(Problem(function, f"got {setting}, {rule}"))
        else:
            checked.append(setting)
    if problems:
        raise ConfigError(problems)
    return checked


def _train(prepared: PreparedRun, folder: Path) -> None:
    from archsearch.runs.recording import recorder_process

    with _logged(folder / _LOG), recorder_process(prepared) as process:  # it imports MLflow while this imports torch
        from archsearch.runs.train import train_run

        with _isolated():
            train_run(prepared, folder, recorder_process=process)


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Send archsearch's messages to stdout and, with those of other libraries, to `path`, as the command does."""
    console, file = logging.StreamHandler(sys.stdout), logging.FileHandler(path, encoding="utf-8")
    file.setFormatter(logging.Formatter(LOG_LINE))
    root = logging.getLogger()
    root.addHandler(file)
    try:
        with messages_to(console, file):
            yield
    finally:
        root.removeHandler(file)


@contextmanager
def _isolated() -> Iterator[None]:
    from archsearch.training.isolation import isolated_torch

    with isolated_torch():
        yield


@contextmanager
def _unchanged_process(*, isolated: bool) -> Iterator[None]:
    """Leave the environment, the root logger and, if `isolated`, torch as they were.

    A sweep records itself, and its best run's figures, in this process.
    """
    variables, root = dict(os.environ), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        with _isolated() if isolated else nullcontext():
            yield
    finally:
        os.environ.clear()
        os.environ.update(variables)
        root.handlers[:] = handlers
        root.setLevel(level)


def _shape(shape: object) -> tuple[tuple[int, ...] | None, list[Problem]]:
    sizes = (
        [_integer(size) for size in shape] if isinstance(shape, Sequence) and not isinstance(shape, str | bytes) else []
    )
    if len(sizes) == 3 and all(size is not None and 1 <= size <= LARGEST_SIZE for size in sizes):
        return tuple(size for size in sizes if size is not None), []
    rule = f"must be (channels, height, width), whole numbers from 1 to {LARGEST_SIZE:,}"
    return None, [Problem("input_shape", f"got {shape!r}, {rule}")]


def _integer(value: object) -> int | None:
    try:
        return None if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type] # any object: it refuses what is no integer
    except TypeError:
        return None
