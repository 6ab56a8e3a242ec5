"""Completion: what can follow on the command line, from the schema and not only from what the YAML mentions."""

from pathlib import Path

import pytest

from archsearch.compose.completion import completions


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("archsearch model.head.type=", {f"model.head.type={kind}" for kind in ("linear", "gap", "conv")}),
        ("archsearch trainer.precision=b", {"trainer.precision=bfloat16"}),
        ("archsearch trainer.fused=", {"trainer.fused=true", "trainer.fused=false"}),
        ("archsearch optimizer=ad", {"optimizer=adam", "optimizer=adamw"}),
        ("archsearch -m model.head.type=linear,g", {"model.head.type=linear,gap"}),
        (
            "archsearch model.blocks.conv1.activation=r",
            {f"model.blocks.conv1.activation=relu{end}" for end in ("", "6")},
        ),
        ("archsearch model.blocks.trans", {"model.blocks.trans1.", "model.blocks.trans2."}),
        ("archsearch optimizer=adam optimizer.b", {"optimizer.betas=", "optimizer.bias_lr_factor="}),
        ("archsearch che", {"check"}),
        ("archsearch help op", {"optimizer"}),
        ("archsearch --multi", {"--multirun"}),
    ],
)
def test_what_can_follow(line: str, expected: set[str]) -> None:
    assert set(completions(line)) == expected


def test_settings_below_a_group_come_once_its_name_is_typed() -> None:
    assert "trainer." in completions("archsearch tr") and "trainer.epochs=" not in completions("archsearch tr")
    assert "trainer.epochs=" in completions("archsearch trainer.")


def test_models_of_the_working_directory_are_offered(workspace: Path) -> None:
    folder = workspace / "conf" / "model"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("blocks: {only: {channels: 3}}\nhead: {type: gap}\n")
    assert completions("archsearch model=mi") == ["model=mine"]
    assert completions("archsearch model=mine model.blocks.") == ["model.blocks.only."]


def test_words_that_do_not_compose_do_not_stop_completion() -> None:
    assert completions("archsearch nonsense=1 trainer.ep") == ["trainer.epochs="]
