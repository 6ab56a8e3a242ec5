"""Numba's cache: damaged files are rebuilt, and what others can write is not read."""

import importlib.util
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from archsearch.training.fused import cache, kernels
from archsearch.training.fused.network import fused

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def double(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module with a compiled function, whose cache is in `tmp_path`."""
    (tmp_path / "double.py").write_text(
        "from archsearch.training.fused.cache import compiled\ndef double(x):\n    return 2 * x\n"
        "def load():\n    global double\n    double = compiled(double)\n    return double\n"
    )
    monkeypatch.setattr(cache, "_cached", [])
    monkeypatch.setattr(cache, "_warned", set())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    specification = importlib.util.spec_from_file_location("double", tmp_path / "double.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["double"] = module
    specification.loader.exec_module(module)
    yield module
    del sys.modules["double"]


def reloaded(module: ModuleType) -> ModuleType:
    """`module` as another process imports it."""
    assert module.__spec__ is not None and module.__spec__.loader is not None
    module.__spec__.loader.exec_module(module)
    return module


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("kept", [0, 40])
def test_a_damaged_cache_is_rebuilt(
    double: ModuleType, tmp_path: Path, suffix: str, kept: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert double.load()(2) == 4
    (path,) = (tmp_path / "__pycache__").glob(f"double.double-*.{suffix}")
    path.write_bytes(path.read_bytes()[:kept])
    function = reloaded(double).load()
    assert cache.works(lambda: function(3)) and function(3) == 6
    assert "WARNING: Numba's cache cannot be read" in caplog.text
    caplog.clear()
    again = reloaded(double).load()
    assert cache.works(lambda: again(3)) and not caplog.text and again.stats.cache_hits


def test_a_change_of_a_file_beside_the_function_is_noticed(double: ModuleType, tmp_path: Path) -> None:
    double.load()(2)
    again = reloaded(double).load()
    assert again(2) == 4 and again.stats.cache_hits
    time = (tmp_path / "double.py").stat().st_mtime + 1000
    (tmp_path / "other.py").touch()
    os.utime(tmp_path / "other.py", (time, time))
    changed = reloaded(double).load()
    assert changed(2) == 4 and not changed.stats.cache_hits


def test_a_cache_that_others_can_write_is_not_used(
    double: ModuleType, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    double.load()(2)
    (tmp_path / "__pycache__").chmod(0o777)
    function = reloaded(double).load()
    assert function(2) == 4 and not function.stats.cache_hits
    assert Path(function.stats.cache_path).is_relative_to(tmp_path / "own")
    assert "is not used, because others can write it" in caplog.text


def test_without_a_cache_of_its_own_every_process_compiles(double: ModuleType, tmp_path: Path) -> None:
    double.load()(2)
    (tmp_path / "__pycache__").chmod(0o777)
    (tmp_path / "own").touch()  # in the place of the folder
    function = reloaded(double).load()
    assert function(2) == 4 and function.stats.cache_path is None


@pytest.mark.parametrize(
    ("name", "mode", "private"),
    [(".", 0o700, True), (".", 0o702, False), ("a.nbi", 0o602, False), ("a.py", 0o602, True)],
)
def test_a_folder_is_private_if_nobody_else_can_write_it(name: str, mode: int, private: bool, tmp_path: Path) -> None:
    (tmp_path / "a.nbi").touch()
    (tmp_path / "a.py").touch()
    (tmp_path / name).chmod(mode)
    assert cache.is_private(tmp_path) is private


def test_a_folder_is_not_private_if_others_can_replace_it(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir(mode=0o700)
    assert cache.is_private(tmp_path / "cache")
    tmp_path.chmod(0o777)
    assert not cache.is_private(tmp_path / "cache")
    tmp_path.chmod(0o1777)  # as /tmp, where nobody can rename others' folders
    assert cache.is_private(tmp_path / "cache")


def test_a_missing_folder_is_not_private(tmp_path: Path) -> None:
    assert not cache.is_private(tmp_path / "missing")


def test_where_numba_fails_training_goes_on_without_fused_layers(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("no compiler")

    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3))
    assert fused(network, torch.device("cpu")) is not network
    monkeypatch.setattr(cache, "_cached", [])
    monkeypatch.setattr(kernels, "forward", fails)
    kernels.usable.cache_clear()
    try:
        with caplog.at_level(logging.WARNING):
            assert fused(network, torch.device("cpu")) is network
    finally:
        kernels.usable.cache_clear()
    assert "Numba fails (RuntimeError: no compiler): training goes on without fused layers" in caplog.text


@pytest.mark.parametrize("relu_behind", [False, True])
@pytest.mark.parametrize("pool", [None, nn.AvgPool2d(2), nn.MaxPool2d(2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_loading_the_kernels_loads_what_training_calls(
    dtype: torch.dtype, pool: nn.Module | None, relu_behind: bool
) -> None:
    layers = [nn.BatchNorm2d(3), *([nn.ReLU()] if relu_behind else []), *([pool] if pool else [])]
    network = fused(nn.Sequential(*layers), torch.device("cpu"), bfloat16=dtype == torch.bfloat16)
    before = len(kernels.forward.signatures), len(kernels.backward.signatures)  # type: ignore[attr-defined]
    images = torch.rand(2, 3, 4, 4, dtype=dtype, requires_grad=True)
    network(images).sum().backward()
    assert (len(kernels.forward.signatures), len(kernels.backward.signatures)) == before  # type: ignore[attr-defined]
