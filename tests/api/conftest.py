"""Runs that several tests look at."""

from pathlib import Path

import pytest

import archsearch
from tests.support.requests import QUICK
from tests.support.runs import isolated

UNTRACKED = (*QUICK, "tracking=none", "tracking.log_figures=false")


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> archsearch.Run:
    """A run of two epochs that `archsearch.train` trained."""
    folder: Path = tmp_path_factory.mktemp("api")
    with isolated(folder):
        return archsearch.train(*UNTRACKED)
