"""The runs of a stack: trained as one network, and each with its own folder, checkpoint and record."""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from torch import nn

from archsearch.errors import NonFiniteLossError
from archsearch.runs.active_run import ActiveRun, run_lock, storage_error
from archsearch.runs.console import epoch_line
from archsearch.runs.prepare import PreparedRun
from archsearch.runs.result import Result
from archsearch.runs.train import set_up
from archsearch.training.setup import memory_explained
from archsearch.training.stacked.setup import make_stacked_trainer
from archsearch.training.stacked.states import member_state
from archsearch.training.stacked.trainer import StackedTrainer, StackWatch
from archsearch.training.trainer import Splits

log = logging.getLogger(__name__)


def train_together(
    prepared_runs: Sequence[PreparedRun],
    folders: Sequence[Path],
    watch: StackWatch | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> list[Result | NonFiniteLossError]:
    """Train `prepared_runs`, none of which has begun, as one network, each in its own of `folders`.

    Returns for each its result, or why it diverged; that does not disturb the others. Raises what ends them all
    (Ctrl-C, or `stop` after an epoch, is one such thing), and `ValueError` where they cannot be stacked. Whatever ends
    a run, its state and its reason are on record, and its checkpoint is one that it can continue from alone.
    """
    data, device = set_up(prepared_runs[0])
    with memory_explained():
        stack = make_stacked_trainer(prepared_runs, data, device, graphs=prepared_runs[0].settings.trainer.cuda_graphs)
    runs: list[ActiveRun] = []
    ended: dict[int, Result | NonFiniteLossError] = {}
    with ExitStack() as resources:
        for folder in folders:
            resources.enter_context(run_lock(folder))
        try:
            for number, (prepared, folder) in enumerate(zip(prepared_runs, folders, strict=True)):
                member = _Member(stack, number)
                run = ActiveRun(prepared, folder, data, device, member, stack=len(prepared_runs))
                runs.append(run)
                run.begin()
                log.info("%s", run.opening())
            with memory_explained():
                _train(stack, runs, ended, watch, stop)
                answers = stack.evaluate(stack.splits.test)
            for number, (run, evaluation) in enumerate(zip(runs, answers, strict=True)):
                if isinstance(evaluation, NonFiniteLossError):
                    _note_failure(run, number, evaluation, ended)
                else:
                    ended[number] = run.finish(evaluation)
                    log.info("%s", run.summary())
        except BaseException as error:
            for number, run in enumerate(runs):
                if number in ended:
                    continue
                if isinstance(error, Exception):
                    run.fail(error)
                else:
                    run.interrupt()
            if isinstance(error, OSError):
                raise storage_error(error, folders[0].parent) from error
            raise
    return [ended[number] for number in range(len(runs))]


class _Member:
    """Member `number` of `stack`, as a run sees what trains it."""

    def __init__(self, stack: StackedTrainer, number: int) -> None:
        self._stack, self._number = stack, number

    @property
    def epoch(self) -> int:
        return self._stack.epoch

    @property
    def splits(self) -> Splits:
        return self._stack.splits

    @property
    def trained(self) -> nn.Module:
        return self._stack.member(self._number)

    def state_dict(self) -> dict[str, Any]:
        return member_state(self._stack, self._number)


def _train(
    stack: StackedTrainer,
    runs: Sequence[ActiveRun],
    ended: dict[int, Result | NonFiniteLossError],
    watch: StackWatch | None,
    stop: Callable[[], bool],
) -> None:
    """Train all epochs; after each, everything is on disk before it is said."""
    epochs = stack.settings.epochs
    for epoch_metrics in stack.run(watch):
        for number, (run, metrics) in enumerate(zip(runs, epoch_metrics, strict=True)):
            if isinstance(metrics, NonFiniteLossError):
                _note_failure(run, number, metrics, ended)
            else:
                run.keep(metrics)
                log.info("%s: %s", run.result.name, epoch_line(metrics, epochs))
        if stack.epoch < epochs and stop():
            raise KeyboardInterrupt


def _note_failure(
    run: ActiveRun, number: int, error: NonFiniteLossError, ended: dict[int, Result | NonFiniteLossError]
) -> None:
    if number not in ended:
        log.error("%s: %s", run.result.name, error)
        run.fail(error)
        ended[number] = error
