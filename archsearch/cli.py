"""The command line: Hydra's, with our words for what goes wrong. The only `@hydra.main`.

Exit status: 0 done, 1 the run failed, 2 something to mend in the command or the configuration, 130 Ctrl-C.
Nothing heavy is imported until a configuration has been found good: `--cfg job`, `--help` and a mistyped override
answer at once.
"""

import os
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra import compose, initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from archsearch.compose.overrides import (
    CONFIG_NAME,
    VERSION_BASE,
    choices_of,
    config_folder,
    for_hydra,
    parse_arguments,
    plain,
    resume_of,
    resumed_run,
    resumed_sweep,
    task_words,
)
from archsearch.compose.request import Request
from archsearch.errors import ArchsearchError, StorageError
from archsearch.system.ending import end_process
from archsearch.system.importing import in_one_go

_FULL_ERROR = "HYDRA_FULL_ERROR"  # Hydra's own switch: 1 shows tracebacks


def main() -> NoReturn:
    """`python -m archsearch`, and the console script: train one variant, or with `-m` a sweep of them."""

    def prepare(request: Request) -> Any:
        from archsearch.runs.prepare import prepare

        return prepare(request)

    def train(experiment: Any) -> None:
        from archsearch.runs.recording import recorder_aside

        with recorder_aside(experiment) as aside:  # imports MLflow while this process imports torch
            with in_one_go():
                from archsearch.runs.train import run

            run(experiment, Path(HydraConfig.get().runtime.output_dir), aside=aside)

    def sweep(command: Sequence[str]) -> None:
        from archsearch.sweep.job import run_variant

        _through_hydra(command, run_variant)

    end_process(launch(prepare, train, sweep))


def launch(
    prepare: Callable[[Request], Any],
    run: Callable[[Any], None],
    sweep: Callable[[Sequence[str]], None],
    extra: Sequence[str] = (),
) -> int:
    """Compose the command line and `extra`, `prepare` what was asked for, then let Hydra `run` it.

    A single run is prepared before Hydra makes its folder, so that what `prepare` refuses (by raising `UserError`)
    leaves no trace. `sweep` is given the command line of a multirun. Returns the exit status.
    """
    arguments = [*sys.argv[1:], *extra]
    started = False

    def act() -> None:
        command = _understand(for_hydra(arguments))
        prepared = prepare(command.request) if command.request is not None else None
        failure: Exception | None = None

        def job(_config: DictConfig) -> None:
            nonlocal started, failure
            started = True
            try:
                run(prepared)
            except Exception as error:  # past Hydra, which would add words of its own
                failure = error

        if command.multirun:
            sweep(command.words)
        else:
            _through_hydra(command.words, job)
        if failure is not None:
            raise failure

    return answer(act, arguments, lambda: started)


def answer(act: Callable[[], object], arguments: Sequence[str], started: Callable[[], bool] = lambda: False) -> int:
    """Do what the command line `arguments` asks for, and say in our words what goes wrong. Returns the exit status."""
    show_traceback = os.environ.get(_FULL_ERROR) == "1"
    try:
        act()
        return 0
    except KeyboardInterrupt as stop:
        print("archsearch: interrupted", file=sys.stderr)
        return 128 + (stop.args[0] if stop.args else signal.SIGINT)
    except Exception as raised:
        error = _in_our_words(raised, arguments, started())
    if show_traceback or not isinstance(error, ArchsearchError):
        traceback.print_exception(error)
    else:
        print(f"archsearch: {error}" if "\n" not in str(error) else f"archsearch:\n{error}", file=sys.stderr)
    return error.exit_status if isinstance(error, ArchsearchError) else 1


@contextmanager
def traceless() -> Iterator[list[str]]:
    """Overrides with which Hydra leaves nothing behind, for a command that only shows something."""
    with tempfile.TemporaryDirectory(prefix="archsearch-") as scratch:
        quiet = ["hydra.output_subdir=null", "hydra/job_logging=none", "hydra/hydra_logging=none"]
        yield [*quiet, "hydra.run.dir=.", f"hydra.sweep.dir={scratch}"]


@dataclass(frozen=True)
class _Command:
    """A command line as Hydra gets it. `request` is set where it asks for one run, and not for a listing or help."""

    words: Sequence[str]
    multirun: bool = False
    request: Request | None = None


def _understand(words: Sequence[str]) -> _Command:
    said = parse_arguments(words)
    if said is None or said.other:
        return _Command(words)
    resumed = next(filter(None, map(resume_of, words)), None)
    others = [word for word in words if resume_of(word) is None]
    config = None if said.multirun or _sweeps(others) else _compose(others)
    if config is None or config.hydra.mode == RunMode.MULTIRUN:  # an experiment can say that it sweeps
        return _Command(words if resumed is None else resumed_sweep(resumed, others), multirun=True)
    if resumed is not None:
        words = resumed_run(resumed, others)
        config = _compose(words)
    return _Command(words, request=_request(config))


def compose_request(words: Sequence[str]) -> Request:
    """What the configuration is with these overrides, for a command that runs nothing through Hydra."""
    return _request(_compose(for_hydra(words)))


def _request(config: DictConfig) -> Request:
    return Request(plain(config), choices_of(config.hydra), task_words(config.hydra))


def _sweeps(words: Sequence[str]) -> bool:
    """Whether the configuration itself says that it is a sweep, and `words` have several values for it."""
    if not any("," in word or "(" in word for word in words):
        return False  # composing will show
    try:
        with composed_sweep(words) as (_, config):
            return bool(config.hydra.mode == RunMode.MULTIRUN)
    except HydraException:
        return False  # composing will say what is wrong


def _compose(words: Sequence[str]) -> DictConfig:
    said = parse_arguments(words)
    assert said is not None
    with initialize_config_dir(str(config_folder()), version_base=VERSION_BASE):
        return compose(CONFIG_NAME, overrides=said.composable, return_hydra_config=True)


@contextmanager
def composed_sweep(words: Sequence[str]) -> Iterator[tuple[ConfigLoader, DictConfig]]:
    """Hydra's loader, and the configuration that a multirun's sweeper would be given for the command line `words`."""
    said = parse_arguments(words)
    assert said is not None
    with initialize_config_dir(str(config_folder()), version_base=VERSION_BASE):
        loader = GlobalHydra.instance().config_loader()
        yield loader, loader.load_configuration(CONFIG_NAME, overrides=said.composable, run_mode=RunMode.MULTIRUN)


def _through_hydra(words: Sequence[str], task: Callable[[DictConfig], Any]) -> None:
    """Let Hydra read `words` as the command line, and call `task` as they say."""
    # Our presets of Ray and submitit have their plugins' names, and are held against those plugins' schemas: rightly.
    warnings.filterwarnings("ignore", r"\s*'hydra/launcher/\w+' is validated against ConfigStore schema")
    with _replaced_argv(words), _exceptions_passed_on(), _terminate_like_ctrl_c():
        hydra.main(version_base=VERSION_BASE, config_path=str(config_folder()), config_name=CONFIG_NAME)(task)()


def _in_our_words(error: Exception, arguments: Sequence[str], started: bool) -> Exception:
    if isinstance(error, (HydraException, OmegaConfBaseException, ValueError)) and not started:
        from archsearch.compose.explain import explain

        explained = explain(error, arguments)
        explained.__cause__ = error
        return explained
    if isinstance(error, OSError) and not started:
        # Hydra makes the folder of a run, and opens its log.
        where = f"{error.filename}: " if error.filename else ""
        return StorageError(f"{where}{error.strerror or error}; hydra.run.dir=... puts a run elsewhere")
    return error


@contextmanager
def _replaced_argv(arguments: Sequence[str]) -> Iterator[None]:
    before = sys.argv
    sys.argv = [before[0], *arguments]
    try:
        yield
    finally:
        sys.argv = before


@contextmanager
def _exceptions_passed_on() -> Iterator[None]:
    """Hydra prints exceptions and exits with 1, unless told to raise them."""
    before = os.environ.get(_FULL_ERROR)
    os.environ[_FULL_ERROR] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_FULL_ERROR]
        else:
            os.environ[_FULL_ERROR] = before


@contextmanager
def _terminate_like_ctrl_c() -> Iterator[None]:
    """A polite kill (a scheduler's time limit, say) ends a run as cleanly as Ctrl-C does."""

    def interrupt(number: int, _frame: object) -> None:
        raise KeyboardInterrupt(number)

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
