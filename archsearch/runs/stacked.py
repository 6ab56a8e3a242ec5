"""Trains several runs as one network (a stack). Each has its own folder, checkpoint and record."""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from torch import nn

from archsearch.errors import NonFiniteLossError
from archsearch.runs.active_run import ActiveRun
from archsearch.runs.console import epoch_line
from archsearch.runs.prepare import PreparedRun
from archsearch.runs.result import Result
from archsearch.runs.storage import run_lock, storage_error
from archsearch.runs.train import set_up
from archsearch.training.setup import memory_explained
from archsearch.training.stacked.setup import make_stacked_trainer
from archsearch.training.stacked.states import member_state
from archsearch.training.stacked.trainer import StackedTrainer, StackWatch
from archsearch.training.trainer import Splits

log = logging.getLogger(__name__)

_Outcomes = dict[int, Result | NonFiniteLossError]  # of the runs that have ended, by index


def train_together(
    prepared_runs: Sequence[PreparedRun],
    folders: Sequence[Path],
    watch: StackWatch | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> list[Result | NonFiniteLossError]:
    """Train new runs as one network. Run `i` of `prepared_runs` uses folder `i` of `folders`.

    Returns the result of each run, or the error if it diverged, which does not affect the others. Raises errors that
    end all runs, `KeyboardInterrupt` on Ctrl-C or if `stop` returns True after an epoch, and `ValueError` if the runs
    cannot be stacked. If a run ends early, its state and the reason are recorded, and its checkpoint can be resumed
    alone.
    """
    data, device = set_up(prepared_runs[0])
    with memory_explained():
        stack = make_stacked_trainer(prepared_runs, data, device, graphs=prepared_runs[0].settings.trainer.cuda_graphs)
    runs: list[ActiveRun] = []
    outcomes: _Outcomes = {}
    with ExitStack() as resources:
        for folder in folders:
            resources.enter_context(run_lock(folder))
        try:
            for index, (prepared, folder) in enumerate(zip(prepared_runs, folders, strict=True)):
                member = _Member(stack, index)
                run = ActiveRun(prepared, folder, data, device, member, stack=len(prepared_runs))
                runs.append(run)
                run.begin()
                log.info("%s", run.opening())
            with memory_explained():
                _train(stack, runs, outcomes, watch, stop)
                evaluations = stack.evaluate(stack.splits.test)
            for index, (run, evaluation) in enumerate(zip(runs, evaluations, strict=True)):
                if isinstance(evaluation, NonFiniteLossError):
                    _note_failure(run, index, evaluation, outcomes)
                else:
                    outcomes[index] = run.finish(evaluation)
                    log.info("%s", run.summary())
        except BaseException as error:
            for index, run in enumerate(runs):
                if index in outcomes:
                    continue
                if isinstance(error, Exception):
                    run.fail(error)
                else:
                    run.interrupt()
            if isinstance(error, OSError):
                raise storage_error(error, folders[0].parent) from error
            raise
    return [outcomes[index] for index in range(len(runs))]


class _Member:
    """Member `index` of `stack` as a `RunTrainer`."""

    def __init__(self, stack: StackedTrainer, index: int) -> None:
        self._stack, self._index = stack, index

    @property
    def epoch(self) -> int:
        return self._stack.epoch

    @property
    def splits(self) -> Splits:
        return self._stack.splits

    @property
    def trained(self) -> nn.Module:
        return self._stack.member(self._index)

    def state_dict(self) -> dict[str, Any]:
        return member_state(self._stack, self._index)


def _train(
    stack: StackedTrainer,
    runs: Sequence[ActiveRun],
    outcomes: _Outcomes,
    watch: StackWatch | None,
    stop: Callable[[], bool],
) -> None:
    """Train all epochs. Each is saved before it is shown."""
    epochs = stack.settings.epochs
    for epoch_metrics in stack.run(watch):
        for index, (run, metrics) in enumerate(zip(runs, epoch_metrics, strict=True)):
            if isinstance(metrics, NonFiniteLossError):
                _note_failure(run, index, metrics, outcomes)
            else:
                run.log_epoch(metrics)
                log.info("%s: %s", run.result.name, epoch_line(metrics, epochs))
        if stack.epoch < epochs and stop():
            raise KeyboardInterrupt


def _note_failure(run: ActiveRun, index: int, error: NonFiniteLossError, outcomes: _Outcomes) -> None:
    if index not in outcomes:
        log.error("%s: %s", run.result.name, error)
        run.fail(error)
        outcomes[index] = error
