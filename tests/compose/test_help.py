"""Help: every setting with its value, its meaning and its choices, within the terminal's width."""

from functools import cache
from pathlib import Path

import pytest
from omegaconf import DictConfig

from archsearch.compose.composition import compose_config
from archsearch.compose.help import group_help, help_text
from archsearch.config.schema import descriptions_of, groups_of, names_of
from archsearch.config.settings import Settings, SweepRunSettings
from archsearch.errors import ConfigError
from archsearch.model.heads import HEADS
from archsearch.model.plugins import block_types

WIDTHS = (80, 120)


@cache
def composed_once(*arguments: str) -> DictConfig:
    return compose_config(arguments)


@pytest.mark.parametrize("columns", WIDTHS)
def test_no_line_is_wider_than_the_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("archsearch.compose.help.compose_config", lambda arguments: composed_once(*arguments))
    text = "\n".join([help_text(), *map(group_help, ["model", *groups_of(Settings)][:-1])])
    assert max(map(len, text.splitlines())) <= columns


def test_a_setting_comes_with_its_value_and_its_meaning() -> None:
    assert "trainer.epochs=8                passes over the training images" in help_text()


def test_overrides_beside_help_show_in_the_values() -> None:
    assert "trainer.epochs=3 " in help_text(["trainer.epochs=3"])


def test_a_group_shows_the_settings_of_all_its_options() -> None:
    text = group_help("optimizer")
    assert "optimizer=  adam, adamw, sgd" in text
    assert "optimizer.nesterov" in text and "optimizer.betas=[0.9,0.999]" in text


def test_choices_are_listed() -> None:
    assert "float32 | bfloat16" in " ".join(group_help("trainer").split())


def test_models_of_the_working_directory_are_options(workspace: Path) -> None:
    folder = workspace / "conf" / "model"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("blocks: {only: {channels: 3}}\nhead: {type: gap}\n")
    assert "mine" in group_help("model")


def test_an_unknown_group_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"help: got 'optimizr', must be one of .* \(did you mean optimizer\?\)"):
        group_help("optimizr")


def test_every_setting_has_a_description() -> None:
    classes = {cls for members in groups_of(Settings).values() for cls in members}
    classes |= {*block_types().values(), *HEADS.values()}
    missing = [
        f"{cls.__name__}.{name}"
        for cls in classes - {SweepRunSettings}
        for name in names_of(cls)
        if name != "type" and name not in descriptions_of(cls)
    ]
    assert not missing


def test_a_description_makes_sense_alone() -> None:
    classes = {cls for members in groups_of(Settings).values() for cls in members}
    descriptions = {
        f"{cls.__name__}.{name}": text
        for cls in {Settings, *classes, *block_types().values(), *HEADS.values()}
        for name, text in descriptions_of(cls).items()
    }
    elliptic = ("of ", "after ", "before ", "null is", "auto,")
    fragments = {name: text for name, text in descriptions.items() if text.startswith(elliptic) or " " not in text}
    assert not fragments


def test_a_model_lists_its_width_and_the_types_of_head_and_block() -> None:
    for text in (help_text(), group_help("model")):
        lines = " ".join(text.split())
        assert "model.width=1.0 factor of every block's channels" in lines
        assert "model.head.type=linear kind of head; linear | gap | conv" in lines
        assert "model.blocks.NAME.type=conv kind of the block NAME; adaptive_pool | conv |" in lines


def test_a_group_shows_the_values_of_its_options() -> None:
    text = " ".join(group_help("optimizer").split())
    assert "optimizer=sgd optimizer.lr=0.1 " in text and "optimizer.nesterov=true" in text
    assert "optimizer=adamw optimizer.lr=0.01 " in text and "optimizer.weight_decay=0.01 " in text
    assert "scheduler.milestones=[9] " in group_help("scheduler")


def test_a_choice_beside_numbers_is_no_word_on_its_own() -> None:
    text = " ".join(group_help("model").split())
    assert "; or same " in text and "; or depthwise " in text


@pytest.mark.parametrize(
    ("command", "usage"),
    [(name, f"archsearch {name}: ") for name in ("check", "draw", "schema", "ui")],
)
def test_help_of_a_command_begins_with_its_name(command: str, usage: str) -> None:
    assert help_text(command=command).startswith(usage)


def test_the_settings_of_transforms_are_listed_where_there_are_any() -> None:
    assert "augment.crop.padding_mode=constant" in group_help("augment")
    text = help_text(["augment=crop"])
    assert "augment.crop.padding=4" in text and "augment.flip=null" in text
