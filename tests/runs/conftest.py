"""Runs that several tests look at, each trained once."""

import shutil
from pathlib import Path

import pytest

from tests.support.runs import RECIPE, RUN, interrupt_in, isolated, train_in


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory in which `RUN` was trained with `RECIPE`, and recorded with figures and model."""
    folder = tmp_path_factory.mktemp("finished")
    with isolated(folder):
        train_in(RUN, *RECIPE)
    return folder


@pytest.fixture(scope="session")
def interrupted_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory in which `RUN` was interrupted after the first of two epochs, without tracking."""
    folder = tmp_path_factory.mktemp("interrupted")
    with isolated(folder):
        interrupt_in(RUN, *RECIPE, "tracking=none")
    return folder


@pytest.fixture
def interrupted(interrupted_once: Path, workspace: Path) -> Path:
    """A copy of the interrupted run in the workspace; returns its folder."""
    shutil.copytree(interrupted_once / RUN, workspace / RUN)
    return RUN
