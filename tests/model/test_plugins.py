"""Blocks of one's own, from the example of docs/extending.md to a trained run."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from archsearch.compose.json_schema import group_schema
from archsearch.errors import PluginError
from archsearch.model import plugins
from archsearch.model.blocks import base
from archsearch.model.builder import build_plan
from tests.support.command_line import Command
from tests.support.json_schema import refusals
from tests.support.models import lower, problems_of
from tests.support.processes import REPOSITORY, Cli
from tests.support.requests import QUICK
from tests.support.runs import UNRECORDED

PAGE = (REPOSITORY / "docs" / "extending.md").read_text()


@pytest.fixture
def module(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The page's module, in the working directory."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (workspace / "my_blocks.py").write_text(code)
    monkeypatch.syspath_prepend(str(workspace))
    monkeypatch.setenv("ARCHSEARCH_PLUGINS", "my_blocks")
    before = dict(base._registry)
    yield workspace
    base._registry.clear()
    base._registry.update(before)
    sys.modules.pop("my_blocks", None)
    plugins._loaded.cache_clear()


MODEL = {
    "blocks": {"conv": {"channels": 8, "kernel_size": 3}, "mix": {"type": "shuffle", "groups": 4}},
    "head": {"type": "gap"},
}


def test_the_pages_block_is_planned_and_built(module: Path) -> None:
    plan = lower(MODEL)
    assert [layer.kind for layer in plan.layers if layer.block == "mix"] == ["ChannelShuffle"]
    assert build_plan(plan)(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_its_errors_come_with_all_others(module: Path) -> None:
    blocks = {"conv": {"channels": 7}, "mix": {"type": "shuffle", "groups": 4}}
    assert problems_of(MODEL | {"blocks": blocks}) == [
        "model.blocks.mix: `in_channels` (=7) must be divisible by `groups` (=4)"
    ]


def test_the_command_trains_it(module: Path, command: Command) -> None:
    done = command(*QUICK, *UNRECORDED, "trainer.epochs=1", "+model.blocks.mix={type: shuffle}")
    assert done.returncode == 0, done.stderr
    assert "ChannelShuffle" in next(module.glob("outputs/runs/*/layers.txt")).read_text()


def test_it_is_in_the_schema(module: Path) -> None:
    schema = group_schema("model")
    assert refusals(schema, MODEL) == {}
    blocks = {"conv": {"channels": 8}, "mix": {"type": "shuffle", "groups": "four"}}
    assert list(refusals(schema, MODEL | {"blocks": blocks})) == ["blocks.mix.groups"]
    shuffle = schema["$defs"]["model.block.shuffle"]
    assert shuffle["properties"]["groups"]["description"] == "groups of channels"
    assert shuffle["description"].startswith("Interleaves the channels of groups")


@pytest.mark.e2e
def test_workers_of_a_sweep_know_it(module: Path, cli: Cli) -> None:
    settings = (*QUICK, "tracking=none", "trainer.epochs=1", "+model.blocks.mix={type: shuffle}", "seed=1,2")
    done = cli("-m", *settings)
    assert done.returncode == 0, done.stderr


def test_a_module_that_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHSEARCH_PLUGINS", "no_such_module")
    with pytest.raises(PluginError, match="ARCHSEARCH_PLUGINS: cannot import no_such_module: ModuleNotFoundError"):
        plugins.block_types()


def test_two_blocks_cannot_have_one_type(module: Path) -> None:
    code = (module / "my_blocks.py").read_text().replace('"shuffle"', '"conv"')
    (module / "others.py").write_text(code)
    with pytest.raises(ValueError, match="there is a block of type conv already"):
        __import__("others")
