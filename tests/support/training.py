"""Trainers for tests, made from overrides as on the command line."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import pytest
import torch

from archsearch.compose.validate import validate
from archsearch.config.settings import Settings
from archsearch.data.load import Dataset
from archsearch.model.plan import Plan
from archsearch.training.cuda_graphs import GraphRecorder
from archsearch.training.metrics import EpochMetrics
from archsearch.training.setup import make_trainer
from archsearch.training.trainer import Trainer
from tests.support.requests import QUICK, ask

CPU = torch.device("cpu")
FEW = ("data.validation=20", "trainer.batch_size=32", "trainer.eval_batch_size=30")  # for the fixture `few`
STACKABLE = (*FEW, "model.dropout=0")


@dataclass(frozen=True)
class Candidate:
    """What can be trained: settings and a plan."""

    settings: Settings
    plan: Plan


@cache
def candidate(*overrides: str) -> Candidate:
    """The quick configuration with `overrides`."""
    return Candidate(*validate(ask(*QUICK, *overrides).config).require())


def member(*overrides: str) -> Candidate:
    """A candidate for a stack that learns from the fixture `few`."""
    return candidate(*STACKABLE, *overrides)


def trainer_of(
    data: Dataset, *overrides: str, device: torch.device = CPU, recorder: GraphRecorder | None = None
) -> Trainer:
    """A trainer of the quick configuration with `overrides`."""
    chosen = candidate(*overrides)
    return make_trainer(chosen.settings, chosen.plan, data, device, recorder=recorder)


def numbers(history: Sequence[object]) -> list[dict[str, float]]:
    """The numbers of each epoch, none of which may be a failure."""
    values = []
    for metrics in history:
        assert isinstance(metrics, EpochMetrics), metrics
        values.append(metrics.numbers())
    return values


def assert_close(history: Sequence[object], expected: Sequence[object], rel: float = 1e-7) -> None:
    """Assert that two histories have the same numbers, up to rounding."""
    for epoch, expected_epoch in zip(numbers(history), numbers(expected), strict=True):
        assert epoch == pytest.approx(expected_epoch, rel=rel, abs=1e-9)
