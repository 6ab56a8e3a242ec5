"""Files that reuse others and themselves: the examples of docs/model-language.md, as they stand there."""

import re
from pathlib import Path
from typing import Any

import pytest

from archsearch.compose.composition import compose_request
from archsearch.compose.validate import validate
from tests.support.command_line import Command
from tests.support.processes import REPOSITORY

PAGE = (REPOSITORY / "docs" / "model-language.md").read_text()
PLACES = PAGE.partition("## The place of a block\n")[2].partition("\n## ")[0]
REUSE = PAGE.partition("## Reuse\n")[2].partition("\n## ")[0]
EXTENDED, ANCHORED, INTERPOLATED = re.findall(r"```yaml\n(.*?)```", REUSE, re.DOTALL)


@pytest.fixture
def folder(workspace: Path) -> Path:
    """Where models of one's own lie."""
    models = workspace / "conf" / "model"
    models.mkdir(parents=True)
    return models


def convs_of(*overrides: str) -> dict[str, Any]:
    """The convolutions of the network: their blocks with kernel size and channels, in order."""
    network = validate(compose_request(["model=mine", *overrides]).config).require()[1]
    return {
        layer.block: (layer.arguments["kernel_size"], layer.output[0])
        for layer in network.layers
        if layer.kind == "Conv2d"
    }


def test_a_file_extends_another(folder: Path) -> None:
    (folder / "mine.yaml").write_text(EXTENDED)
    blocks = convs_of()
    assert list(blocks) == ["conv1", "conv2", "extra", "trans1", "conv4", "conv5", "trans2"]
    assert (blocks["conv1"], blocks["conv2"], blocks["extra"]) == ((3, 12), (3, 16), (3, 16))
    assert compose_request(["model=mine"]).config["model"]["dropout"] == 0.05


def test_an_extended_file_can_itself_be_extended_and_overridden(folder: Path) -> None:
    (folder / "base.yaml").write_text(EXTENDED)
    (folder / "mine.yaml").write_text(
        "defaults: [base]\nblocks:\n  last: {channels: 4, before: conv5}\n  extra: null\n"
    )
    overrides = ("model.blocks.conv4.after=last", "~model.blocks.trans2", "model.head.type=gap")
    assert list(convs_of(*overrides)) == ["conv1", "conv2", "trans1", "last", "conv4", "conv5"]


def test_anchors_and_merge_keys(folder: Path) -> None:
    (folder / "mine.yaml").write_text(ANCHORED)
    assert convs_of("model.blocks.conv1.channels=10") == {
        "conv1": (3, 10),
        "conv2": (3, 16),
        "trans1": (1, 8),
        "conv3": (3, 16),
        "trans2": (1, 12),
    }


def test_interpolations(folder: Path) -> None:
    (folder / "mine.yaml").write_text(INTERPOLATED)
    assert convs_of() == {"conv1": (3, 12), "conv2": (3, 12), "conv3": (1, 12)}
    overrides = ("model.blocks.conv1.channels=20", "model.blocks.conv2.channels=6")
    assert convs_of(*overrides) == {"conv1": (3, 20), "conv2": (3, 6), "conv3": (1, 20)}


def test_the_commands_of_the_page_put_blocks_in_their_place(command: Command) -> None:
    outputs = []
    for line in re.findall(r"python -m archsearch.*", PLACES):
        module, *words = re.findall(r'"[^"]+"|\S+', line.removeprefix("python -m "))
        done = command(*(word.strip('"') for word in words), module="archsearch.check")
        assert done.returncode == 0, (module, done.stderr)
        outputs.append(done.stdout)
    added, moved, swept = outputs
    blocks = [list(dict.fromkeys(re.findall(r"  (\w+\d|extra)\n", table))) for table in (added, moved)]
    assert blocks[0] == ["conv1", "conv2", "extra", "conv3", "trans1", "conv4", "conv5", "trans2"]
    assert blocks[1] == ["conv3", "conv1", "conv2", "trans1", "conv4", "conv5", "trans2"]
    assert "extra.after" in swept and "3 runs of 3 variants: 3 to train" in swept
