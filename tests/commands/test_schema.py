"""`archsearch schema`: what it prints, for whom, and how quickly."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from archsearch.compose.json_schema import configuration_schema, group_schema, schema_names
from tests.support.command_line import Command
from tests.support.processes import Cli

# Prints the schema and what was imported for it.
_IMPORTS = "from archsearch.schema import schema; import sys; schema([]); print(*sys.modules, file=sys.stderr)"


def test_it_prints_the_schema_of_the_configuration_or_of_a_group(command: Command, workspace: Path) -> None:
    done = command(module="archsearch.schema")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == configuration_schema()
    assert done.stdout.startswith(
        '{\n  "$schema": "https://json-schema.org/draft/2020-12/schema",\n  "title": "archsearch"'
    )
    assert json.loads(command("model", module="archsearch.schema").stdout) == group_schema("model")
    assert command("experiment", module="archsearch.schema").stdout == done.stdout
    assert list(workspace.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("optimizr",), "archsearch: schema: got 'optimizr', must be one of "),
        (("model", "optimizer"), "archsearch: schema: got model optimizer, must be the name of one group\n"),
        (("--grup",), "archsearch: schema: got '--grup', must be one of "),
    ],
)
def test_anything_but_a_group_is_refused(command: Command, arguments: tuple[str, ...], message: str) -> None:
    done = command(*arguments, module="archsearch.schema")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(message) and len(done.stderr.splitlines()) == 1


def test_a_misspelt_group_gets_a_suggestion(command: Command) -> None:
    assert "(did you mean optimizer?)" in command("optimizr", module="archsearch.schema").stderr


def test_a_plugin_that_cannot_be_imported_is_one_line(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHSEARCH_PLUGINS", "no_such_module")
    done = command(module="archsearch.schema")
    assert done.returncode == 2 and done.stderr.startswith("archsearch: ARCHSEARCH_PLUGINS: cannot import no_such_mod")


def test_help_names_the_groups(command: Command) -> None:
    text = " ".join(command("--help", module="archsearch.schema").stdout.split())
    assert text.endswith(", ".join(schema_names()))


@pytest.mark.e2e
def test_it_is_the_same_in_every_process_and_a_subcommand(cli: Cli) -> None:
    first = cli("model", module="archsearch.schema", PYTHONHASHSEED="1")
    second = cli("schema", "model", PYTHONHASHSEED="2")
    assert (first.returncode, first.stderr) == (0, "") and first.stdout == second.stdout


@pytest.mark.e2e
def test_it_imports_no_torch(workspace: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTS], cwd=workspace, env=os.environ, capture_output=True, text=True, check=True
    )
    modules = set(done.stderr.split())
    assert "pydantic" in modules and not modules & {"torch", "mlflow", "numpy", "pandas"}
