"""`python -m archsearch.report` as a person would use it, on folders and on MLflow; its settings and its page."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from archsearch.errors import ConfigError, UserError
from archsearch.report.findings import find
from archsearch.report.options import Options, parse_options
from archsearch.report.page import write_page
from archsearch.report.sources import Sources
from archsearch.runs.folder import OUTPUTS
from archsearch.tracking.store import resolve_store
from tests.support.mlflow_server import MlflowServer
from tests.support.processes import Cli
from tests.support.studies import study, write_run
from tests.support.sweeps import TINY, record_of, results_of, sweep_folder

REPORT = "archsearch.report"
SWEEP = (
    "-m",
    *TINY,
    "trainer.epochs=1",
    "model.dropout=0,0.5",
    "seed=1,2",
    "tracking.log_model=false",
    "tracking.log_figures=false",
)


def said(output: str) -> list[str]:
    """What is compared and found, without titles and paths."""
    return [line for line in output.splitlines() if re.search(r"dropout=0.*(points|to the|99|\d\d\.\d\d)", line)]


@pytest.mark.sweep
def test_a_sweep_is_reported_on_from_its_folder_and_from_the_store(cli: Cli, workspace: Path) -> None:
    assert cli(*SWEEP).returncode == 0
    first = cli(module=REPORT)
    assert first.returncode == 0, first.stderr
    assert first.stderr == ""
    assert "scikit-learn digits, 250 held out, 297 test images: 2 variants, 4 runs, seeds a variant: 2" in first.stdout
    folder, record = sweep_folder(workspace), record_of(workspace)
    page = folder / "report.html"
    assert f"page     {page.relative_to(workspace)}" in first.stdout
    kept = list(workspace.glob(f"outputs/artifacts/{record['tracking']['run_id']}/artifacts/report.html"))
    assert [path.read_text() for path in kept] == [page.read_text()]
    assert (
        "dropout=0.5" in page.read_text()
        and "<svg" in page.read_text()
        and "http://" not in re.sub(r'xmlns(:\w+)?="[^"]+"', "", page.read_text())
    )

    # The same, from the store alone.
    folder.rename(workspace / "elsewhere")
    again = cli(f"sweep={record['id']}", module=REPORT)
    assert again.returncode == 0, again.stderr
    assert said(again.stdout) == said(first.stdout)
    assert re.search(r"page     outputs/reports/\S+/report.html", again.stdout)
    sources = Sources(lambda: resolve_store(None, OUTPUTS), workspace / "scratch")
    known = {result["run_id"]: result["final"]["val/accuracy"] for result in read_all(workspace / "elsewhere")}
    later_half = {result["run_id"] for result in read_all(workspace / "elsewhere") if result["sweep_run"]["number"] > 1}
    for words, expected in (
        ([f"run={','.join(known)}"], set(known)),
        (["experiment=archsearch"], set(known)),  # the sweep's own run is no trial
        (["filter=params.`model.dropout` = '0.5'"], later_half),
    ):
        trials = sources.gather(parse_options(words)[0]).trials
        assert {trial.run_id for trial in trials} == expected
        assert all(trial.validation == known[trial.run_id] == trial.best for trial in trials)
    for words, reason in (
        (["filter=params.`model.dropout` = '7'"], "nothing has been trained there"),
        (["filter=params dropout"], "Invalid"),
        (["experiment=archsarch"], "has no such experiment (did you mean archsearch?)"),
        (["sweep=nix"], "nor does sqlite:"),
    ):
        with pytest.raises(UserError) as raised:
            sources.gather(parse_options(words)[0])
        assert reason in str(raised.value)


def read_all(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in folder.glob("*/result.json")]


def test_runs_that_nobody_recorded(cli: Cli, workspace: Path) -> None:
    right = [True] * 290
    folders = [
        write_run(workspace / "runs" / f"{head}{seed}", f"model.head.type={head}", seed=seed, val=val + seed / 10,
                  right=[*right, *[head == "gap"] * 7])
        for head, val in (("gap", 99.0), ("linear", 97.0)) for seed in (1, 2, 3)
    ]  # fmt: skip
    names = ",".join(str(folder.relative_to(workspace)) for folder in folders)
    done = cli(f"run={names}", "compare=gap,linear", "html=there/page.html", module=REPORT)
    assert done.returncode == 0, done.stderr
    assert "head.type=gap is better than head.type=linear: 2.00 +- 0.23 points" in done.stdout
    assert re.search(r"\n +1 +7 +0  0.02\n", done.stdout)  # McNemar's test of seed 1
    assert "the images of these runs are not in data" in done.stdout  # which have another fingerprint
    assert (workspace / "there" / "page.html").exists() and not (workspace / "outputs").exists()


def test_what_cannot_be_reported_on(cli: Cli, workspace: Path) -> None:
    for words, reason in (
        ((), "sweep=last: no sweep under outputs/"),
        (("run=last",), "there is no run under outputs/"),
        (("run=0123456789",), "does not exist yet: train something first"),
        (("swep=a", "compare=a,b,c"), "swep: unknown setting (did you mean sweep?)"),
        (("sweep=last", "tracking.uri=sqlite:///x/mlflow.db", "experiment=a"), "sweep=last: no sweep"),
    ):
        done = cli(*words, module=REPORT)
        assert done.returncode == 2 and reason in done.stderr, done.stderr
        assert "Traceback" not in done.stderr and done.stdout == ""
    assert not (workspace / "outputs").exists()
    helped = cli("--help", module=REPORT)
    assert helped.returncode == 0 and "compare=A,B" in helped.stdout
    write_run(workspace / "going", state="RUNNING")
    done = cli("run=going", module=REPORT)
    assert done.returncode == 2 and "none of its 1 runs has an accuracy to compare" in done.stderr


def test_what_can_be_asked() -> None:
    options, rest = parse_options(
        ["sweep=a,last", "compare=[x=1 y=2,'b, c']", "filter=\"params.model = 'a'\"", "data.root=/x"]
    )
    assert options.sweep == ("a", "last") and options.compare == ("x=1 y=2", "b, c")
    assert options.filter == "params.model = 'a'" and rest == ["data.root=/x"]
    with pytest.raises(ConfigError) as raised:
        parse_options(["sweeep=a", "compare=A", "cost=flops", "last", "html="])
    text = str(raised.value)
    for part in (
        "sweeep: unknown setting (did you mean sweep?)", "compare: got 'A' only", "must be one of params, macs",
        "last: is no setting=value", "html: names nothing",
    ):  # fmt: skip
        assert part in text


def test_odd_names_do_not_break_the_page(tmp_path: Path) -> None:
    found = study({"$\\foo$": [99.1, 99.2], "<b>\x07&": [99.3, 99.25]})
    path = tmp_path / "page.html"
    write_page(path, "<i>title</i>", None, [find(found, Options(), tmp_path)], "params")
    page = path.read_text()
    assert "&lt;b&gt;" in page and "<b>" not in page and "<i>" not in page


@pytest.mark.cluster
def test_a_sweep_is_reported_on_from_a_server(
    cli: Cli, workspace: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("server")
    server = MlflowServer(folder, f"sqlite:///{folder}/mlflow.db")
    try:
        assert cli(*SWEEP, MLFLOW_TRACKING_URI=server.uri).returncode == 0
        record = record_of(workspace)
        assert len(results_of(workspace)) == 4
        first = cli(module=REPORT, MLFLOW_TRACKING_URI=server.uri)
        assert first.returncode == 0, first.stderr
        sweep_folder(workspace).rename(workspace / "elsewhere")
        again = cli(f"sweep={record['id']}", "data.root=none", module=REPORT, MLFLOW_TRACKING_URI=server.uri)
        assert again.returncode == 0, again.stderr
        assert said(again.stdout) == said(first.stdout)
        assert "McNemar" in again.stdout  # predictions come from the server's artifacts
        assert list(folder.glob("kept/**/report.html"))
    finally:
        server.kill()
