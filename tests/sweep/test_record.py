"""`sweep.json`: what is damaged is refused with the file and the key, and runs lie inside the sweep's folder."""

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hydra.errors import HydraException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archsearch.errors import ResumeError, UserError
from archsearch.runs.resume import sweep_arguments
from archsearch.sweep.numbering import resumed_record
from archsearch.sweep.plan import plan_sweep
from archsearch.sweep.record import SweepRecord
from archsearch.sweep.results import outcomes_of
from tests.support.command_line import Command
from tests.support.sweeps import TrainedSweep, composing

pytestmark = pytest.mark.e2e  # whole runs, in this process

Content = dict[str, Any]


@pytest.fixture
def copied(trained: TrainedSweep, workspace: Path) -> Path:
    """The folder of a copy of the trained sweep, in the workspace."""
    shutil.copytree(trained.folder, workspace / "outputs" / "sweeps" / "copy")
    return workspace / "outputs" / "sweeps" / "copy"


def rewrite(folder: Path, change: Callable[[Content], object]) -> None:
    """Edit the `sweep.json` in `folder` by hand."""
    content = json.loads((folder / "sweep.json").read_text())
    change(content)
    (folder / "sweep.json").write_text(json.dumps(content))


def set_run(position: int, **values: object) -> Callable[[Content], object]:
    return lambda content: content["runs"][position].update(values)


def set_top(**values: object) -> Callable[[Content], object]:
    return lambda content: content.update(values)


def test_settings_of_earlier_versions_have_their_present_names(copied: Path) -> None:
    def rename(content: Content) -> None:
        content["keys"] = ["augment.degrees"]
        for number, run in enumerate(content["runs"]):
            run["values"] = {"augment.degrees": str(number)}

    rewrite(copied, rename)
    record = SweepRecord.read(copied)
    assert record.keys == ["augment.affine.degrees"]
    assert [entry.values["augment.affine.degrees"] for entry in record.entries[:2]] == ["0", "1"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_run(1, folder="../../../elsewhere"), "runs.1.folder: got '../../../elsewhere', must be a folder inside"),
        (set_run(1, folder="/tmp/elsewhere"), "runs.1.folder: got '/tmp/elsewhere', must be a folder inside"),
        (set_run(1, folder=""), "runs.1.folder: got '', must be a folder inside the sweep's folder"),
        (set_run(1, folder="a\0b"), "runs.1.folder: got 'a\\x00b', which cannot be a folder"),
        (set_run(1, folder="0"), "runs.1.folder: '0' is the folder of an earlier run, too"),
        (set_run(1, number=0), "runs.1.number: 0 is the number of an earlier run, too"),
        (set_run(1, number="1"), "runs.1.number: got '1', must be a valid integer"),
        (set_run(1, number=None), "runs.1.number: got None, must be a valid integer"),
        (set_run(1, same_as=9), "runs.1.same_as: got 9, must be the number of another run"),
        (set_run(1, state="LOST"), "runs.1.state: got 'LOST', must be 'READY'"),
        (set_run(1, values=[1]), "runs.1.values: got [1]"),
        (set_run(1, verdict={}), "runs.1.state: got {}"),
        (lambda content: content["runs"].__setitem__(2, None), "runs.2: "),
        (lambda content: content["runs"][2].pop("folder"), "runs.2.folder: "),
        (set_top(runs=[]), "runs: got an empty list"),
        (set_top(seconds=float("nan")), "seconds: got nan, must be a finite number"),
        (set_top(state="DONE"), "state: got 'DONE'"),
        (set_top(keys=None), "keys: got None"),
        (set_top(tracking={"uri": 3}), "tracking: its uri is 3"),
        (set_top(tracking={"uri": "sqlite:///x"}), "tracking: its experiment_id or complete is missing"),
        (set_top(mood="good"), "mood: "),
        (set_top(format=99), "has a format that this version of archsearch does not read"),
    ],
)
def test_damage_is_refused_with_the_file_and_the_key(
    copied: Path, change: Callable[[Content], object], message: str
) -> None:
    rewrite(copied, change)
    with pytest.raises(ResumeError) as caught:
        SweepRecord.read(copied)
    assert str(caught.value).startswith(f"{copied}/sweep.json: ") and message in str(caught.value)


def test_a_damaged_sweep_is_left_as_it_is(copied: Path, command: Command) -> None:
    rewrite(copied, set_run(1, number=0))
    before = (copied / "sweep.json").read_text()
    done = command("-m", "resume=copy")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert f"{copied.relative_to(Path.cwd())}/sweep.json: damaged: runs.1.number: 0 is the number of" in done.stderr
    assert (copied / "sweep.json").read_text() == before


def test_a_run_whose_folder_is_a_link_out_of_the_sweep_is_refused(copied: Path) -> None:
    shutil.rmtree(copied / "1")
    (copied / "1").symlink_to("/tmp", target_is_directory=True)
    with pytest.raises(ResumeError, match=r"runs.1.folder: got '1', must be a folder inside"):
        SweepRecord.read(copied)


def test_a_file_in_format_1_is_read(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parent / "begun_by_0.1.0" / "sweep.json", tmp_path)
    assert len(SweepRecord.read(tmp_path).entries) == 12


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("../../elsewhere"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=3,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a JSON document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


@st.composite
def damaged(draw: st.DrawFn, text: str) -> str:
    """`text` cut off, or with any value of it replaced or removed."""
    if draw(st.integers(0, 9)) == 0:
        return text[: draw(st.integers(0, len(text) - 2))]
    content = json.loads(text)
    top = draw(st.sampled_from(sorted(content)))
    path = draw(st.sampled_from(places(content[top], (top,))))
    node = content
    for key in path[:-1]:
        node = node[key]
    if draw(st.booleans()):
        node[path[-1]] = draw(JSON)
    else:
        del node[path[-1]]
    return json.dumps(content)


def read_damaged(trained: TrainedSweep, folder: Path, data: st.DataObject) -> SweepRecord:
    text = data.draw(damaged((trained.folder / "sweep.json").read_text()))
    (folder / "sweep.json").write_text(text)
    record = SweepRecord.read(folder)
    assert all((folder / entry.folder).resolve().is_relative_to(folder) for entry in record.entries)
    return record


ANY_DAMAGE = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(data=st.data())
@settings(ANY_DAMAGE, max_examples=150)
def test_whatever_is_damaged_the_sweep_is_read_or_refused(
    trained: TrainedSweep, tmp_path: Path, data: st.DataObject
) -> None:
    with suppress(ResumeError):
        outcomes_of(read_damaged(trained, tmp_path, data), tmp_path)


@pytest.mark.slow
@given(data=st.data())
@settings(ANY_DAMAGE, max_examples=500)
def test_whatever_is_damaged_the_sweep_is_planned_again_or_refused(
    trained: TrainedSweep, tmp_path: Path, data: st.DataObject
) -> None:
    with suppress(UserError, HydraException):  # the command explains Hydra's
        record = read_damaged(trained, tmp_path, data)
        with composing(*sweep_arguments(str(tmp_path), ["-m"])[1:]) as (loader, master):
            resumed_record(record, plan_sweep(loader, master, before=record), tmp_path, master)
