"""Parsing and completing command lines."""

from pathlib import Path

import pytest

from archsearch.compose.overrides import as_typed, complete_arguments, complete_override, parse_arguments, resume_of
from archsearch.compose.validate import validate
from archsearch.errors import ConfigError, ResumeError
from tests.support.command_line import Command
from tests.support.requests import ask


@pytest.mark.parametrize(
    "override",
    [
        "model.blocks.conv3.kernel_size=5",
        "model.head.hidden=[32]",
        "model.norm=group",
        "model.width=0.5",
        "model.blocks.x.dropout=0",
        "model.blocks.stage.body.conv.padding=1",
        "model.blocks.stage.body.split.branches.a.conv.kernel_size=3",
    ],
)
def test_settings_of_the_model_language_need_no_plus(override: str) -> None:
    assert complete_override(override) == f"++{override}"
    assert as_typed(f"++{override}") == override


@pytest.mark.parametrize(
    "override",
    [
        "trainer.epochs=3",
        "model.blocks.stage.body={}",
        "model.blocks.x.body.y.channels=3",
        "model.blocks.x.channels=3",
        "model.head.type=gap",
        "++trainer.epochs=3",
        "model=x",
    ],
)
def test_other_overrides_stay_as_typed(override: str) -> None:
    assert complete_override(override) == as_typed(override) == override


def test_settings_that_the_models_yaml_does_not_mention_are_composed() -> None:
    words = ("model.blocks.conv3.kernel_size=5", "model.head.hidden=[32]", "model.norm=group", "model.norm_groups=2")
    model = ask(*complete_arguments(words)).config["model"]
    assert model["blocks"]["conv3"] == {"channels": 24, "kernel_size": 5}
    assert model["head"] == {"type": "linear", "hidden": [32]}
    assert (model["norm"], model["norm_groups"]) == ("group", 2)


def test_overrides_reach_any_depth() -> None:
    words = (
        "model=resnet20",
        "model.blocks.stage2.body.conv1.channels=24",
        "model.blocks.stage2.body.conv1.kernel_size=1",
    )
    body = ask(*complete_arguments(words)).config["model"]["blocks"]["stage2"]["body"]
    assert body["conv1"] == {"channels": 24, "kernel_size": 1}


def test_blocks_are_added_and_removed_by_override() -> None:
    words = ("~model.blocks.trans2", "+model.blocks.last={channels: 8, kernel_size: 1}", "model.head.type=gap")
    plan = validate(ask(*complete_arguments(words)).config).require()[1]
    blocks = list(dict.fromkeys(layer.block for layer in plan.layers))
    assert blocks == ["conv1", "conv2", "conv3", "trans1", "conv4", "conv5", "last", "head"]


def test_a_misspelt_block_is_not_a_new_block() -> None:
    config = ask(*complete_arguments(["model.blocks.covn3.kernel_size=5"])).config
    with pytest.raises(ConfigError, match=r"model.blocks.covn3: needs `channels`.* \(did you mean conv3\?\)"):
        validate(config).require()


def test_flags_can_stand_between_overrides() -> None:
    arguments = ["model=session4", "-m", "seed=1,2", "--config-dir", "a=b", "~model.blocks.c", "--cfg", "job"]
    flags, overrides = ["-m", "--config-dir", "a=b", "--cfg", "job"], ["model=session4", "seed=1,2", "~model.blocks.c"]
    assert complete_arguments(arguments) == [*flags, *overrides]


def test_the_folder_conf_of_the_working_directory_is_searched(workspace: Path) -> None:
    (workspace / "conf").mkdir()
    assert complete_arguments(["seed=1"]) == ["--config-dir", str(workspace / "conf"), "seed=1"]
    assert complete_arguments(["--config-dir=mine", "seed=1"]) == ["--config-dir=mine", "seed=1"]


@pytest.mark.parametrize(
    ("arguments", "multirun", "only_shows"),
    [
        (["seed=1"], False, False),
        (["-m", "seed=1,2"], True, False),
        (["--cfg", "job"], False, True),
        (["--help"], False, True),
    ],
)
def test_flags_are_parsed_as_hydra_does(arguments: list[str], multirun: bool, only_shows: bool) -> None:
    parsed = parse_arguments(arguments)
    assert parsed is not None
    assert (parsed.multirun, parsed.only_shows) == (multirun, only_shows)


def test_arguments_that_hydra_rejects_are_not_parsed() -> None:
    assert parse_arguments(["--no-such-flag"]) is None


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("resume=12345678", "12345678"),
        ("+resume=12345678", "12345678"),
        ("resume='a, b'", "a, b"),
        ("resume=null", None),
        ("seed=1", None),
    ],
)
def test_resume_has_the_value_of_its_override(override: str, value: str | None) -> None:
    assert resume_of(override) == value


def test_an_empty_resume_is_rejected() -> None:
    with pytest.raises(ResumeError, match="resume= is empty"):
        resume_of("resume=")


@pytest.mark.parametrize("flag", [("--config-dir", "missing"), ("--config-dir=missing",), ("-cd", "missing")])
@pytest.mark.parametrize("mode", [(), ("-m",), ("--cfg", "job")])
def test_a_configuration_folder_that_does_not_exist_is_refused(
    command: Command, workspace: Path, flag: tuple[str, ...], mode: tuple[str, ...]
) -> None:
    done = command("seed=1,2" if mode == ("-m",) else "seed=1", *mode, *flag)
    assert done.returncode == 2 and "--config-dir: got 'missing', must be a folder" in done.stderr
    assert not list(workspace.iterdir())
