"""Ray tasks that train the runs of a sweep, one task for each attempt, wherever a cluster has room for it.

It does what `pool` does with processes of this machine. If a task's process or node dies, only its run fails.
"""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archsearch.sweep.pool_base import GRACE, TICK, PoolBase
from archsearch.sweep.ray_cluster import Share
from archsearch.sweep.worker import AttemptEnd, Job, RunProgress, log_to_stderr, train_team

_PASSED_ON = ("ARCHSEARCH_", "MLFLOW_")  # environment variables that tasks get, by their beginning


@dataclass(frozen=True)
class Begun:
    """The task of run `number` has begun; it may have waited for other users of the cluster."""

    number: int


@dataclass
class _Task:
    job: Job
    overdue: bool = False  # it was cancelled because of the time limit
    deadline: float = float("inf")  # on the monotonic clock


class Mailbox:
    """An actor through which tasks report, and learn that they should stop."""

    def __init__(self) -> None:
        self.messages: list[Begun | RunProgress] = []
        self.stops = False

    def put(self, message: Begun | RunProgress) -> None:
        """Keep a message until it is taken."""
        self.messages.append(message)

    def take(self) -> list[Begun | RunProgress]:
        """The messages since the last time."""
        taken, self.messages = self.messages, []
        return taken

    def stop(self) -> None:
        """Let each run stop after its current epoch."""
        self.stops = True

    def stopped(self) -> bool:
        """Whether runs should stop."""
        return self.stops


@dataclass(kw_only=True)
class RayPool(PoolBase):
    """Trains jobs as tasks of the cluster that this process is connected to; each of them takes `share` of it.

    `environment` is set for all runs.
    """

    share: Share
    environment: Mapping[str, str]
    _tasks: dict[Any, _Task] = field(default_factory=dict)  # by the reference of its result
    _passed_on: int = 0  # signals that the tasks know of

    def _begin(self) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._mailbox = ray.remote(num_cpus=0, scheduling_strategy=here)(Mailbox).remote()
        resources = {"num_cpus": self.share.cpus, "num_gpus": self.share.gpus}
        self._train = ray.remote(max_retries=0, **resources)(train_in_task)
        passed_on = {name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON)}
        hidden = {} if self.share.gpus else {"CUDA_VISIBLE_DEVICES": ""}  # trainer.device=auto would take a GPU
        self._variables = {**passed_on, **hidden, **self.environment}

    def _places(self) -> int:
        import ray

        places = self.share.places(ray.nodes())  # nodes come and go
        return places if self.settings.workers is None else min(places, self.settings.workers)

    def _busy(self) -> int:
        return len(self._tasks)

    def _schedule(self) -> None:
        if self._stops:
            self._waiting.clear()
        while self._waiting and len(self._tasks) < max(1, self._places()):
            (job,) = self._waiting.popleft()
            self._attempts[job.number] = self._attempts.get(job.number, 0) + 1
            self.listener.started(job, self._attempts[job.number], len(self._tasks))
            result = self._train.remote(job, str(Path.cwd()), self._variables, self.share.cpus, self._mailbox)
            self._tasks[result] = _Task(job)

    def _listen(self) -> Iterator[tuple[Job, AttemptEnd]]:
        import ray

        if not self._tasks:
            time.sleep(TICK)
            return
        ended, _ = ray.wait(list(self._tasks), num_returns=1, timeout=TICK)
        for message in ray.get(self._mailbox.take.remote()):
            if isinstance(message, Begun):
                self._limit_time(message.number)
            else:
                self.listener.progressed(message)
        for result in ended:
            task = self._tasks.pop(result)
            yield task.job, self._end_of(task, result)

    def _end_of(self, task: _Task, result: Any) -> AttemptEnd:
        import ray

        number, limit = task.job.number, self.settings.time_limit
        try:
            return self._ended_by_others(ray.get(result))
        except ray.exceptions.TaskCancelledError:
            reason = "its task was cancelled"
        except ray.exceptions.RayTaskError as error:  # outside of training
            reason = f"{type(error.cause).__name__}: {error.cause}"
        except ray.exceptions.RayError as error:
            reason = f"its process or its node died: {str(error).strip().splitlines()[0]}"
        if task.overdue and limit is not None:
            return AttemptEnd(number, "FAILED", f"took longer than sweep.time_limit ({limit:g} s), and was killed")
        return AttemptEnd(number, "KILLED" if self._stops > 1 else "FAILED", reason, retryable=True)

    def _limit_time(self, number: int) -> None:
        if self.settings.time_limit is not None:
            for task in self._tasks.values():
                if task.job.number == number:
                    task.deadline = time.monotonic() + self.settings.time_limit + GRACE

    def _kill_overdue(self) -> None:
        """Cancel what takes too long, and tell the tasks of signals: a signal handler must not call Ray."""
        import ray

        for result, task in self._tasks.items():
            if time.monotonic() > task.deadline:
                task.overdue = True
                ray.cancel(result, force=True)
        if self._passed_on < self._stops:
            self._passed_on = self._stops
            self._mailbox.stop.remote()
            for result in self._tasks:
                if self._stops > 1:
                    ray.cancel(result, force=self._stops > 2)

    def _stop_workers(self) -> None:
        """Nothing: `_kill_overdue` does it at the next tick."""

    def _end_workers(self) -> None:
        import ray

        for result in self._tasks:
            ray.cancel(result, force=True)
        self._tasks.clear()
        ray.kill(self._mailbox)


def train_in_task(
    job: Job, working_directory: str, environment: Mapping[str, str], threads: int, mailbox: Any
) -> AttemptEnd:
    """In a task: train `job` as in the directory and with the environment of the process that asks for it."""
    os.chdir(working_directory)
    os.environ.update(environment)

    import ray
    import torch

    def stops() -> bool:
        return bool(ray.get(mailbox.stopped.remote()))

    log_to_stderr()
    mailbox.put.remote(Begun(job.number))
    torch.set_num_threads(threads)
    (end,) = train_team((job,), mailbox.put.remote, stops)
    return end
