"""The files of a report: where they lie, what is refused, and the leaderboard as data."""

import csv
import json
import os
import re
import stat
from pathlib import Path

import pandas as pd
import pytest

from archsearch.report.data import csv_text, json_text
from archsearch.report.files import page_path
from archsearch.report.findings import analyze
from archsearch.report.options import Options
from archsearch.report.sources import Selection
from tests.support.processes import Cli
from tests.support.studies import draws, study, write_sweep


@pytest.fixture
def sweep(workspace: Path) -> Path:
    """The last sweep: two variants of two seeds."""
    return write_sweep(workspace / "outputs" / "sweeps" / "a", {"model.dropout": ["0", "0.1"], "seed": ["1", "2"]})


def test_the_leaderboard_lies_beside_the_page_as_csv_and_json(report: Cli, sweep: Path) -> None:
    done = report()
    assert done.returncode == 0, done.stderr
    assert "page     outputs/sweeps/a/report.html, report.csv, report.json" in done.stdout
    with open(sweep / "report.csv", newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["variant"], first["model.dropout"], first["seeds"]) == ("dropout=0", "0", "1 2")
    assert float(first["validation"]) > float(second["validation"])
    content = json.loads((sweep / "report.json").read_text())
    assert [row["variant"] for row in content["studies"][0]["variants"]] == ["dropout=0", "dropout=0.1"]
    assert content["command"].startswith("python -m archsearch -m model.dropout=0,0.1")


def test_the_data_have_the_accuracy_on_each_class_of_the_leader(report: Cli, workspace: Path) -> None:
    right = [index != 20 for index in range(297)]  # one of 30 images of class 0 is wrong
    folder = write_sweep(workspace / "outputs" / "sweeps" / "a", {"model.dropout": ["0", "0.1"]}, right=right)
    assert report().returncode == 0
    first, second = json.loads((folder / "report.json").read_text())["studies"][0]["variants"]
    assert first["class_accuracy"] == {"0": 96.666667, **{str(number): 100.0 for number in range(1, 10)}}
    assert "class_accuracy" not in second
    table = pd.read_csv(folder / "report.csv")
    assert table["class_accuracy_0"][0] == 96.666667 and table["class_accuracy_0"].isna().tolist() == [False, True]


def test_the_data_have_verdicts_intervals_and_no_nan() -> None:
    findings = [analyze(study({"0": draws(99.4, 3, 1), "0.1": [98.0]}), Options(), Path())]
    (row,) = [row for row in json.loads(json_text("", None, findings))["studies"][0]["variants"] if row["number"] == 2]
    assert row["verdict"] == "worse" and row["difference"]["high"] < 0 and row["compared_with"] == "dropout=0"
    assert "nan" not in csv_text(findings)
    unknown = [analyze(study({"0": [95.0], "0.1": [94.0]}), Options(), Path())]
    assert json.loads(json_text("", None, unknown))["studies"][0]["variants"][1]["p"] is None


def test_pandas_reads_the_csv(report: Cli, sweep: Path) -> None:
    assert report().returncode == 0
    assert pd.read_csv(sweep / "report.csv").shape[0] == 2


def test_a_comparison_has_files_of_its_own(report: Cli, sweep: Path) -> None:
    assert report().returncode == 0
    before = (sweep / "report.html").read_text()
    done = report("compare=0.1,0")
    assert "page     outputs/sweeps/a/report-dropout=0.1-vs-dropout=0.html" in done.stdout
    assert (sweep / "report-dropout=0.1-vs-dropout=0.csv").exists()
    assert (sweep / "report.html").read_text() == before


@pytest.mark.parametrize("odd", ["a/../b", "x" * 80, "ü ß", "a:b*c"])
def test_odd_names_of_variants_make_portable_and_distinct_files(odd: str) -> None:
    pages = set()
    for end in "12":
        scores = {f"{odd}{end}": [99.0], "plain": [98.0]}
        findings = [analyze(study(scores), Options(compare=("#1", "#2")), Path())]
        page = page_path(Options(), Selection("", folder=Path("there")), findings)
        assert page.parent == Path("there") and len(page.name) < 120 and re.fullmatch(r"[\w.=+-]+", page.name, re.ASCII)
        pages.add(page)
    assert len(pages) == 2


@pytest.mark.parametrize(
    ("kind", "name"),
    [("fifo", "page.html"), ("symlink", "page.csv"), ("folder", "page.csv"), ("dangling", "page.html")],
)
def test_special_files_are_refused_and_left_as_they_are(
    report: Cli, sweep: Path, workspace: Path, kind: str, name: str
) -> None:
    path, target = workspace / name, workspace / "target"
    target.write_text("kept")
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(target if kind == "symlink" else "nowhere")
    mode = path.lstat().st_mode
    done = report("html=page.html")
    assert done.returncode == 2 and "html: got page.html, must be a new name or a regular file" in done.stderr
    assert path.lstat().st_mode == mode and target.read_text() == "kept" and done.stdout == ""


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/dev/null", "is a device, pipe or socket"),
        ("page.csv", "must not end in .csv or .json"),
        ("/", "must be the path of a file"),
        ("a" * 300, "File name too long"),
        ("/proc/page.html", "cannot write /proc/page.html"),
    ],
)
def test_a_page_that_cannot_be_a_file_is_refused(report: Cli, sweep: Path, path: str, reason: str) -> None:
    done = report(f"html={path}")
    assert done.returncode == 2 and reason in done.stderr, done.stderr
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("README.md", "README.md"),
        ("outputs/sweeps/a/sweep.html", "outputs/sweeps/a/sweep.json"),
        ("new.html", "new.csv"),
    ],
)
def test_files_that_are_no_report_are_never_replaced(
    report: Cli, sweep: Path, workspace: Path, path: str, kept: str
) -> None:
    file = workspace / kept
    if not file.exists():
        file.write_text("mine, made by archsearch")
    before = file.read_text()
    done = report(f"html={path}")
    assert done.returncode == 2 and f"html: got {path}" in done.stderr and kept in done.stderr
    assert file.read_text() == before and done.stdout == ""


@pytest.mark.parametrize("arguments", [(), ("html=page",), ("html=a b.html",), ("compare=0,0.1",)])
def test_a_report_replaces_its_predecessor(report: Cli, sweep: Path, arguments: tuple[str, ...]) -> None:
    for _ in range(2):
        done = report(*arguments)
        assert done.returncode == 0, done.stderr


def test_a_report_of_an_earlier_version_is_replaced_but_not_data_that_it_did_not_write(
    report: Cli, sweep: Path, workspace: Path
) -> None:
    earlier = "<footer><p>Created 2026-01-01 10:00 by archsearch 0.1. This file is self-contained.</p></footer>"
    (workspace / "page.html").write_text(earlier)
    (workspace / "page.csv").write_text("mine")
    assert "page.csv, which would be replaced" in report("html=page.html").stderr
    assert (workspace / "page.html").read_text() == earlier
    (workspace / "page.csv").unlink()
    assert report("html=page.html").returncode == 0


def test_the_default_page_is_written_again_where_only_its_data_are_left(report: Cli, sweep: Path) -> None:
    assert report().returncode == 0
    (sweep / "report.html").unlink()
    assert report().returncode == 0
