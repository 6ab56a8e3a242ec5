"""Completion: what can follow on the command line, from the schema and not only from what the YAML mentions."""

import json
from pathlib import Path

import pytest

from archsearch.__main__ import run
from archsearch.compose.completion import completions
from archsearch.runs.result import RESULT
from tests.support.runs import made_up_result


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("archsearch model.head.type=", {f"model.head.type={kind}" for kind in ("linear", "gap", "conv", "none")}),
        ("archsearch trainer.precision=b", {"trainer.precision=bfloat16"}),
        ("archsearch trainer.fused=", {"trainer.fused=true", "trainer.fused=false"}),
        ("archsearch optimizer=ad", {"optimizer=adam", "optimizer=adamw"}),
        ("archsearch -m model.head.type=linear,g", {"model.head.type=linear,gap"}),
        ("archsearch augment=[fl", {"augment=[flip"}),
        ("archsearch augment=[crop,fl", {"augment=[crop,flip"}),
        ("archsearch -m augment=none,[crop,fl", {"augment=none,[crop,flip"}),
        ("archsearch augment.crop.", {"augment.crop.padding=", "augment.crop.padding_mode="}),
        (
            "archsearch model.blocks.conv1.activation=r",
            {f"model.blocks.conv1.activation=relu{end}" for end in ("", "6")},
        ),
        ("archsearch model.blocks.trans", {"model.blocks.trans1.", "model.blocks.trans2."}),
        (
            "archsearch model=resnet20 model.blocks.stage1.body.conv1.g",
            {"model.blocks.stage1.body.conv1.groups="},
        ),
        ("archsearch model.blocks.conv1.after=t", {f"model.blocks.conv1.after=trans{number}" for number in "12"}),
        ("archsearch model.blocks.conv1.before=h", {"model.blocks.conv1.before=head"}),
        ("archsearch model.blocks.conv3.before=conv3", set()),
        (
            "archsearch model=resnet20 model.blocks.stage1.body.conv1.after=",
            {"model.blocks.stage1.body.conv1.after=conv2"},
        ),
        ("archsearch optimizer=adam optimizer.b", {"optimizer.betas=", "optimizer.bias_lr_factor="}),
        ("archsearch che", {"check"}),
        ("archsearch help op", {"optimizer"}),
        ("archsearch help ch", {"check"}),
        ("archsearch schema op", {"optimizer"}),
        ("archsearch schema -", {"--help"}),
        ("archsearch --cfg ", {"job", "hydra", "all"}),
        ("archsearch check -c j", {"job"}),
        ("archsearch --info defaults", {"defaults", "defaults-tree"}),
        ("archsearch ~model.blocks.trans", {"~model.blocks.trans1", "~model.blocks.trans2"}),
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


def completed(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], line: str) -> set[str]:
    """What bash gets for `line`."""
    monkeypatch.setenv("COMP_LINE", line)
    assert run(["-sc", "query=bash"]) == 0
    return set(capfd.readouterr().out.split())


def test_commands_offer_the_settings_that_they_accept(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    own = {f"{name}=" for name in "sweep run experiment filter compare baseline cost html".split()}
    assert completed(monkeypatch, capfd, "archsearch report ") == own | {"tracking.uri=", "data.root="}
    assert completed(monkeypatch, capfd, "archsearch report cost=m") == {"cost=macs"}
    assert completed(monkeypatch, capfd, "archsearch report -") == {"--help", "--config-dir", "-cd"}
    assert completed(monkeypatch, capfd, "archsearch ui ") == {"ui.port=", "tracking.uri="}
    assert {"trainer.", "input=", "classes="} <= set(completed(monkeypatch, capfd, "archsearch check "))
    assert "out=" in completed(monkeypatch, capfd, "archsearch draw ou")


def test_runs_and_sweeps_on_disk_are_offered(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert completed(monkeypatch, capfd, "archsearch resume=") == {"resume=last"}
    run_folder, sweep_folder = workspace / "outputs/runs/a", workspace / "outputs/sweeps/mine"
    for folder in (run_folder, sweep_folder):
        folder.mkdir(parents=True)
    (run_folder / RESULT).write_text(json.dumps(made_up_result().as_dict()))
    (sweep_folder / "sweep.json").write_text("{}")
    run_id = made_up_result().run_id
    assert completed(monkeypatch, capfd, "archsearch resume=") == {"resume=last", f"resume={run_id}"}
    assert completed(monkeypatch, capfd, "archsearch -m resume=") == {"resume=last", "resume=mine"}
    assert completed(monkeypatch, capfd, "archsearch report run=l") == {"run=last"}
    assert completed(monkeypatch, capfd, "archsearch report sweep=last,m") == {"sweep=last,mine"}
