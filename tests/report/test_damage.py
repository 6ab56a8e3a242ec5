"""Damaged, hostile and unfinished files: a report leaves them out or refuses them, and never ends in a traceback."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archsearch.data.catalogue import DATASETS
from archsearch.errors import ReportError
from archsearch.report.leaderboard import rank
from archsearch.report.pictures import ranking_plot
from archsearch.report.run_files import read_history, read_study_run
from archsearch.report.study import studies_of
from archsearch.report.sweep_files import read_record
from tests.support.processes import Cli
from tests.support.studies import study, write_run, write_sweep

WRONG = [None, True, -1, 0, 1.5, 10**400, 1e308, "", "x", "\x1b[31m\x00", "²", [], [[1]], {}, {"a": [None]}]


def paths_of(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in nested dicts and lists."""
    yield path
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        yield from paths_of(value, (*path, key))


def replaced(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    """`content` with `value` at `path`; `...` removes what is there."""
    if not path:
        return {} if value is ... else value
    changed = deepcopy(content)
    parent = changed
    for key in path[:-1]:
        parent = parent[key]
    if value is ... and isinstance(parent, dict):
        parent.pop(path[-1], None)
    elif value is ...:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return changed


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sweep with two variants of two seeds, never trained."""
    folder = tmp_path_factory.mktemp("workspace") / "outputs" / "sweeps" / "a"
    return write_sweep(folder, {"model.dropout": ["0", "0.1"], "seed": ["1", "2"]})


RESULT_PATHS = [
    ("run_id",), ("name",), ("state",), ("started",), ("seed",), ("choices",), ("choices", "model"), ("data",),
    ("data", "name"), ("data", "fingerprint"), ("params",), ("macs",), ("epochs_trained",), ("seconds",), ("final",),
    ("final", "val/accuracy"), ("best",), ("tracking",), ("tracking", "uri"), ("history",), ("overrides",), (),
]  # fmt: skip


@settings(deadline=None, max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(RESULT_PATHS), value=st.sampled_from([..., *WRONG]))
def test_a_run_with_any_wrong_value_in_its_result_is_read_or_left_out(
    sweep: Path, path: tuple[str, ...], value: Any
) -> None:
    folder = sweep / "0"
    intact = json.loads((folder / "result.json").read_text())
    try:
        (folder / "result.json").write_text(json.dumps(replaced(intact, path, value)))
        run = read_study_run(folder)
        others = [read_study_run(sweep / name) for name in "123"]
        studies_of([run for run in [run, *others] if run is not None])
        read_history(folder / "result.json")
        assert run is None or (run.name.isprintable() and run.link() is None)
    finally:
        (folder / "result.json").write_text(json.dumps(intact))


@settings(deadline=None, max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), value=st.sampled_from([..., *WRONG]))
def test_a_sweep_with_any_wrong_value_in_its_record_is_read_or_refused(
    sweep: Path, data: st.DataObject, value: Any
) -> None:
    intact = json.loads((sweep / "sweep.json").read_text())
    path = data.draw(st.sampled_from(list(paths_of(intact))))
    try:
        (sweep / "sweep.json").write_text(json.dumps(replaced(intact, path, value)))
        with suppress(ReportError):
            read_record(sweep)
    finally:
        (sweep / "sweep.json").write_text(json.dumps(intact))


@pytest.mark.parametrize("text", ["", '{"runs": ', "[" * 100_000, "null", "\ud800"])
@pytest.mark.parametrize("name", ["result.json", "config.yaml", "sweep.json"])
def test_a_truncated_file_costs_no_traceback(report: Cli, workspace: Path, name: str, text: str) -> None:
    folder = write_sweep(workspace / "outputs" / "sweeps" / "a", {"model.dropout": ["0", "0.1"], "seed": ["1"]})
    path = folder / name if name == "sweep.json" else folder / "0" / name
    path.write_bytes(text.encode(errors="surrogatepass"))
    done = report("sweep=a")
    assert "Traceback" not in done.stderr
    if name == "sweep.json":
        assert done.returncode == 2 and "sweep.json" in done.stderr
    else:
        assert done.returncode == 0 and "note: 1 run of the sweep left out: the folder is damaged" in done.stdout


@pytest.mark.parametrize("name", ["result.json", "config.yaml", "sweep.json"])
def test_a_pipe_in_place_of_a_file_is_not_waited_for(report: Cli, workspace: Path, name: str) -> None:
    folder = write_sweep(workspace / "outputs" / "sweeps" / "a", {"model.dropout": ["0", "0.1"], "seed": ["1"]})
    path = folder / name if name == "sweep.json" else folder / "0" / name
    path.unlink()
    os.mkfifo(path)
    assert read_history(path) == []
    done = report()
    assert done.returncode == (2 if name == "sweep.json" else 0)
    if name == "result.json":
        assert "1 run of the sweep left out: the folder is damaged" in done.stdout


@pytest.mark.parametrize("accuracy", [-1.0, 100.1, 9920.0])
@pytest.mark.parametrize("split", ["val/accuracy", "test/accuracy"])
def test_an_accuracy_that_cannot_be_is_damage(tmp_path: Path, split: str, accuracy: float) -> None:
    final = {"epoch": 2, "val/accuracy": 99.0, "test/accuracy": 99.0, split: accuracy}
    assert read_study_run(write_run(tmp_path / "a", final=final)) is None


def test_a_copied_run_counts_once_with_a_note(report: Cli, workspace: Path) -> None:
    shutil.copytree(write_run(workspace / "a"), workspace / "b")
    done = report("run=a,b", "html=page.html")
    assert "note: 1 run left out: another selected run has the same id" in done.stdout
    assert "1 run of 1 variant" in done.stdout


def test_a_variant_of_which_every_seed_failed_is_named(report: Cli, workspace: Path) -> None:
    write_sweep(workspace / "outputs" / "sweeps" / "a", {"model.dropout": ["0", "0.1"], "seed": ["1", "2"]})
    for number, seed in ((9, 1), (10, 2)):
        write_run(workspace / f"{number}", "model.dropout=0.9", seed=seed, state="FAILED", final=None, best=None)
    write_run(workspace / "11", "model.dropout=0.1", seed=3, state="FAILED", final=None, best=None)
    done = report("sweep=a", "run=9,10,11", "html=page.html")
    assert "note: every seed failed of dropout=0.9\n" in done.stdout, done.stderr


def test_glyphs_that_matplotlib_lacks_cause_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    board = rank(study({"模型": [99.1, 99.2], "naïve": [99.0, 99.1]}))
    assert "模型" in ranking_plot(board)
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.parametrize("folder", ["../../../elsewhere", "/etc", "a\0b"])
def test_a_sweep_does_not_reach_outside_of_its_folder(workspace: Path, folder: str) -> None:
    sweep = write_sweep(workspace / "a", {"seed": ["1"]})
    content = json.loads((sweep / "sweep.json").read_text())
    content["runs"][0]["folder"] = folder
    (sweep / "sweep.json").write_text(json.dumps(content))
    with pytest.raises(ReportError, match="folder"):
        read_record(sweep)


def test_control_characters_in_the_settings_of_a_run_are_not_printed(report: Cli, workspace: Path) -> None:
    for number, value in enumerate(("\x1b[31mred\x07", "plain")):
        run = write_run(workspace / f"r{number}", seed=1)
        result = json.loads((run / "result.json").read_text())
        result["choices"]["model"] = value
        (run / "result.json").write_text(json.dumps(result | {"params": 1000 + number}))
    done = report("run=r0,r1", "html=page.html")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout and "\x1b" not in (workspace / "page.html").read_text()
    assert "[31mred" in done.stdout


def test_control_characters_in_the_description_of_the_data_are_not_printed(report: Cli, workspace: Path) -> None:
    evil = "\x1b[31mred\x07"
    info = DATASETS["digits"]
    described = replace(info, name=evil, title=evil, classes=tuple(f"{evil}{name}" for name in info.classes))
    for number, fingerprint in enumerate(("-", evil, evil)):
        data = {"name": evil, "fingerprint": fingerprint, "fallback": None}
        run = write_run(workspace / f"r{number}", f"model.dropout={number / 10}", data=data, right=[True, False] * 148)
        (run / "data.json").write_text(json.dumps(replace(described, test_images=296).as_dict()))
    done = report("run=r0,r1,r2", "html=page.html")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout and "\x1b" not in (workspace / "page.html").read_text()
    assert "(images ?[31mred?)" in done.stdout and "lowest on ?[31mred?1" in done.stdout


def test_the_last_sweep_that_can_be_reported_on_is_taken_and_the_skipped_ones_are_named(
    report: Cli, workspace: Path
) -> None:
    sweeps = workspace / "outputs" / "sweeps"
    grid = {"model.dropout": ["0", "0.1"], "seed": ["1", "2"]}
    write_sweep(sweeps / "old", grid, started="2026-01-01")
    write_sweep(sweeps / "good", grid, started="2026-01-02")
    write_sweep(sweeps / "killed", grid, started="2026-01-03", state="KILLED", final=None, best=None)
    write_sweep(sweeps / "begun", {"seed": ["1"]}, started="2026-01-04")
    (sweeps / "begun" / "0" / "result.json").unlink()
    done = report()
    assert done.returncode == 0, done.stderr
    skipped = "begun (no run started), killed (4 KILLED)"
    assert f"this is sweep good, the last one with an accuracy; skipped: {skipped}" in done.stdout
    assert (sweeps / "good" / "report.html").exists()


def test_without_any_accuracy_the_sweeps_are_named_with_what_to_do(report: Cli, workspace: Path) -> None:
    write_sweep(workspace / "outputs" / "sweeps" / "a", {"seed": ["1"]}, state="KILLED", final=None, best=None)
    done = report()
    assert done.returncode == 2 and "has a run with an accuracy yet: a (1 KILLED)" in done.stderr
    assert "python -m archsearch -m resume=last" in done.stderr
