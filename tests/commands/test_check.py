"""`python -m archsearch.check`: a model's layer table, and nothing left behind."""

from pathlib import Path

import pytest

from tests.support.command_line import Command


def test_it_prints_the_layer_table(command: Command) -> None:
    done = command("model=session4", module="archsearch.check")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Linear-29                  [-1, 10]       1,450" in done.stdout and "Total params: 12,954" in done.stdout


def test_it_refuses_what_cannot_be_built(command: Command) -> None:
    done = command("model.blocks.conv1.kernel_size=99", module="archsearch.check")
    assert done.returncode == 2 and "does not fit" in done.stderr


def test_it_leaves_nothing_behind(command: Command, workspace: Path) -> None:
    command("model=session4", module="archsearch.check")
    command("model.blocks.conv1.kernel_size=99", module="archsearch.check")
    assert not list(workspace.iterdir())


def test_it_finds_models_in_the_working_directory(command: Command, workspace: Path) -> None:
    folder = workspace / "conf" / "model"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("blocks: {only: {channels: 3}}\nhead: {type: gap}\n")
    done = command("model=mine", "model.blocks.only.kernel_size=5", module="archsearch.check")
    assert done.returncode == 0 and "Total params: 124" in done.stdout, done.stderr


def test_a_network_is_shown_without_its_data(command: Command, workspace: Path) -> None:
    done = command("model=resnet20", "input=3x32x32", "classes=100", module="archsearch.check")
    assert done.returncode == 0, done.stderr
    assert "Total MACs: 40,556,800 for one 3x32x32 image" in done.stdout and "[-1, 100]" in done.stdout
    assert not list(workspace.iterdir())


def test_a_sweep_is_planned_without_its_data(command: Command) -> None:
    done = command("-m", "model=resnet20,resnet20_b", "input=3x32x32", module="archsearch.check")
    assert done.returncode == 0, done.stderr
    assert "269,722" in done.stdout and "272,474" in done.stdout


@pytest.mark.parametrize(
    "word", ["input=3x32", "input=0x32x32", "input=3x32x32x1", "classes=ten", "classes=0", "classes=65537"]
)
def test_sizes_that_cannot_be_are_refused(command: Command, word: str) -> None:
    done = command(word, module="archsearch.check")
    name, _, value = word.partition("=")
    assert done.returncode == 2 and f"archsearch: {name}: got '{value}', must be" in done.stderr


def test_a_run_to_resume_is_not_shown_as_the_default_model(command: Command, workspace: Path) -> None:
    (workspace / "run").mkdir()
    (workspace / "run" / "result.json").write_text("{}")
    done = command("resume=run", module="archsearch.check")
    assert (done.returncode, done.stdout) == (2, "")
    assert "resume: got 'run', must be left out; the run's folder has it, in layers.txt" in done.stderr


def test_sizes_that_cannot_be_are_refused_together(command: Command) -> None:
    for words, names in (
        ((), []),
        (("model.dropout=2",), ["model.dropout"]),
        (("trainer.epocs=3",), ["trainer.epocs"]),
    ):
        done = command(*words, "input=3x32", "classes=0", module="archsearch.check")
        lines = [line.partition(":")[0] for line in done.stderr.splitlines()]
        assert lines == ["archsearch", *names, "input", "classes"]


@pytest.mark.parametrize("mistake", ["trainer.epocs=3", "trainer.epochs", "trainer.epocs=3,4"])
def test_what_hydra_refuses_is_explained_for_these_sizes(command: Command, mistake: str) -> None:
    large = "++model.blocks.conv1.kernel_size=40"  # of 28x28 pixels
    flags = ["-m"] if "," in mistake else []
    done = command(*flags, "model=session4", large, "input=3x64x64", mistake, module="archsearch.check")
    assert (
        done.returncode == 2 and f"{mistake.partition('=')[0]}: " in done.stderr and "does not fit" not in done.stderr
    )
