"""Runs that several tests look at, each trained once."""

import shutil
from pathlib import Path

import pytest

from tests.support.runs import RECIPE, RUN, UNRECORDED, interrupt_in, isolated, train_in


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory in which `RUN` was trained with `RECIPE`, with figures, without tracking."""
    folder = tmp_path_factory.mktemp("finished")
    with isolated(folder):
        train_in(RUN, *RECIPE, "tracking=none")
    return folder


@pytest.fixture(scope="session")
def interrupted_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory in which `RUN` was interrupted after the first of two epochs, as `UNRECORDED`."""
    folder = tmp_path_factory.mktemp("interrupted")
    with isolated(folder):
        interrupt_in(RUN, *RECIPE, *UNRECORDED)
    return folder


@pytest.fixture
def interrupted(interrupted_once: Path, workspace: Path) -> Path:
    """A copy of the interrupted run in the workspace; returns its folder."""
    shutil.copytree(interrupted_once / RUN, workspace / RUN)
    return RUN
