"""The installed package: its wheel, its console script, and how little it imports for quick answers."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.processes import REPOSITORY

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(REPOSITORY)]
    subprocess.run(build, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_ships_the_configuration_and_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "archsearch/conf/model/session4.yaml" in names and "archsearch/py.typed" in names
    assert "hydra_plugins/archsearch/sweeper.py" in names and "hydra_plugins/__init__.py" not in names
    assert not [name for name in names if name.startswith(("tests/", "conf/"))]


@pytest.mark.slow
def test_the_wheel_works_in_any_folder(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    def run(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=elsewhere,
            env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert str(tmp_path / "site") in run("-c", "import archsearch; print(archsearch.__file__)")
    assert "Total params: 12,954" in run("-m", "archsearch.check", "model=session4")
    trained = run("-m", "archsearch", "data=digits", "trainer.epochs=1", "tracking=none", "model=session5_step1")
    assert "Epoch 1/1" in trained
    assert len(list(elsewhere.glob("outputs/runs/*/result.json"))) == 1


def test_tab_completes_models_in_bash(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("archsearch")
    if not script.exists():
        pytest.skip("archsearch is not installed in this environment")
    line = "archsearch model=session4_"
    query = {**os.environ, "COMP_LINE": line, "COMP_POINT": str(len(line))}

    def complete(action: str) -> str:
        command = [str(script), "--shell-completion", action]
        return subprocess.run(command, cwd=tmp_path, env=query, capture_output=True, text=True, check=True).stdout

    assert "complete -o nospace" in complete("install=bash")
    assert {"model=session4_gap", "model=session4_conv_head"} <= set(complete("query=bash").split())


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("archsearch", ("--cfg", "job")),
        ("archsearch", ("--help",)),
        ("archsearch", ("trainer.epocs=3",)),
        ("archsearch.check", ()),
    ],
)
def test_quick_answers_import_nothing_heavy(workspace: Path, module: str, arguments: tuple[str, ...]) -> None:
    script = f"""
import runpy, sys
sys.argv = ["archsearch", *{arguments!r}]
heavy = {{"torch", "torchvision", "mlflow", "matplotlib", "sklearn", "pandas"}}
try:
    runpy.run_module({module!r}, run_name="__main__")
finally:
    print("heavy:", sorted(heavy & set(sys.modules)), file=sys.stderr)
"""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=workspace, env=environment, capture_output=True, text=True, check=False
    )
    assert "heavy: []" in done.stderr
