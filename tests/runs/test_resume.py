"""The command line and the request that continue a run or a sweep."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from archsearch.compose.composition import compose_request
from archsearch.compose.request import Request
from archsearch.errors import ResumeError
from archsearch.runs.resume import continued_request, may_move, run_arguments, sweep_arguments
from tests.support.requests import ask

MOVABLE = [
    "ui.port=5001",
    "tracking=none",
    "tracking.uri=http://127.0.0.1:5000",
    "data.root=/data",
    "trainer.eval_batch_size=100",
    "sweep.workers=2",
    "constraints.max_params=20000",
    "hydra.verbose=true",
    "hydra/launcher=joblib",
    "+tracking.uri=x",
]
FIXED = [
    "seed=2",
    "tracking_x=1",
    "model=session4",
    "model.dropout=0",
    "trainer.epochs=3",
    "data=digits",
    "data.rooty=1",
]


@pytest.mark.parametrize("override", MOVABLE)
def test_overrides_that_do_not_change_results_may_stand_beside_resume(override: str) -> None:
    assert may_move(override)


@pytest.mark.parametrize("override", FIXED)
def test_overrides_that_change_results_may_not_stand_beside_resume(override: str) -> None:
    assert not may_move(override)


def write_run(folder: Path, *overrides: str, **result: Any) -> Request:
    """An interrupted run in `folder`, begun with `overrides`."""
    request = ask("data=digits", *overrides)
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(request.config))
    content = {"run_id": "1234567890", "state": "RUNNING", "started": "2026", "choices": dict(request.choices)}
    (folder / "result.json").write_text(json.dumps({**content, "overrides": request.overrides, **result}))
    return request


def write_sweep(folder: Path) -> None:
    folder.mkdir(parents=True)
    sweep = {"overrides": ["seed=1,2"], "hydra": ["sweep.workers=1"], "config_dir": [], "runs": [], "started": "2026"}
    (folder / "sweep.json").write_text(json.dumps(sweep))


@pytest.mark.parametrize("override", MOVABLE)
def test_a_run_accepts_the_overrides_that_may_move(override: str, tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    request = ask(*([override] if "hydra" not in override else []))
    continued_request(Request(request.config, request.choices, (override,)), tmp_path / "run")


@pytest.mark.parametrize("override", MOVABLE)
def test_a_sweep_accepts_the_overrides_that_may_move(override: str, workspace: Path) -> None:
    write_sweep(workspace / "outputs" / "sweeps" / "mine")
    assert "seed=1,2" in sweep_arguments("mine", ["-m", override])


@pytest.mark.parametrize("override", FIXED)
def test_a_run_rejects_other_overrides(override: str, tmp_path: Path) -> None:
    with pytest.raises(ResumeError, match=re.escape(override)):
        continued_request(Request({}, {}, (override,)), tmp_path)


@pytest.mark.parametrize("override", FIXED)
def test_a_sweep_with_other_overrides_is_not_completed_with_its_own(override: str, workspace: Path) -> None:
    """Its overrides are then compared with those of the sweep, which rejects them unless they are the same."""
    write_sweep(workspace / "outputs" / "sweeps" / "mine")
    assert "seed=1,2" not in sweep_arguments("mine", ["-m", override])


def test_an_override_changes_only_the_setting_that_it_names(tmp_path: Path) -> None:
    write_run(tmp_path / "run", "tracking.experiment=a", "ui.port=1234", "trainer.epochs=7")
    config = continued_request(ask("resume=x", "ui.port=5001"), tmp_path / "run").config
    assert config["ui"]["port"] == 5001
    assert config["tracking"]["experiment"] == "a"
    assert config["trainer"]["epochs"] == 7


def test_an_override_of_a_setting_leaves_the_rest_of_its_group(tmp_path: Path) -> None:
    write_run(tmp_path / "run", "tracking.experiment=a")
    tracking = continued_request(ask("resume=x", "tracking.uri=http://elsewhere"), tmp_path / "run").config["tracking"]
    assert (tracking["uri"], tracking["experiment"]) == ("http://elsewhere", "a")


def test_an_override_of_a_group_replaces_the_group(tmp_path: Path) -> None:
    write_run(tmp_path / "run", "tracking.experiment=a")
    config = continued_request(ask("resume=x", "tracking=none"), tmp_path / "run").config
    assert config["tracking"] == ask("tracking=none").config["tracking"]


def test_a_continued_request_has_the_choices_and_overrides_of_the_run(tmp_path: Path) -> None:
    original = write_run(tmp_path / "run", "model=session5_step1", "seed=3")
    request = continued_request(ask("resume=x", "ui.port=5001"), tmp_path / "run")
    assert request.overrides == original.overrides and request.choices == original.choices
    assert request.config == {**original.config, "resume": "x", "ui": {**original.config["ui"], "port": 5001}}


def test_a_finished_run_cannot_be_continued(tmp_path: Path) -> None:
    write_run(tmp_path / "run", state="FINISHED", epochs_trained=2, tracking={"complete": True})
    with pytest.raises(ResumeError, match="is finished, after 2 epochs"):
        continued_request(ask("resume=x"), tmp_path / "run")


def test_a_finished_run_with_an_incomplete_record_can_be_continued(tmp_path: Path) -> None:
    write_run(tmp_path / "run", state="FINISHED", epochs_trained=2, tracking={"complete": False})
    continued_request(ask("resume=x"), tmp_path / "run")


@pytest.mark.parametrize("content", [None, "{", "[1"])
def test_a_run_without_a_readable_configuration_cannot_be_continued(content: str | None, tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    config = tmp_path / "run" / "config.yaml"
    config.unlink() if content is None else config.write_text(content)
    with pytest.raises(ResumeError, match=r"cannot be|no run"):
        continued_request(ask("resume=x"), tmp_path / "run")


def test_names_and_folders_survive_hydras_grammar(workspace: Path) -> None:
    write_run(workspace / "outputs" / "runs" / "a, b=c")
    arguments = run_arguments("12345678", [])
    assert arguments == ["resume='12345678'", "hydra.run.dir='outputs/runs/a, b=c'", "hydra.output_subdir=null"]
    assert compose_request(arguments).config["resume"] == "12345678"
