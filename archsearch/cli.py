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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from archsearch.errors import ArchsearchError, StorageError
from archsearch.overrides import CONFIG_NAME, VERSION_BASE, config_folder, for_hydra, parse_arguments, plain

if TYPE_CHECKING:
    from archsearch.request import Request

_FULL_ERROR = "HYDRA_FULL_ERROR"  # Hydra's own switch: 1 shows tracebacks


def main() -> None:
    """`python -m archsearch`, and the console script: train one variant."""

    def prepare(request: "Request") -> Any:
        from archsearch.prepare import prepare

        return prepare(request)

    def train(experiment: Any) -> None:
        from archsearch.experiment import run

        run(experiment, Path(HydraConfig.get().runtime.output_dir))

    sys.exit(launch(prepare, train))


def launch(prepare: Callable[["Request"], Any], run: Callable[[Any], None], extra: Sequence[str] = ()) -> int:
    """Compose the command line and `extra`, `prepare` what was asked for, then let Hydra `run` it.

    A single run is prepared before Hydra makes its folder, so that what `prepare` refuses (by raising `UserError`)
    leaves no trace; the runs of a multirun are prepared one by one. Returns the exit status.
    """
    arguments = [*sys.argv[1:], *extra]
    show_traceback = os.environ.get(_FULL_ERROR) == "1"
    started = False
    failure: Exception | None = None
    try:
        ready = for_hydra(arguments)
        request = _single_run(ready)
        prepared = prepare(request) if request is not None else None

        @hydra.main(version_base=VERSION_BASE, config_path=str(config_folder()), config_name=CONFIG_NAME)
        def job(config: DictConfig) -> None:
            nonlocal started, failure
            started = True
            if request is None:
                run(prepare(_request(config, HydraConfig.get())))
                return
            try:
                run(prepared)
            except Exception as error:  # past Hydra, which would add words of its own
                failure = error

        with _replaced_argv(ready), _exceptions_passed_on(), _terminate_like_ctrl_c():
            job()
        if failure is not None:
            raise failure
        return 0
    except KeyboardInterrupt as stop:
        print("archsearch: interrupted", file=sys.stderr)
        return 128 + (stop.args[0] if stop.args else signal.SIGINT)
    except Exception as raised:
        error = _in_our_words(raised, arguments, started)
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


def _single_run(arguments: Sequence[str]) -> "Request | None":
    """What a command line asks for, if it asks for one run (and not for a sweep, a listing, or help)."""
    said = parse_arguments(arguments)
    if said is None or said.multirun or said.other:
        return None
    with initialize_config_dir(str(config_folder()), version_base=VERSION_BASE):
        config = compose(CONFIG_NAME, overrides=said.composable, return_hydra_config=True)
    return None if config.hydra.mode == RunMode.MULTIRUN else _request(config, config.hydra)


def _request(config: DictConfig, hydra_config: Any) -> "Request":
    from archsearch.request import Request

    choices = {
        str(group): str(choice)
        for group, choice in hydra_config.runtime.choices.items()
        if choice is not None and not str(group).startswith("hydra/")
    }
    return Request(plain(config), choices, tuple(hydra_config.overrides.task))


def _in_our_words(error: Exception, arguments: Sequence[str], started: bool) -> Exception:
    if isinstance(error, (HydraException, OmegaConfBaseException, ValueError)) and not started:
        from archsearch.explain import explain

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
