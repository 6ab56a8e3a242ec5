"""Finding the folders of runs and sweeps, and reading them."""

import json
from pathlib import Path

import pytest

from archsearch.errors import ResumeError
from archsearch.runs.folder import find_run, find_sweep, note_begun, read_config, read_sweep, resume_argument, sweep_of
from tests.support.runs import made_up_result

RUNS, SWEEPS = Path("outputs/runs"), Path("outputs/sweeps")


def write_run(folder: Path, run_id: str, started: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps({"run_id": run_id, "started": started}))
    return folder


def write_sweep(folder: Path, started: str) -> Path:
    folder.mkdir(parents=True)
    content = {"overrides": [], "hydra": [], "config_dir": [], "runs": [], "started": started}
    (folder / "sweep.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def run(workspace: Path) -> Path:
    return write_run(RUNS / "a", "abc123", "2026-01-01T00:00:00+00:00")


@pytest.fixture
def later_run(workspace: Path) -> Path:
    return write_run(SWEEPS / "s" / "0", "abd456", "2026-01-02T00:00:00+00:00")


def test_a_run_is_found_by_its_folder(run: Path) -> None:
    assert find_run(str(run)) == run


def test_a_run_is_found_by_the_beginning_of_its_id(run: Path, later_run: Path) -> None:
    assert (find_run("abc"), find_run("abd456")) == (run, later_run)


@pytest.mark.usefixtures("run")
def test_last_is_the_run_that_started_last(later_run: Path) -> None:
    assert find_run("last") == later_run


def test_last_is_the_run_that_began_last_if_the_clock_was_set_back(run: Path, later_run: Path) -> None:
    for folder in (later_run, run):  # `run` began after `later_run`, at an earlier time
        note_begun(folder)
    assert find_run("last") == run


def test_a_run_that_was_never_noted_is_last_if_its_time_is(run: Path, later_run: Path) -> None:
    note_begun(run)
    assert find_run("last") == later_run


@pytest.mark.parametrize("order", [b"", b"nonsense\n", b"\xff"])
def test_a_damaged_order_leaves_the_times(order: bytes, run: Path, later_run: Path) -> None:
    Path("outputs/.order").write_bytes(order)
    assert find_run("last") == later_run


@pytest.mark.usefixtures("workspace")
def test_last_is_the_sweep_that_began_last_if_the_clock_was_set_back() -> None:
    finished, interrupted = write_sweep(SWEEPS / "s", "2026-01-02"), write_sweep(SWEEPS / "t", "2026-01-01")
    for folder in (finished, interrupted):
        note_begun(folder)
    assert find_sweep("last") == interrupted


@pytest.mark.usefixtures("workspace")
def test_the_sweep_of_a_run_is_the_nearest_folder_above_it_with_a_sweep() -> None:
    sweep = write_sweep(SWEEPS / "s", "2026-01-02")
    assert sweep_of(sweep / "deep" / "0") == sweep.absolute()
    assert sweep_of(RUNS / "a") is None


def test_a_damaged_result_does_not_hide_other_runs(run: Path) -> None:
    (RUNS / "broken").mkdir()
    (RUNS / "broken" / "result.json").write_text("{half")
    assert find_run("last") == run


@pytest.mark.usefixtures("workspace")
def test_last_needs_a_run() -> None:
    with pytest.raises(ResumeError, match="resume=last: there is no run under outputs/"):
        find_run("last")


@pytest.mark.usefixtures("run", "later_run")
def test_an_ambiguous_id_is_rejected() -> None:
    with pytest.raises(ResumeError, match="resume=ab: 2 runs match; give more characters of the id"):
        find_run("ab")


@pytest.mark.usefixtures("run")
def test_an_unknown_id_is_rejected_with_the_name_of_the_setting() -> None:
    with pytest.raises(ResumeError, match="run=xyz: no run with this id"):
        find_run("xyz", setting="run")


@pytest.mark.usefixtures("workspace")
def test_a_sweep_is_not_taken_for_a_run() -> None:
    sweep = write_sweep(SWEEPS / "s", "2026")
    with pytest.raises(ResumeError, match="this is a sweep, not a run; use -m"):
        find_run(str(sweep))


@pytest.mark.usefixtures("workspace")
def test_a_sweep_is_found_by_folder_by_name_and_as_the_last() -> None:
    first, second = write_sweep(SWEEPS / "x" / "s", "2026-01-01"), write_sweep(SWEEPS / "t", "2026-01-02")
    assert (find_sweep(str(first)), find_sweep("s"), find_sweep("last")) == (first, first, second)


@pytest.mark.usefixtures("workspace")
def test_a_name_that_two_sweeps_have_is_rejected() -> None:
    for parent in ("x", "y"):
        write_sweep(SWEEPS / parent / "s", "2026")
    with pytest.raises(ResumeError, match="resume=s: 2 sweeps have this name; give the folder of one"):
        find_sweep("s")


@pytest.mark.usefixtures("workspace")
def test_an_unknown_sweep_is_rejected() -> None:
    with pytest.raises(ResumeError, match="resume=s: no sweep of this name under outputs/"):
        find_sweep("s")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"overrides": [], "hydra": [], "config_dir": [], "runs": 1}'])
def test_a_file_that_describes_no_sweep_is_rejected(content: str, tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text(content)
    with pytest.raises(ResumeError, match=r"sweep.json: not a sweep's"):
        read_sweep(tmp_path)


def test_sweeps_of_format_1_are_readable(tmp_path: Path) -> None:
    content = {"overrides": [], "hydra": [], "config_dir": [], "variants": [{"number": 0}]}
    (tmp_path / "sweep.json").write_text(json.dumps(content))
    assert read_sweep(tmp_path)["runs"] == [{"number": 0}]


def test_configurations_of_older_runs_are_readable(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("seed: 1\nvariant: {number: 3}\n")
    assert read_config(tmp_path) == {"seed": 1, "sweep_run": {"number": 3}}


@pytest.mark.parametrize("content", [b"", b"[1]", b"text", b"{", b"\xff\xfe", b"[" * 5000])
def test_a_damaged_configuration_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(ResumeError, match=r"config.yaml: (damaged|cannot be read)"):
        read_config(tmp_path)


def test_a_run_is_resumed_by_id_if_that_finds_it_and_else_by_folder() -> None:
    result = made_up_result()
    assert resume_argument(result, RUNS / "a") == "resume=0123456789abcdef"
    assert resume_argument(result, Path("/my runs/a")) == "'resume=/my runs/a'"


@pytest.mark.parametrize("key", ["overrides", "hydra", "config_dir"])
@pytest.mark.parametrize("value", [None, 3, "x", [3], {"a": 1}])
def test_a_sweep_whose_words_are_no_strings_is_refused(tmp_path: Path, key: str, value: object) -> None:
    content = {"overrides": [], "hydra": [], "config_dir": [], "runs": [], key: value}
    (tmp_path / "sweep.json").write_text(json.dumps(content))
    with pytest.raises(ResumeError, match=f"{key} must be a list of strings"):
        read_sweep(tmp_path)


def test_a_sweep_that_is_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text("[" * 100_000)
    with pytest.raises(ResumeError, match="not a sweep's"):
        read_sweep(tmp_path)
