"""Help: every setting with its value, its meaning and its choices, within the terminal's width."""

from pathlib import Path

import pytest

from archsearch.compose.help import group_help, help_text
from archsearch.config.schema import descriptions_of, groups_of, names_of
from archsearch.config.settings import Settings, SweepRunSettings
from archsearch.errors import ConfigError
from archsearch.model.spec import BLOCKS, HEADS

WIDTHS = (80, 120)


@pytest.mark.parametrize("columns", WIDTHS)
def test_no_line_is_wider_than_the_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
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
    classes |= {*BLOCKS.values(), *HEADS.values()}
    missing = [
        f"{cls.__name__}.{name}"
        for cls in classes - {SweepRunSettings}
        for name in names_of(cls)
        if name != "type" and name not in descriptions_of(cls)
    ]
    assert not missing
