"""Imports the benchmarks, which are scripts rather than a package."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support.processes import REPOSITORY

BENCHMARKS = REPOSITORY / "benchmarks"
collect_ignore_glob = [] if BENCHMARKS.is_dir() else ["test_*.py"]  # a source distribution has no benchmarks


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Imports a module of the benchmarks by name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture
def runner(load: Callable[[str], ModuleType]) -> ModuleType:
    return load("runner")


@pytest.fixture
def fake(runner: ModuleType, tmp_path: Path) -> Callable[..., Any]:
    """Makes a candidate that adds its turn to the file `turns`, then runs `code`, which knows its round as `number`."""

    def make(name: str, code: str, **more: Any) -> Any:
        script = tmp_path / f"{name}.py"
        turn = f"open({str(tmp_path / 'turns')!r}, 'a').write({name!r} + sys.argv[1] + ' ')"
        script.write_text(f"import json, os, sys, time\nnumber = int(sys.argv[1])\n{turn}\n{code}\n")
        return runner.Candidate(name, [sys.executable, "-S", str(script), "{round}"], **more)

    return make
