"""`python -m archsearch.report` on folders of runs."""

import re
from pathlib import Path

import pytest

from tests.support.processes import Cli
from tests.support.studies import write_run


@pytest.fixture
def two_heads(workspace: Path) -> str:
    """`run=` with three seeds each of two heads, of which gap is better and alone classifies 7 images correctly."""
    folders = [
        write_run(workspace / "runs" / f"{head}{seed}", f"model.head.type={head}", seed=seed, val=val + seed / 10,
                  right=[*[True] * 290, *[head == "gap"] * 7])
        for head, val in (("gap", 99.0), ("linear", 97.0)) for seed in (1, 2, 3)
    ]  # fmt: skip
    return f"run={','.join(str(folder.relative_to(workspace)) for folder in folders)}"


def test_runs_that_were_never_recorded_are_compared_from_their_folders(
    report: Cli, two_heads: str, workspace: Path
) -> None:
    done = report(two_heads, "compare=gap,linear", "html=there/page.html")
    assert done.returncode == 0, done.stderr
    assert "scikit-learn digits, 250 held out, 297 test images: 6 runs of 2 variants, 3 seeds each" in done.stdout
    assert "head.type=gap is better than head.type=linear: 2.00 +- 0.23 points" in done.stdout
    assert re.search(r"\n1 +7 +0 +0.02\n", done.stdout)  # McNemar's test for seed 1
    assert (workspace / "there" / "page.html").exists() and not (workspace / "outputs").exists()


def test_images_of_other_data_are_not_shown(report: Cli, two_heads: str) -> None:
    done = report(two_heads)  # the runs have another fingerprint than digits
    assert "note: no images are shown: data does not have those of these runs" in done.stdout


def test_the_page_lies_in_the_reports_folder_by_default(report: Cli, two_heads: str, workspace: Path) -> None:
    done = report(two_heads)
    match = re.search(r"page     (outputs/reports/\S+/report.html)", done.stdout)
    assert match is not None and (workspace / match[1]).exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "no sweep under outputs/; train something first: python -m archsearch -m model=session4 model.dropout="),
        (("run=last",), "there is no run under outputs/; train something first: python -m archsearch model=session4"),
        (("sweep=" + "a" * 300,), "does not exist yet: train something first"),
        (("run=0123456789",), "does not exist yet: train something first"),
        (("swep=a", "compare=a,b,c"), "swep: unknown setting (did you mean sweep?)"),
        (("sweep=last", "tracking.uri=sqlite:///x/mlflow.db", "experiment=a"), "sweep=last: no sweep"),
    ],
)
def test_a_request_without_runs_is_refused_and_creates_nothing(
    report: Cli, workspace: Path, arguments: tuple[str, ...], reason: str
) -> None:
    done = report(*arguments)
    assert done.returncode == 2 and reason in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""
    assert not (workspace / "outputs").exists()


def test_a_run_without_an_accuracy_is_refused_with_its_state(report: Cli, workspace: Path) -> None:
    write_run(workspace / "going", state="RUNNING")
    done = report("run=going")
    assert done.returncode == 2 and "run going: no run has an accuracy to compare (1 RUNNING)" in done.stderr


def test_runs_without_an_accuracy_are_counted_in_a_note(report: Cli, two_heads: str, workspace: Path) -> None:
    write_run(workspace / "going", state="RUNNING")
    done = report(f"{two_heads},going")
    assert "note: 1 of 7 runs left out, without an accuracy: 1 RUNNING" in done.stdout


def test_help_lists_the_options(report: Cli) -> None:
    done = report("--help")
    assert done.returncode == 0 and "compare=A,B" in done.stdout


@pytest.mark.e2e
def test_the_command_reports_as_a_process(cli: Cli, two_heads: str, workspace: Path) -> None:
    done = cli(two_heads, "html=page.html", module="archsearch.report")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "" and "page     page.html" in done.stdout


@pytest.mark.e2e
def test_the_command_fails_with_exit_status_2_as_a_process(cli: Cli, workspace: Path) -> None:
    done = cli(module="archsearch.report")
    assert done.returncode == 2 and done.stdout == "" and "Traceback" not in done.stderr
