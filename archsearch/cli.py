"""The command line: Hydra's, with archsearch's own error messages. The only `@hydra.main`.

Exit status: 0 success, 1 a run failed, 2 an error in the command or configuration, 130 Ctrl-C, 143 SIGTERM.
Nothing heavy is imported until the configuration is valid: `--cfg job`, `--help` and a mistyped override answer at
once.
"""

import errno
import os
import signal
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from functools import wraps
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from archsearch.compose.composition import compose_config, request_of, sweeps_by_configuration
from archsearch.compose.culprits import is_refusal
from archsearch.compose.overrides import (
    CONFIG_NAME,
    VERSION_BASE,
    complete_arguments,
    config_folder,
    parse_arguments,
    resume_of,
)
from archsearch.compose.request import Request
from archsearch.compose.words import check_words
from archsearch.errors import ArchsearchError, ConfigError, Problem, StorageError, first_line
from archsearch.runs.resume import run_arguments, sweep_arguments
from archsearch.system.interrupts import ending_at_once
from archsearch.system.process import gc_paused, spin_briefly
from archsearch.system.screen import doing, wrapped
from archsearch.system.terminal import terminal_width

if TYPE_CHECKING:
    from archsearch.compose.validate import FindDataset

_FULL_ERROR = "HYDRA_FULL_ERROR"  # Hydra's own switch: 1 shows tracebacks
_HELP = {"-h", "--help"}


def train(arguments: Sequence[str]) -> int:
    """Train one run, or with `-m` a sweep, as the command line `arguments` asks; returns the exit status."""
    return dispatch(arguments, _prepare, _train, _sweep)


def dispatch(
    arguments: Sequence[str],
    prepare: Callable[[Request], Any],
    run: Callable[[Any], None],
    sweep: Callable[[Sequence[str]], None],
    command: str = "train",
    *,
    leaves_files: bool = True,
    find_dataset: "FindDataset | None" = None,
) -> int:
    """Do what the command line `arguments` asks for; returns the exit status.

    A single run is prepared before Hydra makes its folder, so that what `prepare` refuses (with a `UserError`) leaves
    no trace; then Hydra calls `run`, unless it `leaves_files` nowhere and needs no folder. A multirun's command line
    goes to `sweep`. Help is that of `command`. Where Hydra refuses the command line, what is left of it is validated
    for the data set that `find_dataset` finds.
    """
    started = False

    def act() -> None:
        if _HELP & set(arguments):
            from archsearch.compose.help import help_text

            print(help_text([argument for argument in arguments if argument not in _HELP], command))
            return
        with ending_at_once(), doing("reading the configuration"):
            parsed = parse_command(arguments, find_dataset)
        prepared = prepare(parsed.request) if parsed.request is not None else None
        failure: Exception | None = None

        def job(_config: DictConfig) -> None:
            nonlocal started, failure
            started = True
            try:
                run(prepared)
            except Exception as error:  # raised again outside of Hydra, which would add messages of its own
                failure = error

        if "--hydra-help" in arguments:
            with redirect_stdout(StringIO()) as text, suppress(SystemExit):
                _run_hydra(parsed.arguments, job)
            print(text.getvalue().replace("Show Hydra's version", "Show archsearch's version"), end="")
        elif parsed.multirun:
            sweep(parsed.arguments)
        elif parsed.request is not None and not leaves_files:
            run(prepared)
        else:
            _run_hydra(parsed.arguments, job, single=True)
        if failure is not None:
            raise failure

    return exit_status(act, arguments, lambda: started, find_dataset)


def exit_status(
    act: Callable[[], object],
    arguments: Sequence[str],
    started: Callable[[], bool] = lambda: False,
    find_dataset: "FindDataset | None" = None,
) -> int:
    """Call `act`, which serves the command line `arguments`, and print what goes wrong; returns the exit status."""
    show_traceback = os.environ.get(_FULL_ERROR) == "1"
    try:
        act()
        print(end="", flush=True)  # raises what closing the stream at the end would only print
        return 0
    except BrokenPipeError:  # `| head` has seen enough
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt as interrupt:
        print("archsearch: interrupted", file=sys.stderr)
        return 128 + (interrupt.args[0] if interrupt.args else signal.SIGINT)
    except Exception as raised:
        error = translate(raised, arguments, started(), find_dataset)
    if show_traceback or not isinstance(error, ArchsearchError):
        traceback.print_exception(error)
    else:
        text = f"archsearch: {error}" if "\n" not in str(error) else f"archsearch:\n{error}"
        width = terminal_width(sys.stderr) if sys.stderr is not None else None
        print(text if width is None else wrapped(text, width), file=sys.stderr)
    return error.exit_status if isinstance(error, ArchsearchError) else 1


@contextmanager
def traceless_overrides() -> Iterator[list[str]]:
    """Overrides with which Hydra leaves nothing on disk, for a command that only shows something."""
    with tempfile.TemporaryDirectory(prefix="archsearch-") as scratch:
        quiet = ["hydra.output_subdir=null", "hydra/job_logging=none", "hydra/hydra_logging=none"]
        yield [*quiet, "hydra.run.dir=.", f"hydra.sweep.dir={scratch}"]


def _prepare(request: Request) -> Any:
    with doing("checking the configuration, the data and the store"):
        with ending_at_once():
            from archsearch.runs.prepare import prepare

        return prepare(request)


def _train(prepared: Any) -> None:
    from archsearch.runs.recording import recorder_process

    spin_briefly()
    with recorder_process(prepared) as process:  # imports MLflow while this process imports torch
        with ending_at_once(), doing("loading torch"), gc_paused():
            from archsearch.runs.train import train_run

        train_run(prepared, Path(HydraConfig.get().runtime.output_dir), recorder_process=process)


def _sweep(arguments: Sequence[str]) -> None:
    from archsearch.sweep.job import run_job

    _run_hydra(arguments, run_job)


@dataclass(frozen=True)
class Command:
    """A command line as Hydra gets it. `request` is set where it asks for one run, and not for a listing or help."""

    arguments: Sequence[str]
    multirun: bool = False
    request: Request | None = None


def parse_command(arguments: Sequence[str], find_dataset: "FindDataset | None" = None) -> Command:
    """What the command line `arguments` asks for. Raises `ConfigError`, and what Hydra raises; see `translate`."""
    malformed, words = check_words(arguments)
    if malformed:
        from archsearch.compose.explain import problems_of

        raise ConfigError([*malformed, *problems_of(words, find_dataset)])
    arguments = complete_arguments(arguments)
    parsed = parse_arguments(arguments)
    if parsed is None or parsed.only_shows:
        return Command(arguments)
    resumed = next(filter(None, map(resume_of, arguments)), None)
    others = [argument for argument in arguments if resume_of(argument) is None]
    config = None if parsed.multirun or sweeps_by_configuration(others) else compose_config(others)
    if config is None or config.hydra.mode == RunMode.MULTIRUN:  # an experiment can ask for a multirun
        return Command(arguments if resumed is None else sweep_arguments(resumed, others), multirun=True)
    if resumed is not None:
        arguments = run_arguments(resumed, others)
        config = compose_config(arguments)
    return Command(arguments, request=request_of(config))


def _run_hydra(arguments: Sequence[str], task: Callable[[DictConfig], Any], *, single: bool = False) -> None:
    """Let Hydra parse `arguments` as its command line and call `task` accordingly.

    If it calls `task` in this process (`single`), a signal before that ends the process at once.
    """
    # The presets of Ray and submitit have their plugins' names, so they are validated against those plugins' schemas.
    warnings.filterwarnings("ignore", r"\s*'hydra/launcher/\w+' is validated against ConfigStore schema")
    with _replaced_argv(arguments), _hydra_raises(), terminate_like_ctrl_c(), ExitStack() as starting:
        if single:
            starting.enter_context(ending_at_once())

        @wraps(task)
        def begun(config: DictConfig) -> Any:
            starting.close()
            return task(config)

        hydra.main(version_base=VERSION_BASE, config_path=str(config_folder()), config_name=CONFIG_NAME)(begun)()


def translate(
    error: Exception, arguments: Sequence[str], started: bool, find_dataset: "FindDataset | None" = None
) -> Exception:
    """`error` as an error of archsearch's, where Hydra, OmegaConf or the file system refused the command."""
    if not started and not isinstance(error, ArchsearchError) and is_refusal(error):
        from archsearch.compose.explain import explain

        try:
            explained = explain(error, arguments, find_dataset)
        except Exception:  # composing again, Hydra has failed in yet another way
            explained = ConfigError([Problem("command line", first_line(error))])
        explained.__cause__ = error
        return explained
    if isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None:
        return StorageError(f"the output is incomplete: {error.strerror}")  # it goes to a file on a full disk
    if isinstance(error, OSError) and not started:
        # Hydra makes the folder of a run, and opens its log.
        where = f"{error.filename}: " if error.filename else ""
        return StorageError(f"{where}{error.strerror or error}; set hydra.run.dir to use another folder")
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
def _hydra_raises() -> Iterator[None]:
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
def terminate_like_ctrl_c() -> Iterator[None]:
    """SIGTERM (a scheduler's time limit, say) ends a run as cleanly as Ctrl-C does, in the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, _frame: object) -> None:
        raise KeyboardInterrupt(number)

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
